"""Which lines a picture of attention draws, and how much of the weight they carry."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from viz.figures.numbers import whole_percent


@dataclass(frozen=True)
class Edges:
    """The lines chosen from a map of weights (Q, K), one for each (query, key), in reading order."""

    query: np.ndarray  # (E,) int, rows of the map
    key: np.ndarray  # (E,) int, columns of the map
    weight: np.ndarray  # (E,) float32
    n_possible: int  # cells of the map that hold a weight above 0: what is masked is no line
    left_out: float  # the sum of the weights that are not chosen
    shape: tuple[int, int]  # (Q, K)

    @property
    def share(self) -> float:
        """The part of all the weight that the chosen lines carry: 1 only if nothing is left out; 0 if there is none."""
        return _share(float(self.weight.sum(dtype=np.float64)), self.left_out)


def choose_edges(weights: np.ndarray, *, threshold: float = 0.0, top: int = 0) -> Edges:
    """Keep what is above 0, at least `threshold`, and among the `top` largest of its row (0: no such limit).

    `weights` (Q, K), not negative; NaN stands for no such weight: never a line, not counted. Of equal weights, the
    first keys are taken.
    """
    weights = np.asarray(weights, dtype=np.float32)
    chosen = (weights > 0) & (weights >= threshold)
    if 0 < top < weights.shape[1]:
        # a tenth of the time of sorting every row
        some = np.nan_to_num(weights, nan=-1)
        last = np.partition(some, -top, axis=1)[:, [-top]]
        above, ties = some > last, some == last
        chosen &= above | (ties & (ties.cumsum(axis=1) <= top - above.sum(axis=1, keepdims=True)))
    query, key = np.nonzero(chosen)
    return Edges(
        query=query,
        key=key,
        weight=weights[chosen],
        n_possible=int((weights > 0).sum()),
        left_out=float(np.nansum(weights[~chosen], dtype=np.float64)),
        shape=weights.shape,
    )


def strongest(edges: Edges, n: int) -> Edges:
    """The `n` largest of the chosen lines, largest first; what that drops counts as left out."""
    order = np.argsort(-edges.weight, kind="stable")
    kept, dropped = order[:n], order[n:]
    return Edges(
        query=edges.query[kept],
        key=edges.key[kept],
        weight=edges.weight[kept],
        n_possible=edges.n_possible,
        left_out=edges.left_out + float(edges.weight[dropped].sum(dtype=np.float64)),
        shape=edges.shape,
    )


def count_sentence(*edges: Edges) -> str:
    """“showing 40 of 4,096 lines, 71 % of the weight”, over one or several maps."""
    n_shown, n_possible = sum(len(each.weight) for each in edges), sum(each.n_possible for each in edges)
    kept = sum(float(each.weight.sum(dtype=np.float64)) for each in edges)
    return _sentence(n_shown, n_possible, kept, sum(each.left_out for each in edges))


def count_each(weights: np.ndarray, edges: Edges, side: Literal["query", "key"]) -> list[str]:
    """The same of each query alone, or of each key: Q or K sentences. `edges` are chosen from `weights` (Q, K)."""
    axis = 1 if side == "query" else 0
    chosen = np.zeros(edges.shape, bool)
    chosen[edges.query, edges.key] = True
    known = np.nan_to_num(weights).astype(np.float64)
    n_shown, n_possible = chosen.sum(axis), (known > 0).sum(axis)
    kept, left_out = np.where(chosen, known, 0).sum(axis), np.where(chosen, 0, known).sum(axis)
    return list(map(_sentence, n_shown.tolist(), n_possible.tolist(), kept.tolist(), left_out.tolist()))


def _sentence(n_shown: int, n_possible: int, kept: float, left_out: float) -> str:
    sentence = f"showing {n_shown:,} of {n_possible:,} line{'s' if n_possible != 1 else ''}"
    return f"{sentence}, {whole_percent(_share(kept, left_out))} of the weight" if kept + left_out else sentence


def _share(kept: float, left_out: float) -> float:
    if not kept:
        return 0.0
    # a left-out weight too small to change the sum still means “not all”
    return min(kept / (kept + left_out), math.nextafter(1, 0)) if left_out else 1.0
