"""The built-in translator: an encoder reads the source, a decoder writes the target, as a `LanguageModel`."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NoReturn

import torch
from torch import Tensor, nn

from model.analysis.beam import Beam, beam_search
from model.attention_call import Changes, batches
from model.builtin.decoding import TargetDecoding
from model.builtin.language_model import BuiltinModel
from model.builtin.transformer import Config, DecoderBlock, EncoderDecoder
from model.intervention import UNCHANGED, Intervention
from model.run import ModelRun, Token, VisitorError
from model.text.tokenizer import PAIR_JOINT


class Translator(BuiltinModel):
    """An encoder-decoder that Regard carries itself. Its start token and its end token are one."""

    def encode(self, text: str, second: str | None = None) -> tuple[Token, ...]:
        """A text as it was trained to read one: the end token behind it. Two are read as one."""
        tokens = super().encode(text, second)
        end = len(text) if second is None else len(text) + len(PAIR_JOINT) + len(second)
        return (*tokens, replace(self.start_token(), start=end, end=end)) if tokens else ()

    def start_token(self) -> Token:
        return self.token(self._tokenizer.end_of_text)

    @torch.inference_mode()
    def run(
        self, tokens: Sequence[Token], intervention: Intervention = UNCHANGED, source: Sequence[Token] = ()
    ) -> ModelRun:
        """One forward pass: it reads `source`, and has written `tokens` so far, the start token first.

        Raises as `LanguageModel.run` says.
        """
        texts = self._texts(tokens, source)
        logits, record = self._transformer(*texts, changes=self._changes(intervention, tokens, source))
        kinds = {"attention": record.attention, "encoder": record.encoder, "cross": record.cross}
        return self._run(tokens, intervention, logits, record.hidden, source, **kinds)

    def beam_search(self, source: Sequence[Token], width: int, length_penalty: float = 1.0) -> Beam:
        """The targets that a search `width` wide finds for a source, and how it found them. Raises `PromptError`."""
        start, most = self.start_token(), self.info.n_context - 1
        return beam_search(self.decoding([start], source), {start.id}, most, width, length_penalty)

    def decoding(self, tokens: Sequence[Token], source: Sequence[Token] = ()) -> TargetDecoding:
        ids, source_ids = self._ids(tokens), self._ids(source, "text to read")
        return TargetDecoding(self._transformer, source_ids, ids)

    def gradients(self, *_: object) -> NoReturn:
        raise VisitorError(f"{self.info.title} reads one text and writes another: no gradients are taken of two texts.")

    def _texts(self, tokens: Sequence[Token], source: Sequence[Token]) -> tuple[Tensor, Tensor]:
        return self._ids(source, "text to read"), self._ids(tokens)

    def _last(
        self, source: Tensor, ids: Tensor, *, interventions: Sequence[Intervention], places: Sequence[int]
    ) -> Iterator[Tensor]:
        for changes in batches(self.info, interventions, ids.shape[1], len(places), source.shape[1]):
            last = self._last_of(source, ids, changes)[:, places]  # (B, P, D); B is 1 where nothing differs
            yield last.expand(len(changes.interventions), -1, -1)

    @torch.inference_mode()
    def _last_of(self, source: Tensor, ids: Tensor, changes: Changes) -> Tensor:
        """The residual stream after the decoder's last block, (B, T, D)."""
        memory, _ = self._transformer.encode(source, changes=changes)  # (B, S, D)
        x = self._transformer.embed(ids, changes.everywhere.positions)  # (1, T, D)
        for hidden, *_ in self._transformer.write(x, memory, changes=changes):
            last = hidden
        return last

    @classmethod
    def _network(cls, config: Config, stated: dict) -> nn.Module:
        if stated != {"architecture": "encoder-decoder"}:
            raise ValueError(f"config.json says {stated}")
        return EncoderDecoder(config)

    @classmethod
    def _family(cls, config: Config) -> str:
        return "encoder-decoder"

    def _positions(self) -> nn.Embedding:
        return self._transformer.target_position  # a run's hidden vectors are the decoder's

    def _blocks(self) -> Sequence[DecoderBlock]:
        return self._transformer.decoder
