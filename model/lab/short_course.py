"""A short training on a few lines, small enough to be looked at number by number: how it goes, and its batches."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from model.lab.by_hand import Optimizer, Schedule
from model.lab.course import LabError
from model.lab.sentences import LINES, lines_of
from model.lab.vocabulary import UNITS, Vocabulary, of_texts

CONSTANT, LINEAR = SCHEDULES = ("constant", "linear")
WORDS, CHARACTERS = UNITS
WARM_UP, N_STEP = 6, 60
MOST_TOKENS = 64  # of a line


@dataclass(frozen=True)
class Settings:
    """A training."""

    schedule: Schedule
    optimizer: Optimizer
    clip: float = 1.0  # the largest norm of all gradients together; infinity: none is clipped
    lines: tuple[str, ...] = LINES
    units: str = WORDS
    n_row: int = 2  # lines of a batch, if there are so many
    n_layer: int = 2
    n_head: int = 2
    d_model: int = 16
    seed: int = 0

    def __post_init__(self):
        longest = max(map(len, vocabulary_of(self).encode_ids(self.lines)))
        if longest > MOST_TOKENS:
            raise LabError(
                f"The longest line has {longest:,} {self.units}: at most {MOST_TOKENS} are looked at here. Shorten it."
            )


def settings_of(
    schedule: str = CONSTANT,
    *,
    rate: float = 1e-2,
    decay: float = 0.1,
    clip: float = 1.0,
    typed: str = "\n".join(LINES),
    units: str = WORDS,
) -> Settings:
    """Of what a visitor can choose; `clip` of 0: nothing is. Raises `LabError` for lines that cannot be learned."""
    try:
        typed.encode()
    except UnicodeEncodeError as error:
        raise LabError("The lines hold half of a character, which no text can. Type them again.") from error
    falling = Schedule(rate, WARM_UP, N_STEP, falls=schedule == LINEAR)
    return Settings(falling, Optimizer(decay=decay), clip or np.inf, lines_of(typed), units)


@dataclass(frozen=True)
class Batch:
    """Rows of tokens (B, T), what comes after each, and where that is asked for."""

    ids: np.ndarray
    targets: np.ndarray  # (B, T) an id; where `asked` is False, nothing that counts
    asked: np.ndarray  # (B, T) bool

    @cached_property
    def places(self) -> np.ndarray:
        """(n, 2) row and position of each that is asked for."""
        return np.argwhere(self.asked)


def vocabulary_of(settings: Settings) -> Vocabulary:
    """Of the words or characters of its lines."""
    return of_texts(settings.lines, settings.units)


def rows_of(settings: Settings) -> list[list[int]]:
    """The ids of each line, between two of the token that ends a text, and so stands before one."""
    vocabulary = vocabulary_of(settings)
    end = vocabulary.end_of_text
    return [[end, *ids, end] for ids in vocabulary.encode_ids(settings.lines)]


def draw(settings: Settings, rows: list[list[int]], t: int) -> Batch:
    """The batch of step `t`: different lines, drawn at random by the seed and the step."""
    n = min(settings.n_row, len(rows))
    chosen = [rows[i] for i in np.random.default_rng([settings.seed, t]).choice(len(rows), n, replace=False)]
    longest = max(map(len, chosen))
    filled = np.array([row + [-1] * (longest - len(row)) for row in chosen])
    return Batch(np.maximum(filled[:, :-1], 0), filled[:, 1:], filled[:, 1:] >= 0)


def least_loss(settings: Settings) -> float:
    """The least that any model can have, in the mean over all lines: where some begin alike, it cannot tell them."""
    rows = [tuple(row) for row in rows_of(settings)]
    begun = Counter(row[:n] for row in rows for n in range(1, len(row) + 1))
    asked = [(row[:n], row[: n + 1]) for row in rows for n in range(1, len(row))]
    return float(np.mean([np.log(begun[before] / begun[after]) for before, after in asked]))
