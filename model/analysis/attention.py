"""Attention read off its queries and keys: weights, scores, one cell's arithmetic, and pooled overviews.

A run keeps queries and keys (`model.run.Attention`, one a layer), not T x T weights; all here is computed where it is
looked at: weights = softmax(query·key · scale), Vaswani et al. 2017, eq. 1. Rows are queries, columns keys; where heads
have a sink of their own, the last column is that: C columns, S or S + 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.analysis.logits import rank, softmax
from model.run import Attention, DenseAttention, Layer, NoAttention, VisitorError

ROWS_AT_ONCE = 128  # measured best between 64 and 256
_BLOCK = 1 << 18  # weights computed at a time: 1 MiB, what a processor keeps near


def attention_scores(attention: Attention, head: int, rows: slice = slice(None)) -> np.ndarray:
    """Scores of some queries (all, unless told) before softmax: (R, C); -inf where the mask forbids to look.

    Records in half precision are read in float32, here and below. IndexError if there is no such head, as below.
    """
    _check(attention, [head])
    keys = _keys(attention.key, [head], attention.n_head).transpose(0, 2, 1)  # (1, K, S)
    return _and_sink(
        scores_of(_queries(attention, [head], rows) @ keys, attention, [head], rows), attention, [head], rows
    )[0]


def attention_weights(attention: Layer, head: int, rows: slice = slice(None)) -> np.ndarray:
    """Weights of some queries (all, unless told): (R, C); each row sums to 1."""
    return layer_weights(attention, rows, [head])[0]


def layer_weights(
    attention: Layer, rows: slice | np.ndarray = slice(None), heads: Sequence[int] | None = None
) -> np.ndarray:
    """The same for several heads of the layer (all, unless told): (H', R, C)."""
    heads = range(attention.n_head) if heads is None else heads
    _check(attention, heads)
    if isinstance(attention, DenseAttention):
        return attention.weights[heads][:, rows]
    positions = np.arange(attention.n_query)[rows]
    weights = np.zeros((len(heads), len(positions), attention.n_column), np.float32)
    n_row = min(len(positions), ROWS_AT_ONCE) or 1
    n_head = max(1, _BLOCK // (n_row * attention.n_key))
    for chosen in (slice(i, i + n_head) for i in range(0, len(heads), n_head)):
        its = heads[chosen]
        keys = _keys(attention.key, its, attention.n_head).transpose(0, 2, 1)  # (H', K, S)
        for first in range(0, len(positions), n_row):
            block = positions[first : first + n_row]
            seen = _seen(attention, block)
            products = _queries(attention, its, block) @ keys[..., seen]  # (H', R, S')
            scores_of(products, attention, its, block, np.arange(seen.start, seen.stop))
            if attention.sink_score is None:
                weights[chosen, first : first + n_row, seen] = softmax(products, out=products)
                continue
            scores = _and_sink(products, attention, its, block)
            softmax(scores, out=scores)
            weights[chosen, first : first + n_row, seen] = scores[..., :-1]
            weights[chosen, first : first + n_row, -1] = scores[..., -1]
    return weights


def _and_sink(scores: np.ndarray, attention: Attention, heads: Sequence[int], rows: slice | np.ndarray) -> np.ndarray:
    """Scores (H', R, S') with that of the sink after them, where there is one."""
    if attention.sink_score is None:
        return scores
    return np.concatenate([scores, _sink_scores(attention, heads, rows)[..., None]], axis=-1)


def _sink_scores(attention: Attention, heads: Sequence[int], rows: slice | np.ndarray) -> np.ndarray:
    """(H', R) of a layer with a sink."""
    shape = attention.n_head, attention.n_query
    return np.broadcast_to(attention.sink_score, shape)[np.ix_(heads, np.arange(attention.n_query)[rows])]


def visible(attention: Layer, head: int, rows: slice = slice(None)) -> np.ndarray:
    """Which keys some queries (all, unless told) may look at, (R, C) of bool; of a model that gives only weights, where
    there is one. A sink every query sees, in a layer that has one.
    """
    _check(attention, [head])
    if isinstance(attention, DenseAttention):
        return attention.weights[head, rows] > 0
    rows, keys = np.arange(attention.n_query)[rows], np.arange(attention.n_key)
    nothing = np.zeros((1, len(rows), len(keys)), np.float32)
    return ~np.isneginf(_and_sink(_masked(nothing, attention, [head], rows, keys), attention, [head], rows)[0])


def attended(attention: Layer, value: np.ndarray) -> np.ndarray:
    """What each head takes from values (G, S, K): weights·V, (H, T, K). A sink gives nothing."""
    shared, n_key = attention.n_head // len(value), attention.n_key
    mixed = [attention_weights(attention, head)[:, :n_key] @ value[head // shared] for head in range(attention.n_head)]
    return np.stack(mixed)


def _seen(attention: Attention, rows: np.ndarray) -> slice:
    """The keys that a block of queries can see: half the work of a long text under a causal mask, less in a window."""
    first, last, reach = int(rows.min()), int(rows.max()), attention.window
    # without a window all that there is: the keys of cross-attention may be fewer than its queries
    start = max(0, first - reach + 1) if reach else 0
    return slice(
        start, last + 1 if attention.causal else min(attention.n_key, last + reach if reach else attention.n_key)
    )


def scores_of(
    products: np.ndarray,
    attention: Attention,
    heads: Sequence[int],
    rows: slice | np.ndarray,
    keys: np.ndarray | None = None,
) -> np.ndarray:
    """From q·k (H', R, S') of some heads, rows and keys (all, unless told) to scores, in place, in their precision.

    Scaled, capped (Gemma 2), a position bias added (T5), -inf where the mask forbids to look.
    """
    products *= products.dtype.type(attention.scale)
    rows, keys = np.arange(attention.n_query)[rows], np.arange(attention.n_key) if keys is None else keys
    return _masked(products, attention, heads, rows, keys)


def _masked(
    scores: np.ndarray, attention: Attention, heads: Sequence[int], rows: np.ndarray, keys: np.ndarray
) -> np.ndarray:
    """Scaled products (H', R, S') capped, with the bias, and -inf where the mask forbids to look; in place."""
    if attention.soft_cap:
        cap = scores.dtype.type(attention.soft_cap)
        scores /= cap
        np.tanh(scores, out=scores)
        scores *= cap
    if attention.bias is not None:
        scores += attention.bias[np.ix_(list(heads) if len(attention.bias) > 1 else [0], rows, keys)]
    if attention.causal and len(rows):
        later = slice(int(np.searchsorted(keys, rows.min(), side="right")), None)  # all before are seen by all rows
        np.copyto(scores[..., later], -np.inf, where=keys[later] > rows[:, None])
    if attention.window:
        np.copyto(scores, -np.inf, where=np.abs(rows[:, None] - keys) >= attention.window)
    return scores


@dataclass(frozen=True)
class CellArithmetic:
    """How one weight came about, in float32 as the model computes it."""

    query: np.ndarray  # (K,)
    key: np.ndarray  # (K,)
    product: np.ndarray  # (K,) query · key, element by element
    dot: float  # their sum
    scale: float
    query_scale: float | None  # what the query came multiplied with: see `Attention`
    soft_cap: float  # 0: none
    bias: float  # added to the score; 0 where the model has none
    masked: bool  # the query may not look at this key
    score: float  # dot · scale, capped, with the bias; or -inf where masked
    row_scores: np.ndarray  # (C,) all scores of this query
    exponential: float  # exp(score - largest score of the row)
    denominator: float  # the sum of those over the row
    weight: float  # exponential / denominator
    rank: int  # of this weight in its row; 0 is the largest
    sink: bool = False  # it is that of a learned sink: a score without a key (which is zeros here) and without a value


def cell_arithmetic(attention: Attention, head: int, query: int, key: int) -> CellArithmetic:
    """Open one cell of one head; that of a sink has the number behind the last key. IndexError if there is no such
    query or key.
    """
    if not (0 <= query < attention.n_query and 0 <= key < attention.n_column):
        raise IndexError(f"no cell ({query}, {key}) in {attention.n_query} x {attention.n_column}")
    sink = key == attention.n_key
    row_scores = attention_scores(attention, head, slice(query, query + 1))[0]
    q = attention.query[head, query].astype(np.float32)
    k = np.zeros_like(q) if sink else attention.key[key_head(attention, head), key].astype(np.float32)
    exponentials = np.exp(row_scores - row_scores.max())
    denominator = exponentials.sum()
    weights = exponentials / denominator
    return CellArithmetic(
        query=q,
        key=k,
        product=q * k,
        dot=float(q @ k),
        scale=attention.scale,
        query_scale=attention.query_scale,
        soft_cap=attention.soft_cap,
        bias=0.0
        if attention.bias is None or sink
        else float(attention.bias[head if len(attention.bias) > 1 else 0, query, key]),
        masked=bool(np.isneginf(row_scores[key])),
        score=float(row_scores[key]),
        row_scores=row_scores,
        exponential=float(exponentials[key]),
        denominator=float(denominator),
        weight=float(weights[key]),
        rank=rank(weights, key),
        sink=sink,
    )


@dataclass(frozen=True)
class Overview:
    """All heads at a glance: every map made at most n x n cells by pooling neighbours; a sink is a column more."""

    maximum: np.ndarray  # (L, H, n, n or n + 1) the largest weight in a cell
    mean: np.ndarray  # (L, H, n, n or n + 1) the mean weight in a cell
    query_edges: np.ndarray  # (n + 1,) cell i holds the queries query_edges[i] … query_edges[i + 1] - 1
    key_edges: np.ndarray  # (n + 1,), or one more
    others: tuple[tuple[int, str], ...] = ()  # layers without attention, NaN above, and what each works by instead

    @property
    def pooled(self) -> bool:
        """Whether a cell holds more than one weight."""
        return bool(self.query_edges[-1] > len(self.query_edges) - 1 or self.key_edges[-1] > len(self.key_edges) - 1)


def pooled_overview(layers: Sequence[Layer | NoAttention], n: int = 64) -> Overview:
    """Exact maps of all heads, pooled to at most `n` x `n`; never more than a block of some heads' rows is held."""
    others = tuple((i, layer.what) for i, layer in enumerate(layers) if isinstance(layer, NoAttention))
    some = next(layer for layer in layers if not isinstance(layer, NoAttention))
    query_edges, key_edges = _edges(some.n_query, n), _edges(some.n_key, n)
    if some.n_column > some.n_key:
        key_edges = np.append(key_edges, some.n_column)
    shape = (len(layers), some.n_head, len(query_edges) - 1, len(key_edges) - 1)
    maximum, mean = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for layer, attention in enumerate(layers):
        if isinstance(attention, NoAttention):
            maximum[layer] = mean[layer] = np.nan
            continue
        pool = _pool_weights if isinstance(attention, DenseAttention) else _pool_layer
        pool(attention, query_edges, key_edges, maximum[layer], mean[layer])
    mean /= np.diff(query_edges)[:, None] * np.diff(key_edges)  # weights in each cell
    return Overview(maximum, mean, query_edges, key_edges, others)


def _pool_weights(
    attention: DenseAttention, query_edges: np.ndarray, key_edges: np.ndarray, largest: np.ndarray, total: np.ndarray
) -> None:
    for by, pooled in ((np.maximum, largest), (np.add, total)):
        for head, weights in enumerate(attention.weights):
            over_keys = by.reduceat(weights, key_edges[:-1], axis=1)  # (T, n)
            pooled[head] = by.reduceat(over_keys, query_edges[:-1], axis=0)


def _pool_layer(
    attention: Attention, query_edges: np.ndarray, key_edges: np.ndarray, largest: np.ndarray, total: np.ndarray
) -> None:
    """The largest weight and the sum of weights in each cell, written into `largest` and `total` (H, n, n or n + 1).

    A block is held keys first, (H', cells, G, R): to pool keys is then to reduce whole rows of memory. And the weights
    themselves are never made: what is pooled are scores and exponentials, and n sums a row are divided, not S weights.
    """
    if attention.sink_score is not None:
        key_edges = key_edges[:-1]
    size = int(np.diff(key_edges).max())
    # the keys of each cell, all as many as the largest has: what is missing in the others weighs nothing
    slots = key_edges[:-1, None] + np.arange(size)  # (n, G)
    empty = (slots >= key_edges[1:, None]).ravel()
    slots = np.minimum(slots, key_edges[1:, None] - 1).ravel()
    most_rows = max(1, np.diff(query_edges).max())
    cells_at_once = max(1, ROWS_AT_ONCE // most_rows)  # of queries
    heads_at_once = max(1, _BLOCK // (len(slots) * most_rows * cells_at_once))
    for head in range(0, attention.n_head, heads_at_once):
        heads = range(head, min(head + heads_at_once, attention.n_head))
        keys = _keys(attention.key, heads, attention.n_head)[:, slots]  # (H', n·G, K)
        for first in range(0, len(query_edges) - 1, cells_at_once):
            edges = query_edges[first : first + cells_at_once + 1]
            rows = np.arange(edges[0], edges[-1])
            seen = _seen(attention, rows)
            from_cell, to_cell = np.searchsorted(key_edges, (seen.start, seen.stop - 1), side="right") - (1, 0)
            here = slice(from_cell * size, to_cell * size)  # of the slots
            queries = _queries(attention, heads, rows) * np.float32(attention.scale)
            block = keys[:, here] @ queries.transpose(0, 2, 1)  # (H', S', R)
            _masked(block.transpose(0, 2, 1), attention, heads, rows, slots[here])
            block[:, empty[here]] = -np.inf
            block = block.reshape(len(heads), to_cell - from_cell, size, len(rows))
            peak = block.max(axis=2)  # (H', cells, R)
            top = peak.max(axis=1, keepdims=True)  # (H', 1, R)
            if attention.sink_score is not None:
                sink = _sink_scores(attention, heads, rows)[:, None]  # (H', 1, R)
                top = np.maximum(top, sink)
            block -= top[:, :, None]
            mass = np.exp(block, out=block).sum(axis=2)  # (H', cells, R)
            whole = mass.sum(axis=1, keepdims=True)  # (H', 1, R)
            where = [slice(heads.start, heads.stop), slice(first, first + cells_at_once), slice(from_cell, to_cell)]
            cells = [(where, np.exp(peak - top), mass)]
            if attention.sink_score is not None:
                its = np.exp(sink - top)
                whole = whole + its
                cells.append(([*where[:2], slice(-1, None)], its, its))
            for where, most, all_of_it in cells:
                for pooled, by, values in ((largest, np.maximum, most), (total, np.add, all_of_it)):
                    over_rows = by.reduceat(values / whole, edges[:-1] - edges[0], axis=2)  # (H', cells, n')
                    pooled[tuple(where)] = over_rows.transpose(0, 2, 1)


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


def _queries(attention: Attention, heads: Sequence[int], rows: slice | np.ndarray) -> np.ndarray:
    """(H', R, K) in float32, whatever they are kept in: float16 is for keeping, never for computing."""
    rows = np.arange(attention.n_query)[rows]
    return attention.query[np.ix_(heads, rows)].astype(np.float32, copy=False)


def _keys(key: np.ndarray, heads: Sequence[int], n_head: int) -> np.ndarray:
    """The keys (H', S, K) in float32 of some heads of `n_head` that share the keys (G, S, K)."""
    its = [head * len(key) // n_head for head in heads]
    in_a_row = its == list(range(its[0], its[0] + len(its)))
    return (key[its[0] : its[-1] + 1] if in_a_row else key[its]).astype(np.float32, copy=False)  # in a row: no copy


def _check(attention: Layer | NoAttention, heads: Sequence[int]) -> None:
    if isinstance(attention, NoAttention):
        raise VisitorError(f"A layer that works by {attention.what} has no attention weights: read another one.")
    for head in heads:
        if not 0 <= head < attention.n_head:
            raise IndexError(f"no head {head} among {attention.n_head}")


def key_head(attention: Attention, head: int) -> int:
    """Grouped-query attention: several query heads in a row share one key head."""
    return head * attention.key.shape[0] // attention.n_head
