"""A value of a reading made a second time, in double precision: what the card behind it compares it with.

It shares no arithmetic with the first way, `model.analysis.attention` and `model.analysis.attention_map`, and imports
none of it (a contract in `pyproject.toml`): what a record says is worked out here anew, row by row, in NumPy's float64.
A fault in the first way, a wrong scale or mask or an overflow of single precision, is therefore a difference between
the two. Letters as in `model.run`; R rows that are asked for.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from model.analysis.attention_map import MapSpec
from model.run import DenseAttention, Layer, Token


@dataclass(frozen=True)
class Explained:
    """One value of a reading, made again in double precision from queries and keys, and all that went into it."""

    value: float  # NaN where there is nothing
    layer: np.ndarray  # (N,) one entry for each weight that went in
    head: np.ndarray  # (N,)
    query: np.ndarray  # (N,) tokens
    key: np.ndarray  # (N,)
    weight: np.ndarray  # (N,) as the model used it


def explain(
    layers: Sequence[Layer],
    looked_at: Sequence[Token],
    spec: MapSpec,
    query_units: Sequence[range],
    key_units: Sequence[range],
    *,
    over: str = "mean",
) -> Explained:
    """The value of a reading between units, given as ranges of tokens: the `over` ("mean" or "sum") of several rows.

    Several keys are always summed.
    """
    queries = np.array([query for unit in query_units for query in unit])  # (R,)
    keys = np.array([key for unit in key_units for key in unit])
    combined, weights = None, []
    for layer, head in spec.heads:
        exact = exact_rows(layers[layer], head, queries)  # (R, C)
        weights.append(exact[:, keys])
        if combined is None:
            combined = exact
        else:
            combined = np.maximum(combined, exact) if spec.combine == "max" else combined + exact
    if spec.combine == "mean":
        combined = combined / len(spec.heads)
    # the sink is the first token and the special ones
    gone = np.array([spec.sink != "as is" and (i == 0 or token.special) for i, token in enumerate(looked_at)])  # (S,)
    if spec.sink == "renormalise":
        mass = combined[:, ~gone].sum(axis=1, keepdims=True)
        combined = combined / np.where(mass > 0, mass, np.nan)
    values = [row[~gone[keys]].sum() if not gone[keys].all() else np.nan for row in combined[:, keys]]
    ends = np.cumsum([len(unit) for unit in query_units])
    means = [_mean(unit) for unit in np.split(np.array(values), ends[:-1])]
    value = _mean(means) if over == "mean" else float(np.nansum(means))
    heads, rows, columns = (
        index.ravel() for index in np.meshgrid(range(len(spec.heads)), queries, keys, indexing="ij")
    )
    pairs = np.array(spec.heads)[heads]
    return Explained(value, pairs[:, 0], pairs[:, 1], rows, columns, np.array(weights).ravel())


def exact_rows(attention: Layer, head: int, queries: np.ndarray) -> np.ndarray:
    """(R, C) one head's weights of some queries, softmax(query·key · scale) in float64, with that of a learned sink
    behind the keys; those given, of a layer that is kept as weights. NaN in a row that may look at nothing.
    """
    if isinstance(attention, DenseAttention):
        return attention.weights[head, queries].astype(np.float64)
    group = head // (attention.n_head // len(attention.key))  # heads in a row share a key head
    query, key = attention.query[head, queries].astype(np.float64), attention.key[group].astype(np.float64)
    score = query @ key.T * attention.scale  # (R, S)
    if attention.soft_cap:
        score = np.tanh(score / attention.soft_cap) * attention.soft_cap
    if attention.bias is not None:
        score = score + attention.bias[head % len(attention.bias), queries]
    ahead = np.arange(attention.n_key) - queries[:, None]  # (R, S) by how much a key stands behind its query
    visible = np.ones(score.shape, bool)
    if attention.causal:
        visible &= ahead <= 0
    if attention.window:
        visible &= np.abs(ahead) < attention.window
    score = np.where(visible, score, -np.inf)
    if attention.sink_score is not None:
        sink = attention.sink_score[head, queries % attention.sink_score.shape[1]]  # one for all queries, or one each
        score = np.column_stack([score, sink.astype(np.float64)])
    with np.errstate(invalid="ignore"):  # −∞ − −∞, where nothing is visible
        power = np.exp(score - score.max(axis=1, keepdims=True))
    return power / power.sum(axis=1, keepdims=True)


def _mean(values: Iterable[float]) -> float:
    there = [value for value in values if not np.isnan(value)]
    return float(np.mean(there)) if there else float("nan")
