"""Which lines a picture of attention draws, how much of the weight they carry, and where paths of lines lead."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Edges:
    """The lines chosen from a map of weights (Q, K), one for each (query, key), in reading order."""

    query: np.ndarray  # (E,) int, rows of the map
    key: np.ndarray  # (E,) int, columns of the map
    weight: np.ndarray  # (E,) float32
    n_possible: int  # cells of the map that hold a weight at all
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
        n_possible=int(weights.size - np.isnan(weights).sum()),
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


def count_sentence(*edges: Edges, of: str = "") -> str:
    """“showing 40 of 4,096 lines, 71 % of the weight”, over one or several maps; `of`: “what “sat” looks at”.

    `viz/components/lines.js` says the same of one token's lines.
    """
    n_shown, n_possible = sum(len(each.weight) for each in edges), sum(each.n_possible for each in edges)
    kept = sum(float(each.weight.sum(dtype=np.float64)) for each in edges)
    left_out = sum(each.left_out for each in edges)
    sentence = f"showing {n_shown:,} of {n_possible:,} line{'s' if n_possible != 1 else ''}"
    if kept + left_out:
        sentence += f", {percent(_share(kept, left_out))} of the weight"
    return f"{sentence}, of {of}" if of else sentence


def percent(share: float) -> str:
    """A share as percent, rounded so that only 0 is called 0 % and only 1 is called 100 %."""
    value = 100 * share
    whole = math.floor(value + 0.5)
    if value in (0, 100) or 0 < whole < 100:
        return f"{whole} %"
    if value < 0.1:
        return "less than 0.1 %"
    return "more than 99.9 %" if value > 99.9 else f"{value:.1f} %"


def paths_to(layers_edges: Sequence[Edges], column: int, token: int) -> np.ndarray:
    """How much of each node reaches one node along chosen lines: (column + 1, T).

    Column 0 is the input, column l + 1 what layer l makes of column l: its lines lead from a key in column l to a query
    in column l + 1. The share of a node is the sum, over all paths of lines from it to the node asked for, of the
    products of their weights: attention rollout (Abnar and Zuidema 2020, “Quantifying attention flow in
    transformers”) on the chosen lines alone, without their mixing in of the residual stream. IndexError if there is
    no such node.
    """
    n_token = layers_edges[0].shape[1]
    if not (0 <= column <= len(layers_edges) and 0 <= token < n_token):
        raise IndexError(f"no node ({column}, {token}) in {len(layers_edges) + 1} columns of {n_token} tokens")
    shares = np.zeros((column + 1, n_token))
    shares[column, token] = 1
    for layer in reversed(range(column)):
        edges = layers_edges[layer]
        carried = shares[layer + 1, edges.query] * edges.weight
        shares[layer] = np.bincount(edges.key, carried, minlength=n_token)
    return shares


def _share(kept: float, left_out: float) -> float:
    if not kept:
        return 0.0
    # a left-out weight too small to change the sum still means “not all”
    return min(kept / (kept + left_out), math.nextafter(1, 0)) if left_out else 1.0
