"""The heads of a model, as a grid of layers by heads; a hybrid's layers without softmax attention have none.

Layers keep the model's own numbers: layer 4 is the fifth of all, whatever the ones before it are.
"""

from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Grid:
    """Of one kind of attention. ValueError if no layer has it, or `others` names one that is not there."""

    n_layer: int  # all, with and without attention
    n_head: int  # in each layer with attention
    others: tuple[tuple[int, str], ...] = ()  # the layers without, and what each works by instead, in order

    def __post_init__(self):
        if not self.layers or not all(0 <= layer < self.n_layer for layer, _ in self.others):
            raise ValueError(f"{self.n_layer} layers, of which {self.others} have no attention")

    @cached_property
    def layers(self) -> tuple[int, ...]:
        """Those with attention."""
        without = dict(self.others)
        return tuple(layer for layer in range(self.n_layer) if layer not in without)

    def instead(self, layer: int) -> str:
        """What a layer works by that has no softmax attention, such as "state space"; "" of one that has."""
        return dict(self.others).get(layer, "")

    def nearest(self, layer: int) -> int:
        """The layer with attention that is nearest: itself, or of two as near the later one."""
        return min(self.layers, key=lambda each: (abs(each - layer), -each))

    @property
    def n_total(self) -> int:
        """How many heads there are in all."""
        return len(self.layers) * self.n_head
