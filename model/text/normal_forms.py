"""SentencePiece's normalizer: a text rewritten by a table of normal forms, its spaces trimmed and written as "▁".

The `tokenizers` library has one of its own for such tables, which goes character by character, and so composes no
Korean written in parts, and no half-width kana with its mark. Here, as in SentencePiece, the longest rule that fits is
taken.
"""

import re
from collections.abc import Iterator

import numpy as np

from model.run import PromptError
from model.sources.sentence_piece import USER_DEFINED, SentencePieceFile

MOST = 4_000_000  # characters of a text normalized
Span = tuple[int, int]  # the characters of the text as typed that one normalized character stands for


class NormalForms:
    """What one file does to a text."""

    def __init__(self, file: SentencePieceFile):
        n_trie = int.from_bytes(file.charsmap[:4], "little")
        self._trie: list[int] = np.frombuffer(file.charsmap[4 : 4 + n_trie], "<u4").tolist()
        self._forms = file.charsmap[4 + n_trie :]
        self._file = file
        self._after: dict[str, int] = {}  # where the trie goes on behind a text's first character; −1: nowhere
        kept = sorted((piece.text for piece in file.pieces if piece.kind == USER_DEFINED), key=len, reverse=True)
        self._kept = re.compile("|".join(map(re.escape, kept))) if kept else None  # stays as it is
        self._check()
        # what it does, in words
        self.steps: tuple[str, ...] = tuple(
            name
            for name, there in (
                ("a table of normal forms", bool(self._trie)),
                ("no spaces around the text, and one for several", file.trims),
                ("a space put before it", file.dummy_prefix and not file.suffix),
                ("a space put behind it", file.dummy_prefix and file.suffix),
            )
            if there
        )

    def _check(self) -> None:
        """Raises `ValueError` if a rule leads out of the table."""
        unit = np.array(self._trie, "u4")
        ends = np.flatnonzero((unit >> 8 & 1 == 1) & (unit < 1 << 31))
        leaf = ends ^ (unit[ends] >> 10 << (unit[ends] >> 6 & 8)).astype(int)
        if (leaf >= len(unit)).any() or ((unit[leaf] & 0x7FFFFFFF) >= len(self._forms)).any():
            raise ValueError("its table of normal forms is damaged")

    def normalize(self, text: str) -> tuple[str, list[Span]]:
        """What is left, and for each of its characters those that it stands for; a space put before stands for none.

        Raises `PromptError` where it becomes too long.
        """
        trims, space = self._file.trims, "▁" if self._file.escapes else " "
        parts = [*self._parts(text)]
        if trims:
            leading = next((i for i, (form, _, _) in enumerate(parts) if form != " "), len(parts))
            parts = parts[leading:]
        if not parts:
            return "", []
        written, spans = [], []

        def put(character: str, span: Span) -> None:
            written.append(character)
            spans.append(span)

        if self._file.dummy_prefix and not self._file.suffix:
            put(space, (parts[0][1], parts[0][1]))
        after_space = trims
        for form, start, end in parts:
            left, span = form.lstrip(" ") if after_space else form, (start, end)
            for character in left:
                put(space if character == " " else character, span)
            if len(written) > MOST:
                raise PromptError(
                    f"The model's table of normal forms makes more than {MOST:,} characters of this text. Shorten it."
                )
            if left:
                after_space = trims and left.endswith(" ")
        while trims and written and written[-1] == space:
            written.pop()
            spans.pop()
        if self._file.dummy_prefix and self._file.suffix:
            put(space, (len(text), len(text)))
        return "".join(written), spans

    def _parts(self, text: str) -> Iterator[tuple[str, int, int]]:
        """Left to right: (what it becomes, where it begins, where it ends)."""
        place = 0
        while place < len(text):
            form, end = self._longest(text, place)
            yield form, place, end
            place = end

    def _longest(self, text: str, start: int) -> tuple[str, int]:
        """What the longest rule that fits here makes, and where it ends; else the character as it is."""
        if self._kept and (match := self._kept.match(text, start)):
            return match[0], match.end()
        found = text[start], start + 1
        first = text[start]
        if first not in self._after:
            self._after[first] = self._step(0, first)
        node, end = self._after[first], start + 1
        while node >= 0:
            if (form := self._form(node)) is not None:
                found = form, end
            if end == len(text):
                break
            node, end = self._step(node, text[end]), end + 1
        return found

    def _form(self, node: int) -> str | None:
        """What the rule makes that ends at a place of the trie; None if none ends there."""
        if not self._trie[node] >> 8 & 1:
            return None
        place = self._trie[node ^ _offset(self._trie[node])] & 0x7FFFFFFF
        return self._forms[place : self._forms.index(b"\0", place)].decode(errors="replace")

    def _step(self, node: int, character: str) -> int:
        """Where a character leads in the trie (Darts: a double array, indexed by bytes); −1: nowhere."""
        for byte in character.encode():
            if node >= len(self._trie):
                return -1
            node ^= _offset(self._trie[node]) ^ byte
            if node >= len(self._trie) or self._trie[node] & 0x800000FF != byte:
                return -1
        return node


def _offset(unit: int) -> int:
    return unit >> 10 << (unit >> 6 & 8)
