"""Unigram (Kudo 2018; T5, ALBERT, XLM-R), showing its work: of all ways to cut a word, the one whose pieces' summed
log-probabilities are highest, found from left to right (Viterbi).
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from model.text.bpe import Piece

UNKNOWN_PENALTY = 10.0  # nats that an unknown character has less than the rarest entry; as in SentencePiece


@dataclass(frozen=True)
class Best:
    """The best way to cut what ends at one place of a word, by its last piece."""

    piece: Piece
    log_prob: float  # of the piece, in nats
    total: float  # with all before it
    on_path: bool  # whether the best way through the whole word comes by here


@dataclass(frozen=True)
class Lattice:
    """All that was compared."""

    best: tuple[Best, ...]  # one for each place where a piece can end, from left to right
    n_considered: int  # pieces that fit somewhere in the word
    other: float | None  # the sum of the best way that is another; None if there is only one


class Unigram:
    """Reads the "model" of a tokenizer.json."""

    def __init__(self, stated: dict[str, Any]):
        entries = stated["vocab"]
        self.ids: dict[str, int] = {entry: id for id, (entry, _) in enumerate(entries)}
        self.log_prob: list[float] = [log_prob for _, log_prob in entries]
        self.unknown: int | None = stated.get("unk_id")
        self.unknown_log_prob: float = min(self.log_prob) - UNKNOWN_PENALTY
        self.falls_to_bytes: bool = bool(stated.get("byte_fallback"))
        self._sorted = sorted(self.ids)

    def pieces(self, word: str, opens: bool = True, closes: bool = True) -> tuple[Piece, ...]:
        """How a word is cut; or a part of one, if no piece crosses to the rest."""
        return tuple(self._written(word, self._path(word, self._forward(word))))

    def lattice(self, word: str) -> Lattice:
        """What led to `pieces`, before unknown characters are taken together or written as bytes."""
        forward = self._forward(word)
        path = set(self._path(word, forward))
        widths = [self._width(character) for character in word]
        backward = self._backward(word)
        others = [
            forward[start][1] + log_prob + backward[end]
            for start in range(len(word))
            for end, id, log_prob in self._fitting(word, start)
            if (start, end, id) not in path
        ]
        best = []
        for end in range(1, len(word) + 1):
            (start, id, log_prob), total = forward[end]
            if total == float("-inf"):
                continue
            piece = Piece(id, start, end, sum(widths[start:end]))
            best.append(Best(piece, log_prob, total, (start, end, id) in path))
        considered = sum(len(list(self._fitting(word, start))) for start in range(len(word)))
        # an edge of no other whole way has −inf
        other = max(others, default=float("-inf"))
        return Lattice(tuple(best), considered, None if other == float("-inf") else other)

    def _fitting(self, word: str, start: int) -> Iterator[tuple[int, int, float]]:
        """The entries that the word goes on with at a place, the shortest first: (where it ends, id, log-probability);
        and the unknown, if no entry is its next character.
        """
        single, place = False, 0
        for end in range(start + 1, len(word) + 1):
            entry = word[start:end]
            place = bisect_left(self._sorted, entry, place)
            if place == len(self._sorted) or not self._sorted[place].startswith(entry):
                break  # no entry begins so
            if self._sorted[place] == entry:
                single |= end == start + 1
                id = self.ids[entry]
                yield end, id, self.log_prob[id]
        if not single and self.unknown is not None:
            yield start + 1, self.unknown, self.unknown_log_prob

    def _forward(self, word: str) -> list[tuple[tuple[int, int, float], float]]:
        """For each place of the word, 0 included: the last piece of the best way there, and the sum of that way."""
        best = [((0, -1, 0.0), 0.0)] + [((0, -1, 0.0), float("-inf"))] * len(word)
        for start in range(len(word)):
            for end, id, log_prob in self._fitting(word, start):
                total = best[start][1] + log_prob
                if total > best[end][1]:
                    best[end] = (start, id, log_prob), total
        return best

    def _backward(self, word: str) -> list[float]:
        """For each place, the sum of the best way from there to the end."""
        best = [float("-inf")] * len(word) + [0.0]
        for start in reversed(range(len(word))):
            best[start] = max(
                (log_prob + best[end] for end, _, log_prob in self._fitting(word, start)), default=float("-inf")
            )
        return best

    def _path(self, word: str, forward: list[tuple[tuple[int, int, float], float]]) -> list[tuple[int, int, int]]:
        """The best way through the whole word: (start, end, id) of each piece."""
        path, end = [], len(word)
        while end > 0 and forward[end][0][1] >= 0:
            start, id, _ = forward[end][0]
            path.append((start, end, id))
            end = start
        return path[::-1]

    def _written(self, word: str, path: list[tuple[int, int, int]]) -> Iterator[Piece]:
        """The path's pieces as entries: unknown neighbours together, or byte by byte."""
        together: list[tuple[int, int, int]] = []
        for start, end, id in path:
            if together and id == together[-1][2] == self.unknown:
                start = together.pop()[0]
            together.append((start, end, id))
        for start, end, id in together:
            if self.ids.get(word[start:end]) is None and (ids := self._bytes(word[start:end])):
                place = start
                for character in word[start:end]:
                    n_byte = len(character.encode())
                    yield from (Piece(byte, place, place + 1) for byte in ids[:n_byte])
                    ids, place = ids[n_byte:], place + 1
            else:
                yield Piece(id, start, end, sum(self._width(character) for character in word[start:end]))

    def _width(self, character: str) -> int:
        return 1 if character in self.ids else len(self._bytes(character)) or 1

    def _bytes(self, text: str) -> list[int]:
        """The entries of its bytes; none if the vocabulary has not all of them, or has no use for them."""
        ids = [self.ids.get(f"<0x{byte:02X}>") for byte in text.encode()] if self.falls_to_bytes else []
        return [] if None in ids else ids
