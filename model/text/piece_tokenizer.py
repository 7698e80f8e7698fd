"""A tokenizer made of a SentencePiece model and a vocabulary beside it, as Marian's and M2M100's are in transformers.

There they are of the slow kind, which does not say where a token stands in the text. Here each token has its place, and
the ids are the same: names of added tokens are found first, what lies between them is cut on its own, and each piece is
looked up in the vocabulary.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType

from model.run import Token
from model.text.cut import Cutting
from model.text.sentence_piece import SentencePiece
from model.text.tokenizer import check_encodable

_SPACE = re.compile(r"\s")
_CODE = re.compile(r">>.*?<<", re.DOTALL)  # what a text begins with where one Marian writes several languages


Around = tuple[Sequence[int], Sequence[int]]  # ids put before a text, and behind it


class PieceTokenizer:
    """Of one of the two texts of a translator."""

    def __init__(
        self,
        sentence_piece: SentencePiece,
        ids: Mapping[str, int],
        *,
        added: Mapping[str, int],
        unknown: int,
        put: Mapping[str, int] = MappingProxyType({}),
        around: Around = ((), ()),
        takes_codes: bool = False,
        longest_text: int = 1 << 30,
    ):
        """`ids`: the vocabulary; `added`: names that are tokens of their own wherever they are typed; `put`: names of
        tokens that are not typed, but put; `around`: those put around each text; `takes_codes`: whether a text may
        begin with the code of a language, ">>fra<<" (Marian); `longest_text`: in tokens.
        """
        self.sentence_piece = sentence_piece
        self.unknown = unknown
        self.model_max_length = longest_text
        self._ids = ids
        self.around = around
        self._takes_codes = takes_codes
        codes = {name: id for name, id in ids.items() if takes_codes and _CODE.fullmatch(name)}
        self.added: dict[str, int] = {**put, **added, **codes}
        self._entries = {id: entry for entry, id in {**ids, **self.added}.items()}
        self._special = {*self.added.values(), *around[0], *around[1]} - {unknown}
        names = sorted(added, key=len, reverse=True)  # of several that begin at one place the longest counts
        self._found = re.compile("|".join(map(re.escape, names))) if names else None

    @cached_property
    def longest(self) -> int:
        """The characters of the longest entry."""
        return max(map(len, self.sentence_piece.entries))

    def token(self, id: int) -> Token:
        """An entry outside any text."""
        entry = self._entries.get(id, f"<{id}>")  # an embedding may have more rows than the vocabulary entries
        return Token(id, entry.replace("▁", " ").encode(), 0, 0, id in self._special)

    def tokens(self, text: str, text_pair: str | None = None, around: Around | None = None) -> tuple[Token, ...]:
        """The tokens of one text, with their places in it; no translator reads two. `around`: other marks than its own.

        Raises `PromptError`.
        """
        check_encodable(text)
        body = [*_covering(text, [*self._body(text)])]
        before, behind = ([self.token(id) for id in ids] for ids in around or self.around)
        return (*before, *body, *(replace(token, start=len(text), end=len(text)) for token in behind))

    def _body(self, text: str) -> Iterator[Token]:
        for start, part, id in self.parts(text):
            if id is not None:
                yield Token(id, part.encode(), start, start + len(part), id in self._special)
                continue
            cuts = self.sentence_piece.cut(part)
            for first, last in cuts.pieces:
                entry = cuts.written[first:last]
                token = self.token(self._ids.get(entry, self.unknown))
                if token.id == self.unknown and entry.startswith("▁"):
                    token = replace(token, piece=b" " + token.piece)
                spans = cuts.spans[first:last]
                yield replace(token, start=start + spans[0][0], end=start + spans[-1][1])

    def parts(self, text: str) -> Iterator[tuple[int, str, int | None]]:
        """Added tokens and what lies between them: where each begins, itself, and its id; None: it is to be cut."""
        found = self._found.finditer(text) if self._found else ()
        reached = 0
        for match in found:
            yield from self._coded(reached, text[reached : match.start()])
            yield match.start(), match[0], self.added[match[0]]
            reached = match.end()
        yield from self._coded(reached, text[reached:])

    def _coded(self, start: int, part: str) -> Iterator[tuple[int, str, int | None]]:
        """A part between added tokens: perhaps a language's code, and the rest."""
        if self._takes_codes and (code := _CODE.match(part)):
            yield start, code[0], self.added.get(code[0], self.unknown)
            start, part = start + code.end(), part[code.end() :]
        if part:
            yield start, part, None

    def cutting(self) -> Cutting:
        """How it puts words together."""
        return _PieceCutting(self, {id: self._entries[id] for id in self._special | {self.unknown}})


class _PieceCutting(Cutting):
    """A text between added tokens is given to the model as one word."""

    def __init__(self, tokenizer: PieceTokenizer, names: dict[int, str]):
        self._tokenizer, self._names = tokenizer, names
        self.kind = "Unigram" if tokenizer.sentence_piece.is_unigram else "BPE"
        self.model = tokenizer.sentence_piece.named(tokenizer._ids, tokenizer.unknown)
        self.normalizer = tokenizer.sentence_piece.forms.steps
        self.pre_tokenizer, self.byte_level = (), False

    def _split(self, text: str) -> tuple[list[str], list[tuple[str, int]]]:
        written, normalized = [], []
        for start, part, id in self._tokenizer.parts(text):
            if id is None:
                word, spans = self._tokenizer.sentence_piece.forms.normalize(part)
                written += [word] if word else []
                typed = [(character, span[0]) for character, span in zip(word, spans, strict=True) if span[0] < span[1]]
                normalized += [(character, start + place) for character, place in typed]
        return written, normalized


def _covering(text: str, tokens: list[Token]) -> Iterator[Token]:
    """The tokens with what the normalizer dropped: white space belongs to the token after it, all else, and what comes
    before a token that was found as it is, to the token before.
    """
    reached = 0
    for i, token in enumerate(tokens):
        start = token.start
        if start > reached:
            space = None if token.special else _SPACE.search(text, reached, start)
            start = (space.start() if space else start) if i else 0
            if i:
                tokens[i - 1] = replace(tokens[i - 1], end=start)
        reached = max(reached, token.end)
        tokens[i] = replace(token, start=start, end=max(token.end, start))
    if tokens and reached < len(text):
        tokens[-1] = replace(tokens[-1], end=len(text))
    return iter(tokens)
