"""Two lines of words, the source above what was written, with a curve for every weight between them."""

from collections.abc import Callable, Sequence

import numpy as np

from viz.components import register
from viz.components.lines import draw_lines

_lines = register(
    "cross_lines",
    shared=["renew", "tip", "rove", "lines", "sides"],
    html="""<div class="graph" role="group" aria-label="Cross-attention between the source and what was written">
<div class="stage drawn"><svg aria-hidden="true"></svg><ol class="k" aria-label="source"></ol>
<ol class="q" aria-label="written"></ol></div>
<p class="count"></p><div class="tip" hidden></div><div class="spoken" aria-live="polite"></div></div>""",
    picture=True,
)


def cross_lines(
    weights: np.ndarray,
    written: Sequence[str],
    source: Sequence[str],
    *,
    key: str,
    aligned: np.ndarray | None = None,
    threshold: float = 0.0,
    pinned: int | None = None,
    on_pick: Callable[[int], None] | None = None,
    on_open: Callable[[int, int], None] | None = None,
) -> None:
    """Draw weights (Q, K) of what was written, Q words, over the source, K words; NaN: no such weight.

    `aligned` (Q, K) of bool: pairs to mark. `threshold`, `pinned`, `on_pick`, `on_open`: as in `token_graph`, with rows
    and columns of the map as queries and keys.
    """
    n_written = len(written)
    draw_lines(
        _lines,
        weights,
        [*written, *source],  # one text after the other
        range(n_written),
        range(n_written, n_written + len(source)),
        key=key,
        threshold=threshold,
        top=0,
        pinned=pinned,
        on_pick=on_pick,
        on_open=on_open and (lambda query, place: on_open(query, place - n_written)),
        offset=n_written,
        aligned=[] if aligned is None else np.argwhere(aligned).tolist(),
    )
