"""How a text became its tokens, of any fast tokenizer: what was done first, which words were cut, how each was.

A tokenizer's steps, in order: names of added tokens are found in the text; a normalizer rewrites what lies between
them; a pre-tokenizer divides that into words; its model cuts each word on its own (`bpe`, `word_piece`, `unigram`);
marks are put around. Normalizer and pre-tokenizer are the `tokenizers` library's own, of the same tokenizer. The names
are found and the words cut again here, step by step, by what tokenizer.json says, and that must end, token for token,
where `encode` ended.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import tokenizers
from tokenizers import NormalizedString, PreTokenizedString, pre_tokenizers

from model.run import Token, VisitorError, readable, short
from model.sources.tokenizer_file import as_an_exception
from model.text.bpe import BytePairs, Piece, byte_alphabet
from model.text.unigram import Unigram
from model.text.word_piece import WordPieces

MOST_CHARACTERS = 100_000  # of a text whose words are cut again: a second of work
_KINDS = {"BPE": BytePairs, "WordPiece": WordPieces, "WordLevel": WordPieces, "Unigram": Unigram}
_BYTE = byte_alphabet()
_ANY = tokenizers.Regex(r"[\s\S]")


class NotFollowed(VisitorError):
    """The steps of a tokenizer cannot be shown; the sentence says why."""


@dataclass(frozen=True)
class Word:
    """What is cut on its own: its tokens `first` … `last`, all within `text[start:end]`."""

    first: int
    last: int
    start: int
    end: int
    written: str | None  # as the tokenizer's model was given it; None: an added token, found before all else
    opens: bool = True  # whether a word of the pre-tokenizer begins here; else one goes on, and nothing crosses to it
    closes: bool = True


@dataclass(frozen=True)
class Cut:
    """A text's words, in order. What lies in none of them stands for nothing in the text."""

    words: tuple[Word, ...]
    word_of: tuple[int | None, ...]  # of each token
    normalized: tuple[tuple[str, int], ...]  # what the normalizer left: each character, and its place in the text

    def after_normalizer(self, start: int, end: int) -> str:
        """What the normalizer made of a part of the text."""
        return "".join(character for character, place in self.normalized if start <= place < end)


class Cutting:
    """One tokenizer, read once. Raises `NotFollowed` where its steps cannot be told."""

    def __init__(self, backend: tokenizers.Tokenizer, typed: re.Pattern[str] | None = None):
        """`typed`: what is a token of its own wherever it is typed, besides the added tokens."""
        self._backend = backend
        try:
            stated = json.loads(backend.to_str())
            self.kind: str = stated["model"]["type"]
            if self.kind not in _KINDS:
                raise ValueError(f"it is of a kind that Regard does not know, {self.kind}")
            self.model: BytePairs | WordPieces | Unigram = _KINDS[self.kind](stated["model"])
        except Exception as error:  # of the library, for parts written in Python
            raise NotFollowed(f"How words are put together is not shown for this tokenizer: {short(error)}.") from error
        self.normalizer: tuple[str, ...] = tuple(_names(stated["normalizer"], "normalizers"))
        self.pre_tokenizer: tuple[str, ...] = tuple(_names(stated["pre_tokenizer"], "pretokenizers"))
        self.byte_level: bool = "ByteLevel" in self.pre_tokenizer or "ByteLevel" in self.normalizer
        self._raw, self._added = self._patterns()
        self._raw = typed or self._raw
        self._names = {id: entry.content for id, entry in backend.get_added_tokens_decoder().items()}

    def _patterns(self) -> tuple[re.Pattern[str] | None, re.Pattern[str] | None]:
        """What finds added tokens in the text as typed, and those that are looked for behind the normalizer."""
        found: tuple[list[tuple[str, str]], list[tuple[str, str]]] = [], []
        for entry in self._backend.get_added_tokens_decoder().values():
            if entry.special and self._backend.encode_special_tokens:
                continue
            content = entry.content
            if entry.normalized and self._backend.normalizer is not None:
                content = self._backend.normalizer.normalize_str(content)
            if content:
                word = (r"(?<!\w)", r"(?!\w)") if entry.single_word else ("", "")
                strip = r"\s*" * entry.lstrip, r"\s*" * entry.rstrip
                pattern = strip[0] + word[0] + re.escape(content) + word[1] + strip[1]
                found[entry.normalized].append((content, pattern))
        # of several that begin at one place the longest counts
        longest = [sorted(some, key=lambda pair: -len(pair[0])) for some in found]
        raw, normalized = (re.compile("|".join(p for _, p in some)) if some else None for some in longest)
        return raw, normalized

    def readable(self, written: str) -> str:
        """What the model was given, as `Token.label` writes it: bytes, and spaces."""
        return self._readable(written, self.byte_level)

    def readable_normalized(self, text: str) -> str:
        """What the normalizer left, in the same way."""
        return self._readable(text, "ByteLevel" in self.normalizer)

    def _readable(self, written: str, byte_level: bool) -> str:
        if byte_level:
            return readable(b"".join(bytes([_BYTE[c]]) if c in _BYTE else c.encode() for c in written))
        return readable((written if isinstance(self.model, WordPieces) else written.replace("▁", " ")).encode())

    def cut(self, text: str, tokens: Sequence[Token], texts: Sequence[tuple[int, int]] = ()) -> Cut:
        """Follow how `text` became `tokens`; or several texts, given by their places in it.

        Raises `NotFollowed` where the words, cut again, are not these tokens.
        """
        if len(text) > MOST_CHARACTERS:
            raise NotFollowed(
                f"This text has {len(text):,} characters. How its words are put together is shown up to "
                f"{MOST_CHARACTERS:,}: shorten it to see that."
            )
        words: list[Word] = []
        normalized: list[tuple[str, int]] = []
        texts = texts or [(0, len(text))]
        for number, (start, end) in enumerate(texts):
            until = texts[number + 1][0] if number + 1 < len(texts) else len(text) + 1
            own = [i for i, token in enumerate(tokens) if start <= token.start < until]
            try:
                with as_an_exception():
                    written, left = self._split(text[start:end])
            except Exception as error:
                raise NotFollowed(f"The steps before the cutting could not be done again ({short(error)}).") from error
            words += self._words(text, tokens, own, written)
            normalized += [(character, start + place) for character, place in left]
        word_of: list[int | None] = [None] * len(tokens)
        for number, word in enumerate(words):
            word_of[word.first : word.last + 1] = [number] * (word.last + 1 - word.first)
        return Cut(tuple(words), tuple(word_of), tuple(normalized))

    def _split(self, text: str) -> tuple[list[str], list[tuple[str, int]]]:
        """What the model is given, word by word; and each character that the normalizer left, with its place."""
        split = self._normalized(text)
        pre_tokenizers.Split(_ANY, "isolated").pre_tokenize(again := self._normalized(text))
        if self._backend.pre_tokenizer is not None:
            self._backend.pre_tokenizer.pre_tokenize(split)
        written, left = (some.get_splits("original", "char") for some in (split, again))
        return [part for part, _, _ in written], [(part, at[0]) for part, at, _ in left]

    def _normalized(self, text: str) -> PreTokenizedString:
        """The text behind the normalizer, without the added tokens in it, and divided where they were."""
        split = PreTokenizedString(text)
        if self._raw:
            split.split(lambda _, part: list(_between(part, self._raw)))
        if self._backend.normalizer is not None:
            split.normalize(self._backend.normalizer.normalize)
        if self._added:
            split.split(lambda _, part: list(_between(part, self._added)))
        return split

    def _words(self, text: str, tokens: Sequence[Token], own: list[int], written: list[str]) -> Iterator[Word]:
        """The words as they were given to the model, laid along the tokens that came out."""
        at = 0
        cut: dict[str, tuple[Piece, ...]] = {}  # most words come again

        def passed(anything: bool) -> Iterator[Word]:
            """Added tokens that come next: typed ones are words, those put around the text are none. `anything`: also
            one that might be a word's, such as the sign for the unknown."""
            nonlocal at
            while at < len(own):
                token = tokens[own[at]]
                covered = text[token.start : token.end]
                if token.start == token.end and token.special:
                    at += 1
                elif token.id in self._names and (anything or self._names[token.id] in covered):
                    yield Word(own[at], own[at], token.start, token.end, None)
                    at += 1
                else:
                    return

        for word in written:
            pieces = cut[word] = cut.get(word) or self.model.pieces(word)
            yield from passed(anything=False)
            if self._ids(tokens, own, at, len(pieces)) != [piece.id for piece in pieces]:
                yield from passed(anything=True)
            if self._ids(tokens, own, at, len(pieces)) != [piece.id for piece in pieces]:
                token = tokens[own[min(at, len(own) - 1)]]
                raise NotFollowed(
                    "How words are put together is not shown for this text: by the steps of its tokenizer.json, it "
                    f"would be cut otherwise from character {token.start:,} on."
                )
            for low, high in _divided(word, pieces):
                first, last = tokens[own[at + low]], tokens[own[at + high - 1]]
                part = word[pieces[low].start : pieces[high - 1].end]
                yield Word(
                    own[at + low],
                    own[at + high - 1],
                    first.start,
                    last.end,
                    word if (low, high) == (0, len(pieces)) else part,
                    low == 0,
                    high == len(pieces),
                )
            at += len(pieces)
        yield from passed(anything=True)
        if at < len(own):
            raise NotFollowed(
                "How words are put together is not shown for this text: the tokenizer made more tokens of it than the "
                "steps of its tokenizer.json do."
            )

    @staticmethod
    def _ids(tokens: Sequence[Token], own: list[int], at: int, n: int) -> list[int]:
        return [tokens[i].id for i in own[at : at + n]]

    @cached_property
    def n_byte(self) -> int:
        """How many of the 256 bytes are entries of the vocabulary, so that what is unknown can be written with them."""
        if self.byte_level:
            return sum(character in self.model.ids for character in _BYTE)
        if not getattr(self.model, "falls_to_bytes", False):
            return 0
        return sum(f"<0x{byte:02X}>" in self.model.ids for byte in range(256))


def _divided(word: str, pieces: Sequence[Piece]) -> Iterator[tuple[int, int]]:
    """Runs of pieces: where a word of the pre-tokenizer holds spaces (Llama 2 gives its model the whole text as one),
    what lies between them, if a piece begins there.
    """
    low = 0
    for i in range(1, len(pieces)):
        here, before = word[pieces[i].start], word[pieces[i].start - 1]
        if here in "▁ " and before not in "▁ " and pieces[i].start >= pieces[i - 1].end:
            yield low, i
            low = i
    if pieces:
        yield low, len(pieces)


def _between(part: NormalizedString, pattern: re.Pattern[str]) -> Iterator[NormalizedString]:
    """What lies between the matches of a pattern."""
    text, reached = part.normalized, 0
    for match in pattern.finditer(text):
        if match.start() > reached:
            yield part.slice((reached, match.start()))
        reached = match.end()
    if reached < len(text):
        yield part.slice((reached, len(text)))


def _names(stated: dict | None, several: str) -> Iterator[str]:
    """The types of a part of tokenizer.json, in the order in which they work."""
    if stated is None:
        return
    if stated["type"] != "Sequence":
        yield stated["type"]
        return
    for part in stated[several]:
        yield from _names(part, several)
