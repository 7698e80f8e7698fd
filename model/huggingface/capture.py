"""The attention of a transformers model, taken down while it runs.

transformers hands every attention call of a model to a function chosen by name; ours, `attend`, does the same fast
forward (`sdpa`) and writes queries, keys and values into the `Recorder` of its thread. Models are shared by visitors:
all that one run wants is in its recorder, nothing is set on a model after it is loaded.

What is kept is copied: a view of fused queries, keys and values keeps all of them alive. The copies of all layers lie
in one piece of memory, taken before the first and, if large, outside the heap (`room_for`): pieces between a forward
pass's large temporaries would keep the heap from shrinking, and cost two to four times as long. They are float32,
exactly what the model used, up to `EXACT_BYTES` for all layers together. Of a longer text, queries and keys are kept in
half precision and values not at all, a third of the memory; a layer where that would move a weight by more than
`HALF_PRECISION` stays exact.
Letters as in `model.run`: H heads, G key heads, T queries, S keys, K d_head.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from model.analysis.attention import layer_weights
from model.intervention import UNCHANGED, Intervention
from model.memory import give_back, room_for
from model.run import Attention, VisitorError

NAME = "regard"  # the attn_implementation
ROUNDING = 1e-3  # between two float32 ways to the same weights, in a deep model; a wrong mask or scale is off by more
EXACT_BYTES = 128 << 20  # of queries, keys and values in float32: 1,213 tokens of GPT-2, with 12 layers of 12 heads
HALF_PRECISION = 2e-3  # the most that it may move a weight, in the rows compared; trained models: 1e-3, some 2e-3
_ROWS_COMPARED = 4  # of each head, in each layer of each run
_ROWS_AT_ONCE = 64  # of capped scores, which no fused kernel computes


class NotCaptured(Exception):
    """The queries and keys alone would not give the weights that this model used; the message says why."""


class Enough(Exception):
    """The layer that was asked for has been read; what the model would do after it is not needed."""


@dataclass(frozen=True)
class Call:
    """One attention call."""

    module: nn.Module
    record: Attention
    output: np.ndarray | None  # (T, H, K) what the heads gave to the output projection; where it was asked for,
    value: np.ndarray | None  # (G, S, K) and of what: the record may be without


@dataclass
class Recorder:
    """What one forward pass is to do otherwise, and what it did. A run's own; used by one thread.

    Calls are told apart by their order, not by their module: ALBERT calls one module for all layers.
    """

    intervention: Intervention = UNCHANGED
    roles: Sequence[str] = ()  # of each call, in order: "self", "encoder" or "cross"; () while that is not known yet
    query_scales: Sequence[
        float | None
    ] = ()  # of each call: see `Attention.query_scale`; () while that is not known yet
    keep_output: bool = False
    exact_bytes: int = EXACT_BYTES
    n_token: int | None = None  # of the text: classes that pad it to their window give hidden vectors for more
    n_source: int = 0  # of what the encoder of an encoder-decoder reads
    until: int | None = None  # the self-attention layer after which the forward pass may end, with `Enough`
    calls: list[Call] = field(default_factory=list)
    hidden: Tensor | None = None  # (L + 1, T, D)
    n_block: int = 0  # blocks that have begun
    n_last: int = 0  # how often the module was called whose result is the last of `hidden`
    _n_call: Counter = field(default_factory=Counter)  # of each role
    _masks: dict[tuple[int, ...], tuple] = field(default_factory=dict)
    _room: dict[tuple, Iterator[np.ndarray]] = field(default_factory=dict)  # for the calls still to come

    def __enter__(self) -> "Recorder":
        self._token = _active.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _active.reset(self._token)
        if not all(call.record.exact for call in self.calls):
            give_back()

    def of(self, role: str) -> list[Call]:
        return [call for call, its in zip(self.calls, self.roles, strict=self.until is None) if its == role]

    @property
    def query_scale(self) -> float | None:
        """Of the call that comes now."""
        return self.query_scales[len(self.calls)] if self.query_scales else 1.0

    def next_role(self) -> tuple[str, int]:
        """The role of the call that comes now, and its layer."""
        role = self.roles[len(self.calls)] if self.roles else "unknown"
        self._n_call[role] += 1
        return role, self._n_call[role] - 1

    def mask(self, *given: Tensor | None, causal: bool, shape: tuple[int, int]) -> "Mask":
        """`read_mask`, once for all layers that were given the same tensors."""
        key = (*map(id, given), causal, *shape)
        if key not in self._masks:
            self._masks[key] = (read_mask(*given, causal=causal, shape=shape), given)  # given: so that ids stay theirs
        return self._masks[key][0]

    def record(self, role: str, query: Tensor, key: Tensor, value: Tensor, **rule: Any) -> Attention:
        """What is kept of a call: its queries (H, T, K), keys and values (G, S, K), and the rest of an `Attention`."""
        vectors = [query, key, value]
        n_byte = 4 * (query.numel() + key.numel() + value.numel())
        if n_byte * len(self.roles) > self.exact_bytes and (halves := _halves(vectors, rule)):
            return Attention(*self._own(role, halves), None, **rule)
        return Attention(*self._own(role, vectors), **rule)

    def _own(self, role: str, vectors: Sequence[Tensor]) -> list[np.ndarray]:
        """Copies, half precision where they are so, in the room for all calls of this role that are of this size."""
        size = sum(each.numel() for each in vectors)
        dtype = np.float16 if vectors[0].dtype == torch.float16 else np.float32
        room = self._room.get((role, size, dtype))
        if room is None or (its := next(room, None)) is None:
            room = iter(room_for((max(1, self.roles.count(role)), size), dtype))
            self._room[role, size, dtype], its = room, next(room)
        copies, start = [], 0
        for each in vectors:
            stop = start + each.numel()
            copies.append(its[start:stop].reshape(each.shape))
            torch.from_numpy(copies[-1]).copy_(each)
            start = stop
        return copies


_active: ContextVar[Recorder | None] = ContextVar("recorder", default=None)


def active() -> Recorder | None:
    """The recorder of this thread, while a forward pass of ours runs."""
    return _active.get()


@dataclass(frozen=True)
class Mask:
    """Which keys a query sees, as `model.run.Attention` says it; what a rule cannot say is in the bias."""

    causal: bool
    window: int
    bias: np.ndarray | None  # (H or 1, T, S)


def read_mask(mask: Tensor | None, position_bias: Tensor | None, *, causal: bool, shape: tuple[int, int]) -> Mask:
    """From what a call was given: booleans or numbers to add, (1, H or 1, T, S), or none; and a position bias.

    A rule (causal, window) is only written down if it gives exactly the mask that came.
    """
    bias = None if position_bias is None else position_bias[0].float()
    if mask is None:
        return Mask(causal, 0, None if bias is None else bias.numpy().copy())
    mask = mask[0].expand(-1, *shape)
    if mask.dtype == torch.bool:
        allowed = mask
    else:
        allowed, added = _apart(mask)
        if added is not None:
            bias = added if bias is None else bias + added
    causal, window = _rule(allowed)
    if window < 0:
        window, forbidden = 0, torch.zeros(allowed.shape).masked_fill(~allowed, -torch.inf)
        bias = forbidden if bias is None else bias + forbidden
    return Mask(causal, window, None if bias is None else bias.float().numpy().copy())


def _rule(allowed: Tensor) -> tuple[bool, int]:
    """Causal or not, and the window, of a boolean mask (H or 1, T, S); (False, -1) if no rule gives this mask."""
    n_query, n_key = allowed.shape[1:]
    if allowed.all():
        return False, 0
    if n_query != n_key:
        return False, -1
    query, key = torch.arange(n_query)[:, None], torch.arange(n_key)[None]
    if not allowed[0, 0, 1:].any():
        window = int(allowed[0, -1].sum())
        causal, seen = True, (key <= query) & (key > query - window)
    else:
        reach = int(allowed[0, 0].sum()) - 1
        causal, window = False, reach + 1
        seen = (key <= query + reach) & (key >= query - reach)
    if not torch.equal(allowed, seen.expand_as(allowed)):
        return False, -1
    return causal, 0 if causal and window == n_key else window


def attend(
    module: nn.Module,
    query: Tensor,  # (1, H, T, K)
    key: Tensor,  # (1, G, S, K)
    value: Tensor,  # (1, G, S, K)
    attention_mask: Tensor | None,
    scaling: float | None = None,
    is_causal: bool | None = None,
    position_bias: Tensor | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    dropout: float = 0.0,
    **kwargs: object,
) -> tuple[Tensor, None]:
    """transformers' attention, fast, with its record kept and the interventions of this thread's recorder done."""
    recorder = _active.get() or Recorder()
    if s_aux is not None:
        raise NotCaptured("its heads have attention sinks, so the weights of a row do not sum to 1")
    (n_text, n_head, n_query, _), n_key = query.shape, key.shape[2]
    if n_text != 1:
        raise NotCaptured(f"it reads {n_text} texts at once")
    scale = query.shape[-1] ** -0.5 if scaling is None else float(scaling)
    is_causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    is_causal = bool(is_causal) and n_query == n_key and attention_mask is None

    change, (role, layer), query_scale = recorder.intervention, recorder.next_role(), recorder.query_scale
    output_gain = None
    if change is not UNCHANGED and change != UNCHANGED:
        attention_mask, added = _apart(attention_mask)
        if not change.scale:
            if query_scale is None:
                raise VisitorError(
                    "This model scales its scores in a place that Regard has not found, so the scale cannot be taken "
                    "away."
                )
            scale = 1 / query_scale
        if not change.positions:
            if added is not None:
                raise VisitorError(
                    "This model adds numbers of its own to its mask, and which of them tell positions is not known: "
                    "positions cannot be taken away alone."
                )
            position_bias = None
        if not change.causal_mask and role == "self":
            if added is not None:
                raise VisitorError(
                    "This model mixes its causal mask with other numbers, so the mask cannot be taken away alone."
                )
            # a causal window still ends where it ended in the past; there is none in the future
            later = None if attention_mask is None else torch.ones_like(attention_mask).triu(1)
            is_causal, attention_mask = False, None if later is None else attention_mask | later
        if added is not None:
            position_bias = added if position_bias is None else position_bias + added
        if role == "self":
            query_gain = head_gain(change.heads_uniform, layer, n_head)
            gain, edges = (of(layer, n_head, n_query) for of in (change.output_gain, change.edge_bias))
            output_gain = None if gain is None else torch.from_numpy(gain)[None, :, :, None]  # (1, H, T, 1)
            query = query * query_gain if query_gain is not None else query
            if query_gain is not None and position_bias is not None:
                allowed = position_bias > _forbidden(position_bias)
                position_bias = torch.where(allowed, position_bias * query_gain, position_bias)
        scale /= change.temperature
        position_bias = None if position_bias is None else position_bias / change.temperature
        softcap = softcap / change.temperature if softcap else softcap
        if role == "self" and edges is not None:
            edges = torch.from_numpy(edges)[None]  # (1, H, T, S)
            position_bias = edges if position_bias is None else position_bias + edges
            if is_causal:  # no rule alone, any more
                is_causal, attention_mask = False, _causal(n_query)

    if softcap:
        output = _capped(query, key, value, attention_mask, position_bias, scale, is_causal, softcap)
    else:
        added = attention_mask
        if position_bias is not None:  # not every release of transformers heeds one that is handed on
            added = _as_one(_causal(n_query) if is_causal else attention_mask, position_bias)
        causal = is_causal and position_bias is None
        output, _ = sdpa_attention_forward(module, query, key, value, added, scaling=scale, is_causal=causal)
        # (1, T, H, K)
    if output_gain is not None:
        output = output * output_gain.transpose(1, 2)
    if _active.get() is None:
        return output, None  # of a gradient's forward: nobody would read what was kept
    mask = recorder.mask(attention_mask, position_bias, causal=is_causal, shape=(n_query, n_key))
    record = recorder.record(
        role,
        *(query[0], key[0], value[0]),
        scale=scale,
        query_scale=query_scale,
        causal=mask.causal,
        window=mask.window,
        soft_cap=float(softcap or 0),
        bias=mask.bias,
    )
    kept = [each[0].float().numpy().copy() for each in (output, value)] if recorder.keep_output else (None, None)
    recorder.calls.append(Call(module, record, *kept))
    if role == "self" and layer == recorder.until:
        raise Enough
    return output, None


def register() -> None:
    """Make `attend` known to transformers; once is enough."""
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)


def head_gain(heads: frozenset[tuple[int, int]], layer: int, n_head: int) -> Tensor | None:
    """0 for the heads of this layer that are meant, 1 for the others: (1, H, 1, 1); None if none is meant."""
    meant = [head for its_layer, head in heads if its_layer == layer]
    if not meant:
        return None
    gain = torch.ones(1, n_head, 1, 1)
    gain[:, meant] = 0
    return gain


def _apart(mask: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """Which keys a mask lets be seen, and the numbers that it adds there, if any (Doge's): each or neither."""
    if mask is None or mask.dtype == torch.bool:
        return mask, None
    allowed = mask > _forbidden(mask)
    added = torch.where(allowed, mask, 0.0)
    return allowed, added if added.any() else None


def _forbidden(numbers: Tensor) -> float:
    """What is less than this stands for −∞ in numbers that are added to scores."""
    return torch.finfo(numbers.dtype).min / 2


def _causal(n_token: int) -> Tensor:
    return torch.ones(n_token, n_token, dtype=torch.bool).tril()[None, None]  # (1, 1, T, T)


def _as_one(mask: Tensor | None, bias: Tensor) -> Tensor:
    """What is added to the scores, for a mask of booleans, or of numbers, or none, and a bias."""
    if mask is None:
        return bias
    return torch.where(mask, bias, torch.finfo(bias.dtype).min) if mask.dtype == torch.bool else mask + bias


def _capped(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    position_bias: Tensor | None,
    scale: float,
    causal: bool,
    cap: float,
) -> Tensor:
    """softmax(cap · tanh(scores / cap))·V, a block of rows at a time (Gemma 2): (1, T, H, K)."""
    key, value = (repeat_kv(x, query.shape[1] // x.shape[1]) for x in (key, value))
    blocks = []
    for rows in torch.arange(query.shape[2]).split(_ROWS_AT_ONCE):
        scores = query[:, :, rows] @ key.transpose(-1, -2) * scale  # (1, H, R, S)
        scores = cap * torch.tanh(scores / cap)
        if position_bias is not None:
            scores = scores + position_bias[:, :, rows]
        if causal:
            scores = scores.masked_fill(torch.arange(key.shape[2]) > rows[:, None], -torch.inf)
        if mask is not None:
            its = mask[:, :, rows]
            scores = scores.masked_fill(~its, -torch.inf) if its.dtype == torch.bool else scores + its
        blocks.append(scores.softmax(-1) @ value)
    return torch.cat(blocks, dim=2).transpose(1, 2)


def _halves(vectors: Sequence[Tensor], rule: dict[str, Any]) -> list[Tensor] | None:
    """Queries and keys in half precision; None if some weights that are looked at would move too far."""
    # in a row, whatever the order of the original: half the time of `half`
    halves = [torch.empty(each.shape, dtype=torch.float16).copy_(each) for each in vectors[:2]]
    rounded = [each.float() for each in halves]
    if not all(math.isfinite(each) for half in rounded for each in torch.aminmax(half)):
        return None
    value = vectors[2]
    # both as float32, which torch makes of halves much faster than numpy
    exact, half = (
        Attention(*(each.float().numpy() for each in (*which, value)), **rule) for which in (vectors[:2], rounded)
    )
    rows = slice(None, None, -max(1, exact.n_query // _ROWS_COMPARED))  # the last, and others
    moved = np.abs(layer_weights(half, rows) - layer_weights(exact, rows)).max()
    return halves if moved <= HALF_PRECISION else None
