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
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from model.analysis.attention import layer_weights
from model.attention_call import AS_TRAINED, AttentionCall, Changes
from model.growing import Growing
from model.huggingface.masks import Mask, read_mask
from model.memory import give_back, room_for
from model.progress import tell
from model.run import Attention

NAME = "regard"  # the attn_implementation
ROUNDING = 1e-3  # between two float32 ways to the same weights, in a deep model; a wrong mask or scale is off by more
EXACT_BYTES = 128 << 20  # of queries, keys and values in float32: 1,213 tokens of GPT-2, with 12 layers of 12 heads
HALF_PRECISION = 2e-3  # the most that it may move a weight, in the rows compared; trained models: 1e-3, some 2e-3
_ROWS_COMPARED = 4  # of each head, in each layer of each run
_ROWS_AT_ONCE = 64  # of capped scores, which no fused kernel computes
_NO_SINK = -1e30  # stands for -inf where that is multiplied by 0


class NotCaptured(Exception):
    """The queries and keys alone would not give the weights that this model used; the message says why."""


class Enough(Exception):
    """The layer that was asked for has been read; what the model would do after it is not needed."""


@dataclass(frozen=True)
class CallRecord:
    """What is kept of one attention call."""

    module: nn.Module
    layer: int  # among those of its kind of attention
    block: int  # in which of the blocks it lies; -1 while they are not watched
    attention: Attention
    output: np.ndarray | None  # (T, H, K) what the heads gave to the output projection; where it was asked for,
    value: np.ndarray | None  # (G, S, K) and of what: the attention may be without


@dataclass
class Recorder:
    """What one forward pass is to do otherwise, and what it did. A run's own; used by one thread.

    Calls are told apart by their order, not by their module: ALBERT calls one module for all layers.
    """

    changes: Changes = AS_TRAINED
    roles: Sequence[str] = ()  # of each call, in order: "self", "encoder" or "cross"; () while that is not known yet
    query_scales: Sequence[
        float | None
    ] = ()  # of each call: see `Attention.query_scale`; () while that is not known yet
    keep_output: bool = False
    exact_bytes: int = EXACT_BYTES
    n_token: int | None = None  # of the text: classes that pad it to their window give hidden vectors for more
    n_source: int = 0  # of what the encoder of an encoder-decoder reads
    until: int | None = None  # the self-attention layer after which the forward pass may end, with `Enough`
    keeps: bool = True  # False: nothing but `last` is kept
    layers: Sequence[int] = ()  # of each call of "self", its layer, where only some have attention; (): in order
    growing: Growing | None = (
        None  # the batch that one text becomes from layer to layer; None: as many texts as changes
    )
    calls: list[CallRecord] = field(default_factory=list)
    hidden: Tensor | None = None  # (L + 1, T, D)
    last: Tensor | None = None  # (B, T, D) what the residual stream was in the end, of each text
    n_block: int = 0  # blocks that have begun
    behind: dict[tuple[int, str], np.ndarray] = field(default_factory=dict)  # (layer, "written" or "after"): (T, D)
    n_last: int = 0  # how often the module was called whose result is the last of `hidden`
    _n_call: Counter = field(default_factory=Counter)  # of each role
    _masks: dict[tuple[int, ...], tuple] = field(default_factory=dict)
    _room: dict[tuple, Iterator[np.ndarray]] = field(default_factory=dict)  # for the calls still to come

    def __enter__(self) -> "Recorder":
        self._token = _active.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _active.reset(self._token)
        if not all(call.attention.exact for call in self.calls):
            give_back()

    def of(self, role: str) -> list[CallRecord]:
        return [call for call, its in zip(self.calls, self.roles, strict=self.until is None) if its == role]

    def n_text(self, layer: int) -> int:
        """How many texts go through a layer of self-attention."""
        return len(self.changes_in(layer).interventions)

    def changes_in(self, layer: int) -> Changes:
        """What is changed in these texts."""
        return self.changes if self.growing is None else self.growing.through(layer)

    def at(self, layer: int) -> CallRecord:
        """The call of self-attention in a layer."""
        return next(call for call in self.of("self") if call.layer == layer)

    @property
    def layer(self) -> int:
        """That of the call of self-attention that began last."""
        return self._layer("self", self.n_self - 1)

    @property
    def n_self(self) -> int:
        """Calls of self-attention that have begun."""
        return self._n_call["self"]

    @property
    def n_call(self) -> int:
        """Calls of any kind that have begun."""
        return self._n_call.total()

    def next_call(self) -> tuple[str, int, float | None]:
        """The role of the call that comes now, its layer, and what its queries come multiplied with."""
        number = self._n_call.total()
        role = self.roles[number] if self.roles else "unknown"
        self._n_call[role] += 1
        return role, self._layer(role, self._n_call[role] - 1), self.query_scales[number] if self.query_scales else 1.0

    def _layer(self, role: str, nth: int) -> int:
        return self.layers[nth] if self.layers and role == "self" else nth

    def record(self, module: nn.Module, role: str, layer: int, call: AttentionCall, output: Tensor) -> None:
        """Keep what a call was, and its output (1, T, H, K) where it was asked for."""
        mask = self._mask(call)
        rule = {
            "scale": call.scale,
            "query_scale": call.query_scale,
            "causal": mask.causal,
            "window": mask.window,
            "soft_cap": call.soft_cap,
            "bias": mask.bias,
        }
        if call.sink_score is not None:
            rule["sink_score"] = call.sink_score[0].float().numpy().copy()
        vectors = [each[0] for each in (call.query, call.key, call.value)]  # (H, T, K), (G, S, K), (G, S, K)
        n_byte, halves = 4 * sum(each.numel() for each in vectors), None
        if n_byte * len(self.roles) > self.exact_bytes:
            halves = _halves(vectors, rule)
        kept = self._own(role, halves or vectors)
        attention = Attention(*kept, *([None] if halves else []), **rule)
        copies = [each[0].float().numpy().copy() for each in (output, call.value)] if self.keep_output else (None, None)
        self.calls.append(CallRecord(module, layer, self.n_block - 1, attention, *copies))

    def _mask(self, call: AttentionCall) -> Mask:
        """`read_mask`, once for all layers that were given the same tensors."""
        shape = call.query.shape[2], call.key.shape[2]
        key = (id(call.mask), id(call.bias), call.causal, *shape)
        if key not in self._masks:
            mask = read_mask(call.mask, call.bias, causal=call.causal, shape=shape)
            self._masks[key] = mask, call.mask, call.bias  # these too, so that ids stay theirs
        return self._masks[key][0]

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


def attend(
    module: nn.Module,
    query: Tensor,  # (B, H, T, K)
    key: Tensor,  # (B, G, S, K)
    value: Tensor,  # (B, G, S, K)
    attention_mask: Tensor | None,
    **asked: Any,
) -> tuple[Tensor, None]:
    """transformers' attention, fast, with its record kept and the interventions of this thread's recorder done."""
    recorder = _active.get()
    call = AttentionCall(query, key, value, **_rule_asked(module, query, key, attention_mask, **asked))
    if recorder is None:
        return _output(module, call), None  # of a gradient's forward: nobody would read what was kept
    role, layer, query_scale = recorder.next_call()
    changes = recorder.changes_in(layer)
    if len(query) != len(changes.interventions):
        raise NotCaptured(f"it reads {len(query)} texts at once")
    call = changes.of_call(call._replace(query_scale=query_scale), role, layer)
    output = _output(module, call)
    if recorder.keeps:
        recorder.record(module, role, layer, call, output)
    if role == "self" and layer == recorder.until:
        raise Enough
    if recorder.roles:
        tell(recorder.n_call, len(recorder.roles))
    return output, None


def _rule_asked(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    mask: Tensor | None,
    *,
    scaling: float | None = None,
    is_causal: bool | None = None,
    position_bias: Tensor | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    sinks: Tensor | None = None,
    **_: object,
) -> dict[str, Any]:
    """What transformers asks of a call, besides its vectors.

    A learned sink is `s_aux`, a score for each head (GPT-OSS), or `sinks`, one for each head and query (Inkling).
    Raises `NotCaptured` if it is anything else.
    """
    n_head, n_query = query.shape[1:3]
    sink = s_aux if sinks is None else sinks
    if sink is not None:
        shape = (1, n_head, 1) if sinks is None else (len(query), n_head, n_query)
        if sink.numel() != math.prod(shape):
            raise NotCaptured(f"its attention sinks are {tuple(sink.shape)}, for {n_head} heads")
        sink = sink.detach().to(query.dtype).reshape(shape)
    is_causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    return {
        "scale": query.shape[-1] ** -0.5 if scaling is None else float(scaling),
        "causal": bool(is_causal) and query.shape[2] == key.shape[2] and mask is None,
        "mask": mask,
        "bias": position_bias,
        "soft_cap": float(softcap or 0),
        "sink_score": sink,
    }


def _output(module: nn.Module, call: AttentionCall) -> Tensor:
    """What the heads give to the output projection: (B, T, H, K)."""
    if call.soft_cap:
        output = _capped(call)
    else:
        # not every release of transformers heeds a bias that is handed on beside the mask
        n_value = call.value.shape[-1]
        if call.sink_score is not None:
            call = _sink_as_key(call)
        mask, causal = call.fused_mask
        vectors = call.query, call.key, call.value
        output, _ = sdpa_attention_forward(module, *vectors, mask, scaling=call.scale, is_causal=causal)
        if call.sink_score is not None:
            output = output[:, 1:, :, :n_value]
    return call.written(output.transpose(1, 2)).transpose(1, 2)


def _sink_as_key(call: AttentionCall) -> AttentionCall:
    """The same attention for fused kernels, which know no sink: it becomes a key before the others, of value 0, and its
    score a number more of each query, which that key alone multiplies with 1. A query before the others, whose output
    is to be left out, lets a causal mask be one again. So T, S and K are one more.
    """
    # the last number of each vector, and what stands before the first
    score = call.sink_score.clamp(min=_NO_SINK) / call.scale
    query = torch.cat([call.query, score.expand(call.query.shape[:3])[..., None]], dim=-1)
    key, value = (nn.functional.pad(each, (0, 1, 1, 0)) for each in (call.key, call.value))
    key[:, :, 0, -1] = 1
    grown = {"query": nn.functional.pad(query, (0, 0, 1, 0)), "key": key, "value": value}
    if call.mask is not None:
        # of numbers, 0 lets be seen
        grown["mask"] = nn.functional.pad(call.mask, (1, 0, 1, 0), value=call.mask.dtype == torch.bool)
    if call.bias is not None:
        grown["bias"] = nn.functional.pad(call.bias, (1, 0, 1, 0))
    return call._replace(**grown)


def _capped(call: AttentionCall) -> Tensor:
    """softmax(cap · tanh(scores / cap))·V, a block of rows at a time (Gemma 2): (B, T, H, K)."""
    query, cap, (mask, causal) = call.query, call.soft_cap, call.fused_mask
    key, value = (repeat_kv(x, query.shape[1] // x.shape[1]) for x in (call.key, call.value))
    blocks = []
    for rows in torch.arange(query.shape[2]).split(_ROWS_AT_ONCE):
        scores = query[:, :, rows] @ key.transpose(-1, -2) * call.scale  # (B, H, R, S)
        scores = cap * torch.tanh(scores / cap)
        if causal:
            scores = scores.masked_fill(torch.arange(key.shape[2]) > rows[:, None], -torch.inf)
        if mask is not None:
            its = mask[:, :, rows]
            scores = scores.masked_fill(~its, -torch.inf) if its.dtype == torch.bool else scores + its
        if call.sink_score is not None:
            sink = call.sink_score.expand(-1, -1, query.shape[2])[:, :, rows, None]
            scores = torch.cat([scores, sink.expand(*scores.shape[:3], 1)], dim=-1)
        blocks.append(scores.softmax(-1)[..., : key.shape[2]] @ value)
    return torch.cat(blocks, dim=2).transpose(1, 2)


def all_with_sink(layers: Sequence[Attention]) -> tuple[Attention, ...]:
    """Those of one kind, all with as many columns: where some layers have a sink (MiMo's windows), that of the others
    has no weight.
    """
    if len({layer.sink_score is None for layer in layers}) < 2:
        return tuple(layers)
    none = np.full((layers[0].n_head, 1), -np.inf, np.float32)
    return tuple(layer if layer.sink_score is not None else replace(layer, sink_score=none) for layer in layers)


def register() -> None:
    """Make `attend` known to transformers; once is enough."""
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)


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
