"""A transformers model opened for reading: how its true attention is had, and its way from a hidden vector to logits.

Both are found out when it is opened, by reading a few tokens, and compared with what transformers itself says; nothing
changes afterwards, so visitors and threads share it. Letters as in `model.run`.
"""

import inspect
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model.architectures.description import is_encoder_alone
from model.attention_call import AS_TRAINED, Changes
from model.growing import Growing
from model.huggingface import capture, hooks
from model.huggingface.beside import leave_out
from model.huggingface.capture import Enough, NotCaptured, Recorder
from model.huggingface.eager import check_same, difference_of, eager_weights
from model.huggingface.finish import finishes
from model.huggingface.layers import LayerPlan, Unfollowed, layers_of, matrix_of
from model.huggingface.loading import Build
from model.huggingface.other_layers import hybrid_layers, in_order
from model.huggingface.prepacking import prepack, undo
from model.huggingface.reach import reach_of, settle
from model.intervention import KINDS
from model.run import Attention, DenseAttention, Layer, ModelRun, NoAttention
from model.unembedding import Unembedding

_N_PROBE, _N_PROBE_SOURCE = 7, 5  # tokens read when it is opened; two lengths, to tell cross-attention apart


class Opened:
    """What both ways have in common."""

    captured: str  # what the attention is read from
    attn_implementation: str
    can_switch = True  # whether single heads can be switched off
    roles: tuple[str, ...] = ()  # of the attention calls, in order
    query_scales: tuple[float | None, ...] = ()  # of the same calls: what their queries come multiplied with
    has_sink = False  # whether heads have learned one: a column after the keys
    self_layers: tuple[int, ...] = ()  # of each call of "self", its layer, where only some have attention
    others: tuple[tuple[int, str], ...] = ()  # the layers without, and what each works by
    exact_bytes = capture.EXACT_BYTES  # of a run's queries, keys and values; a longer text's are kept in half precision

    def __init__(self, build: Build, *, not_captured: str):
        self.not_captured_because = not_captured
        self.transformer = build(self.attn_implementation).eval().requires_grad_(False)
        self.config = self.transformer.config.get_text_config()  # of what reads text; of two, that of what writes
        self.class_name = type(self.transformer).__name__
        # an encoder-decoder's encoder alone has the configuration of both
        self.pair = "decoder_input_ids" in inspect.signature(self.transformer.forward).parameters
        self.reach = reach_of(self.config)
        settle(self.transformer)
        table = getattr(self.transformer.get_input_embeddings(), "weight", None)
        if not isinstance(table, Tensor):
            raise NotCaptured(f"{self.class_name} has no one table of token vectors: it reads something else than text")
        self.n_vocab = len(table)
        self._body = self.transformer
        # no token of the first few: they are special in most vocabularies
        n_probe = min(_N_PROBE, self.reach.n_token) if self.reach else _N_PROBE
        ids = [min(5, self.n_vocab - 1) + i % max(1, self.n_vocab - 5) for i in range(n_probe)]
        self.probe = (ids, ids[:_N_PROBE_SOURCE] if self.pair else [])
        self.beside = leave_out(self.transformer, lambda: self.forward(*self.probe)[1][0])  # parameters by part
        self.parameter_shapes = {name: tuple(weight.shape) for name, weight in self.transformer.named_parameters()}
        self._find_attention()
        self._find_head()
        self.n_type = self._count_types()
        if not self.n_label:  # judges are read often with gradients, which are slower through prepared layers
            self._prepack()
        # by layer, of self-attention: how each is built, or which step of it was not found
        self.layers = dict(zip(self.self_layers or range(self._n_layer()), self._find_layers(), strict=True))

    @torch.inference_mode()
    def forward(
        self,
        ids: Sequence[int],
        source: Sequence[int] = (),
        changes: Changes = AS_TRAINED,
        *,
        types: Sequence[int] | None = None,
        weights: bool = False,
        states: bool = False,
        keep_output: bool = False,
        until: int | None = None,
    ) -> tuple[Recorder, Any]:
        """Read a text (and a source, if it reads pairs): what was taken down, and what transformers returns.

        `types`: which of several texts each token is said to belong to, if the model is told. `weights` and `states`:
        let transformers return its own attention weights and hidden states. `until` this layer, if told, and then
        nothing is returned.
        """
        inputs = self.inputs(ids, source, types)
        if weights or self.captured == Dense.captured:
            inputs["output_attentions"] = True
        if states:
            inputs["output_hidden_states"] = True
        sizes = len(ids), len(source)
        options = {"until": until, "layers": self.self_layers}
        recorder = Recorder(changes, self.roles, self.query_scales, keep_output, self.exact_bytes, *sizes, **options)
        with recorder, suppress(Enough):
            return recorder, self._body(**inputs)
        return recorder, None

    @property
    def grows(self) -> bool:
        """Whether several texts can be read as a batch that grows before its blocks (`model.growing`)."""
        return self.captured == Captured.captured and not self.pair and self.stream is not None and self.stream.enters

    @torch.inference_mode()
    def logits_alone(
        self,
        ids: Sequence[int],
        source: Sequence[int],
        changes: Changes,
        *,
        places: Sequence[int],
        types: Sequence[int] | None = None,
    ) -> Tensor:
        """The logits at some places of a text, read once for each intervention: (B, P, V). Nothing else is kept."""
        return self.unembed(self.last_of_each(ids, source, changes, places=places, types=types))

    def unembed(self, last: Tensor) -> Tensor:
        """What `last_of_each` gave, as logits (B, P, V)."""
        if not self.can_unembed:
            return last.float()
        return self.logits(last.flatten(0, 1)).unflatten(0, last.shape[:2])

    @torch.inference_mode()
    def last_of_each(
        self,
        ids: Sequence[int],
        source: Sequence[int],
        changes: Changes,
        *,
        places: Sequence[int],
        types: Sequence[int] | None = None,
    ) -> Tensor:
        """The residual stream in the end (B, P, D) at some places of a text, read once for each intervention; where
        single vectors of it cannot be unembedded, their logits (B, P, V).
        """
        n_text = len(changes.interventions)
        growing = Growing(changes.interventions) if n_text > 1 and self.grows else None
        options = {"n_token": len(ids), "n_source": len(source), "layers": self.self_layers}
        options |= {"keeps": False, "growing": growing}
        with Recorder(changes, self.roles, self.query_scales, **options) as recorder:
            output = self._body(**self.inputs(ids, source, types, 1 if growing else n_text))
        last = (recorder.last if self.can_unembed else output.logits)[:, places]
        return growing.of_each(last) if growing else last

    def inputs(
        self, ids: Sequence[int], source: Sequence[int], types: Sequence[int] | None, n_text: int = 1
    ) -> dict[str, Any]:
        """What transformers is given to read, `n_text` times the same side by side."""
        inputs: dict[str, Any] = {"input_ids": torch.tensor([ids] * n_text)}  # (B, T)
        if self.pair:
            inputs = {"input_ids": torch.tensor([source] * n_text), "decoder_input_ids": inputs["input_ids"]}
        if types is not None:
            inputs["token_type_ids"] = torch.tensor([types] * n_text)
        if self.captured == Dense.captured and "attention_mask" in inspect.signature(self._body.forward).parameters:
            # XLM leaves out what it takes for padding, unless told that all is text, as tokenizers tell it
            inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        if getattr(self.config, "use_cache", None) is not None:
            inputs["use_cache"] = False
        return inputs

    def attention(self, recorder: Recorder, output: Any) -> dict[str, tuple[Layer | NoAttention, ...]]:
        """Of each of `KINDS`, what one forward showed."""
        raise NotImplementedError

    def _find_attention(self) -> None:
        """Raises `NotCaptured`."""
        raise NotImplementedError

    def _find_layers(self) -> list[LayerPlan | Unfollowed]:
        raise NotImplementedError

    def _watch(self, stacks: Sequence[Sequence[nn.Module]], n_layer: int) -> Recorder:
        """Find the residual stream in one of the stacks, set the hooks, and read the probe.

        What is not equal to transformers' own hidden states is not the residual stream, and not shown.
        """
        _, output = self.forward(*self.probe, states=True)
        theirs = getattr(output, "decoder_hidden_states" if self.pair else "hidden_states", None) or ()
        self.stream = None
        if len(theirs) == n_layer + 1:
            pads = hasattr(self.config, "attention_window")
            self.stream = hooks.find_stream(stacks, self.transformer, lambda: self.forward(*self.probe), theirs, pads)
        if self.stream:
            hooks.watch_stream(self.stream)
        self.has_positions = hooks.watch_positions(self.transformer)
        return self.forward(*self.probe)[0]

    @torch.inference_mode()
    def difference(self, run: ModelRun, ids: dict[str, list[int]]) -> float:
        """How far a run is from what transformers says of one text: the largest of its weights, and of its hidden
        vectors, as a part of the largest number there. Raises `ModelNotAvailable` if transformers says nothing.
        """
        inputs: dict[str, Any] = {name: torch.tensor([values]) for name, values in ids.items()}
        if getattr(self.config, "use_cache", None) is not None:
            inputs["use_cache"] = False
        output = self._eager(lambda: self.transformer(**inputs, output_attentions=True, output_hidden_states=True))
        read = self.config, self.class_name, len(run.tokens)
        theirs = eager_weights(output, *read, sinks=self.has_sink, only=self.self_layers)["self"]
        off = [difference_of(ours, weights) for ours, weights in zip(run.attending(), theirs, strict=True)]
        if run.hidden is not None:
            # the last may stand behind a norm; what leads to it was compared when the stream was found
            for ours, states in zip(run.hidden[:-1], output.hidden_states[:-1], strict=True):
                states = states.reshape(ours.shape).numpy()
                off.append(float(np.abs(ours - states).max() / max(1e-30, np.abs(states).max())))
        return max(off)

    def _eager(self, read: Callable[[], Any]) -> Any:
        """What `read` returns while the model does its attention as transformers would."""
        return read()

    def _n_layer(self) -> int:
        encoder, usual = ("num_hidden_layers",), ("decoder_layers", "num_decoder_layers", "num_hidden_layers")
        for name in encoder if is_encoder_alone([self.class_name]) else usual:
            if n_layer := getattr(self.config, name, None):
                return n_layer
        raise NotCaptured(f"{type(self.config).__name__} does not say how many layers there are")

    def _find_head(self) -> None:
        """The modules behind the last block, and what the model does with their result; checked against its logits."""
        recorder, output = self.forward(*self.probe)
        logits = getattr(output, "logits", None)
        self.n_label = logits.shape[1] if logits is not None and logits.ndim == 2 else 0  # one row for the whole text
        self.has_head, self.can_unembed = logits is not None and not self.n_label, False
        if not self.has_head or not self.stream:
            return
        ends = product(hooks.paths(self.stream.behind), finishes(self.transformer, self.config))
        for behind, finish in ends:
            self._behind, self._finish = behind, finish
            try:
                ours = self.logits(recorder.hidden[-1])
            except (TypeError, ValueError, RuntimeError, IndexError, AttributeError):
                continue
            slack = 1e-4 * float(logits.abs().max())
            if ours.shape == logits[0].shape and torch.allclose(ours, logits[0], rtol=1e-4, atol=slack):
                self.can_unembed = True
                self._body = self.transformer.base_model  # the (T, V) table of a long text would not fit
                return

    def _count_types(self) -> int | None:
        """How many token types it tells apart; None if the configuration sets no limit, 0 if it takes none.

        Some classes (GPT-2, XLM) look a type up in the table of words, so that type 0 is not the same as no type. No
        tokenizer of theirs means that: they are given none, and are said to know one.
        """
        if self.pair or "token_type_ids" not in inspect.signature(self._body.forward).parameters:
            return 0
        try:
            with_types, without = self._says([0] * len(self.probe[0])), self._says()
        except (TypeError, ValueError, RuntimeError, IndexError):  # Tapas has seven types for each token
            return 1
        if not all(torch.allclose(*each, rtol=1e-4, atol=1e-4) for each in zip(with_types, without, strict=True)):
            return 1
        return getattr(self.config, "type_vocab_size", None)  # 0: it takes them and does nothing with them (DeBERTa)

    def _prepack(self) -> None:
        """Faster, if it then says the same."""
        before = self._says()
        prepared = prepack(self.transformer)
        try:
            same = all(
                torch.allclose(ours, theirs, rtol=1e-3, atol=1e-4 * float(theirs.abs().max()))
                for ours, theirs in zip(self._says(), before, strict=True)
            )
        except (AttributeError, TypeError, ValueError, RuntimeError):  # a class that looks into its linear layers
            same = False
        if not same:
            undo(prepared)

    def _says(self, types: Sequence[int] | None = None) -> list[Tensor]:
        """Of the probe: the hidden states, and the logits; where the stream was not found, what comes out."""
        recorder, output = self.forward(*self.probe, types=types)
        if recorder.hidden is None:
            return [output[0]]
        return [recorder.hidden, *([self.logits(recorder.hidden[-1])] if self.can_unembed else [])]

    @torch.inference_mode()
    def logits(self, hidden: Tensor) -> Tensor:
        """(N, D) -> (N, V), if `can_unembed`."""
        return self._finish(_through(self._behind, hidden)).float()

    @torch.inference_mode()
    def unembedding(self, hidden: Tensor, ids: Sequence[int]) -> Unembedding | None:
        """Of one vector (D,), if `can_unembed`; None where what comes last is no linear layer."""
        *before, last = self._behind
        if not isinstance(last, nn.Linear):
            return None
        bias, finish = last.bias, self._finish
        return Unembedding(
            _through(before, hidden[None])[0].float().numpy(),
            matrix_of(last)[list(ids)],
            None if bias is None else bias[list(ids)].float().numpy(),
            finish.factor,
            finish.cap,
            None if finish.shift is None else finish.shift[list(ids)].float().numpy(),
        )


def _through(parts: Sequence[nn.Module], hidden: Tensor) -> Tensor:
    """(N, D) -> (N, …)"""
    hidden = hidden[None]
    for part in parts:
        hidden = part(hidden)
        hidden = hidden[0] if isinstance(hidden, tuple) else hidden  # XLM's head
    return hidden[0]


class Captured(Opened):
    """Through transformers' attention interface."""

    captured = "queries and keys"
    attn_implementation = capture.NAME

    def attention(self, recorder: Recorder, output: Any) -> dict[str, tuple[Layer | NoAttention, ...]]:
        its = {kind: capture.all_with_sink([call.attention for call in recorder.of(kind)]) for kind in KINDS}
        return its | {"self": in_order(its["self"], self.others)} if self.others else its

    def _find_attention(self) -> None:
        recorder, _ = self.forward(*self.probe)
        roles = [_role(call.attention, self.pair) for call in recorder.calls]
        if not roles:
            raise NotCaptured(f"{self.class_name} never calls transformers' attention interface")
        n_layer = self._n_layer()
        hybrid = not self.pair and len(roles) < n_layer
        if not hybrid and (roles.count("self") != n_layer or roles.count("cross") != n_layer * self.pair):
            counted = ", ".join(f"{roles.count(role)} {role}" for role in dict.fromkeys(roles))
            raise NotCaptured(f"{self.class_name} made {len(roles)} attention calls in {n_layer} layers ({counted})")
        self.roles = recorder.roles = tuple(roles)
        self.query_scales = hooks.query_scales(recorder.calls, lambda: self.forward(*self.probe)[0].calls)
        stacks = hooks.stacks_of(self.transformer, n_layer, self.pair)
        if not hybrid:
            stacks.insert(0, hooks.blocks_of([call.module for call in recorder.of("self")], self.transformer))
        recorder = self._watch(stacks, n_layer)
        if hybrid:
            self.self_layers, self.others = hybrid_layers(self.stream, recorder.calls, self.config)
        ours = {kind: [call.attention for call in recorder.of(kind)] for kind in KINDS}
        self.has_positions |= any(layer.bias is not None for layer in ours["self"])
        self.has_sink = any(layer.sink_score is not None for layers in ours.values() for layer in layers)

        eager, output = self._eager(lambda: self.forward(*self.probe, weights=True))
        read = self.config, self.class_name, *map(len, self.probe)
        for kind, weights in eager_weights(output, *read, sinks=self.has_sink, only=self.self_layers).items():
            check_same(ours[kind], weights)
        if self.stream and not torch.allclose(
            recorder.hidden, eager.hidden, rtol=1e-3, atol=1e-3 * float(eager.hidden.abs().max())
        ):
            raise NotCaptured("the fast attention and its own lead to different hidden states")

    def _find_layers(self) -> list[LayerPlan | Unfollowed]:
        return layers_of(self)

    def _eager(self, read: Callable[[], Any]) -> Any:
        self.transformer.set_attn_implementation("eager")
        try:
            return read()
        finally:
            self.transformer.set_attn_implementation(capture.NAME)


class Dense(Opened):
    """By the weights it gives itself."""

    captured = "weights"
    attn_implementation = "eager"

    def attention(self, recorder: Recorder, output: Any) -> dict[str, tuple[Layer, ...]]:
        theirs = eager_weights(output, self.config, self.class_name, recorder.n_token, recorder.n_source)
        return {kind: tuple(map(DenseAttention, layers)) for kind, layers in theirs.items()}

    def _find_attention(self) -> None:
        _, output = self.forward(*self.probe)
        layers = eager_weights(output, self.config, self.class_name, *map(len, self.probe))["self"]
        if len(layers) != self._n_layer():
            raise NotCaptured(f"it gives weights of {len(layers)} layers, and has {self._n_layer()}")
        stacks = hooks.stacks_of(self.transformer, len(layers), self.pair)
        self._watch(stacks, len(layers))
        self.can_switch = any(hooks.watch_outputs(self.config.model_type, blocks, len(layers[0])) for blocks in stacks)

    def _find_layers(self) -> list[LayerPlan | Unfollowed]:
        why = "its attention is done in code of its own, which gives weights, and no queries, keys and values"
        return [Unfollowed("Query, key and value", why)] * self._n_layer()


def _role(record: Attention, pair: bool) -> str:
    """Of a call during the probe, whose two texts differ in length."""
    if not pair:
        return "self"
    if record.n_query == _N_PROBE_SOURCE:
        return "encoder"
    return "self" if record.n_key == _N_PROBE else "cross"
