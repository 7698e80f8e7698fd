"""The task of a copier: a row of different symbols, then spans of it, copied from random places.

The first symbols of a row cannot be known, nor where the next span begins; each other symbol of a span can, but only by
what stood behind the same symbol before. No place tells: were the beginning repeated as a whole (`spans` is false), a
model would learn to look back so many tokens, whatever stands there. It predicts as well, and has no induction head.
"""

import string
from dataclasses import dataclass

import numpy as np

from model.lab.vocabulary import Vocabulary, of_entries

SYMBOLS = string.ascii_lowercase + "+-*/=?"
N_DIFFERENT = 16  # symbols that a row begins with
N_TOKEN = 40  # of a row
SPANS = 4, 8  # symbols of a span, at least and at most


@dataclass(frozen=True)
class Rows:
    """Texts of this task."""

    ids: np.ndarray  # (N, T) int64
    known: np.ndarray  # (N, T) bool: which tokens can be known from those before


def text(ids: np.ndarray, first_id: int) -> str:
    """What a row of ids says."""
    return "".join(SYMBOLS[id - first_id] for id in ids)


def vocabulary() -> Vocabulary:
    return of_entries(SYMBOLS, "characters")


def draw(n: int, rng: np.random.Generator, first_id: int, *, spans: bool = True) -> Rows:
    """`n` rows of the entries from `first_id` on. Without `spans`, the beginning comes again as a whole."""
    places, known = zip(*(_places(rng) if spans else _again() for _ in range(n)), strict=True)
    different = rng.random((n, len(SYMBOLS))).argsort(1)  # (N, V): each row an order of all symbols
    return Rows(np.take_along_axis(different, np.array(places), axis=1) + first_id, np.array(known))


def _places(rng: np.random.Generator) -> tuple[list[int], list[bool]]:
    """Which of its symbols stands at each place of a row, and whether it can be known."""
    places, known = list(range(N_DIFFERENT)), [False] * N_DIFFERENT
    while len(places) < N_TOKEN:
        start, n = int(rng.integers(N_DIFFERENT - SPANS[0])), int(rng.integers(SPANS[0], SPANS[1] + 1))
        span = list(range(start, min(start + n, N_DIFFERENT)))
        places += span
        known += [False] + [True] * (len(span) - 1)
    return places[:N_TOKEN], known[:N_TOKEN]


def _again() -> tuple[list[int], list[bool]]:
    places = [t % N_DIFFERENT for t in range(N_TOKEN)]
    return places, [t > N_DIFFERENT for t in range(N_TOKEN)]
