"""What a map's rows and columns stand for: tokens, words or sentences, and the two halves of a text.

Words and sentences end where Unicode says (Standard Annex #29, by the library uniseg), found through the tokenizer's
offsets. For Chinese that rule makes every character a word; with rjieba installed, its dictionary finds the words.
"""

import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.run import LEARNED_SINK, Token, readable

KINDS = ("tokens", "words", "sentences")

# runs of Chinese characters: the main block, its first extension, compatibility forms, and the other planes
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]+")

# with something visible before and after
_BLANK_LINE = re.compile(r"(?<=\S)[^\S\n]*\n\s*\n\s*(?=\S)")
_LINE_END = re.compile(r"(?<=\S)[^\S\n]*\n\s*(?=\S)")


@dataclass(frozen=True)
class Units:
    """Neighbouring tokens taken together: unit u holds the tokens starts[u] … starts[u + 1] - 1."""

    kind: str  # one of KINDS
    labels: tuple[str, ...]  # U of them, as people read them
    starts: np.ndarray  # (U,) the first token of each
    n_token: int
    rule: str  # what cut the text, in words; empty for tokens

    def __len__(self) -> int:
        return len(self.labels)

    def tokens(self, unit: int) -> range:
        """The positions of a unit's tokens."""
        end = self.starts[unit + 1] if unit + 1 < len(self.starts) else self.n_token
        return range(int(self.starts[unit]), int(end))

    def of(self, token: int) -> int:
        """The unit that a token belongs to."""
        return int(np.searchsorted(self.starts, token, side="right")) - 1


def and_sink(units: Units) -> Units:
    """With one more, after the others: that of a learned sink, which stands for no token."""
    labels, starts = (*units.labels, LEARNED_SINK.label), np.append(units.starts, units.n_token)
    return Units(units.kind, labels, starts, units.n_token + 1, units.rule)


def units_of(tokens: Sequence[Token], text: str, kind: str) -> Units:
    """Group the tokens of `text`. A token belongs to the word in which its first visible character stands.

    A special token is a unit of its own, and so is white space that is a whole token. ValueError for another kind.
    """
    if kind not in KINDS:
        raise ValueError(f"no units of kind {kind!r}: there are {', '.join(KINDS)}")
    n = len(tokens)
    if kind == "tokens":
        return Units(kind, tuple(token.label for token in tokens), np.arange(n), n, "")
    boundaries, rule = _words(text) if kind == "words" else _sentences(text)
    segment = np.searchsorted(boundaries, [_first_visible(token, text) for token in tokens], side="right")
    special = np.array([token.special for token in tokens])
    begins = np.ones(n, bool)
    begins[1:] = (np.diff(segment) != 0) | special[1:] | special[:-1]
    starts = np.flatnonzero(begins)
    labels = tuple(_label(tokens[first:end], text) for first, end in zip(starts, [*starts[1:], n], strict=True))
    return Units(kind, labels, starts, n, rule)


def text_gap(text: str) -> tuple[int, int] | None:
    """Where the first of two texts ends and the second starts: at the first blank line, or else the first line end."""
    gap = _BLANK_LINE.search(text) or _LINE_END.search(text)
    return gap.span() if gap else None


def second_text(tokens: Sequence[Token], text: str) -> int:
    """The position of the first token of the second text; the number of tokens if there is only one text."""
    if (gap := text_gap(text)) is None:
        return len(tokens)
    after = (i for i, token in enumerate(tokens) if not token.special and _first_visible(token, text) >= gap[1])
    return next(after, len(tokens))


def _words(text: str) -> tuple[np.ndarray, str]:
    from uniseg.wordbreak import word_boundaries  # 0.05 s, and most visitors read tokens

    boundaries, rule = set(word_boundaries(text)), "words end where Unicode's rule (UAX #29) says"
    if not (runs := list(_HAN.finditer(text))):
        return np.array(sorted(boundaries)), rule
    if importlib.util.find_spec("rjieba") is None:
        return np.array(sorted(boundaries)), f"{rule}; every Chinese character is a word of its own"
    import rjieba

    for run in runs:
        boundaries -= set(range(run.start() + 1, run.end()))
        ends = run.start() + np.cumsum([len(word) for word in rjieba.cut(run.group())])
        boundaries |= set(ends[:-1].tolist())
    return np.array(sorted(boundaries)), f"{rule}; Chinese words are found by rjieba's dictionary"


def _sentences(text: str) -> tuple[np.ndarray, str]:
    from uniseg.sentencebreak import sentence_boundaries

    return np.array(sorted(sentence_boundaries(text))), "sentences end where Unicode's rule (UAX #29) says"


def _first_visible(token: Token, text: str) -> int:
    """Where in the text the first character of a token stands that is not white space; its start if there is none."""
    covered = text[token.start : token.end]
    space = len(covered) - len(covered.lstrip())
    return token.start + (space if space < len(covered) else 0)


def _label(tokens: Sequence[Token], text: str) -> str:
    if tokens[0].special:
        return tokens[0].label
    covered = text[tokens[0].start : tokens[-1].end]
    return " ".join(readable(part.encode()) for part in covered.split()) or readable(covered.encode())
