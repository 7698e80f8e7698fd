"""Byte-pair encoding of any tokenizer.json, showing its work: the merges of a word, one after another.

Byte-level (GPT-2, Llama 3, Qwen), over characters with bytes for the unknown (Llama 2, Mistral, Gemma), with marks at a
word's end or within it (the first GPT, CLIP). The order is that of the `tokenizers` library, whose result this must be.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import Any


def byte_alphabet() -> dict[str, int]:
    """GPT-2's way to write each of the 256 bytes as one printable character: {character: byte}."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    rest = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(rest)}


@dataclass(frozen=True)
class Piece:
    """A vocabulary entry, and the characters `start` … `end` - 1 of the word that it stands for."""

    id: int
    start: int
    end: int
    width: int = 1  # of the parts that the cutting begins with: bytes of one character lie side by side


@dataclass(frozen=True)
class Merge:
    """The pieces after a merge, wherever it was possible from left to right at that moment."""

    pieces: tuple[Piece, ...]
    joined: tuple[int, ...]  # places in `pieces` of what it made; none before the first merge
    pair: tuple[int, int] | None  # the ids that were joined
    rank: int | None  # when that merge was learned; 0 is the first


class BytePairs:
    """Reads the "model" of a tokenizer.json. Raises ValueError, with the reason, where its cut is drawn by chance."""

    def __init__(self, stated: dict[str, Any]):
        if stated.get("dropout"):
            raise ValueError("it leaves merges out at random")
        self.ids: dict[str, int] = stated["vocab"]
        self.prefix: str = stated.get("continuing_subword_prefix") or ""
        self.suffix: str = stated.get("end_of_word_suffix") or ""
        self.unknown: int | None = self.ids.get(stated.get("unk_token") or "")
        self.fuses_unknown: bool = bool(stated.get("fuse_unk"))
        self.falls_to_bytes: bool = bool(stated.get("byte_fallback"))
        self.takes_whole_words: bool = bool(stated.get("ignore_merges"))
        # of two ids: when their merge was learned, and what it makes
        self._merges: dict[tuple[int, int], tuple[int, int]] = {
            (self.ids[first], self.ids[second]): (rank, self.ids[first + second[len(self.prefix) :]])
            for rank, (first, second) in enumerate(stated["merges"])
        }

    @property
    def n_merge(self) -> int:
        return len(self._merges)

    def whole(self, word: str, opens: bool = True, closes: bool = True) -> int | None:
        """The entry that is the whole word, where the tokenizer takes such words as they are, without merges."""
        return self.ids.get(word) if self.takes_whole_words and opens and closes else None

    def pieces(self, word: str, opens: bool = True, closes: bool = True) -> tuple[Piece, ...]:
        """How a word is cut; or a part of one, that `opens` and `closes` it or not, if no piece crosses to the rest."""
        if (id := self.whole(word, opens, closes)) is not None:
            return (Piece(id, 0, len(word)),)
        parts: list[Piece | None] = [*self._symbols(word, opens, closes)]
        for left, right, id in self._joins([part.id for part in parts]):
            parts[left] = _joined(parts[left], parts[right], id)
            parts[right] = None
        return tuple(part for part in parts if part)

    def steps(self, word: str, opens: bool = True, closes: bool = True) -> Iterator[Merge]:
        """The pieces before the first merge, and after each; the last are `pieces`. None for a word taken whole."""
        if self.whole(word, opens, closes) is not None:
            return
        parts: list[Piece | None] = [*self._symbols(word, opens, closes)]
        yield Merge(tuple(parts), (), None, None)
        pair, made = None, []  # the merge going on, and the places where it was made

        def step() -> Merge:
            places = [i for i, part in enumerate(parts) if part]
            joined = tuple(places.index(i) for i in sorted(made))
            return Merge(tuple(parts[i] for i in places), joined, pair, self._merges[pair][0])

        for left, right, id in self._joins([part.id for part in parts]):
            now = parts[left].id, parts[right].id
            if now != pair and made:
                yield step()
                made = []
            pair = now
            made.append(left)
            parts[left] = _joined(parts[left], parts[right], id)
            parts[right] = None
        if made:
            yield step()

    def _symbols(self, word: str, opens: bool, closes: bool) -> Iterator[Piece]:
        """What the cutting begins with: the characters, or their bytes, or the unknown."""
        unknown = None
        for i, character in enumerate(word):
            entry = character if i == 0 and opens else self.prefix + character
            entry += self.suffix if i == len(word) - 1 and closes else ""
            if (id := self.ids.get(entry)) is not None:
                if unknown:
                    yield unknown
                    unknown = None
                yield Piece(id, i, i + 1)
                continue
            if self.falls_to_bytes:
                ids = [self.ids.get(f"<0x{byte:02X}>") for byte in entry.encode()]
                if None not in ids:
                    yield from (Piece(id, i, i + 1) for id in ids)
                    continue
            if self.unknown is None:
                continue  # the library leaves it out
            if unknown and self.fuses_unknown:
                unknown = Piece(self.unknown, unknown.start, i + 1)
                continue
            if unknown:
                yield unknown
            unknown = Piece(self.unknown, i, i + 1)
        if unknown:
            yield unknown

    def _joins(self, ids: list[int]) -> Iterator[tuple[int, int, int]]:
        """The merges in the library's order, earliest learned first, then from the left: the places of the two parts
        that are joined, of which the left one stays, and the id that it becomes.
        """
        ids, n = list(ids), len(ids)
        before, after = list(range(-1, n - 1)), list(range(1, n + 1))
        gone = [False] * n

        def entry(left: int, right: int) -> Iterator[tuple[int, int, int]]:
            if found := self._merges.get((ids[left], ids[right])):
                yield found[0], left, found[1]

        queue = [found for left, right in pairwise(range(n)) for found in entry(left, right)]
        heapify(queue)
        while queue:
            _, left, id = heappop(queue)
            right = after[left]
            if gone[left] or right == n or self._merges.get((ids[left], ids[right]), (0, -1))[1] != id:
                continue  # its parts were joined with others meanwhile
            yield left, right, id
            ids[left], gone[right], after[left] = id, True, after[right]
            if after[left] < n:
                before[after[left]] = left
                for found in entry(left, after[left]):
                    heappush(queue, found)
            if before[left] >= 0:
                for found in entry(before[left], left):
                    heappush(queue, found)


def _joined(left: Piece, right: Piece, id: int) -> Piece:
    return Piece(id, left.start, right.end, left.width + right.width)
