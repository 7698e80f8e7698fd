"""What the pictures of one map have in common: its weights, the lines chosen from it, two clicks."""

from collections.abc import Callable, Sequence

import numpy as np
import streamlit as st

from viz.components import sent
from viz.figures.corner import Cube
from viz.guard import handler
from viz.offline.pictures import lines_data


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
    offset: int = 0,
    **more: object,
) -> None:
    """Mount `component` on weights (Q, K); parameters as in `token_graph`. ValueError if the sizes do not fit.

    `offset`: as there. `more`: what else its script wants to know, as JSON.
    """
    data = lines_data(
        weights,
        labels,
        queries,
        keys,
        threshold=threshold,
        top=top,
        pinned=pinned,
        picks=on_pick is not None,
        opens=on_open is not None,
        **more,
    )
    queries, keys = data["view"]["queries"], data["view"]["keys"]

    def picked() -> None:
        match st.session_state[key].pick:
            case int(row) if on_pick and -1 <= row < len(queries):
                on_pick(queries[row] if row >= 0 else -1)

    def opened() -> None:
        match st.session_state[key].open:
            case [int(row), int(column)] if on_open and 0 <= row < len(queries) and 0 <= column < len(keys):
                on_open(queries[row], keys[column])

    def numbers() -> Cube:
        names = [f"{i} {labels[i]}" for i in queries], [f"{i - offset} {labels[i]}" for i in keys]
        return Cube(np.asarray(weights, np.float32), ("query", "key"), "weight", names)

    component(
        key=key,
        called=f"Attention of {len(queries)} to {len(keys)}, as lines",
        numbers=numbers,
        on_pick_change=handler(picked),
        on_open_change=handler(opened),
        data=sent(data),
    )
