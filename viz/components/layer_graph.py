"""Tokens down, layers across: the lines of every layer, and the paths along them that lead to one node."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import streamlit as st

from viz.components import columns, register
from viz.figures.corner import Cube
from viz.figures.edges import choose_edges, count_sentence
from viz.guard import handler

HOW = (
    "A number beside a token: the products of the weights along each path of lines from it to the chosen node, summed "
    "over all these paths (attention rollout, Abnar and Zuidema 2020, on the drawn lines alone; what each layer passes "
    "on unchanged in the residual stream is not mixed in)."
)
_graph = register(
    "layer_graph",
    shared=["tip", "watch", "lines"],
    picture=True,
    html="""<div class="layers" role="group" aria-label="Attention through all layers">
<div class="heading"></div>
<div class="scroll"><div class="body drawn"><ol aria-label="tokens"></ol>
<canvas tabindex="0" role="application"></canvas></div></div>
<p class="count"></p>
<p class="how"><span class="said"></span><span class="others"></span></p>
<div class="tip" hidden></div><div class="spoken" aria-live="polite"></div></div>""",
)


def layer_graph(
    layers: Sequence[np.ndarray | None],
    labels: Sequence[str],
    *,
    others: Mapping[int, str] | None = None,
    about_others: str = "",
    key: str,
    threshold: float = 0.0,
    top: int = 3,
    pinned: tuple[int, int] | None = None,
    on_pick: Callable[[int, int], None] | None = None,
    on_open: Callable[[int, int, int], None] | None = None,
    how: str = HOW,
) -> None:
    """Draw the lines that `choose_edges` takes from each layer's weights (T, T); NaN: no such weight. A layer that has
    none at all is None, and in `others` by what it works by; a path goes straight through it. `about_others`: which.

    A node is (column, token): column 0 is the input, column l + 1 what layer l makes of it. Pointing at a node follows
    its paths back to the input, in the browser (all shares of 512 tokens in six layers would be 22 MB to send).
    `pinned`: the node followed meanwhile. `on_pick(column, token)` is called when a node is clicked, with
    (-1, -1) for the pinned one; `on_open(layer, query, key)` when a line is. `how`: what lines and numbers are.
    ValueError if the sizes do not fit.
    """
    n, others = len(labels), dict(others or {})
    nothing = np.full((n, n), np.nan, np.float32)
    layers = [nothing if weights is None else weights for weights in layers]
    for weights in layers:
        if np.shape(weights) != (n, n):
            raise ValueError(f"weights {np.shape(weights)} for {n} tokens")
    chosen = [choose_edges(weights, threshold=threshold, top=top) for weights in layers]

    def picked() -> None:
        match st.session_state[key].pick:
            case [-1, -1] if on_pick:
                on_pick(-1, -1)
            case [int(column), int(token)] if on_pick and 0 <= column <= len(layers) and 0 <= token < n:
                on_pick(column, token)

    def opened() -> None:
        match st.session_state[key].open:
            case [int(layer), int(query), int(k)] if on_open and 0 <= layer < len(layers) and max(query, k) < n:
                if min(query, k) >= 0:
                    on_open(layer, query, k)

    _graph(
        key=key,
        called=f"Attention of {n} tokens through {len(layers)} layers, as lines",
        numbers=lambda: Cube(
            layers, ("layer", "query", "key"), "weight", [[f"{i} {each}" for i, each in enumerate(labels)]] * 2
        ),
        on_pick_change=handler(picked),
        on_open_change=handler(opened),
        data={
            "view": {
                "labels": list(labels),
                "layers": len(layers),
                "how": how,
                "about_others": about_others,
                "others": {str(layer): what for layer, what in others.items()},
                "pinned": list(pinned) if pinned and pinned[0] <= len(layers) and pinned[1] < n else None,
                "picks": on_pick is not None,
                "opens": on_open is not None,
                "shared": all(bool(np.nansum(weights, axis=1).max(initial=0) < 1 + 1e-4) for weights in layers),
                "count": count_sentence(*chosen),
            },
            "edges": columns(
                layer=np.repeat(np.arange(len(layers), dtype=np.uint16), [len(each.weight) for each in chosen]),
                q=np.concatenate([each.query for each in chosen]).astype(np.uint16),
                k=np.concatenate([each.key for each in chosen]).astype(np.uint16),
                w=np.concatenate([each.weight for each in chosen]),
            ),
        },
    )
