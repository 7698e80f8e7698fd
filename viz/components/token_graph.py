"""Two columns of tokens with a line for every weight: hover shows one token's lines, entirely in the browser."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import streamlit as st

from viz.components import register

_graph = register(
    "token_graph",
    html="""<div class="graph" role="group" aria-label="Attention between tokens">
<div class="heading"><span>query: looks</span><span>key: is looked at</span></div>
<div class="scroll"><div class="columns"><ol class="q" aria-label="queries"></ol><svg aria-hidden="true"></svg>
<ol class="k" aria-label="keys"></ol></div></div>
<p class="count"></p><div class="spoken" aria-live="polite"></div></div>""",
)


def token_graph(
    weights: np.ndarray,
    labels: Sequence[str],
    *,
    key: str,
    threshold: float = 0.0,
    pinned: int | None = None,
    on_pick: Callable[[int], None] | None = None,
) -> None:
    """Draw weights (T, T) of at least `threshold`. `pinned`: the query whose lines are shown while nothing is hovered.

    `on_pick(query)` is called when a query is clicked; clicking the pinned one again passes -1.
    """
    n = len(labels)

    def picked() -> None:
        query = st.session_state[key].pick
        if on_pick and isinstance(query, int) and -1 <= query < n:
            on_pick(query)

    _graph(
        key=key,
        on_pick_change=picked,
        data={
            "view": {"labels": list(labels), "threshold": threshold, "pinned": -1 if pinned is None else pinned},
            "weights": pd.DataFrame({"w": np.ascontiguousarray(weights, dtype=np.float32).ravel()}),
        },
    )
