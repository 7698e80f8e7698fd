"""A SentencePiece model at work: a text normalized, then cut as a whole by Unigram or by BPE.

What a piece's id is, is not said by the file: models have vocabularies of their own, or count otherwise. The cutting is
the `tokenizers` library's; `named` shows its work, in a model's ids.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import tokenizers
from tokenizers import models

from model.sources.sentence_piece import BPE, NORMAL, UNIGRAM, UNUSED, USER_DEFINED, SentencePieceFile
from model.text.bpe import BytePairs, Merge, Piece
from model.text.normal_forms import NormalForms, Span
from model.text.unigram import Lattice, Unigram

_NOTHING = " "  # an entry for the unknown: no normalized text holds a space


@dataclass(frozen=True)
class Cuts:
    """A text as the model was given it, and its pieces."""

    written: str
    spans: list[Span]  # of each character of it, in the text as typed
    pieces: list[tuple[int, int]]  # from where to where in `written`


@dataclass(frozen=True)
class Names:
    """The ids of a model's vocabulary."""

    ids: Mapping[str, int]  # of the pieces
    unknown: int
    of_bytes: Sequence[int] = ()  # of all 256, where unknown characters are written with theirs

    def of(self, piece: Piece, word: str) -> list[Piece]:
        """A piece of a word, with its id. A stretch unknown to the file can be an entry of the vocabulary all the same,
        which may be that of two languages; else it is one unknown, or a piece for each of its bytes.
        """
        written = word[piece.start : piece.end]
        if (id := self.ids.get(written)) is not None or not self.of_bytes:
            return [replace(piece, id=self.unknown if id is None else id)]
        return [
            Piece(self.of_bytes[byte], place, place + 1)
            for place, character in enumerate(written, piece.start)
            for byte in character.encode()
        ]


class SentencePiece:
    """One file. Raises `ValueError` with the reason for one that does what is not done here."""

    def __init__(self, file: SentencePieceFile):
        if file.kind not in (UNIGRAM, BPE):
            raise ValueError("it cuts neither by Unigram nor by BPE")
        if not file.escapes:
            raise ValueError("it keeps spaces as they are")
        self.is_unigram: bool = file.kind == UNIGRAM
        kinds = {piece.kind for piece in file.pieces}
        if not self.is_unigram and (file.byte_fallback or kinds & {UNUSED, USER_DEFINED}):
            raise ValueError("it is BPE with pieces that are cut before all else, are not used, or are single bytes")
        self.falls_to_bytes: bool = file.byte_fallback
        self.entries: dict[str, float] = _scores(file)
        self.forms = NormalForms(file)
        stated = self._stated()
        if self.is_unigram:
            cutter = models.Unigram([*map(tuple, stated["vocab"])], unk_id=0)
        else:
            cutter = models.BPE(vocab=stated["vocab"], merges=stated["merges"], unk_token=_NOTHING, fuse_unk=True)
        self._cutter = tokenizers.Tokenizer(cutter)

    def cut(self, text: str) -> Cuts:
        """`text`: without added tokens."""
        written, spans = self.forms.normalize(text)
        return Cuts(written, spans, self._cutter.encode(written).offsets)

    def named(self, names: Names) -> "NamedUnigram | NamedBytePairs":
        """How it cuts, with the ids of a vocabulary."""
        return (NamedUnigram if self.is_unigram else NamedBytePairs)(self._stated(), names)

    def _stated(self) -> dict:
        """As the "model" of a tokenizer.json would have it."""
        if self.is_unigram:
            return {"vocab": [(_NOTHING, 0.0), *self.entries.items()], "unk_id": 0}
        vocabulary = {_NOTHING: 0} | {entry: i for i, entry in enumerate(self.entries, 1)}
        splits = (
            (-score, vocabulary[entry], entry[:at], entry[at:])
            for entry, score in self.entries.items()
            for at in range(1, len(entry))
            if entry[:at] in vocabulary and entry[at:] in vocabulary
        )
        merges = [split[2:] for split in sorted(splits)]
        return {"vocab": vocabulary, "merges": merges, "unk_token": _NOTHING, "fuse_unk": True}


def _scores(file: SentencePieceFile) -> dict[str, float]:
    """Of the pieces that a text is cut into. One that its makers defined counts more than any other way to write it."""
    most = max(piece.score for piece in file.pieces if piece.kind == NORMAL)
    return {
        piece.text: piece.score if piece.kind == NORMAL else len(piece.text.encode()) * most - 0.1
        for piece in file.pieces
        if piece.kind in (NORMAL, USER_DEFINED)
    }


class NamedUnigram(Unigram):
    """Unigram whose pieces have a vocabulary's ids."""

    def __init__(self, stated: dict, names: Names):
        super().__init__(stated)
        self._own, self._names, self.unknown = Unigram(stated), names, names.unknown

    def pieces(self, word: str, opens: bool = True, closes: bool = True) -> tuple[Piece, ...]:
        return _flat(self._names, self._own.pieces(word, opens, closes), word)

    def lattice(self, word: str) -> Lattice:
        ids, lattice = self._names.ids, self._own.lattice(word)
        best = [(each, word[each.piece.start : each.piece.end]) for each in lattice.best]
        named = (replace(each, piece=replace(each.piece, id=ids.get(text, self.unknown))) for each, text in best)
        return replace(lattice, best=tuple(named))


class NamedBytePairs(BytePairs):
    """The same of BPE."""

    def __init__(self, stated: dict, names: Names):
        super().__init__(stated)
        self._own, self._names, self.unknown = BytePairs(stated), names, names.unknown
        self._entries = {id: entry for entry, id in self._own.ids.items()}

    def pieces(self, word: str, opens: bool = True, closes: bool = True) -> tuple[Piece, ...]:
        return _flat(self._names, self._own.pieces(word, opens, closes), word)

    def steps(self, word: str, opens: bool = True, closes: bool = True) -> Iterator[Merge]:
        for merge in self._own.steps(word, opens, closes):
            pair = merge.pair and tuple(self._names.ids.get(self._entries[id], self.unknown) for id in merge.pair)
            yield replace(merge, pieces=_flat(self._names, merge.pieces, word), pair=pair)


def _flat(names: Names, pieces: Sequence[Piece], word: str) -> tuple[Piece, ...]:
    return tuple(named for piece in pieces for named in names.of(piece, word))
