"""The outlined query and key: chosen, and opened as a card."""

import streamlit as st

from viz.guard import handler
from viz.ui import controls, provenance, reading, session


def choose(n_query: int, n_key: int) -> tuple[int, int]:
    left, right = st.columns(2, gap="medium")
    with left:
        token = controls.position(
            "Query", "token", n_query, help="The token that looks.", on_change=handler(reading.read_again)
        )
    with right:
        key = controls.position("Key", "key", n_key, help="The token looked at.", on_change=handler(reading.read_again))
    return token, key


def open_cell(query: int, key: int) -> None:
    """Open the card on a value of the map, and outline it there. Query and key are units."""
    controls.select("token", first_token(query))
    controls.select("key", int(session.current_map(reading.whole_spec()).key_units.starts[key]))
    provenance.open_value(reading.whole_spec(), (query,), (key,), also=["read"])


def open_outlined() -> None:
    read_now = session.current_map(reading.whole_spec())
    open_cell(read_now.units.of(st.session_state.token), read_now.key_units.of(st.session_state.key))


def first_token(unit: int) -> int:
    return int(session.current_map(reading.whole_spec()).units.starts[unit])
