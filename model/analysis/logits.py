"""What logits say, in NumPy: probabilities, log-probabilities, entropy, rank. V vocabulary entries, or keys of a row.

`model.predictions` does the same for every position of a run, in torch, and `model.analysis.explanation` keeps
arithmetic of its own, by contract: it checks this one.
"""

import numpy as np


def softmax(logits: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Over the last axis, in the precision of the logits; written into `out` if told (it may be `logits`).

    A row of nothing but -inf has no softmax: NaN.
    """
    out = np.subtract(logits, logits.max(axis=-1, keepdims=True), out=out)
    np.exp(out, out=out)
    out /= out.sum(axis=-1, keepdims=True)
    return out


def log_probabilities(logits: np.ndarray) -> np.ndarray:
    """The logarithm of the softmax of logits (V,), in nats and double precision; finite where a softmax would be 0."""
    logits = logits.astype(np.float64)
    logits -= logits.max()
    return logits - np.log(np.exp(logits).sum())


def log_sums(logits: np.ndarray, temperatures: np.ndarray) -> np.ndarray:
    """ln Σ exp(z / t) of logits z (V,) at each temperature t > 0, in double precision.

    With it the softmax of any entry is exact at each of these temperatures, and no other logit need be known:
    p = exp(z / t - ln Σ).
    """
    z, t = logits.astype(np.float64), np.asarray(temperatures, np.float64)
    top = z.max()
    return np.array([top / each + np.log(np.exp((z - top) / each).sum()) for each in t])


def entropy(distribution: np.ndarray) -> np.ndarray:
    """How open a choice is, in nats, over the last axis (Shannon 1948): 0 if one is certain, ln V if all are equal."""
    p = distribution.astype(np.float64)
    return np.abs((p * np.log(np.where(p > 0, p, 1))).sum(axis=-1))  # abs: a certain choice is 0, not -0


def rank(values: np.ndarray, i: int) -> int:
    """How many of the values (V,) are larger than number i: 0 is the best; equal ones share a rank."""
    return int((values > values[i]).sum())
