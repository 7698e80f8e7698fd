"""One attention call, and what interventions do to it: one place for the built-in models and for transformers'.

A call is softmax(scale · Q·Kᵀ + bias)·V over the keys that a query sees; with a learned sink (GPT-OSS), the softmax has
one more entry, a score without key and value, and a row of weights sums to 1 with it. `Changes` says what is done
otherwise in it: to the scores (scale, temperature, positions, queries of zeros), to the mask (causal or not, single
edges) and to what the heads write. Each of the texts of a batch may have an intervention of its own.

Letters as in `model.builtin.transformer`: B texts, H heads, T queries, S keys, K d_head. What is alike for all texts or
heads may have 1 there.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from model.intervention import UNCHANGED, Ablation, Intervention
from model.run import ModelInfo, VisitorError

WIDTH = 16  # numbers that a block holds of each token at once, as a multiple of d_model: most of them in its MLP


class AttentionCall(NamedTuple):
    """What one attention layer is asked to do, or did: everything that its weights can be computed from."""

    query: Tensor  # (B, H, T, K)
    key: Tensor  # (B, H, S, K); fewer heads than queries have where they share keys
    value: Tensor  # (B, H, S, K)
    scale: float  # the scores are query·key times this
    causal: bool  # whether query t sees only the keys 0 … t; then there is no mask
    mask: Tensor | None = None  # (B, H, T, S) True: the query sees the key; or numbers to add, very low ones to hide it
    bias: Tensor | None = None  # (B, H, T, S) what else is added to the scores
    soft_cap: float = 0.0  # scores become cap · tanh(score / cap) before that; 0: they stay
    query_scale: float | None = 1.0  # what the queries come multiplied with: a part of the scale; None: not known
    output_gain: Tensor | None = None  # (B, H, T) multiplies what each head writes; None: it stays
    sink_score: Tensor | None = None  # (B, H, T), 1 for what is alike: of the entry after the keys; None: there is none
    queries: Sequence[int] | None = None  # which T tokens of the text look; None: all, in order
    before: tuple[Tensor, Tensor] | None = None  # (1, H, S', K) keys and values of what stands before all the others
    output_added: Tensor | None = None  # (B, H, T, K of values) is added to what each head writes; None: nothing

    @property
    def n_key(self) -> int:
        return self.key.shape[2] + (0 if self.before is None else self.before[0].shape[2])

    @property
    def vectors(self) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each for as many texts as there are."""
        n_text = max(len(self.query), len(self.key), 1 if self.bias is None else len(self.bias))
        return tuple(each.expand(n_text, -1, -1, -1) for each in (self.query, self.key, self.value))

    @property
    def fused_mask(self) -> tuple[Tensor | None, bool]:
        """Mask and bias as one, and whether the rule "causal" stands for them, as fused kernels take it."""
        if self.bias is None:
            return self.mask, self.causal
        mask = self.mask
        if self.causal:
            mask = torch.ones(self.bias.shape[-2:], dtype=torch.bool, device=self.bias.device).tril()
        if mask is None:
            return self.bias, False
        hidden = torch.finfo(self.bias.dtype).min
        return torch.where(mask, self.bias, hidden) if mask.dtype == torch.bool else mask + self.bias, False

    def written(self, mixed: Tensor) -> Tensor:
        """What the heads write, (B, H, T, K), of what they took from the values."""
        if self.output_gain is not None:
            mixed = mixed * self.output_gain[..., None]
        return mixed if self.output_added is None else mixed + self.output_added


Change = Callable[[AttentionCall], AttentionCall]


@dataclass(frozen=True)
class Changes:
    """What the interventions change in one forward pass of B texts, one for each; or one for all.

    They take out what they like, and are alike in all else. ValueError if they are not.
    """

    interventions: tuple[Intervention, ...] = (UNCHANGED,)

    def __post_init__(self):
        if len({each.everywhere for each in self.interventions}) != 1:
            raise ValueError("texts read together differ in more than what is taken out of single heads")

    @cached_property
    def everywhere(self) -> Intervention:
        """What is changed in all layers and heads."""
        return self.interventions[0].everywhere

    @cached_property
    def nothing(self) -> bool:
        return all(each == UNCHANGED for each in self.interventions)

    def at(self, kind: str, layer: int) -> Change | None:
        """What is done to one attention call; None if nothing is changed anywhere."""
        return None if self.nothing else partial(self.of_call, kind=kind, layer=layer)

    def of_call(self, call: AttentionCall, kind: str, layer: int) -> AttentionCall:
        """A call of one kind of attention ("self", "encoder", "cross") as it is to be done.

        Raises `VisitorError` where this model does not let a part be taken away alone.
        """
        if self.nothing:
            return call
        call = _taken_away(call, self.everywhere, kind)
        call = _ablated(call, [each.of(kind) for each in self.interventions], layer)
        return _cooled(call, self.everywhere.temperature)

    def output_gain(self, kind: str, layer: int, n_head: int, queries: Sequence[int]) -> Tensor | None:
        """(B, H, T) what is done to the heads' outputs of one call, at T tokens; None if nothing is."""
        return _rows([each.of(kind).output_gain(layer, n_head, queries) for each in self.interventions], 1)


AS_TRAINED = Changes()


@dataclass(frozen=True, eq=False)
class Probe(Changes):
    """As trained; but to what each head of one layer writes, zeros are added, with respect to which a gradient can be
    taken. One forward pass, with gradients on, makes them.
    """

    kind: str = "self"
    layer: int = 0
    added: list[Tensor] = field(default_factory=list)  # one, (1, H, T, K of values), once the layer was read

    nothing = False

    def of_call(self, call: AttentionCall, kind: str, layer: int) -> AttentionCall:
        if (kind, layer) != (self.kind, self.layer):
            return call
        n_text, n_head, n_query, _ = call.query.shape
        zeros = call.query.new_zeros(n_text, n_head, n_query, call.value.shape[-1]).requires_grad_()
        self.added.append(zeros)
        return call._replace(output_added=zeros)


def _taken_away(call: AttentionCall, change: Intervention, kind: str) -> AttentionCall:
    """Without the scale, the positions, the causal mask, as asked; the numbers in the mask join the bias."""
    mask, added = apart(call.mask)
    if not change.scale and call.query_scale is None:
        raise VisitorError(
            "This model scales its scores in a place that Regard has not found, so the scale cannot be taken away."
        )
    if not change.positions and added is not None:
        raise VisitorError(
            "This model adds numbers of its own to its mask, and which of them tell positions is not known: "
            "positions cannot be taken away alone."
        )
    causal = call.causal
    if not change.causal_mask and kind == "self":
        if added is not None:
            raise VisitorError(
                "This model mixes its causal mask with other numbers, so the mask cannot be taken away alone."
            )
        # a causal window still ends where it ended in the past; there is none in the future
        causal, mask = False, None if mask is None else mask | torch.ones_like(mask).triu(1)
    scale = call.scale if change.scale else 1 / call.query_scale
    bias = _sum(call.bias if change.positions else None, added)
    return call._replace(scale=scale, causal=causal, mask=mask, bias=bias)


def _ablated(call: AttentionCall, ablations: Sequence[Ablation], layer: int) -> AttentionCall:
    """Without the heads, rows and edges of each text that are taken out in this layer."""
    (n_head, n_query), n_key = call.query.shape[1:3], call.n_key
    queries = range(n_query) if call.queries is None else call.queries
    query, bias = call.query, call.bias
    uniform = _rows([each.query_gain(layer, n_head) for each in ablations], 1)
    if uniform is not None:
        uniform = uniform[..., None, None]  # (B, H, 1, 1)
        query = query * uniform
        if bias is not None:
            bias = torch.where(bias > _lowest(bias), bias * uniform, bias)
    sink, n_column = call.sink_score, n_key + (call.sink_score is not None)
    edges = _rows([each.edge_bias(layer, n_head, queries, n_column) for each in ablations], 0)
    if sink is not None and edges is not None:
        sink, edges = sink + edges[..., n_key], edges[..., :n_key]  # it can be taken away as a key can
    gain = _rows([each.output_gain(layer, n_head, queries) for each in ablations], 1)
    added = _rows([each.output_added(layer, n_head, queries) for each in ablations], 0)
    return call._replace(query=query, bias=_sum(bias, edges), output_gain=gain, output_added=added, sink_score=sink)


def _cooled(call: AttentionCall, temperature: float) -> AttentionCall:
    """All scores, those that a bias, a cap or a sink make too, divided by a temperature."""
    bias, sink = (None if each is None else each / temperature for each in (call.bias, call.sink_score))
    cap = call.soft_cap / temperature
    return call._replace(scale=call.scale / temperature, bias=bias, soft_cap=cap, sink_score=sink)


def apart(mask: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """Which keys a mask lets be seen, and the numbers that it adds there, if any (Doge's): each or neither."""
    if mask is None or mask.dtype == torch.bool:
        return mask, None
    allowed = mask > _lowest(mask)
    added = torch.where(allowed, mask, 0.0)
    return allowed, added if added.any() else None


def _lowest(numbers: Tensor) -> float:
    """What is less than this stands for −∞ in numbers that are added to scores."""
    return torch.finfo(numbers.dtype).min / 2


def _sum(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    return second if first is None else first if second is None else first + second


def _rows(arrays: Sequence[np.ndarray | None], usual: float) -> Tensor | None:
    """What is done to each text, side by side: (B, …), `usual` where nothing is; None if nothing is anywhere."""
    some = next((array for array in arrays if array is not None), None)
    if some is None:
        return None
    return torch.from_numpy(np.stack([np.full_like(some, usual) if each is None else each for each in arrays]))


BATCH_BYTES = 32 << 20  # of vectors and logits that are there at once: more is not faster


def batches(
    info: ModelInfo, interventions: Sequence[Intervention], n_token: int, n_position: int, n_source: int = 0
) -> Iterator[Changes]:
    """The interventions in order, as many neighbours at a time as one forward pass can do within `BATCH_BYTES`.

    They are alike in all but what they take out, and begin to take out in the same layer, so that all before it need
    be computed but once. Of each text of `n_token`, the logits of `n_position` are wanted.
    """
    n_edge = info.n_head * n_token * max(n_token, n_source) if any(each.has_edges for each in interventions) else 0
    n_byte = 4 * (WIDTH * info.d_model * (n_token + n_source) + info.n_vocab * n_position + n_edge)
    most = max(1, BATCH_BYTES // n_byte)
    for _, some in groupby(interventions, lambda each: (each.everywhere, each.beginning)):
        together = tuple(some)
        for start in range(0, len(together), most):
            yield Changes(together[start : start + most])
