"""Numbers derived from attention and vectors: received and given, similarity, neighbours, principal components, change.

NumPy in, NumPy out; nothing is changed in place. N and M count vectors, D is their length.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.analysis.logits import entropy

_ROWS_AT_ONCE = 64  # of a similarity table against a whole vocabulary


def unit_length(vectors: np.ndarray) -> np.ndarray:
    """Each vector (…, D) scaled to length 1; a zero vector stays zero."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(length == 0, 1, length)


def cosine_similarity(rows: np.ndarray, columns: np.ndarray | None = None) -> np.ndarray:
    """Cosine of the angle between vectors (N, D) and (M, D), or among the first alone: (N, M), from -1 to 1.

    1 is the same direction, 0 a right angle. A zero vector has no direction: its similarities are 0.
    """
    rows = unit_length(rows)
    columns = rows if columns is None else unit_length(columns)
    return np.clip(rows @ columns.T, -1, 1)


def nearest_neighbours(vectors: np.ndarray, ids: Sequence[int], k: int) -> tuple[np.ndarray, np.ndarray]:
    """The `k` other vectors (N, D) nearest by cosine to each of those at `ids`: their ids and cosines, best first.

    Both are (len(ids), k), with k at most N - 1. Every vector is compared: no index, no approximation.
    """
    ids, k = np.asarray(ids, int), min(k, len(vectors) - 1)
    near, cosines, units = [], [], unit_length(vectors)
    for start in range(0, len(ids), _ROWS_AT_ONCE):
        chunk = ids[start : start + _ROWS_AT_ONCE]
        cosine = np.clip(units[chunk] @ units.T, -1, 1)  # (R, N)
        cosine[np.arange(len(chunk)), chunk] = -np.inf  # not its own neighbour
        best = np.sort(np.argpartition(-cosine, k - 1, axis=1)[:, :k], axis=1)  # (R, k), by id: equals keep that order
        order = np.argsort(-np.take_along_axis(cosine, best, axis=1), axis=1, kind="stable")
        best = np.take_along_axis(best, order, axis=1)
        near.append(best)
        cosines.append(np.take_along_axis(cosine, best, axis=1))
    return np.concatenate(near), np.concatenate(cosines)


@dataclass(frozen=True)
class Projection:
    """Vectors seen along their principal components."""

    coordinates: np.ndarray  # (N, C)
    explained: np.ndarray  # (C,) the share of the variance along each; they fall, and all D of them sum to 1


def principal_components(vectors: np.ndarray, n_component: int) -> Projection:
    """Principal component analysis (Pearson 1901) of (N, D) by singular value decomposition of the centred vectors.

    A component's sign is arbitrary; here the largest entry of its direction is positive, so that pictures do not flip.
    Where there are fewer directions than asked for, the coordinates along the missing ones are 0.
    """
    centred = vectors - vectors.mean(axis=0)
    left, singular, directions = np.linalg.svd(centred, full_matrices=False)  # (N, r), (r,), (r, D)
    largest = np.abs(directions).argmax(axis=1)
    signs = np.where(directions[np.arange(len(directions)), largest] < 0, -1, 1)  # (r,)
    n = min(n_component, len(singular))
    coordinates, explained = np.zeros((len(vectors), n_component)), np.zeros(n_component)
    coordinates[:, :n] = (left * singular * signs)[:, :n]
    if variance := (singular**2).sum():
        explained[:n] = (singular**2 / variance)[:n]
    return Projection(coordinates, explained)


def cosine_to_previous(states: np.ndarray) -> np.ndarray:
    """How far each vector of a path (N, D) keeps the direction of the one before: (N - 1,) cosines."""
    states = unit_length(states)
    return np.clip((states[1:] * states[:-1]).sum(axis=-1), -1, 1)


def mean_similarity_apart(similarity: np.ndarray, distance: int) -> float:
    """Mean of a similarity table (N, N) over all pairs `distance` places apart. IndexError if there is no such pair."""
    if not 0 <= distance < len(similarity):
        raise IndexError(f"no two of {len(similarity)} are {distance} apart")
    return float(np.diagonal(similarity, distance).mean())


def attention_received(weights: np.ndarray) -> np.ndarray:
    """How much each key is looked at: the mean of its column (T, S) -> (S,); NaN where there is nothing."""
    there = ~np.isnan(weights)
    count = there.sum(axis=0)
    total = np.where(there, weights, 0).sum(axis=0, dtype=np.float64)
    return np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)


def attention_entropy(weights: np.ndarray) -> np.ndarray:
    """How widely each query looks: the entropy of its row (T, S) -> (T,) in nats; 0 is all on one key, ln S is flat.

    NaN entries are left out; a row of nothing else is NaN.
    """
    gone = np.isnan(weights).all(axis=1)
    return np.where(gone, np.nan, entropy(np.nan_to_num(weights)))
