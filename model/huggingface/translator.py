"""A transformers checkpoint that reads one text and writes another, each cut in its own way, in languages to choose."""

import re
from collections.abc import Mapping, Sequence
from copy import copy
from itertools import takewhile
from typing import Any

from model.analysis.beam import Beam, beam_search
from model.huggingface.language_model import HuggingFaceModel
from model.huggingface.loading import Build
from model.huggingface.pieces import TwoTokenizers
from model.language_model import Languages, Writing
from model.run import PromptError, Token
from model.text.piece_tokenizer import Around
from model.text.tokens import added_tokens, check_fits, tokens_of
from model.text.writing import MOST_WRITTEN

# how the tokens of languages are called: M2M100's, NLLB's, mBART's; Marian's
_CODE = re.compile(r"__([a-z]{2,3})__|([a-z]{3}_[A-Z][a-z]{3})|([a-z]{2}_[A-Z]{2})")
_MARIAN = re.compile(r">>(.+)<<")
_ENGLISH, _FRENCH = ("en", "eng", "eng_Latn", "en_XX"), ("fr", "fra", "fra_Latn", "fr_XX")
_NAMED = 12  # languages in a sentence
_SAME = 1e-3  # between the log-probabilities of a few tokens, read with a cache and without


class HuggingFaceTranslator(HuggingFaceModel):
    """One encoder-decoder. With languages chosen it is another object over the same weights."""

    def __init__(self, build: Build, tokenizer: Any, **names: str):
        """`tokenizer`: one, or a `TwoTokenizers`. Raises as `HuggingFaceModel` does."""
        two = tokenizer if isinstance(tokenizer, TwoTokenizers) else TwoTokenizers(tokenizer, tokenizer)
        super().__init__(build, two.source, **names)
        self._target_tokenizer = two.target
        self._spoken: tuple[str, str] | None = None
        self._codes, self._marks = self._known()
        self.languages: Languages | None = self._to_choose()
        if self._searches():
            self.beam_search = self._beam_search  # it is a `BeamSearcher`

    def encode(self, text: str, second: str | None = None) -> tuple[Token, ...]:
        if not text:
            return ()
        check_fits(self._tokenizer, self.info, text, second or "")
        return tokens_of(self._tokenizer, text, second, self._around(text))

    def encode_target(self, text: str) -> tuple[Token, ...]:
        if not text:
            return ()
        check_fits(self._target_tokenizer, self.info, text)
        return tokens_of(self._target_tokenizer, text)

    def speaking(self, source: str, target: str) -> "HuggingFaceTranslator":
        if self.languages is None:
            return self
        other, its = copy(self), self.languages
        for code, known, use in ((source, its.source, "read"), (target, its.target, "write")):
            if code and code not in known:
                more = f" and {len(known) - _NAMED} more" if len(known) > _NAMED else ""
                some = f"It knows {', '.join(known[:_NAMED])}{more}: choose one on the Translation page."
                raise PromptError(
                    f"{self.info.title} cannot {use} the language “{code[:40]}”. "
                    f"{some if known else 'It reads one only, which is not chosen.'}"
                )
        other._spoken = source or its.default[0], target or its.default[1]
        if hasattr(self, "beam_search"):
            other.beam_search = other._beam_search
        return other

    def start_token(self) -> Token | None:
        start = super().start_token()
        # mBART's first checkpoints begin with the language itself
        if start and self._spoken and start.id in self._codes.values():
            return self.token(self._codes[self._spoken[1]])
        return start

    def writing(self) -> Writing:
        forced = self._setting("forced_bos_token_id")
        forced = [forced] if isinstance(forced, int) else list(forced or ())[:1]
        if self._spoken and not self._is_marian:
            first = super().start_token()
            forced = [] if first and first.id in self._codes.values() else [self._codes[self._spoken[1]]]
        never = [ids[0] for ids in self._setting("bad_words_ids") or () if len(ids) == 1]
        ends = self._setting("eos_token_id")
        return Writing(
            tuple(forced),
            frozenset([*never, *(self._setting("suppress_tokens") or ())]),
            frozenset([ends] if isinstance(ends, int) else ends or ()),
        )

    def _beam_search(self, source: Sequence[Token], width: int, length_penalty: float = 1.0) -> Beam:
        """As `model.language_model.BeamSearcher` says. What is forced is a part of each target."""
        its, most = self.writing(), min(MOST_WRITTEN, self.info.n_context - 1)
        decoding = self.decoding([self.start_token()], source)
        return beam_search(decoding, its.ends, most, width, length_penalty, forced=its.forced, never=its.never)

    def _searches(self) -> bool:
        """Not where all would be read again for each token of each target."""
        return self.start_token() is not None and self._keeps_a_cache

    def _setting(self, name: str) -> Any:
        """Of how it writes: from generation_config.json, or, of older checkpoints, from config.json."""
        for settings in (getattr(self.opened.transformer, "generation_config", None), self.opened.config):
            if (value := getattr(settings, name, None)) is not None:
                return value
        return None

    @property
    def _is_marian(self) -> bool:
        return self._marks is None

    def _known(self) -> tuple[Mapping[str, int], Around | None]:
        """The ids of the languages' tokens, by their codes; and the ids around a text, None where it begins with a code
        as if that were typed.
        """
        if self._tokenizer is None:
            return {}, ((), ())
        names = added_tokens(self._tokenizer)
        if codes := {match[1]: id for name, id in names.items() if (match := _MARIAN.fullmatch(name))}:
            return dict(sorted(codes.items())), None
        codes = {match[match.lastindex]: id for name, id in names.items() if (match := _CODE.fullmatch(name))}
        if not codes:
            return {}, ((), ())
        tokens = tokens_of(self._tokenizer, "a")
        before, behind = ([t.id for t in takewhile(lambda t: t.special, its)] for its in (tokens, tokens[::-1]))
        behind = behind[::-1]
        if not {*codes.values()} & {*before, *behind}:
            return {}, ((), ())  # the texts of this model are not marked with their language
        return dict(sorted(codes.items())), (before, behind)

    def _to_choose(self) -> Languages | None:
        codes = tuple(self._codes)
        if not codes:
            return None
        if self._is_marian:
            first = next((code for code in (*_FRENCH, *_ENGLISH) if code in self._codes), codes[0])
            return Languages((), codes, ("", first))
        by_id = {id: code for code, id in self._codes.items()}
        source = next(by_id[id] for id in (*self._marks[0], *self._marks[1]) if id in by_id)
        start, forced = super().start_token(), self._setting("forced_bos_token_id")
        stated = [by_id.get(id) for id in (forced if isinstance(forced, int) else None, start and start.id)]
        stated.append(getattr(self._tokenizer, "tgt_lang", None))
        likely = (*_ENGLISH, *_FRENCH) if source not in _ENGLISH else _FRENCH
        others = (code for code in codes if code != source)
        target = next((code for code in (*stated, *likely, *others) if code in self._codes), source)
        return Languages(codes, codes, (source, target))

    def _around(self, text: str) -> Around | None:
        """The marks of the chosen source language; None: the tokenizer's own."""
        if self._spoken is None:
            return None
        source, target = self._spoken
        if self._is_marian:
            before, behind = self._tokenizer.around
            return None if _MARIAN.match(text) else ((self._codes[target], *before), behind)
        of_languages = {*self._codes.values()}
        before, behind = ([self._codes[source] if id in of_languages else id for id in ids] for ids in self._marks)
        return before, behind
