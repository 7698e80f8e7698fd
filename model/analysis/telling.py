"""Which head says most at first sight, and which of its weights: what a page shows before anyone has chosen.

A head whose weight lies on the token itself, or on a sink, or for all tokens on the same one, makes a dull picture. The
measure is the mutual information of query and key (Shannon 1948), in nats: how much one learns of what is looked at
from knowing who looks. Looking at itself, at the first token or at a special one all count as one and the same answer.
"""

import numpy as np

from model.analysis.attention import ROWS_AT_ONCE, attention_weights, layer_weights
from model.analysis.logits import entropy
from model.run import ModelRun

MOST_QUERIES = 64  # of a longer text, those at its beginning


def kind_read_first(run: ModelRun) -> str:
    """Of an encoder-decoder cross-attention: only that ties what it writes to what it reads."""
    return "cross" if run.source else "self"


def head_information(run: ModelRun) -> np.ndarray:
    """The mutual information (L, H) of query and key in each head, in nats; 0 of a text without two tokens to compare,
    -inf where a layer has no heads.

    Special tokens do not count as queries; of a text of more than `MOST_QUERIES` tokens, only the first do.
    """
    kind = kind_read_first(run)
    queries, _ = run.sides(kind)
    rows = [i for i, token in enumerate(queries[:MOST_QUERIES]) if not token.special]
    layers = run.grid(kind).layers
    found = np.full((len(run.layers(kind)), run.info.n_head), -np.inf)
    found[list(layers)] = 0
    if not rows:
        return found
    nothing = _nothing(run, kind, np.arange(min(len(queries), MOST_QUERIES)))[rows]  # (R, S)
    for layer in layers:
        weights = layer_weights(run.layers(kind)[layer], slice(0, MOST_QUERIES))[:, rows]  # (H, R, S)
        shares = np.where(nothing, 0, weights).astype(np.float64)
        rest = (weights * nothing).sum(axis=-1, keepdims=True, dtype=np.float64)
        shares = np.concatenate([shares, rest], axis=-1)  # (H, R, S + 1)
        found[layer] = entropy(shares.mean(axis=1)) - entropy(shares).mean(axis=1)
    return found


def telling_head(*runs: ModelRun) -> tuple[int, int]:
    """The layer and the head with the most information, in the mean over runs of one model; the first of equals."""
    mean = np.mean([head_information(run) for run in runs], axis=0)  # (L, H)
    layer, head = np.unravel_index(mean.argmax(), mean.shape)
    return int(layer), int(head)


def telling_weight(run: ModelRun, layer: int, head: int, kind: str | None = None) -> tuple[int, int]:
    """The query and the key of a head's largest weight between two different tokens, none of them a sink.

    `kind`: of which attention; None: of the one that is read first.
    Where there is no such weight: of the largest that is not on the token itself; of a single token, its own.
    """
    kind = kind or kind_read_first(run)
    attention, best = run.layers(kind)[layer], (-1.0, 0, 0)
    special = np.array([token.special for token in run.sides(kind)[0]])
    for first in range(0, attention.n_query, ROWS_AT_ONCE):
        rows = np.arange(first, min(first + ROWS_AT_ONCE, attention.n_query))
        weights = attention_weights(attention, head, slice(rows[0], rows[-1] + 1))  # (R, S)
        nothing = _nothing(run, kind, rows) | special[rows, None]
        own = rows[:, None] == np.arange(attention.n_column) if kind == "self" else np.zeros_like(nothing)
        # in three classes, each above the one before: a weight is at most 1
        ranked = np.where(weights > 0, weights + 2.0 * ~own + 2.0 * ~nothing, 0)
        row, key = np.unravel_index(ranked.argmax(), ranked.shape)
        if ranked[row, key] > best[0]:
            best = float(ranked[row, key]), int(rows[row]), int(key)
    return best[1:]


def _nothing(run: ModelRun, kind: str, rows: np.ndarray) -> np.ndarray:
    """Where a look says nothing, (R, S) of bool: at itself, at a special token, and within one text at the first."""
    keys = run.sides(kind)[1]
    sink = np.array([token.special or (kind == "self" and i == 0) for i, token in enumerate(keys)])
    own = rows[:, None] == np.arange(len(keys)) if kind == "self" else np.zeros((len(rows), len(keys)), bool)
    return own | sink
