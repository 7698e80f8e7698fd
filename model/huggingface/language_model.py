"""Any transformers checkpoint as a `LanguageModel`, with its true attention weights or a refusal that says why.

Queries, keys and values are taken down through transformers' own attention interface (`model.huggingface.capture`). A
class that does not use it is run with ``attn_implementation="eager"`` and gives its weights. Which of the two is found
out, and checked, before anyone sees the model (`model.huggingface.adapter`). Letters as in `model.run`.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model.analysis.attention import attended
from model.architecture import Architecture
from model.architectures.description import describe
from model.architectures.generic import with_stack
from model.attention_call import BATCH_BYTES, Changes, Probe, batches
from model.growing import growing_batches
from model.huggingface import hooks
from model.huggingface.as_tokenized import check_as_tokenized
from model.huggingface.batches import one_by_one
from model.huggingface.capture import ROUNDING, NotCaptured, Recorder
from model.huggingface.decoding import CachedDecoding, keeps
from model.huggingface.gradients import gradients, head_gradients, vectors_of
from model.huggingface.info import info_of
from model.huggingface.layers import LayerPlan, Unfollowed
from model.huggingface.loading import Build, quoted
from model.huggingface.opening import open_model
from model.intervention import UNCHANGED, Intervention, sizes_of
from model.language_model import Decoding, Said
from model.layer import AttentionOutput, LayerParameters
from model.predictions import predictions
from model.run import ModelNotAvailable, ModelRun, Predictions, PromptError, Token, VisitorError, short
from model.text.chat_template import fill
from model.text.conversation import USER, Message
from model.text.cut import Cutting
from model.text.lengths import check_tokens
from model.text.tokens import check_fits, cutting_of, token_of, tokens_of
from model.text.writing import ReadAgain
from model.unembedding import Unembedding

_LOG = logging.getLogger("regard")
_ROWS_AT_ONCE = 128  # of logits: a (T, V) table of a long text would not fit


class HuggingFaceModel:
    """One checkpoint. Shared by visitors and threads: after it is made, nothing in it changes."""

    def __init__(self, build: Build, tokenizer: Any, *, name: str, title: str, fingerprint: str):
        """Raises `ModelNotAvailable` if its true weights cannot be had."""
        self.opened = open_model(build, title)
        self._tokenizer = tokenizer
        self._title = title
        self.info = info_of(self.opened, tokenizer, self._labels(), name, title, fingerprint)
        self._check_whole_run()
        check_as_tokenized(self, self.opened, tokenizer)

    @property
    def captured(self) -> str:
        """What its attention is read from: "queries and keys", or "weights" that it gives itself."""
        return self.opened.captured

    def encode(self, text: str, second: str | None = None) -> tuple[Token, ...]:
        """Cut a text into tokens; or two texts, for a model that reads pairs. An empty text has none."""
        if not text:
            return ()
        check_fits(self._tokenizer, self.info, text, second or "")
        return tokens_of(self._tokenizer, text, second)

    def cutting(self) -> Cutting:
        return cutting_of(self._tokenizer)

    def token(self, id: int) -> Token:
        return token_of(self._tokenizer, id)

    def mask_token(self) -> Token | None:
        """What stands for a word to be guessed, where the model has such a token."""
        id = getattr(self._tokenizer, "mask_token_id", None)
        return None if id is None else self.token(id)

    def chat_text(self, text: str, before: Sequence[Message] = ()) -> str | None:
        """The text as a message of a chat, in the words this model was tuned on; None if it has no such template.

        `before`: what was said before it. Raises `VisitorError` if it cannot be filled, or the text is too long.
        """
        template = getattr(self._tokenizer, "chat_template", None)
        template = template.get("default") if isinstance(template, dict) else template  # there can be several
        if not template:
            return None
        messages = (*before, Message(USER, text))
        check_fits(self._tokenizer, self.info, "".join(each.content for each in messages))
        try:
            return fill(str(template), messages, self._tokenizer.special_tokens_map)
        except ValueError as error:
            raise VisitorError(
                f"The chat template of “{self._title}” cannot be filled ({short(error)}). Switch it off to read the "
                "text as it is."
            ) from error

    def start_token(self) -> Token | None:
        """What a target text begins with, before its first word; None for a model that writes none."""
        if not self.opened.pair:
            return None
        config, generation = self.opened.transformer.config, getattr(self.opened.transformer, "generation_config", None)
        first, its = "decoder_start_token_id", self.opened.config  # of a pair made of two models, the one that writes
        stated = [(config, first), (generation, first), (its, "bos_token_id"), (its, "pad_token_id")]
        ids = (getattr(settings, name, None) for settings, name in stated)
        return next((self.token(id) for id in ids if id is not None), None)

    def run(
        self, tokens: Sequence[Token], intervention: Intervention = UNCHANGED, source: Sequence[Token] = ()
    ) -> ModelRun:
        """One forward pass. An encoder-decoder reads `source` and has written `tokens` so far.

        Raises `PromptError` if there are no tokens or too many, `VisitorError` if an intervention cannot be done here.
        """
        self._check(tokens, source, intervention)
        recorder, output = self._forward(tokens, source, intervention)
        try:
            kept = self.opened.attention(recorder, output)
            return ModelRun(
                info=self.info,
                tokens=tuple(tokens),
                attention=kept["self"],
                hidden=None if recorder.hidden is None else recorder.hidden.numpy(),
                predictions=self._predictions(recorder.hidden, output, [token.id for token in tokens]),
                intervention=intervention,
                source=tuple(source),
                encoder=kept["encoder"],
                cross=kept["cross"],
            )
        except NotCaptured as error:  # it does something else with a text of this length
            raise self._unread(tokens, str(error)) from error
        except ValueError as error:
            raise self._unread(tokens, f"what it gives does not fit the text ({error})") from error

    def logits(
        self,
        tokens: Sequence[Token],
        interventions: Sequence[Intervention] = (UNCHANGED,),
        source: Sequence[Token] = (),
        positions: Sequence[int] | None = None,
    ) -> Iterator[np.ndarray]:
        """Several texts at once are read only where the first of them comes out as it does alone."""
        self._check_head()
        self._check(tokens, source, *interventions)
        places = np.arange(len(tokens))[slice(None) if positions is None else list(positions)].tolist()
        read = partial(self._read, self.opened.last_of_each, tokens, source, places=places)
        if self.opened.grows:
            together = growing_batches(self.info, interventions, len(tokens), whole=True)
            some = [Changes(each.interventions) for each in together]
        else:
            some = batches(self.info, interventions, len(tokens), len(places), len(source))
        at_once = max(1, BATCH_BYTES // (4 * self.info.n_vocab * len(places)))
        return one_by_one(read, self.opened.unembed, some, at_once)

    def token_vectors(self, tokens: Sequence[Token]) -> np.ndarray:
        self._check_texts(tokens, ())
        return vectors_of(self.opened, tokens)

    def gradients(self, tokens: Sequence[Token], said: Said, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self.opened.pair:
            raise VisitorError(f"{self._title} reads one text and writes another: no gradients are taken of two texts.")
        self._check_texts(tokens, ())
        if said.position is not None:
            self._check_head()
        return gradients(self.opened, self._title, tokens, vectors, lambda logits: self._said(logits, said))

    def head_gradients(
        self,
        tokens: Sequence[Token],
        said: Sequence[Said],
        layer: int,
        kind: str = "self",
        source: Sequence[Token] = (),
    ) -> tuple[float, np.ndarray]:
        self._check_head()
        self._check(tokens, source)
        if self.captured == "weights":
            raise VisitorError(f"{self._title} does its attention in code of its own, where no gradient is taken.")
        read = partial(head_gradients, self.opened, self._title, said)
        return self._read(read, tokens, source, Probe(kind=kind, layer=layer))

    def _said(self, logits: Tensor, said: Said) -> Tensor:
        """(N, T, V) -> (N,) in double precision."""
        return logits[:, said.position].double().log_softmax(-1)[:, said.id]

    def decoding(self, tokens: Sequence[Token], source: Sequence[Token] = ()) -> Decoding:
        self._check_head()
        self._check(tokens, source)
        if not self._keeps_a_cache or any(token.type for token in tokens):
            return ReadAgain(self, tokens, source)
        return CachedDecoding(self.opened, *([token.id for token in text] for text in (tokens, source)))

    @cached_property
    def _keeps_a_cache(self) -> bool:
        return keeps(self.opened)

    def _check_head(self, vectors: bool = False) -> None:
        """`vectors`: whether it has to read single vectors."""
        if not self.opened.has_head:
            raise VisitorError(f"{self._title} has no language-model head, so it predicts no tokens.")
        if vectors and not self.opened.can_unembed:
            raise VisitorError(
                f"Regard cannot read single vectors of {self._title} as tokens: what {self.opened.class_name} does "
                "behind its last layer could not be repeated exactly."
            )

    @torch.inference_mode()
    def unembed(self, hidden: np.ndarray) -> np.ndarray:
        self._check_head(vectors=True)
        rows = torch.tensor(hidden).reshape(-1, hidden.shape[-1])  # (N, D)
        return self.opened.logits(rows).reshape(*hidden.shape[:-1], -1).numpy()

    def unembedding(self, hidden: np.ndarray, ids: Sequence[int]) -> Unembedding:
        self._check_head(vectors=True)
        found = self.opened.unembedding(torch.tensor(hidden), ids)
        if found is None:
            raise VisitorError(f"The logits of {self._title} are no product with a matrix whose rows could be shown.")
        return found

    def embeddings(self) -> tuple[np.ndarray, np.ndarray | None]:
        """The token vectors (V, D); the learned position vectors (n_context, D), or None where there are none."""
        tokens = self.opened.transformer.get_input_embeddings().weight.detach().float().numpy()
        positions = None
        for name, part in self.opened.transformer.named_modules():
            if hooks.is_position_table(name, part) and "Sinusoidal" not in type(part).__name__:
                positions = part.weight.detach().float().numpy()[-self.info.n_context :]
        for table in (tokens, positions):
            if table is not None:
                table.setflags(write=False)  # they are the model's own memory
        return tokens, positions

    def recompute_layer(self, run: ModelRun, layer: int) -> float:
        """Read the text again up to this layer, keep what its heads gave, and compare with weights·V of the run.

        Returns the largest difference. Raises `VisitorError` for a model that gives no values.
        """
        self.info.check_attention(layer)
        if self.captured == "weights":
            raise VisitorError(
                f"{self._title} gives its attention weights, but not the values they were applied to: "
                "this layer cannot be computed again by hand."
            )
        recorder, _ = self._forward(run.tokens, run.source, run.intervention, keep_output=True, until=layer)
        return self._difference(run, layer, recorder)

    def _difference(self, run: ModelRun, layer: int, recorder: Recorder) -> float:
        call = recorder.at(layer)
        ours = run.intervention.written(layer, attended(run.attention[layer], call.value))  # (H, T, K)
        return float(np.abs(ours.transpose(1, 0, 2) - call.output).max())

    def unfollowed(self, layer: int) -> str | None:
        self.info.check_attention(layer)
        its = self.opened.layers[layer]
        if not isinstance(its, Unfollowed):
            return None
        return f"In {self._title}, the step “{its.step}” of layer {layer} cannot be followed: {its}."

    def layer_parameters(self, layer: int) -> LayerParameters:
        return self._plan(layer).parameters()

    def attention_output(self, run: ModelRun, layer: int) -> AttentionOutput:
        self._plan(layer)
        # what is behind a layer ends before the next that has attention
        until = next((each for each in self.info.grid.layers if each > layer), None)
        recorder, _ = self._forward(run.tokens, run.source, run.intervention, keep_output=True, until=until)
        return AttentionOutput(recorder.behind[layer, "written"], recorder.behind.get((layer, "after")))

    def _plan(self, layer: int) -> LayerPlan:
        if reason := self.unfollowed(layer):
            raise VisitorError(reason)
        return self.opened.layers[layer]

    def architecture(self) -> Architecture:
        """How it is built, read off its configuration."""
        built = describe(self.opened.transformer.config.to_dict() | {"architectures": [self.opened.class_name]})
        hybrid = {"n_layer": self.info.n_layer, "others": self.info.others}  # Nemotron-H does not say how many
        return with_stack(built, **hybrid) if self.info.others else built

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Of every tensor of weights, by its name."""
        return self.opened.parameter_shapes

    def _forward(
        self, tokens: Sequence[Token], source: Sequence[Token], intervention: Intervention = UNCHANGED, **options: Any
    ) -> tuple[Recorder, Any]:
        return self._read(self.opened.forward, tokens, source, Changes((intervention,)), **options)

    def _read(
        self,
        read: Callable[..., Any],
        tokens: Sequence[Token],
        source: Sequence[Token],
        changes: Changes,
        **options: Any,
    ) -> Any:
        """What one of the opened model's ways to read makes of a text. Raises `VisitorError`."""
        types = [token.type for token in tokens]
        types = types if any(types) and self.opened.n_type != 0 else None  # all of type 0 is what a model takes unasked
        ids, source_ids = ([token.id for token in text] for text in (tokens, source))
        try:
            return read(ids, source_ids, changes, types=types, **options)
        except (VisitorError, MemoryError):
            raise
        except Exception as error:  # of transformers' own code, which has its own for each class
            if "can't allocate memory" in str(error):
                raise MemoryError from error
            raise self._unread(tokens, f"{self.opened.class_name} stops with {quoted(error)}") from error

    def _unread(self, tokens: Sequence[Token], reason: str) -> VisitorError:
        """For a text that the model reads otherwise than those it was checked with when it was loaded."""
        _LOG.warning("%s: %d tokens cannot be shown: %s", self.opened.class_name, len(tokens), reason)
        return VisitorError(
            f"{self._title} was read truly with the few tokens it was checked with, but this text of {len(tokens):,} "
            f"cannot be shown: {reason.rstrip('.')}. Try a shorter text, or another model."
        )

    def _check_whole_run(self) -> None:
        """All that a run holds fits together, and weights·V is what the heads gave, in every layer."""
        tokens, source = ([Token(id, b"", 0, 0) for id in ids] for ids in self.opened.probe)
        refused = f"Regard cannot show “{self._title}” ({self.opened.class_name})"
        try:
            run = self.run(tokens, source=source)
        except VisitorError as error:
            raise ModelNotAvailable(f"{refused}: {str(error.__cause__ or error).rstrip('.')}.") from error
        if self.captured == "weights":
            return
        recorder, _ = self._forward(tokens, source, keep_output=True)
        for call in recorder.of("self"):
            off = self._difference(run, call.layer, recorder)
            if off > ROUNDING * max(1, np.abs(call.output).max()):
                raise ModelNotAvailable(
                    f"{refused}: in layer {call.layer}, weights·values is not what the heads gave (off by {off:.2g})."
                )

    @torch.inference_mode()
    def _predictions(self, hidden: Tensor, output: Any, ids: Sequence[int]) -> Predictions | None:
        if not self.opened.has_head:
            return None
        if not self.opened.can_unembed:
            blocks = [output.logits[0]]
        else:
            blocks = (self.opened.logits(rows) for rows in hidden[-1].split(_ROWS_AT_ONCE))
        return predictions(blocks, torch.tensor(ids), of_next=self.info.family != "encoder")

    def _labels(self) -> tuple[str, ...]:
        """Of the whole text, where there is a head for them."""
        return ()

    def _check(self, tokens: Sequence[Token], source: Sequence[Token], *interventions: Intervention) -> None:
        """Raises as `run` does."""
        self._check_texts(tokens, source)
        n_encoder = self.opened.roles.count("encoder") or self.info.n_layer  # not known of a class without roles
        n_layer, n_head, sink = self.info.n_layer, self.info.n_head, self.opened.has_sink
        sizes = sizes_of(n_layer, n_head, len(tokens), len(source), n_encoder, sink=sink)
        for intervention in interventions:
            intervention.check(sizes, self.info.causal)
            for layer, *_ in intervention.places if self.info.others else ():
                self.info.check_attention(layer)
            self._check_possible(intervention)

    def _check_texts(self, tokens: Sequence[Token], source: Sequence[Token]) -> None:
        if self.opened.pair and not source:
            raise PromptError(f"{self._title} reads one text and writes another: give it a text to read.")
        if source and not self.opened.pair:
            raise PromptError(f"{self._title} reads one text only.")
        for what, text in (("text", tokens), ("text to read", source))[: 1 + self.opened.pair]:
            if self.opened.reach:
                self.opened.reach.check(len(text), what, self._title)
            check_tokens(self.info, text, what)
            if any(token.id >= self.info.n_vocab for token in text):
                raise PromptError(f"The {what} holds a token that {self._title} has no vector for: write it otherwise.")
            if self.opened.n_type and (type := max((token.type for token in text), default=0)) >= self.opened.n_type:
                raise PromptError(
                    f"The tokenizer of {self._title} says that a part of the {what} is of type {type}, and the model "
                    f"knows types below {self.opened.n_type} only: it cannot be read as the two mean it."
                )

    def _check_possible(self, intervention: Intervention) -> None:
        if self.captured == "weights" and replace(intervention, heads_off=frozenset()) != UNCHANGED:
            raise VisitorError(
                f"{self._title} does its attention in code of its own, so only whole heads can be switched off in it."
            )
        if intervention.heads_off and not self.opened.can_switch:
            raise VisitorError(f"In {self._title}, no module takes the heads one by one, so none can be switched off.")
        if not intervention.positions and not self.opened.has_positions:
            raise VisitorError(
                f"Regard finds no position vectors, rotations or position biases in {self._title} to leave out."
            )
