"""Tokens with a line for every weight, in two columns or as arcs: hover shows one token's lines, all in the browser."""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from viz.components import mount, register
from viz.components.lines import draw_lines
from viz.offline.pictures import LINES, TOLD

_PICTURES = {
    "columns": mount(LINES, picture=True),
    # the text as one line, an arc for every weight: above to what came before, below to what comes after
    "arcs": register(
        "token_arcs",
        shared=["renew", "tip", "rove", "lines"],
        html=f"""<div class="arcs" role="group" aria-label="Attention as arcs over the text">
<div class="heading"><span class="out">what a token looks at</span><span class="in">who looks at it</span></div>
<div class="scroll"><div class="strip drawn"><svg aria-hidden="true"></svg><ol aria-label="tokens"></ol></div></div>
{TOLD}</div>""",
        picture=True,
    ),
}


def token_graph(
    weights: np.ndarray,
    labels: Sequence[str],
    queries: Sequence[int] | None = None,
    keys: Sequence[int] | None = None,
    *,
    key: str,
    form: Literal["columns", "arcs"] = "columns",
    threshold: float = 0.0,
    top: int = 0,
    pinned: int | None = None,
    on_pick: Callable[[int], None] | None = None,
    on_open: Callable[[int, int], None] | None = None,
    tall: int = 440,
    writes: bool = False,
    offset: int = 0,
) -> None:
    """Draw the lines that `choose_edges` takes from weights (Q, K); NaN: no such weight.

    `labels`: of the whole text; `queries` (Q,) and `keys` (K,): which of its positions the rows and columns are, all
    unless told. `pinned`: the position of the query whose lines are shown while nothing is pointed at.
    `on_pick(query)` is called when a query is clicked, with -1 for the pinned one. `on_open(query, key)` is called when
    a line is clicked, or, while a query is pinned, a key: in columns also while one was touched with a finger, among
    arcs with Shift. `tall`: pixels that a short text fills in columns; a longer one scrolls.
    `offset`: what is taken from a key's position to give its position in a text of its own.
    `writes`: the queries are what was written while looking at the keys, for columns only.
    """
    draw_lines(
        _PICTURES[form],
        weights,
        labels,
        queries,
        keys,
        key=key,
        threshold=threshold,
        top=top,
        pinned=pinned,
        on_pick=on_pick,
        on_open=on_open,
        offset=offset,
        tall=tall,
        writes=writes,
    )
