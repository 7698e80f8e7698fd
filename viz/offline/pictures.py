"""The components that a page without a server shows too: what they are made of, and their data."""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

from model.analysis.attention import Overview
from model.run import Token
from viz.figures.edges import choose_edges, count_each, count_sentence, strongest
from viz.figures.scale import weights_as_bytes
from viz.offline.source import Columns, Source

MOST_LINES = 3000  # drawn while nothing is pointed at; one token's lines are always complete

GRID = Source(
    "head_grid",
    '<div class="grid"><div class="box"><div class="heads" aria-hidden="true"></div>'
    '<canvas tabindex="0" role="application"></canvas>'
    '<div class="chosen"></div><div class="looking" hidden></div></div><div class="tip" hidden></div>'
    '<div class="legend" role="img" aria-label="Colours from weight 0 to weight 1, on a square-root scale">'
    '<div class="bar"></div><div class="marks"></div></div></div>',
    ("palette", "watch", "tip", "scale_bar"),
)
CHIPS = Source(
    "token_chips",
    # the tip is not said: each chip's own name holds its words
    '<ul class="chips" role="list" aria-label="Tokens"></ul><div class="tip" aria-hidden="true" hidden></div>',
    ("renew", "tip", "rove", "watch"),
)
TOLD = '<p class="count"></p><div class="tip" hidden></div><div class="spoken" aria-live="polite"></div>'
LINES = Source(
    "token_graph",
    f"""<div class="graph" role="group" aria-label="Attention between tokens">
<div class="heading"><span></span><span></span></div>
<div class="scroll"><div class="columns"><ol class="q" aria-label="queries"></ol><svg aria-hidden="true"></svg>
<ol class="k" aria-label="keys"></ol></div></div>
{TOLD}</div>""",
    ("renew", "tip", "rove", "lines", "sides"),
)


def grid_data(overview: Overview, *, compact_height: int = 0, looks: bool = False) -> dict[str, Any]:
    """As in `viz.components.head_grid`."""
    n_layer, n_head, n_query, n_key = overview.maximum.shape
    maps = weights_as_bytes(np.nan_to_num(overview.maximum) if overview.others else overview.maximum)
    # compact: a few kB; and the home page need not wait for pyarrow
    packed = base64.b64encode(maps.tobytes()).decode() if compact_height else Columns(w=maps.ravel())
    shape = {"layers": n_layer, "heads": n_head, "queries": n_query, "keys": n_key}
    shape["others"] = {str(layer): what for layer, what in overview.others}
    return {"shape": shape | {"compact": compact_height, "looks": looks}, "maps": packed}


def chips_data(
    tokens: Sequence[Token],
    *,
    first: int = 0,
    selected: int | None = None,
    clickable: bool = False,
    notes: Sequence[str] | None = None,
    shades: Sequence[float] | None = None,
) -> dict[str, Any]:
    """As in `viz.components.token_chips`."""
    return {
        "chips": [
            {
                "label": token.label,
                "id": token.id,
                "bytes": token.piece.hex(" ").upper(),
                "span": [token.start, token.end],
                "note": notes[i] if notes else "",
                "shade": float(shades[i]) if shades is not None else None,
            }
            for i, token in enumerate(tokens)
        ],
        "first": first,
        "selected": selected,
        "clickable": clickable,
    }


def lines_data(
    weights: np.ndarray,
    labels: Sequence[str],
    queries: Sequence[int] | None = None,
    keys: Sequence[int] | None = None,
    *,
    threshold: float = 0.0,
    top: int = 0,
    pinned: int | None = None,
    picks: bool = False,
    opens: bool = False,
    **more: object,
) -> dict[str, Any]:
    """Of weights (Q, K); as in `viz.components.token_graph`. ValueError if the sizes do not fit.

    `more`: what else a script wants to know, as JSON.
    """
    everyone = range(len(labels))
    queries = list(map(int, everyone if queries is None else queries))
    keys = list(map(int, everyone if keys is None else keys))
    weights = np.asarray(weights, dtype=np.float32)
    if weights.shape != (len(queries), len(keys)):
        raise ValueError(f"weights {weights.shape} for {len(queries)} queries and {len(keys)} keys")
    edges = choose_edges(weights, threshold=threshold, top=top)
    ordered = strongest(edges, len(edges.weight))
    return {
        "view": {
            "labels": list(labels),
            "queries": queries,
            "keys": keys,
            "pinned": queries.index(pinned) if pinned in queries else -1,
            "picks": picks,
            "opens": opens,
            "most": MOST_LINES,
            "count": count_sentence(strongest(edges, MOST_LINES)),
            "counts": {side: count_each(weights, edges, side) for side in ("query", "key")},
            **more,
        },
        "weights": Columns(w=np.where(np.isnan(weights), np.float32(-1), weights).ravel()),  # -1: no such weight
        "edges": Columns(q=ordered.query.astype(np.uint16), k=ordered.key.astype(np.uint16)),
    }
