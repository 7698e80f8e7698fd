"""The card that says where one attention weight comes from: one for all pages, drawn by app.py.

Any picture that shows a weight calls `open_card` when the weight is clicked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import streamlit as st

from model.intervention import UNCHANGED, Intervention


@dataclass(frozen=True)
class Cell:
    """Which weight of which run the card explains."""

    layer: int
    head: int
    query: int
    key: int
    continuation: tuple[int, ...]
    intervention: Intervention


def open_card(
    layer: int,
    head: int,
    query: int,
    key: int,
    *,
    continuation: tuple[int, ...] = (),
    intervention: Intervention = UNCHANGED,
    also: Sequence[str] = (),
) -> NoReturn:
    """Open the card on one weight and redraw it; `also` names keyed fragments to redraw with it. Only in a callback."""
    st.session_state.cell = Cell(layer, head, query, key, continuation, intervention)
    st.rerun(["card", *also])


@st.fragment(key="card")
def card() -> None:
    """Draw the card, if one is open."""
    cell = st.session_state.get("cell")
    if cell is None:
        return
    st.write(cell)
