"""How alike two texts are by the mean of their vectors, and what such a number is worth for one model.

Letters: T tokens of the first text, S of the second, D the length of a vector, N texts.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Comparison:
    """Two texts compared: as means over their tokens, and token by token; in double precision."""

    first: np.ndarray  # (T, D)
    second: np.ndarray  # (S, D)

    @property
    def dot(self) -> float:
        """The product of both means."""
        return float(self.first.mean(axis=0) @ self.second.mean(axis=0))

    @property
    def lengths(self) -> tuple[float, float]:
        """Of both means."""
        return tuple(float(np.linalg.norm(vectors.mean(axis=0))) for vectors in (self.first, self.second))

    @property
    def cosine(self) -> float:
        """Of the angle between both means; 0 if one of them is zero and has no direction."""
        one, other = self.lengths
        return self.dot / (one * other) if one and other else 0.0

    @property
    def token_dots(self) -> np.ndarray:
        """(T, S); their mean is `dot`, because a product of sums is the sum of all products."""
        return self.first @ self.second.T

    @property
    def token_lengths(self) -> tuple[np.ndarray, np.ndarray]:
        """(T,) and (S,)"""
        return np.linalg.norm(self.first, axis=1), np.linalg.norm(self.second, axis=1)


def compare(first: np.ndarray, second: np.ndarray) -> Comparison:
    """Of vectors (T, D) and (S, D)."""
    return Comparison(first.astype(np.float64), second.astype(np.float64))


def share_above(high: np.ndarray, low: np.ndarray) -> float:
    """How often one of `high` (N,) is above one of `low` (M,), of all N x M; equals count half.

    The area under the ROC curve (Hanley & McNeil 1982): 0.5 tells nothing apart, 1 everything.
    """
    above = high[:, None] > low
    return float((above + 0.5 * (high[:, None] == low)).mean())
