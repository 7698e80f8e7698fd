"""What the pictures of one map have in common: its weights, the lines chosen from it, two clicks."""

from collections.abc import Callable, Sequence

import numpy as np
import streamlit as st

from viz.components import columns
from viz.figures.edges import choose_edges, count_each, count_sentence, strongest
from viz.guard import handler

MOST_LINES = 3000  # drawn while nothing is pointed at; one token's lines are always complete


def draw_lines(
    component: Callable,
    weights: np.ndarray,
    labels: Sequence[str],
    queries: Sequence[int] | None,
    keys: Sequence[int] | None,
    *,
    key: str,
    threshold: float,
    top: int,
    pinned: int | None,
    on_pick: Callable[[int], None] | None,
    on_open: Callable[[int, int], None] | None,
    **more: object,
) -> None:
    """Mount `component` on weights (Q, K); parameters as in `token_graph`. ValueError if the sizes do not fit.

    `more`: what else its script wants to know, as JSON.
    """
    everyone = range(len(labels))
    queries = list(map(int, everyone if queries is None else queries))
    keys = list(map(int, everyone if keys is None else keys))
    weights = np.asarray(weights, dtype=np.float32)
    if weights.shape != (len(queries), len(keys)):
        raise ValueError(f"weights {weights.shape} for {len(queries)} queries and {len(keys)} keys")
    edges = choose_edges(weights, threshold=threshold, top=top)
    ordered = strongest(edges, len(edges.weight))

    def picked() -> None:
        match st.session_state[key].pick:
            case int(row) if on_pick and -1 <= row < len(queries):
                on_pick(queries[row] if row >= 0 else -1)

    def opened() -> None:
        match st.session_state[key].open:
            case [int(row), int(column)] if on_open and 0 <= row < len(queries) and 0 <= column < len(keys):
                on_open(queries[row], keys[column])

    component(
        key=key,
        on_pick_change=handler(picked),
        on_open_change=handler(opened),
        data={
            "view": {
                "labels": list(labels),
                "queries": queries,
                "keys": keys,
                "pinned": queries.index(pinned) if pinned in queries else -1,
                "picks": on_pick is not None,
                "opens": on_open is not None,
                "most": MOST_LINES,
                "count": count_sentence(strongest(edges, MOST_LINES)),
                "counts": {side: count_each(weights, edges, side) for side in ("query", "key")},
                **more,
            },
            "weights": columns(w=np.where(np.isnan(weights), np.float32(-1), weights).ravel()),  # -1: no such weight
            "edges": columns(q=ordered.query.astype(np.uint16), k=ordered.key.astype(np.uint16)),
        },
    )
