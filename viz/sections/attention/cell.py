"""The outlined query and key: chosen, and opened as a card."""

from dataclasses import replace
from typing import NoReturn

import numpy as np
import streamlit as st

from model.analysis.attention import visible
from model.analysis.attention_map import AttentionMap, MapSpec
from viz.ui import controls, provenance, reading, session


def outlined(read_now: AttentionMap) -> tuple[int, int]:
    """The units that hold both."""
    return read_now.units.of(st.session_state.token), read_now.key_units.of(st.session_state.key)


def open_cell(query: int, key: int, spec: MapSpec | None = None) -> NoReturn:
    """Outline a value of the map and open its card. Query and key are units; `spec`: of the map, if it is another one.

    What a mask hides is outlined, and has no card: nothing was made there.
    """
    spec = reading.whole_spec() if spec is None else replace(spec, segment="all")
    controls.select("token", first_token(query))
    controls.select("key", int(session.current_map(spec).key_units.starts[key]))
    if is_seen(spec, query, key):
        provenance.open_value(spec, (query,), (key,), also=reading.parts())
    provenance.point_at(None)
    st.rerun(["card", *reading.parts()])


def is_seen(spec: MapSpec, query: int, key: int) -> bool:
    """Whether any of the heads lets the one unit look at the other."""
    read_now, layers = session.current_map(spec), session.current_run().layers(spec.of)
    block = np.ix_(read_now.units.tokens(query), read_now.key_units.tokens(key))
    return any(visible(layers[layer], head)[block].any() for layer, head in spec.heads)


def open_outlined() -> None:
    open_cell(*outlined(session.current_map(reading.whole_spec())))


def first_token(unit: int) -> int:
    return int(session.current_map(reading.whole_spec()).units.starts[unit])
