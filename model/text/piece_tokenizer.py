"""A tokenizer made of a SentencePiece model and of what a family of models adds to it: the pieces' ids, marks, names.

Of Marian and M2M100 transformers has only one of the slow kind, which does not say where a token stands in the text;
of others it makes one of the `tokenizers` library's parts, which cuts some texts otherwise than in training. Here the
ids are SentencePiece's own and each token has its place: names of added tokens are found first, and what lies between
them is cut on its own.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from model.run import Token
from model.text.bpe import Piece
from model.text.cut import Cutting
from model.text.sentence_piece import Names, SentencePiece
from model.text.tokenizer import PAIR_JOINT, check_encodable

_SPACE = re.compile(r"\s")
_CODE = re.compile(r">>.*?<<", re.DOTALL)  # what a text begins with where one Marian writes several languages


Around = tuple[Sequence[int], Sequence[int]]  # ids put before a text, and behind it


@dataclass(frozen=True)
class Marks:
    """What stands in or around a text besides pieces."""

    typed: Mapping[str, int]  # tokens of their own wherever their names are typed
    put: Mapping[str, int] = field(default_factory=dict)  # tokens that are put, and no text is read as them
    around: Around = ((), ())
    between: Sequence[int] | None = None  # put between two texts; None: it reads one only
    with_space: frozenset[str] = frozenset()  # those of `typed` to which the white space before them belongs
    codes: bool = False  # whether a text may begin with the code of a language, ">>fra<<" (Marian)


class PieceTokenizer:
    """Of a model, or of one of the two texts of a translator."""

    def __init__(
        self,
        sentence_piece: SentencePiece,
        names: Names,
        marks: Marks,
        *,
        mask: str | None = None,
        longest: int = 1 << 30,
    ):
        """`mask`: the name of what stands for a hidden word; `longest`: the tokens of a text."""
        self.sentence_piece, self.names, self.marks = sentence_piece, names, marks
        self.model_max_length = longest
        codes = {name: id for name, id in names.ids.items() if marks.codes and _CODE.fullmatch(name)}
        self.added: dict[str, int] = {**marks.put, **marks.typed, **codes}
        self.mask_token_id = None if mask is None else self.added.get(mask)
        self._entries = {id: entry for entry, id in {**names.ids, **self.added}.items()}
        self._bytes = {id: bytes([byte]) for byte, id in enumerate(names.of_bytes)}
        self._special = {*self.added.values(), *marks.around[0], *marks.around[1]} - {names.unknown}
        # of several that begin at one place the longest counts
        typed = [r"\s*" * (name in marks.with_space) + re.escape(name) for name in sorted(marks.typed, key=len)[::-1]]
        self._found = re.compile("|".join(typed)) if typed else None

    @property
    def around(self) -> Around:
        return self.marks.around

    @cached_property
    def longest(self) -> int:
        """The characters of the longest entry."""
        return max(map(len, self.sentence_piece.entries))

    def token(self, id: int) -> Token:
        """An entry outside any text."""
        entry = self._entries.get(id, f"<{id}>")  # an embedding may have more rows than the vocabulary entries
        return Token(id, self._bytes.get(id) or entry.replace("▁", " ").encode(), 0, 0, id in self._special)

    def tokens(self, text: str, text_pair: str | None = None, around: Around | None = None) -> tuple[Token, ...]:
        """The tokens of one text, or of two, with their places. `around`: other marks than its own.

        Raises `PromptError`.
        """
        before, behind = around or self.around
        tokens, start = [self.token(id) for id in before], 0
        for part in (text,) if text_pair is None else (text, text_pair):
            check_encodable(part)
            if start:
                tokens += self._put(self.marks.between or (), start - len(PAIR_JOINT))
            tokens += (
                replace(t, start=t.start + start, end=t.end + start) for t in _covering(part, [*self._body(part)])
            )
            start += len(part) + len(PAIR_JOINT)
        return (*tokens, *self._put(behind, start - len(PAIR_JOINT)))

    def _put(self, ids: Sequence[int], place: int) -> list[Token]:
        return [replace(self.token(id), start=place, end=place) for id in ids]

    def _body(self, text: str) -> Iterator[Token]:
        for start, part, id in self.parts(text):
            if id is not None:
                yield replace(self.token(id), start=start, end=start + len(part))
                continue
            cuts = self.sentence_piece.cut(part)
            for first, last in cuts.pieces:
                for piece in self.names.of(Piece(self.names.unknown, first, last), cuts.written):
                    token = self.token(piece.id)
                    if piece.id == self.names.unknown and cuts.written[piece.start] == "▁":
                        token = replace(token, piece=b" " + token.piece)
                    spans = cuts.spans[piece.start : piece.end]
                    yield replace(token, start=start + spans[0][0], end=start + spans[-1][1])

    def parts(self, text: str) -> Iterator[tuple[int, str, int | None]]:
        """Added tokens and what lies between them: where each begins, itself, and its id; None: it is to be cut."""
        found = self._found.finditer(text) if self._found else ()
        reached = 0
        for match in found:
            yield from self._coded(reached, text[reached : match.start()])
            name = match[0] if match[0] in self.added else match[0].lstrip()
            yield match.start(), match[0], self.added[name]
            reached = match.end()
        yield from self._coded(reached, text[reached:])

    def _coded(self, start: int, part: str) -> Iterator[tuple[int, str, int | None]]:
        """A part between added tokens: perhaps a language's code, and the rest."""
        if self.marks.codes and (code := _CODE.match(part)):
            yield start, code[0], self.added.get(code[0], self.names.unknown)
            start, part = start + code.end(), part[code.end() :]
        if part:
            yield start, part, None

    def cutting(self) -> Cutting:
        """How it puts words together."""
        return _PieceCutting(self, {id: self._entries[id] for id in self._special | {self.names.unknown}})


class _PieceCutting(Cutting):
    """A text between added tokens is given to the model as one word."""

    def __init__(self, tokenizer: PieceTokenizer, names: dict[int, str]):
        self._tokenizer, self._names = tokenizer, names
        self.kind = "Unigram" if tokenizer.sentence_piece.is_unigram else "BPE"
        self.model = tokenizer.sentence_piece.named(tokenizer.names)
        self.normalizer = tokenizer.sentence_piece.forms.steps
        self.pre_tokenizer, self.byte_level, self.n_byte = (), False, len(tokenizer.names.of_bytes)

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
