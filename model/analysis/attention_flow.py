"""What a token draws on through all layers: attention rollout and attention flow (Abnar & Zuidema 2020), and how much
each weight carries (Kobayashi et al. 2020).

Of each layer the mean A over its heads. As the residual stream hands on what was there, both ways take 0.5 A + 0.5 I
for what goes from layer to layer, as that paper does; the half is an assumption, not read off the model. A column of
nodes is what stands at each token: column 0 is the input, column l + 1 what layer l leaves. Letters as in `model.run`.
"""

from collections.abc import Sequence

import numpy as np

from model.analysis.attention import layer_weights
from model.layer import LayerParameters
from model.run import Attention, Layer, NoAttention, VisitorError

MOST_TOKENS = 512
MOST_STEPS = 2e8  # edges times nodes whose flow is asked for: some 5 s of one core
SCALE = 1 << 30  # scipy's flows are 32-bit integers: capacities are counted in so many parts of 1, rounded down
_ROWS_AT_ONCE = 32  # of vectors that heads write, of each head


def check_length(n_token: int) -> None:
    """Raises `VisitorError`."""
    if n_token > MOST_TOKENS:
        raise VisitorError(
            f"This text has {n_token:,} tokens, and paths through all layers are followed in texts of {MOST_TOKENS} at "
            "most: shorten it."
        )


def mixed_layers(layers: Sequence[Layer | NoAttention]) -> np.ndarray:
    """(L, T, T) float32: 0.5 A + 0.5 I of each layer, I where it has no attention.

    Rows add up to 1, but for what goes to a learned sink, which gives nothing. Raises `VisitorError` for a long text.
    """
    n_token = next(layer.n_query for layer in layers if not isinstance(layer, NoAttention))
    check_length(n_token)
    same = np.eye(n_token, dtype=np.float32)
    return np.stack([same if isinstance(each, NoAttention) else 0.5 * head_mean(each) + 0.5 * same for each in layers])


def head_mean(layer: Layer) -> np.ndarray:
    """(T, S) the mean of all heads' weights, without the column of a learned sink."""
    return layer_weights(layer)[:, :, : layer.n_key].mean(0)


def rollout(mixed: np.ndarray, start: np.ndarray) -> np.ndarray:
    """(L + 1, T) how much of each node reaches the top: products of `mixed` (L, T, T) along each path, over all paths.

    `start` (T,): how much of each token the top is made of; 1 for one token, or shares of several.
    """
    shares = np.empty((len(mixed) + 1, len(start)))
    shares[-1] = start
    for layer in reversed(range(len(mixed))):
        shares[layer] = shares[layer + 1] @ mixed[layer]
    return shares


def flow(mixed: np.ndarray, start: np.ndarray, columns: Sequence[int] = (0,)) -> np.ndarray:
    """(len(columns), T) the most that can flow from each node of some columns to the top at once, where an edge lets no
    more through than its weight in `mixed` (L, T, T): a maximum flow for each node, as if it were the only one.

    Too small by at most `rounding`, never too large. `start` as in `rollout`. Raises `VisitorError` where it would take
    too long.
    """
    from scipy.sparse import csr_array  # nearly a second, which only this needs
    from scipy.sparse.csgraph import maximum_flow

    n_column, n_all = len(mixed) + 1, len(start)
    flows = np.zeros((len(columns), n_all))
    used = np.flatnonzero(rollout(mixed, start).any(0))  # no path leads anywhere else
    mixed, start, n = mixed[:, used[:, None], used], start[used], len(used)
    layer, query, key = np.nonzero(mixed)
    if (steps := len(layer) * n * len(columns)) > MOST_STEPS:
        raise VisitorError(
            f"Attention flow through {len(layer):,} edges to {n * len(columns):,} nodes would take {steps:.0e} steps, "
            f"and {MOST_STEPS:.0e} is the most that is done here: shorten the text, or take rollout."
        )
    # node: column * n + token; the last feeds the top column
    source, (first,) = n_column * n, np.nonzero(start)
    ends = [((layer + 1) * n + query, layer * n + key), (np.full(len(first), source), (n_column - 1) * n + first)]
    parts = np.concatenate([mixed[layer, query, key], start[first]]).astype(np.float64)
    capacities = np.floor(parts * SCALE).astype(np.int32)
    rows, to = (np.concatenate(each) for each in zip(*ends, strict=True))
    graph = csr_array((capacities, (rows, to)), shape=(source + 1, source + 1))
    for i, column in enumerate(columns):
        for token in range(n):
            flows[i, used[token]] = maximum_flow(graph, source, column * n + token).flow_value / SCALE
    return flows


def rounding(mixed: np.ndarray) -> float:
    """What `flow` may be too small by: a cut through every edge, each rounded down by less than one part."""
    return (np.count_nonzero(mixed) + mixed.shape[1]) / SCALE


def carried(record: Layer | NoAttention, parameters: LayerParameters, rows: slice = slice(None)) -> np.ndarray:
    """(R, S) the length of what each key gives to some queries (all, unless told): ‖Σ over heads of a · W_O v‖.

    The output projection's bias comes from no key, and is left out. Raises `VisitorError` where values are not kept.
    """
    if not isinstance(record, Attention) or record.value is None:
        raise VisitorError("Of a text as long as this one no values are kept, so what a weight carries is not known.")
    weights = layer_weights(record, rows)[:, :, : record.n_key].astype(np.float64)  # (H, R, S)
    shared = len(weights) // len(record.value)  # so many heads have the same values
    squares = np.empty(weights.shape[1:])  # (R, S)
    output = parameters.output_weight.transpose(0, 2, 1)  # (H, Kv, D)
    for first in range(0, record.n_key, _ROWS_AT_ONCE):
        keys = slice(first, first + _ROWS_AT_ONCE)
        value = record.value[:, keys].astype(np.float32).repeat(shared, 0)  # (H, S', Kv)
        written = (value @ output).transpose(1, 0, 2).astype(np.float64)  # (S', H, D)
        products = written @ written.transpose(0, 2, 1)  # (S', H, H) of what each two heads would write
        part = weights[:, :, keys].transpose(2, 1, 0)  # (S', R, H)
        squares[:, keys] = ((part @ products) * part).sum(-1).T
    return np.sqrt(np.maximum(squares, 0)) * abs(parameters.multiplier)


def shares_of(lengths: np.ndarray) -> np.ndarray:
    """Lengths (R, S) as shares of each row; a row of nothing stays so."""
    total = lengths.sum(-1, keepdims=True)
    return np.divide(lengths, total, out=np.zeros_like(lengths), where=total > 0)
