"""What a run takes besides tokens: parts of the mechanism switched off or changed. Plain data; the models honour it."""

import math
from dataclasses import dataclass

import numpy as np

HeadSet = frozenset[tuple[int, int]]  # of (layer, head)


@dataclass(frozen=True)
class Intervention:
    """What is changed in a run. ValueError if the temperature is not a positive number.

    Which heads and tokens there are only a run knows: see `check`.
    """

    heads_off: HeadSet = frozenset()  # they write nothing to the residual stream
    heads_uniform: HeadSet = frozenset()  # their queries are zero, so all weights of a row are equal
    rows_off: frozenset[tuple[int, int, int]] = frozenset()  # (layer, head, query): the head writes nothing there
    edges_off: frozenset[tuple[int, int, int, int]] = frozenset()  # and (…, key): this query does not see this key
    causal_mask: bool = True  # False: every token also sees what comes after it
    scale: bool = True  # False: the scores are q·k, not q·k / √d_head, or whatever scale a model has
    temperature: float = 1.0  # of the softmax: the scores are divided by it
    positions: bool = True  # False: no position vectors are added to the token vectors

    def __post_init__(self):
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise ValueError(f"a softmax temperature must be a positive number, not {self.temperature}")
        # one form, whatever collection the places came in: equal interventions are equal keys of the same run
        for name in ("heads_off", "heads_uniform", "rows_off", "edges_off"):
            places = frozenset(tuple(map(int, place)) for place in getattr(self, name))
            object.__setattr__(self, name, places)

    def check(self, n_layer: int, n_head: int, n_token: int, causal: bool) -> None:
        """ValueError for a head or a token that does not exist, and for a query that would see nothing any more."""
        for layer, head, *_ in (*self.heads_off, *self.heads_uniform, *self.rows_off, *self.edges_off):
            if not (0 <= layer < n_layer and 0 <= head < n_head):
                raise ValueError(f"no head {head} in layer {layer}: {n_layer} layers of {n_head} heads")
        for _, _, *positions in (*self.rows_off, *self.edges_off):
            if not all(0 <= position < n_token for position in positions):
                raise ValueError(f"no tokens {positions} in a text of {n_token}")
        sees = {edge[:3]: edge[2] + 1 if causal and self.causal_mask else n_token for edge in self.edges_off}
        for layer, head, query, key in self.edges_off:
            sees[layer, head, query] -= key <= query or not (causal and self.causal_mask)
        for (layer, head, query), left in sees.items():
            if not left:
                raise ValueError(f"query {query} of layer {layer}, head {head} would see no key any more")

    def output_gain(self, layer: int, n_head: int, n_token: int) -> np.ndarray | None:
        """(H, T) what each head's output is multiplied with: 0 where it is off; None if nothing is, in this layer."""
        gain = np.ones((n_head, n_token), np.float32)
        for its_layer, head in self.heads_off:
            gain[head] = np.where(its_layer == layer, 0, gain[head])
        for its_layer, head, query in self.rows_off:
            gain[head, query] = 0 if its_layer == layer else gain[head, query]
        return None if gain.all() else gain

    def edge_bias(self, layer: int, n_head: int, n_token: int) -> np.ndarray | None:
        """(H, T, T) what is added to the scores: -inf at the edges that are off; None if none is, in this layer."""
        edges = [edge[1:] for edge in self.edges_off if edge[0] == layer]
        if not edges:
            return None
        bias = np.zeros((n_head, n_token, n_token), np.float32)
        bias[tuple(np.array(edges).T)] = -np.inf
        return bias


UNCHANGED = Intervention()
