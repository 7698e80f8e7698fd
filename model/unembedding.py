"""How a vector becomes the logits of some entries of the vocabulary: one product with a row for each, and what is done
to it. NumPy only. N entries, D numbers.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Unembedding:
    """logit = cap · tanh(factor · (row · vector + bias) / cap) + shift, as far as there is such a thing."""

    vector: np.ndarray  # (D,) behind the final norm: what is multiplied
    rows: np.ndarray  # (N, D) of the output matrix, one for each entry
    bias: np.ndarray | None = None  # (N,)
    factor: float = 1.0
    cap: float | None = None
    shift: np.ndarray | None = None  # (N,)

    def __post_init__(self):
        if self.rows.shape[1:] != self.vector.shape:
            raise ValueError(f"rows {self.rows.shape} for a vector {self.vector.shape}")

    @property
    def terms(self) -> np.ndarray:
        """(N, D) of each product, what each dimension adds; in double precision."""
        return self.rows.astype(np.float64) * self.vector.astype(np.float64)

    @property
    def logits(self) -> np.ndarray:
        """(N,) made of the terms."""
        found = self.terms.sum(1)
        if self.bias is not None:
            found = found + self.bias
        found = self.factor * found
        if self.cap is not None:
            found = self.cap * np.tanh(found / self.cap)
        return found if self.shift is None else found + self.shift
