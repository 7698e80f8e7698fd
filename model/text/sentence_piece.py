"""A SentencePiece model at work: a text normalized, then cut as a whole by Unigram or by BPE.

Its pieces are looked up by what they are in a vocabulary of the model's own (`vocab.json`), whose ids are not those of
the file. The cutting is the `tokenizers` library's; `named` shows its work, in the ids of that vocabulary.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import tokenizers
from tokenizers import models

from model.sources.sentence_piece import BPE, BYTE, CONTROL, NORMAL, UNIGRAM, UNKNOWN, SentencePieceFile
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


class SentencePiece:
    """One file. Raises `ValueError` with the reason for one that does what is not done here."""

    def __init__(self, file: SentencePieceFile):
        if file.kind not in (UNIGRAM, BPE):
            raise ValueError("it cuts neither by Unigram nor by BPE")
        if not file.escapes:
            raise ValueError("it keeps spaces as they are")
        if file.byte_fallback:
            raise ValueError("it writes unknown characters as bytes")
        if any(piece.kind not in (NORMAL, UNKNOWN, CONTROL, BYTE) for piece in file.pieces):
            raise ValueError("it has pieces that are cut before all else, or not used")
        self.is_unigram: bool = file.kind == UNIGRAM
        self.entries: dict[str, float] = {piece.text: piece.score for piece in file.pieces if piece.kind == NORMAL}
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

    def named(self, ids: dict[str, int], unknown: int) -> "NamedUnigram | NamedBytePairs":
        """How it cuts, with the ids of a vocabulary."""
        return (NamedUnigram if self.is_unigram else NamedBytePairs)(self._stated(), ids, unknown)

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


class NamedUnigram(Unigram):
    """Unigram whose pieces have ids of another vocabulary; what that does not hold is unknown."""

    def __init__(self, stated: dict, ids: dict[str, int], unknown: int):
        super().__init__(stated)
        self._own, self._named, self.unknown = Unigram(stated), ids, unknown

    def pieces(self, word: str, opens: bool = True, closes: bool = True) -> tuple[Piece, ...]:
        return tuple(_named(piece, word, self._named, self.unknown) for piece in self._own.pieces(word, opens, closes))

    def lattice(self, word: str) -> Lattice:
        lattice = self._own.lattice(word)
        best = (replace(each, piece=_named(each.piece, word, self._named, self.unknown)) for each in lattice.best)
        return replace(lattice, best=tuple(best))


class NamedBytePairs(BytePairs):
    """The same of BPE."""

    def __init__(self, stated: dict, ids: dict[str, int], unknown: int):
        super().__init__(stated)
        self._own, self._named, self.unknown = BytePairs(stated), ids, unknown
        self._entries = {id: entry for entry, id in self._own.ids.items()}

    def pieces(self, word: str, opens: bool = True, closes: bool = True) -> tuple[Piece, ...]:
        return tuple(_named(piece, word, self._named, self.unknown) for piece in self._own.pieces(word, opens, closes))

    def steps(self, word: str, opens: bool = True, closes: bool = True) -> Iterator[Merge]:
        for merge in self._own.steps(word, opens, closes):
            pieces = tuple(_named(piece, word, self._named, self.unknown) for piece in merge.pieces)
            pair = merge.pair and tuple(self._named.get(self._entries[id], self.unknown) for id in merge.pair)
            yield replace(merge, pieces=pieces, pair=pair)


def _named(piece: Piece, word: str, ids: dict[str, int], unknown: int) -> Piece:
    """With its id in the vocabulary. A stretch unknown to the file can be an entry of that, of the other language."""
    return replace(piece, id=ids.get(word[piece.start : piece.end], unknown))
