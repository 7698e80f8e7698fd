"""A built-in decoder or encoder that reads one text under several interventions at once (`model.growing`).

What is alike for all is done once: the layers below a change; under a causal mask, the tokens before the first at
which anything differs, of which keys and values are kept; and where only weights of a head's row, or what it writes,
are changed, the queries, keys and values of its layer. The last layer is done for the tokens that are asked for.
Letters as in `model.builtin.transformer`; R rows of the batch, P places asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.attention_call import AttentionCall, Changes
from model.builtin.transformer import Block, Transformer, through
from model.growing import Growing
from model.intervention import Intervention


@torch.inference_mode()
def last_of_each(transformer: Transformer, ids: Tensor, growing: Growing, places: Sequence[int]) -> Tensor:
    """(B, P, D) the residual stream after the last block at some places of a text, ids (1, T), one for each of the
    interventions.
    """
    causal = transformer.config.causal and growing.everywhere.causal_mask
    if causal:
        ids = ids[:, : max(places) + 1]  # nothing before looks at what comes behind
    first = min(growing.first_query(ids.shape[1], transformer.config.causal), *places)
    x = transformer.embed(ids, growing.everywhere.positions)  # (1, T, D)
    before = _read_before(transformer.blocks, x[:, :first], growing)
    x, tail = x[:, first:], range(first, ids.shape[1])
    wanted = sorted(set(places))
    for layer, block in enumerate(transformer.blocks):
        queries = tail if layer < len(before) - 1 or wanted == [*tail] else wanted
        x = _Step(block, growing, layer, tail, before[layer], causal).through(x, queries)  # (R, T, D)
    return growing.of_each(x)[:, [wanted.index(place) for place in places]]


def _read_before(
    blocks: Sequence[Block], x: Tensor, growing: Growing
) -> Sequence[tuple[Tensor, Tensor]] | Sequence[None]:
    """Of each layer, keys and values (1, H, S', K) of the tokens before, (1, S', D); None where there are none."""
    if not x.shape[1]:
        return [None] * len(blocks)
    calls = [call for _, call in through(blocks, x, "self", Changes((growing.everywhere,)))]
    return [(call.key, call.value) for call in calls]


@dataclass(frozen=True)
class _Step:
    """One layer of the batch, over the tokens `tail`."""

    block: Block
    growing: Growing
    layer: int
    tail: range
    before: tuple[Tensor, Tensor] | None
    causal: bool

    def through(self, x: Tensor, queries: Sequence[int]) -> Tensor:
        """(R, T, D) -> (R', P, D): after the layer, at some of the tokens, with the rows that join here."""
        attention, joining = self.block.attention, self.growing.joining(self.layer)
        normed = self.block.attention_norm(x)  # (R, T, D)
        if queries == self.tail:
            looking = normed
        else:
            here = [query - self.tail.start for query in queries]
            x, looking = x[:, here], normed[:, here]  # (R, P, D)
        call = self._call(looking, normed, queries)
        mixed = self._mix(self.growing.before(self.layer).of_call(call, "self", self.layer))  # (R, H, P, K)
        if joining:
            start = 0 if self.growing.keeps_first(self.layer) else 1
            mixed = torch.cat([mixed[start:], self._joining(joining, call, mixed)])  # (R', H, P, K)
            x = torch.cat([x[start:], x[:1].expand(len(joining), -1, -1)])  # (R', P, D)
        return self.block.think(x + attention.join(mixed))

    def _call(self, looking: Tensor, seen: Tensor, queries: Sequence[int]) -> AttentionCall:
        attention = self.block.attention
        query, key, value = (
            attention.split(project(x))
            for project, x in ((attention.query, looking), (attention.key, seen), (attention.value, seen))
        )
        whole, mask = queries == self.tail and self.before is None, None
        if self.causal and not whole and min(queries) < self.tail.stop - 1:  # the last token sees all
            keys = torch.arange(self.tail.stop)
            mask = (keys <= torch.tensor(queries)[:, None])[None, None]  # (1, 1, P, S)
        places = {"queries": queries, "before": self.before}
        return AttentionCall(query, key, value, attention.d_head**-0.5, self.causal and whole, mask, **places)

    def _joining(self, joining: Sequence[Intervention], call: AttentionCall, mixed: Tensor) -> Tensor:
        """(…, H, P, K) of the rows that join, which have come as the first until here."""
        first = call._replace(query=call.query[:1], key=call.key[:1], value=call.value[:1])
        first = Changes(tuple(joining)).of_call(first, "self", self.layer)
        scores = [place for each in joining for place in (*each.heads_uniform, *each.edges_off)]
        stay = all(layer != self.layer for layer, *_ in scores)
        its = first.written(mixed[:1]) if stay else self._mix(first)
        return its.expand(len(joining), -1, -1, -1)  # one for all where nothing is taken out of these tokens

    def _mix(self, call: AttentionCall) -> Tensor:
        return self.block.attention.mix(call) if call.before is None else _mix_behind(call)


def _mix_behind(call: AttentionCall) -> Tensor:
    """`Attention.mix` where keys and values stand before, alike for all rows: (R, H, P, K). They are not copied for
    each of the rows, as fused kernels would have it.
    """
    key, value = (each[0] for each in call.before)  # (H, S', K)
    n_row, n_before = len(call.query), key.shape[1]

    def flat(x: Tensor) -> Tensor:
        return x.transpose(0, 1).flatten(1, 2)  # (R, H, P, …) -> (H, R·P, …)

    scores = flat(call.query) @ key.transpose(1, 2)  # (H, R·P, S')
    scores = scores.unflatten(1, (n_row, -1)).transpose(0, 1)  # (R, H, P, S')
    scores = torch.cat([scores, call.query @ call.key.transpose(2, 3)], -1) * call.scale  # (R, H, P, S)
    if call.bias is not None:
        scores = scores + call.bias
    if call.mask is not None:
        scores = scores.masked_fill(~call.mask, -torch.inf)
    weights = scores.softmax(-1)  # (R, H, P, S)
    mixed = (flat(weights[..., :n_before]) @ value).unflatten(1, (len(weights), -1)).transpose(0, 1)  # (R, H, P, K)
    return call.written(mixed + weights[..., n_before:] @ call.value)
