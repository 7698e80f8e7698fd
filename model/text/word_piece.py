"""WordPiece (BERT), showing its work: the longest entry that a word begins with, then that of the rest, and so on.

WordLevel, a list of whole words, is the same with nothing to go on with.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from model.text.bpe import Piece


@dataclass(frozen=True)
class Match:
    """What was looked up at one place of a word, the longest first, and the first that was found."""

    start: int  # characters of the word before it
    tried: tuple[str, ...]  # entries that there are none of, as the vocabulary would write them
    piece: Piece | None  # None: nothing fits, and the whole word is unknown


class WordPieces:
    """Reads the "model" of a tokenizer.json."""

    def __init__(self, stated: dict[str, Any]):
        self.ids: dict[str, int] = stated["vocab"]
        self.whole_only: bool = stated["type"] == "WordLevel"
        self.prefix: str = stated.get("continuing_subword_prefix") or ""
        self.unknown: int | None = self.ids.get(stated["unk_token"])
        self.longest_word: int | None = stated.get("max_input_chars_per_word")

    def too_long(self, word: str) -> bool:
        """Whether the word is unknown by its length alone."""
        return self.longest_word is not None and len(word) > self.longest_word

    def pieces(self, word: str, opens: bool = True, closes: bool = True) -> tuple[Piece, ...]:
        """How a word is cut; or a part of one, that `opens` and `closes` it or not, if no piece crosses to the rest."""
        found = [match.piece for match in self.steps(word, opens, closes)]
        if found and None not in found:
            return tuple(found)
        return () if self.unknown is None else (Piece(self.unknown, 0, len(word), len(word)),)

    def steps(self, word: str, opens: bool = True, closes: bool = True) -> Iterator[Match]:
        """A look-up for each piece; none for a word that is too long. The last finds nothing if the word is unknown."""
        start = 0
        while start < len(word) and not self.too_long(word):
            tried = []
            for end in range(len(word), start, -1):
                entry = ("" if start == 0 and opens else self.prefix) + word[start:end]
                if (id := self.ids.get(entry)) is not None:
                    yield Match(start, tuple(tried), Piece(id, start, end, end - start))
                    start = end
                    break
                tried.append(entry)
                if self.whole_only:
                    yield Match(start, tuple(tried), None)
                    return
            else:
                yield Match(start, tuple(tried), None)
                return
