"""All heads of all layers at a glance, on one canvas; a click or an arrow key tells Python which."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import streamlit as st

from model.analysis.attention import Overview
from viz.components import css_variables, mount, sent
from viz.figures.corner import Cube
from viz.guard import handler
from viz.offline.pictures import GRID, grid_data

_grid = mount(GRID, picture=True)


@dataclass(frozen=True)
class Pick:
    """What was chosen on the grid: a head, a whole layer (no head), or one head of every layer (no layer)."""

    layer: int | None
    head: int | None
    cell: tuple[int, int] | None  # of the overview, where a click fell on one
    add: bool  # to what is chosen already, or taken from it: shift or control was held

    @classmethod
    def parse(cls, sent: object, overview: Overview) -> "Pick | None":
        """From what the browser sent; None unless it fits the overview."""
        n_layer, n_head, n_query, n_key = overview.maximum.shape
        match sent:
            case {"layer": int(layer), "head": int(head), "cell": cell, "add": bool(add)} if (
                -1 <= layer < n_layer and -1 <= head < n_head and (layer >= 0 or head >= 0)
            ):
                pass
            case _:
                return None
        match cell:
            case [int(query), int(key)] if 0 <= query < n_query and 0 <= key < n_key and layer >= 0 and head >= 0:
                cell = (query, key)
            case _:
                cell = None
        return cls(layer if layer >= 0 else None, head if head >= 0 else None, cell, add)


def head_grid(
    overview: Overview,
    *,
    key: str,
    on_pick: Callable[[Pick], None] | None = None,
    compact_height: int = 0,
    looks: bool = False,
) -> None:
    """Draw `overview.maximum` (L, H, n, n); a layer without attention is a row with the name of what it works by.
    `on_pick` is called when a head, a layer or a column is chosen.

    `compact_height`: without names, at most so many pixels high; 0: with names, as large as there is room.
    `looks`: there is a stage, where `head_look` shows what is pointed at; the arrow keys then only look, and Enter
    chooses; and the grid scrolls in a box of its own. `outline_head` says which one is outlined.
    """

    def picked() -> None:
        if on_pick and (pick := Pick.parse(st.session_state[key].pick, overview)):
            on_pick(pick)

    n_layer, n_head, *_ = overview.maximum.shape
    cell = " cell" if overview.pooled else ""
    _grid(
        key=key,
        called=f"Attention maps of {n_layer} layers by {n_head} heads",
        numbers=lambda: Cube(
            overview.maximum,
            ("layer", "head", f"query{cell}", f"key{cell}"),
            "largest weight" if overview.pooled else "weight",
        ),
        on_pick_change=handler(picked),
        data=sent(grid_data(overview, compact_height=compact_height, looks=looks)),
    )


def outline_head(key: str, layer: int, head: int, together: Iterable[tuple[int, int]] = (), *, across: int = 1) -> None:
    """Outline one head of the grid drawn with `key`, and those that are read `together`; a row without heads as one,
    `across` so many.

    It is a style, so that the grid's maps, up to half a megabyte, stay put.
    """
    pairs = " ".join(f"{a}.{b}" for a, b in together)
    css_variables(key, layer=layer, head=head, across=across, together=f'"{pairs}"')
