"""What a run takes besides tokens: parts of the mechanism switched off or changed. Plain data; the models honour it."""

import math
from dataclasses import dataclass

HeadSet = frozenset[tuple[int, int]]  # of (layer, head)


@dataclass(frozen=True)
class Intervention:
    """What is changed in a run. ValueError if the temperature is not a positive number.

    Which heads there are only the model knows: its `run` raises ValueError for one that does not exist.
    """

    heads_off: HeadSet = frozenset()  # they write nothing to the residual stream
    heads_uniform: HeadSet = frozenset()  # their queries are zero, so all weights of a row are equal
    causal_mask: bool = True  # False: every token also sees what comes after it
    scale: bool = True  # False: the scores are q·k, not q·k / √d_head
    temperature: float = 1.0  # of the softmax: the scores are divided by it
    positions: bool = True  # False: no position vectors are added to the token vectors

    def __post_init__(self):
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise ValueError(f"a softmax temperature must be a positive number, not {self.temperature}")


UNCHANGED = Intervention()
