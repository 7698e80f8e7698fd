"""The text as one line of tokens, an arc for every weight: above to what came before, below to what comes after."""

from collections.abc import Callable, Sequence

import numpy as np

from viz.components import register
from viz.components.lines import draw_lines

_arcs = register(
    "token_arcs",
    shared=["renew", "lines"],
    html="""<div class="arcs" role="group" aria-label="Attention as arcs over the text">
<div class="heading"><span class="out">what a token looks at</span><span class="in">who looks at it</span></div>
<div class="scroll"><div class="strip"><svg aria-hidden="true"></svg><ol aria-label="tokens"></ol></div></div>
<p class="count"></p><div class="tip" hidden></div><div class="spoken" aria-live="polite"></div></div>""",
)


def token_arcs(
    weights: np.ndarray,
    labels: Sequence[str],
    queries: Sequence[int] | None = None,
    keys: Sequence[int] | None = None,
    *,
    key: str,
    threshold: float = 0.0,
    top: int = 0,
    pinned: int | None = None,
    on_pick: Callable[[int], None] | None = None,
    on_open: Callable[[int, int], None] | None = None,
) -> None:
    """The same lines as `token_graph`, and the same parameters: as arcs between the tokens of one line of text.

    `on_pick(query)` is called when a token is clicked that is a query; `on_open(query, key)` when an arc is clicked,
    or, with Shift, a token while another is pinned.
    """
    draw_lines(
        _arcs,
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
    )
