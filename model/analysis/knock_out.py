"""What taking a head away does to what comes next: the loss of a text without each head in turn, exactly.

A head that is off writes nothing to the residual stream (zero ablation), or what it writes in the mean over texts (mean
ablation, `model.analysis.head_means`), which is nearer to what the layers behind it were trained on. All that lies
below its layer stays as it was, and is computed once, for all heads that are asked for in one go
(`LanguageModel.logits`, `model.growing`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from model.intervention import UNCHANGED, Ablation, HeadMeans, Intervention
from model.language_model import LanguageModel
from model.run import Token, VisitorError


@dataclass(frozen=True)
class Reading:
    """A text whose loss is asked for, and over which of its tokens."""

    tokens: tuple[Token, ...]
    source: tuple[Token, ...]  # of an encoder-decoder
    foreseen: tuple[int, ...]  # the tokens that count: each is foreseen from the one before it

    def __post_init__(self):
        if not self.foreseen or not all(0 < t < len(self.tokens) for t in self.foreseen):
            raise ValueError(f"tokens {self.foreseen} of {len(self.tokens)} cannot be foreseen")


def whole(tokens: Sequence[Token], source: Sequence[Token] = ()) -> Reading:
    """A text, over all that can be foreseen of it. Raises `VisitorError` for a single token."""
    if len(tokens) < 2:
        raise VisitorError("A text of one token has no next token to foresee: type more.")
    return Reading(tuple(tokens), tuple(source), tuple(range(1, len(tokens))))


def second_copy(tokens: Sequence[Token]) -> Reading:
    """Random tokens that come twice (`model.text.passages.repeated_at_random`), over the second time, but for its first
    token, which nothing foretells.
    """
    own = [i for i, token in enumerate(tokens) if not token.special]
    return Reading(tuple(tokens), (), tuple(own[len(own) // 2 + 1 :]))


def losses(
    lm: LanguageModel,
    reading: Reading,
    off: Sequence[frozenset[tuple[int, int]]],
    kind: str = "self",
    means: HeadMeans | None = None,
) -> Iterator[float]:
    """The mean loss, in nats a token, without each of some sets of heads in turn; without none of them, as trained.

    `kind`: of whose attention. `means`: what heads that are off write in place of nothing. Raises `VisitorError` where
    the model predicts no next token.
    """
    if lm.info.family == "encoder":
        raise VisitorError(f"{lm.info.title} foresees no next token, being an encoder: no loss says what a head does.")
    rows, ids = [t - 1 for t in reading.foreseen], [reading.tokens[t].id for t in reading.foreseen]
    changes = [_without(heads, kind, means) for heads in off]
    for logits in lm.logits(reading.tokens, changes, reading.source, positions=rows):  # (P, V)
        yield cross_entropy(logits, ids)


def _without(heads: frozenset[tuple[int, int]], kind: str, means: HeadMeans | None) -> Intervention:
    if not heads:
        return UNCHANGED
    off = {"heads_off": heads, "means": means}
    return Intervention(**off) if kind == "self" else Intervention(**{kind: Ablation(**off)})


def cross_entropy(logits: np.ndarray, ids: Sequence[int]) -> float:
    """The mean of -ln p, in nats, of each of some ids by its row of logits (P, V)."""
    top = logits.max(-1, keepdims=True)
    sums = np.exp(logits - top).sum(-1, dtype=np.float64)
    return float((np.log(sums) + top[:, 0] - logits[np.arange(len(ids)), list(ids)]).mean())


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's: how far two numbers of the same heads (any shape) are in the same order, 1 to -1. NaN are left out;
    NaN where fewer than three are left, or all of either are equal.
    """
    there = ~(np.isnan(a) | np.isnan(b))
    if there.sum() < 3:
        return float("nan")
    first, second = _ranks(a[there]), _ranks(b[there])
    first, second = first - first.mean(), second - second.mean()
    size = np.sqrt((first**2).sum() * (second**2).sum())
    return float((first * second).sum() / size) if size else float("nan")


def _ranks(values: np.ndarray) -> np.ndarray:
    """Equals share the mean of their ranks."""
    _, which, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[which]
