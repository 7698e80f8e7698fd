"""How the attention of each layer is built, found by what flows through its modules, not by what they are called.

Read once, with a few tokens, when a model is opened: the module whose result is the layer's values is the projection
of values, whether it is called `v_proj`, is a third of `c_attn`, or lies between the heads' queries and keys in
`query_key_value`; the norm before is the one that takes the residual stream and gives what the projections take. A
table of names would hold only for the classes in it, and could not tell whether it holds. A step whose arithmetic is
not found is named, and the layer is not followed. That a visitor's text is read in just this way is compared again with
each run (`model.analysis.head`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations, permutations, product
from typing import Any

import numpy as np
from torch import nn
from transformers.pytorch_utils import Conv1D

from model.huggingface.capture import CallRecord, Recorder, active
from model.huggingface.flow import Call, calls_of, kept, same, vectors
from model.huggingface.prepacking import out_in
from model.layer import LayerParameters, Norm, Rotary
from model.run import Attention

_EPSILONS = ("eps", "variance_epsilon", "epsilon")  # as norms call it
_USUAL_EPSILONS = (1e-5, 1e-6, 1e-12)  # of those that keep it to themselves


class Unfollowed(Exception):
    """A step of a layer that was not found. `step`: its title on the page; the message says why."""

    def __init__(self, step: str, why: str):
        super().__init__(why)
        self.step = step


@dataclass(frozen=True)
class Projection:
    """Some rows of a linear module's result: (H, K) of them."""

    module: nn.Module
    rows: np.ndarray

    def of(self, gave: np.ndarray) -> np.ndarray:
        """Of its result (T, N): by heads, (H, T, K)."""
        return np.moveaxis(gave[:, self.rows], 0, 1)

    def weight(self) -> np.ndarray:
        return matrix_of(self.module)[self.rows]  # (H, K, D)

    def bias(self) -> np.ndarray | None:
        return None if self.module.bias is None else self.module.bias.detach().float().numpy()[self.rows]


@dataclass(frozen=True)
class LayerPlan:
    """Where the parameters of one layer lie; those of the norms are small, and are here."""

    query: Projection
    key: Projection
    value: Projection
    output: nn.Module
    after: tuple[nn.Module, int] | None  # a module, and which of its inputs is the sum; -1: its result is
    rest: dict[str, Any]  # what else `LayerParameters` has

    def parameters(self) -> LayerParameters:
        """Copies, in float32."""
        n_head = len(self.query.rows)
        output, bias = matrix_of(self.output), self.output.bias  # (D, H·Kv)
        return LayerParameters(
            query_weight=self.query.weight(),
            query_bias=self.query.bias(),
            key_weight=self.key.weight(),
            key_bias=self.key.bias(),
            value_weight=self.value.weight(),
            value_bias=self.value.bias(),
            output_weight=np.ascontiguousarray(output.reshape(len(output), n_head, -1).transpose(1, 0, 2)),
            output_bias=None if bias is None else bias.detach().float().numpy().copy(),
            **self.rest,
        )

    def watch(self, watched: set[tuple[nn.Module, str]]) -> None:
        """Let a recorder that keeps what heads gave also take down what is behind them.

        Once for all layers that share a module: `watched`.
        """

        def keep(name: str, index: int):
            def hook(_: nn.Module, args: tuple, kwargs: dict[str, object], output: object) -> None:
                if (recorder := active()) and recorder.keep_output:
                    values = output if index < 0 else (*args, *kwargs.values())
                    its = kept(vectors(values)[max(0, index)])  # (T, D)
                    recorder.behind.setdefault((recorder.layer, name), its)

            return hook

        for name, module, index in (("written", self.output, -1), ("after", *(self.after or (None, 0)))):
            if module is not None and (module, name) not in watched:
                watched.add((module, name))
                module.register_forward_hook(keep(name, index), with_kwargs=True)


def layers_of(opened: Any) -> list[LayerPlan | Unfollowed]:
    """Of a model that was opened and whose attention is captured: how each layer of its self-attention is built; in the
    order of its calls.
    """
    recorder: Recorder

    def read() -> None:
        nonlocal recorder
        recorder, _ = opened.forward(*opened.probe, keep_output=True)

    calls = calls_of(opened.transformer, read)
    found: list[LayerPlan | Unfollowed] = []
    for nth, record in enumerate(recorder.of("self")):
        layer = record.layer
        if recorder.hidden is None:
            found.append(Unfollowed("The vector of the token", "its hidden vectors are not known"))
            continue
        own = [call for call in calls if call.block == layer]
        x, following = (recorder.hidden[each].numpy() for each in (layer, layer + 1))
        try:
            found.append(_Search(opened, nth, own, record, x, following).plan())
        except Unfollowed as reason:
            found.append(reason)
    watched: set[tuple[nn.Module, str]] = set()
    for plan in found:
        if isinstance(plan, LayerPlan):
            plan.watch(watched)
    return found


class _Search:
    """Of one layer."""

    def __init__(
        self, opened: Any, nth: int, calls: Sequence[Call], record: CallRecord, x: np.ndarray, following: np.ndarray
    ):
        self.opened, self.record, self.x, self.following = opened, record, x, following
        self.before = [call for call in calls if call.n_attention == nth]  # `nth` call of self-attention
        self.behind = [call for call in calls if call.n_attention == nth + 1]
        self.all = calls

    def plan(self) -> LayerPlan:
        """Raises `Unfollowed`."""
        attention = self.record.attention
        if attention.query_scale is None:
            raise Unfollowed("Scale and mask", "what its queries are multiplied with was not found")
        parts, read, more = self._projections(attention)
        norm = self._norm_before(read)
        output, after, rest = self._way_back()
        return LayerPlan(*parts, output, after, {"norm": norm, **more, **rest})

    def _projections(self, attention: Attention) -> tuple[list[Projection], np.ndarray, dict[str, Any]]:
        """Of query, key and value; what they read (T, D); and what is done to queries and keys."""
        value, step = self.record.value, "Query, key and value"
        theirs = attention.query / np.float32(attention.query_scale), attention.key
        linear = [call for call in self.before if isinstance(call.module, nn.Linear | Conv1D) and call.took]
        rotaries = list(_rotaries(self.opened.transformer, attention.query.shape[-1]))
        found_value = False
        for chosen in _layouts(linear, attention.query.shape, value.shape):
            calls, parts = zip(*chosen, strict=True)
            projected = [part.of(call.gave) for call, part in chosen]
            if not same(projected[2], value) or not all(same(call.took[0], calls[0].took[0]) for call in calls):
                continue
            found_value = True
            norms, turned = [], []
            for ours, wanted in zip(projected, theirs, strict=False):
                way = self._way(ours, wanted, rotaries)
                if way is None:
                    break
                norms.append(way[0])
                turned.append(way[1])
            if len(norms) == 2 and turned[0] == turned[1]:
                more = {"query_norm": norms[0], "key_norm": norms[1]}
                more["rotary"] = None if turned[0] is None else rotaries[turned[0]]
                return list(parts), calls[0].took[0], more
        joined = np.moveaxis(value, 0, 1).reshape(value.shape[1], -1)
        if found_value or any(same(call.gave, joined) for call in linear):  # Qwen3-Next's queries come with a gate
            why = "what it does to queries and keys between its projections and their products was not found"
            raise Unfollowed(step, why)
        raise Unfollowed(step, "no linear maps of one vector were found whose results are the values that it uses")

    def _way(
        self, projected: np.ndarray, wanted: np.ndarray, rotaries: Sequence[Rotary]
    ) -> tuple[Norm | None, int | None] | None:
        """By which norm, and which of the rotations, projected queries or keys become those used: (H, T, K) each."""
        ways: list[tuple[Norm | None, np.ndarray]] = [(None, projected)]
        for call in self.before:
            heads = _by_head(call.took[0], projected.shape) if call.took and not list(call.module.children()) else []
            for form, ours in heads:
                if same(ours, projected) and (norm := _norm_of_heads(call, form, projected)):
                    ways.insert(0, (norm, norm.of_heads(projected)))
        positions = np.arange(projected.shape[1])
        for norm, start in ways:
            if same(start, wanted):
                return norm, None
            for i, rotary in enumerate(rotaries):
                if same(rotary(start, positions), wanted):
                    return norm, i
        return None

    def _norm_before(self, read: np.ndarray) -> Norm | None:
        if same(read, self.x):
            return None
        for call in self.before:
            if same(call.gave, read) and call.took and same(call.took[0], self.x) and (norm := _norm(call)):
                return norm
        raise Unfollowed("Norm", "what its projections read was not found to be a norm of the residual stream")

    def _way_back(self) -> tuple[nn.Module, tuple[nn.Module, int] | None, dict[str, Any]]:
        """The output projection, where the sum is seen, and what is done to what it gives until it is added."""
        joined = self.record.output.reshape(len(self.x), -1)  # (T, H·Kv)
        output = next(
            (
                call
                for call in self.behind
                if isinstance(call.module, nn.Linear | Conv1D) and call.took and same(call.took[0], joined)
            ),
            None,
        )
        if output is None or same(output.gave, joined):
            raise Unfollowed(
                "Back to the width of the stream", "no linear map was found that takes what its heads gave"
            )
        written, norm = output.gave, None
        for call in self.behind:
            if call.took and same(call.took[0], written) and (found := _norm(call)):
                written, norm = call.gave, found
                break
        for factor in dict.fromkeys((1.0, getattr(self.opened.config, "residual_multiplier", None))):
            if not factor:
                continue
            total = self.x + np.float32(factor) * written
            rest = {"written_norm": norm, "multiplier": factor}
            if same(total, self.following):  # a layer of attention alone (Nemotron-H)
                gave = next((call for call in reversed(self.behind) if same(call.gave, total)), None)
                return output.module, gave and (gave.module, -1), rest | {"alone": True}
            if self._goes_on(total, factor):
                after = self._taking(total)
                return output.module, after, rest | {"parallel": after is None}
            for call in self.behind:
                if call.took and same(call.took[0], total) and (behind := _norm(call)) and self._goes_on(call.gave):
                    return output.module, (call.module, -1), rest | {"norm_behind": behind}
        raise Unfollowed("Add to the residual stream", "the sum of the stream and what its heads write was not found")

    def _goes_on(self, total: np.ndarray, factor: float = 1.0) -> bool:
        """Whether what a module of this layer gave is added to this (T, D), in a sum that is seen later; or what two
        gave, such as an MLP and experts (Granite's hybrids).
        """
        sums = [self.following, *(call.took[0] for call in self.behind if call.took)]
        given = [call.gave for call in self.all if call.gave is not None and call.gave.shape == total.shape]
        given = [each for each in given if not same(each, total)]
        sums = [each for each in sums if each.shape == total.shape and not same(each, total)]
        added = chain(given, (one + other for one, other in combinations(given, 2)))
        return any(same(total + np.float32(factor) * each, later) for each in added for later in sums)

    def _taking(self, total: np.ndarray) -> tuple[nn.Module, int] | None:
        for call in self.behind:
            for i, each in enumerate(call.took):
                if same(each, total):
                    return call.module, i
        return None


def _layouts(
    linear: Sequence[Call], query: tuple[int, int, int], value: tuple[int, int, int]
) -> Iterator[list[tuple[Call, Projection]]]:
    """Which rows of which results may be query (H, T, K), key and value (G, S, Kv)."""
    (n_head, _, d_head), (n_key_head, _, d_value) = query, value
    shapes = (n_head, d_head), (n_key_head, d_head), (n_key_head, d_value)
    wide = {call: call.gave.shape[-1] for call in linear if call.gave is not None and call.gave.ndim == 2}
    widths = [heads * d for heads, d in shapes]

    def split(call: Call, shapes: Sequence[tuple[int, int]]) -> Iterator[list[tuple[Call, Projection]]]:
        """Of one result that holds several: one after the other, or those of each key head side by side."""
        rows, starts = np.arange(wide[call]), np.cumsum([0, *(heads * d for heads, d in shapes)])
        yield [
            (call, Projection(call.module, rows[start : start + heads * d].reshape(heads, d)))
            for start, (heads, d) in zip(starts, shapes, strict=False)
        ]
        by_group = rows.reshape(n_key_head, -1)
        starts = np.cumsum([0, *(heads // n_key_head * d for heads, d in shapes)])
        yield [
            (call, Projection(call.module, by_group[:, start : start + heads // n_key_head * d].reshape(heads, d)))
            for start, (heads, d) in zip(starts, shapes, strict=False)
        ]

    def alone(call: Call, shape: tuple[int, int]) -> tuple[Call, Projection]:
        return call, Projection(call.module, np.arange(wide[call]).reshape(shape))

    for each in permutations(wide, 3):
        if [wide[call] for call in each] == widths:
            yield [alone(call, shape) for call, shape in zip(each, shapes, strict=True)]
    for call in wide:
        if wide[call] == sum(widths):
            yield from split(call, shapes)
    for one, two in permutations(wide, 2):
        if [wide[one], wide[two]] == [widths[0], sum(widths[1:])]:
            yield from ([alone(one, shapes[0]), *both] for both in split(two, shapes[1:]))


def _rotaries(transformer: nn.Module, d_head: int) -> Iterator[Rotary]:
    """What may turn queries and keys: each table of frequencies, in each of the usual ways."""
    seen: dict[tuple, None] = {}
    for module in transformer.modules():
        for name, buffer in module.named_buffers(recurse=False):
            if name.endswith("inv_freq") and buffer.ndim == 1 and 2 * len(buffer) <= d_head:
                strength = getattr(module, name.replace("inv_freq", "attention_scaling"), None)
                seen[tuple(buffer.float().tolist()), float(1.0 if strength is None else strength)] = None
    # those of Su et al., for classes that keep their sines and cosines in another form (GPT-J)
    for n in dict.fromkeys((getattr(transformer.config, "rotary_dim", None) or d_head, d_head)):
        seen[tuple((10000.0 ** (-np.arange(0, n, 2) / n)).astype(np.float32).tolist()), 1.0] = None
    for (frequencies, strength), neighbours in product(seen, (False, True)):
        for start in dict.fromkeys((0, d_head - 2 * len(frequencies))):
            yield Rotary(np.array(frequencies, np.float32), start, neighbours, strength)


def _by_head(took: np.ndarray, shape: tuple[int, int, int]) -> Iterator[tuple[str, np.ndarray]]:
    """Vectors of heads as modules take them, as (H, T, K), and by which of their forms."""
    n_head, n_token, d_head = shape
    if took.shape == shape:
        yield "heads first", took
    if took.shape == (n_token, n_head, d_head):
        yield "tokens first", np.moveaxis(took, 0, 1)
    if took.shape == (n_token, n_head * d_head):
        yield "joined", np.moveaxis(took.reshape(n_token, n_head, d_head), 0, 1)


def _norm(call: Call) -> Norm | None:
    """The norm that a module without parts does to vectors (T, D), if it does one."""
    if list(call.module.children()) or call.gave is None or call.took[0].shape != call.gave.shape:
        return None
    x = call.took[0]
    return next((norm for norm in _norms(call.module, x.shape[-1]) if same(norm(x), call.gave)), None)


def _norm_of_heads(call: Call, form: str, x: np.ndarray) -> Norm | None:
    """The same for those that it does to heads (H, T, K), each or all together."""
    n_head, _, d_head = x.shape
    gave = dict(_by_head(call.gave, x.shape)).get(form) if call.gave is not None else None
    if gave is None:
        return None
    together = form == "joined"
    for norm in _norms(call.module, n_head * d_head if together else d_head):
        gain, shift = (
            None if each is None else each.reshape(n_head if each.size > d_head else 1, d_head)
            for each in (norm.gain, norm.shift)
        )
        if same((own := replace(norm, gain=gain, shift=shift, together=together)).of_heads(x), gave):
            return own
    return None


def _norms(module: nn.Module, n: int) -> Iterator[Norm]:
    """Which norms of N numbers a module may do, by the parameters that it has."""
    weight, bias = (getattr(module, name, None) for name in ("weight", "bias"))
    gain = np.ones(n, np.float32) if weight is None else weight.detach().float().numpy().copy()
    if gain.shape[-1:] != (n,):
        return
    shift = None if bias is None else bias.detach().float().numpy().copy()
    if shift is not None and shift.shape != gain.shape:
        return
    stated = [value for name in _EPSILONS if isinstance(value := getattr(module, name, None), float)]
    for epsilon, centred in product(stated or _USUAL_EPSILONS, (True, False)):
        yield Norm(gain, shift, epsilon, centred)
        yield Norm(gain + np.float32(1), shift, epsilon, centred)  # Gemma keeps what differs from 1


def matrix_of(module: nn.Module) -> np.ndarray:
    """(out, in) in float32; a prepacked weight is laid out as it was."""
    weight = module.weight.detach()
    return (weight.to_dense() if weight.is_mkldnn else out_in(module, weight)).float().numpy()
