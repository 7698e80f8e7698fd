"""Several interventions on one text read at once, in a batch that grows from layer to layer.

It begins as one text, which nothing is taken out of; at each layer there join it those in which something is taken out
there for the first time. So no layer below a change is done twice, and what comes above is done for all together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from torch import Tensor

from model.attention_call import BATCH_BYTES, WIDTH, Changes
from model.intervention import Intervention
from model.run import ModelInfo


@dataclass(frozen=True)
class Growing:
    """The rows of such a batch, of a model of one stack: first the text that nothing is taken out of, then the others,
    in the order of the layers in which they begin. The first goes no further than the last of them, unless it is
    wanted itself. The interventions are alike in all but what they take out.
    """

    interventions: tuple[Intervention, ...]

    @cached_property
    def everywhere(self) -> Intervention:
        """What is changed in the first row, and in all others too."""
        return self.interventions[0].everywhere

    @cached_property
    def _begun(self) -> list[int]:
        """Which of the interventions each row behind the first is."""
        some = [i for i, each in enumerate(self.interventions) if each.places]
        return sorted(some, key=lambda i: self.interventions[i].beginning)

    @cached_property
    def _wanted(self) -> bool:
        """Whether the first row is."""
        return len(self._begun) < len(self.interventions)

    def keeps_first(self, layer: int) -> bool:
        """Whether the first row leaves a layer."""
        return self._wanted or layer < self.interventions[self._begun[-1]].beginning[1]

    def joining(self, layer: int) -> tuple[Intervention, ...]:
        """Those that begin in a layer."""
        return tuple(each for each in map(self.interventions.__getitem__, self._begun) if each.beginning[1] == layer)

    def before(self, layer: int) -> Changes:
        """What is changed in the rows that come from the layers below."""
        begun = (self.interventions[i] for i in self._begun)
        first = [self.everywhere] if self.keeps_first(layer - 1) else []
        return Changes((*first, *(each for each in begun if each.beginning[1] < layer)))

    def through(self, layer: int) -> Changes:
        """What is changed in the rows that leave a layer."""
        return self.before(layer + 1)

    def first_query(self, n_token: int, causal: bool) -> int:
        """All rows are alike before this token. `causal`: whether the model is, as trained."""
        if not (causal and self.everywhere.causal_mask):
            return 0
        firsts = [each.first_query for each in self.interventions if each.places]
        return 0 if None in firsts else min(firsts, default=n_token)

    def of_each(self, rows: Tensor) -> Tensor:
        """Of what came of the rows in the end that of each intervention in turn, (B, …)."""
        number = {i: row for row, i in enumerate(self._begun, int(self._wanted))}
        return rows[[number.get(i, 0) for i in range(len(self.interventions))]]


def growing_batches(
    info: ModelInfo, interventions: Sequence[Intervention], n_token: int, *, whole: bool
) -> Iterator[Growing]:
    """The interventions in order, as many neighbours at a time as one forward pass over a text of `n_token` can do
    within `BATCH_BYTES`. `whole`: of each row all tokens are read, not only those in which it may differ.
    """
    for _, some in groupby(interventions, lambda each: each.everywhere):
        together = tuple(some)
        n_row = n_token if whole else max(1, n_token - Growing(together).first_query(n_token, info.causal))
        n_edge = info.n_head * n_row * n_token if any(each.has_edges for each in together) else 0
        most = max(1, BATCH_BYTES // (4 * (WIDTH * info.d_model * n_row + n_edge)))
        for start in range(0, len(together), most):
            yield Growing(together[start : start + most])
