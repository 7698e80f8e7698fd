"""What heads do over many texts: the mean of each score, how much it differs, where it is strongest, and a label.

N texts, M' scores, L layers, H heads. A text counts once, however long it is.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from model.analysis.head_patterns import (
    ABOVE_CHANCE,
    FIXED_OFFSET,
    LABELS,
    MEASURES,
    MIXED,
    OFFSETS,
    SCORES,
    SPREAD,
    Score,
    TextScores,
)


@dataclass(frozen=True)
class Found:
    """One score of all heads; NaN where it cannot be had."""

    score: Score
    mean: np.ndarray  # (L, H) over the texts in which it can occur
    spread: np.ndarray  # (L, H) their standard deviation; NaN of a single one
    chance: np.ndarray  # (L,) of looking at all visible keys alike
    n_text: int  # texts in which it can occur
    text: np.ndarray  # (L, H) the number of the text where it is largest, -1: none
    row: np.ndarray  # (L, H) the query there that adds most to it

    @property
    def reached(self) -> np.ndarray:
        """(L, H) of bool: heads that its label is true of."""
        enough = self.mean >= self.score.threshold
        return enough if self.score is SPREAD else enough & (self.mean >= ABOVE_CHANCE * self.chance[:, None])

    @property
    def there(self) -> bool:
        """Whether any head has it."""
        return not np.isnan(self.mean).all()

    def strongest(self) -> tuple[int, int]:
        """The layer and the head where it is largest. ValueError if it is nowhere."""
        layer, head = np.unravel_index(np.nanargmax(self.mean), self.mean.shape)
        return int(layer), int(head)


@dataclass(frozen=True)
class Survey:
    """All scores of all heads over a set of texts."""

    found: dict[str, Found]  # by name, in the order of `SCORES`
    offset: np.ndarray  # (L, H) which one `FIXED_OFFSET` is of
    labels: np.ndarray  # (L, H) of str, the first that a head reaches; "" in layers without attention
    n_text: int
    n_random: int

    def all_labels(self, layer: int, head: int) -> list[str]:
        """Each label that a head reaches, its own first; none: mixed."""
        reached = [found.score.label for found in self.found.values() if found.reached[layer, head]]
        return reached or [MIXED]

    def heads(self, label: str) -> list[tuple[int, int]]:
        """Those that are called so, in order."""
        return [(int(layer), int(head)) for layer, head in np.argwhere(self.labels == label)]

    def count(self) -> dict[str, int]:
        """How many heads are called what; those labels that there are."""
        return {label: n for label in LABELS if (n := int((self.labels == label).sum()))}

    def measure(self, name: str, layer: int, head: int) -> str:
        """The measure behind a score of one head: itself, or the offset that it is of."""
        return f"{self.offset[layer, head]:+d}" if name == FIXED_OFFSET.name else name


def survey(texts: Sequence[TextScores], random: Sequence[TextScores]) -> Survey:
    """Put together what was read off each text, and off each of the random tokens that come twice, which stand for
    texts where there are none.

    ValueError without any text of either kind.
    """
    some = (*texts, *random)
    if not some:
        raise ValueError("no texts")
    shape = some[0].value.shape[1:]
    whole = (-1, len(MEASURES), *shape)
    read = texts or random
    of_texts, of_random = (np.array([each.value for each in those]).reshape(whole) for those in (read, random))
    offsets = _mean(of_texts)[len(MEASURES) - len(OFFSETS) :]  # (O, L, H)
    best = np.where(np.isnan(offsets), -1, offsets).argmax(0)  # (L, H)
    offset = np.array(OFFSETS)[best]
    at = np.indices(shape)

    def pick(of: np.ndarray, score: Score) -> np.ndarray:
        """Of one score: (…, M, L, H) to (…, L, H)."""
        if score is FIXED_OFFSET:
            return of[..., best + len(MEASURES) - len(OFFSETS), *at]
        return of[..., MEASURES.index(score.name), :, :]

    found = {}
    for score in SCORES:
        used = random if score.random else read
        values = pick(of_random if score.random else of_texts, score)  # (N, L, H)
        occurs = ~np.isnan(values)
        text, row = np.full(shape, -1), np.zeros(shape, int)
        if texts:
            on_texts = pick(of_texts, score)
            text = np.where(np.isnan(on_texts).all(0), -1, np.where(np.isnan(on_texts), -1, on_texts).argmax(0))
            row = pick(np.array([each.row for each in texts]), score)[text, *at]
        by_layer = np.array([np.repeat(each.chance[..., None], shape[1], -1) for each in used]).reshape(whole)
        found[score.name] = Found(
            score,
            _mean(values),
            np.where(occurs.sum(0) > 1, _quietly(np.nanstd, values), np.nan),
            _mean(pick(by_layer, score))[:, 0],
            int(occurs.any((1, 2)).sum()),
            text,
            row,
        )
    return Survey(found, offset, _labels(found, shape), len(texts), len(random))


def _labels(found: dict[str, Found], shape: tuple[int, int]) -> np.ndarray:
    labels = np.full(shape, "", object)
    attends = ~np.all([np.isnan(each.mean) for each in found.values()], axis=0)
    labels[attends] = MIXED
    for each in reversed(found.values()):  # the first that is reached has the last word
        labels[each.reached] = each.score.label
    return labels.astype(str)


def _mean(values: np.ndarray) -> np.ndarray:
    """Over the first axis, NaN left out; NaN where there is nothing else: (N, …) to (…)."""
    return _quietly(np.nanmean, values)


def _quietly(over: Callable[..., np.ndarray], values: np.ndarray) -> np.ndarray:
    with warnings.catch_warnings():  # where all are NaN the answer is NaN, which is meant
        warnings.simplefilter("ignore", RuntimeWarning)
        return over(values.astype(np.float64), axis=0)


def labels_that_hold(first: Survey, second: Survey) -> tuple[int, int]:
    """Of the heads that have a label by one set of texts, mixed not among them: how many have the same by another, and
    how many there are.
    """
    labelled = (first.labels != MIXED) & (first.labels != "")
    return int((labelled & (first.labels == second.labels)).sum()), int(labelled.sum())
