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
    """The rows of such a batch, of a model of one stack: row 0 is the text that nothing is taken out of, the others
    follow in the order of the layers in which they begin. The interventions are alike in all but what they take out.
    """

    interventions: tuple[Intervention, ...]

    @cached_property
    def everywhere(self) -> Intervention:
        """What is changed in row 0, and in all others too."""
        return self.interventions[0].everywhere

    @cached_property
    def _begun(self) -> list[int]:
        """Which of the interventions each row but the first is."""
        some = [i for i, each in enumerate(self.interventions) if each.places]
        return sorted(some, key=lambda i: self.interventions[i].beginning)

    def joining(self, layer: int) -> tuple[Intervention, ...]:
        """Those that begin in a layer."""
        return tuple(each for each in map(self.interventions.__getitem__, self._begun) if each.beginning[1] == layer)

    def before(self, layer: int) -> Changes:
        """What is changed in the rows that come from the layers below."""
        begun = (self.interventions[i] for i in self._begun)
        return Changes((self.everywhere, *(each for each in begun if each.beginning[1] < layer)))

    def first_query(self, n_token: int, causal: bool) -> int:
        """All rows are alike before this token. `causal`: whether the model is, as trained."""
        if not (causal and self.everywhere.causal_mask):
            return 0
        firsts = [each.first_query for each in self.interventions if each.places]
        return 0 if None in firsts else min(firsts, default=n_token)

    def of_each(self, rows: Tensor) -> Tensor:
        """Of what came of the rows, (1 + …, …), that of each intervention in turn, (B, …)."""
        number = {i: row for row, i in enumerate(self._begun, 1)}
        return rows[[number.get(i, 0) for i in range(len(self.interventions))]]


def growing_batches(info: ModelInfo, interventions: Sequence[Intervention], n_token: int) -> Iterator[Growing]:
    """The interventions in order, as many neighbours at a time as one forward pass over a text of `n_token` can do
    within `BATCH_BYTES`, where of each only the tokens are read in which the rows differ.
    """
    for _, some in groupby(interventions, lambda each: each.everywhere):
        together = tuple(some)
        n_row = max(1, n_token - Growing(together).first_query(n_token, info.causal))
        n_edge = info.n_head * n_row * n_token if any(each.has_edges for each in together) else 0
        most = max(1, BATCH_BYTES // (4 * (WIDTH * info.d_model * n_row + n_edge)))
        for start in range(0, len(together), most):
            yield Growing(together[start : start + most])
