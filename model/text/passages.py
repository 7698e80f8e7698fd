"""What heads are judged on: short passages written for this project, lines of a visitor's own, and random tokens twice.

The passages stand in passages.txt with a blank line between them: stories, dialogues, lists, questions, code, names and
words that come again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from model.language_model import LanguageModel, SmallVocabulary
from model.run import Token

MOST_LINES = 128  # of a visitor's own: that many are read
MOST_CHARACTERS = 2000  # of one text
MOST_TOKENS = 256  # of one text
N_RANDOM, HALF = 8, 32  # texts of random tokens, and how many different ones each has twice
LEAST_HALF = 4
MOST_UNKNOWN = 0.1  # of a text that is read
_LARGE = 1000  # entries of a vocabulary from which on its most and least frequent ones are left out


@cache
def passages() -> tuple[str, ...]:
    """The 64 that come with the project."""
    text = Path(__file__).with_name("passages.txt").read_text(encoding="utf-8")
    return tuple(text.strip().split("\n\n"))


@dataclass(frozen=True)
class Lines:
    """A visitor's own texts, one a line, and how much of what came is read."""

    texts: tuple[str, ...]
    n_line: int  # lines that came, without empty ones
    n_cut: int  # of those that are read, how many are longer than `MOST_CHARACTERS`


def lines_in(text: str) -> Lines:
    """The first `MOST_LINES` lines that are not empty, each of at most `MOST_CHARACTERS`."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    read = lines[:MOST_LINES]
    cut = sum(len(line) > MOST_CHARACTERS for line in read)
    return Lines(tuple(line[:MOST_CHARACTERS] for line in read), len(lines), cut)


def can_write(lm: LanguageModel, tokens: Sequence[Token]) -> bool:
    """Whether its vocabulary has entries for a text that it cut into these tokens: but for one in ten at most."""
    before, after = _around(tokens)
    inner, unknown = tokens[len(before) : len(tokens) - len(after)], _unknown(lm)
    return sum(token.special or token.id == unknown for token in inner) <= MOST_UNKNOWN * len(inner)


def _unknown(lm: LanguageModel) -> int | None:
    """What stands for all that has no entry, where that is no special token."""
    return lm.unknown if isinstance(lm, SmallVocabulary) else None


def repeated_at_random(lm: LanguageModel, n: int = N_RANDOM, half: int = HALF, seed: int = 0) -> list[list[Token]]:
    """`n` texts of random tokens, all different, and then the same ones again: nothing but the repetition says what
    comes next. What the tokenizer puts around every text stands around these.

    Of a vocabulary of some size the first twentieth and the second half are left out, which hold the most and the least
    frequent. `half`: how many tokens at most; fewer where the context or the vocabulary is small, and no texts at all
    where fewer than `LEAST_HALF` fit.
    """
    info, rng = lm.info, np.random.default_rng(seed)
    ids = np.arange(info.n_vocab) if info.n_vocab < _LARGE else np.arange(info.n_vocab // 20, info.n_vocab // 2)
    before, after = _around(lm.encode("a"))
    half = min(half, (info.n_context - len(before) - len(after)) // 2)
    texts: list[list[Token]] = []
    for _ in range(n):
        first: list[Token] = []
        for id in rng.permutation(ids):
            token = lm.token(int(id))
            if not token.special and token.id != _unknown(lm):
                first.append(token)
            if len(first) == half:
                break
        if len(first) < LEAST_HALF:
            return []
        texts.append([*before, *first, *first, *after])
    return texts


def _around(tokens: Sequence[Token]) -> tuple[list[Token], list[Token]]:
    """The special tokens before and after the others."""
    inner = [i for i, token in enumerate(tokens) if not token.special] or [0]
    return list(tokens[: inner[0]]), list(tokens[inner[-1] + 1 :])
