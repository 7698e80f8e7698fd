"""Attention read off its queries and keys: weights, scores, one cell's arithmetic, and pooled overviews.

A run keeps queries and keys (`model.run.Attention`, one a layer), not T x T weights; all here is computed where it is
looked at: weights = softmax(query·key · scale), Vaswani et al. 2017, eq. 1. Rows are queries, columns keys.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.run import Attention, DenseAttention, Layer

ROWS_AT_ONCE = 64  # of a layer's heads: small enough for the processor's cache, measured best between 64 and 128


def attention_scores(attention: Attention, head: int, rows: slice = slice(None)) -> np.ndarray:
    """Scores of some queries (all, unless told) before softmax: (R, S); -inf where the mask forbids to look.

    IndexError if there is no such head, here and below.
    """
    return _scores(attention, [head], rows, attention.n_key)[0]


def attention_weights(attention: Layer, head: int, rows: slice = slice(None)) -> np.ndarray:
    """Weights of some queries (all, unless told): (R, S); each row sums to 1."""
    return layer_weights(attention, rows, [head])[0]


def layer_weights(attention: Layer, rows: slice = slice(None), heads: Sequence[int] | None = None) -> np.ndarray:
    """The same for several heads of the layer (all, unless told): (H', R, S)."""
    heads = range(attention.n_head) if heads is None else heads
    _check(attention, heads)
    positions = range(attention.n_query)[rows]
    weights = np.zeros((len(heads), len(positions), attention.n_key), np.float32)
    for first in range(0, len(positions), ROWS_AT_ONCE):
        block = _seen_weights(attention, heads, positions[first : first + ROWS_AT_ONCE])
        weights[:, first : first + ROWS_AT_ONCE, : block.shape[-1]] = block
    return weights


def _seen_weights(attention: Layer, heads: Sequence[int], rows: range) -> np.ndarray:
    """(H', R, S') for the first S' keys; after a causal block, all others weigh 0: half the work of a long text."""
    block = slice(rows.start, rows.stop, rows.step)
    if isinstance(attention, DenseAttention):
        return attention.weights[heads, block]
    return softmax(_scores(attention, heads, block, rows[-1] + 1 if attention.causal else attention.n_key))


def scores_of(products: np.ndarray, attention: Attention, heads: Sequence[int], rows: slice | np.ndarray) -> np.ndarray:
    """From q·k (H', R, S') of some heads and rows and the first S' keys to scores, in place and in their precision.

    Scaled, capped (Gemma 2), a position bias added (T5), -inf where the mask forbids to look.
    """
    n_key = products.shape[-1]
    products *= products.dtype.type(attention.scale)
    if attention.soft_cap:
        products[:] = attention.soft_cap * np.tanh(products / products.dtype.type(attention.soft_cap))
    if attention.bias is not None:
        products += attention.bias[list(heads) if len(attention.bias) > 1 else [0]][:, rows, :n_key]
    # how far before the query a key stands; negative: after it
    distance = np.arange(attention.n_query)[rows, None] - np.arange(n_key)
    if attention.causal:
        products[:, distance < 0] = -np.inf
    if attention.window:
        products[:, np.abs(distance) >= attention.window] = -np.inf
    return products


@dataclass(frozen=True)
class CellArithmetic:
    """How one weight came about, in float32 as the model computes it."""

    query: np.ndarray  # (K,)
    key: np.ndarray  # (K,)
    product: np.ndarray  # (K,) query · key, element by element
    dot: float  # their sum
    scale: float
    soft_cap: float  # 0: none
    bias: float  # added to the score; 0 where the model has none
    masked: bool  # the query may not look at this key
    score: float  # dot · scale, capped, with the bias; or -inf where masked
    row_scores: np.ndarray  # (S,) all scores of this query
    exponential: float  # exp(score - largest score of the row)
    denominator: float  # the sum of those over the row
    weight: float  # exponential / denominator
    rank: int  # of this weight in its row; 0 is the largest


def cell_arithmetic(attention: Attention, head: int, query: int, key: int) -> CellArithmetic:
    """Open one cell of one head. IndexError if there is no such query or key."""
    if not (0 <= query < attention.n_query and 0 <= key < attention.n_key):
        raise IndexError(f"no cell ({query}, {key}) in {attention.n_query} x {attention.n_key}")
    row_scores = attention_scores(attention, head, slice(query, query + 1))[0]
    q = attention.query[head, query]
    k = attention.key[key_head(attention, head), key]
    exponentials = np.exp(row_scores - row_scores.max())
    denominator = exponentials.sum()
    weights = exponentials / denominator
    return CellArithmetic(
        query=q,
        key=k,
        product=q * k,
        dot=float(q @ k),
        scale=attention.scale,
        soft_cap=attention.soft_cap,
        bias=0.0
        if attention.bias is None
        else float(attention.bias[head if len(attention.bias) > 1 else 0, query, key]),
        masked=bool(np.isneginf(row_scores[key])),
        score=float(row_scores[key]),
        row_scores=row_scores,
        exponential=float(exponentials[key]),
        denominator=float(denominator),
        weight=float(weights[key]),
        rank=int((weights > weights[key]).sum()),
    )


@dataclass(frozen=True)
class Overview:
    """All heads at a glance: every map made at most n x n cells by pooling neighbours."""

    maximum: np.ndarray  # (L, H, n, n) the largest weight in a cell
    mean: np.ndarray  # (L, H, n, n) the mean weight in a cell
    query_edges: np.ndarray  # (n + 1,) cell i holds the queries query_edges[i] … query_edges[i + 1] - 1
    key_edges: np.ndarray  # (n + 1,)

    @property
    def pooled(self) -> bool:
        """Whether a cell holds more than one weight."""
        return bool(self.query_edges[-1] > len(self.query_edges) - 1 or self.key_edges[-1] > len(self.key_edges) - 1)


def pooled_overview(layers: Sequence[Layer], n: int = 64) -> Overview:
    """Exact maps of all heads, pooled to at most `n` x `n`; never more than one layer's block of rows is held."""
    query_edges, key_edges = _edges(layers[0].n_query, n), _edges(layers[0].n_key, n)
    shape = (len(layers), layers[0].n_head, len(query_edges) - 1, len(key_edges) - 1)
    maximum, mean = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    n_cell = np.diff(query_edges)[:, None] * np.diff(key_edges)  # weights in each cell
    for layer, attention in enumerate(layers):
        # a block of whole cells, of about ROWS_AT_ONCE queries
        step = max(1, ROWS_AT_ONCE * (len(query_edges) - 1) // attention.n_query)
        for first in range(0, len(query_edges) - 1, step):
            edges = query_edges[first : first + step + 1]
            weights = _seen_weights(attention, range(attention.n_head), range(edges[0], edges[-1]))  # (H, R, S')
            seen = key_edges[:-1][key_edges[:-1] < weights.shape[-1]]  # the keys after a causal block weigh nothing
            block = (layer, slice(None), slice(first, first + step), slice(0, len(seen)))
            maximum[block] = _pool(np.maximum, weights, edges, seen)
            mean[block] = _pool(np.add, weights, edges, seen) / n_cell[first : first + step, : len(seen)]
    return Overview(maximum, mean, query_edges, key_edges)


def strongest_in_cell(attention: Layer, head: int, overview: Overview, cell: tuple[int, int]) -> tuple[int, int]:
    """The (query, key) of the weight that `overview.maximum` shows in a cell of one head of this layer."""
    (q0, q1), (k0, k1) = (
        edges[i : i + 2] for edges, i in zip((overview.query_edges, overview.key_edges), cell, strict=True)
    )
    weights = attention_weights(attention, head, slice(q0, q1))[:, k0:k1]
    query, key = np.unravel_index(weights.argmax(), weights.shape)
    return int(q0 + query), int(k0 + key)


def _edges(length: int, n: int) -> np.ndarray:
    n = min(n, length)
    return np.arange(n + 1) * length // n


def _pool(by: np.ufunc, weights: np.ndarray, query_edges: np.ndarray, key_starts: np.ndarray) -> np.ndarray:
    over_keys = by.reduceat(weights, key_starts, axis=2)
    return by.reduceat(over_keys, query_edges[:-1] - query_edges[0], axis=1)


def _scores(attention: Attention, heads: Sequence[int], rows: slice, n_key: int) -> np.ndarray:
    """(H', R, n_key) scores of some heads and rows, for the first keys."""
    _check(attention, heads)
    query = attention.query[heads, rows]  # (H', R, K)
    key = attention.key[[key_head(attention, head) for head in heads], :n_key]  # (H', n_key, K)
    return scores_of(query @ key.transpose(0, 2, 1), attention, heads, rows)


def _check(attention: Layer, heads: Sequence[int]) -> None:
    for head in heads:
        if not 0 <= head < attention.n_head:
            raise IndexError(f"no head {head} among {attention.n_head}")


def key_head(attention: Attention, head: int) -> int:
    """Grouped-query attention: several query heads in a row share one key head."""
    return head * attention.key.shape[0] // attention.n_head


def softmax(scores: np.ndarray) -> np.ndarray:
    """In place, over the last axis. A row of nothing but -inf has no softmax: NaN."""
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    return scores
