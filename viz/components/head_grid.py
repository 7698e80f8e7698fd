"""All heads of all layers at a glance, on one canvas; a click or an arrow key tells Python which head."""

from collections.abc import Callable

import pandas as pd
import streamlit as st

from model.attention import Overview
from viz.components import css_variables, register
from viz.figures.attention import weights_as_bytes

_grid = register(
    "head_grid",
    html='<div class="grid"><canvas tabindex="0" role="application"></canvas>'
    '<div class="chosen"></div><div class="over" hidden></div></div>',
)


def head_grid(overview: Overview, *, key: str, on_pick: Callable[[int, int], None] | None = None) -> None:
    """Draw `overview.maximum` (L, H, n, n). `on_pick(layer, head)` is called when a head is chosen.

    `outline_head` says which one is outlined.
    """
    n_layer, n_head, n_query, n_key = overview.maximum.shape

    def picked() -> None:
        match st.session_state[key].pick:
            case [int(picked_layer), int(picked_head)] if 0 <= picked_layer < n_layer and 0 <= picked_head < n_head:
                if on_pick:
                    on_pick(picked_layer, picked_head)

    _grid(
        key=key,
        on_pick_change=picked,
        data={
            "shape": {"layers": n_layer, "heads": n_head, "queries": n_query, "keys": n_key},
            "maps": pd.DataFrame({"w": weights_as_bytes(overview.maximum).ravel()}),
        },
    )


def outline_head(key: str, layer: int, head: int) -> None:
    """Outline one head of the grid drawn with `key`: a style, so that its maps, up to half a megabyte, stay put."""
    css_variables(key, layer=layer, head=head)
