"""The few pictures that plotly cannot draw fast enough, and what watches the browser: theme, connection, address.

Each is a Python wrapper, a .js and a .css of the same name, for Streamlit's components v2: no iframe, no build step.
The rules that keep them simple: the browser only reports (`setTriggerValue`), Python owns every selection and hands it
back; numbers travel as a typed column, labels as text that the script sets with `textContent`, never as HTML; colours
come from Streamlit's CSS variables, so that a theme switch needs no server.
"""

from collections.abc import Callable, Container, Sequence
from typing import Any

import numpy as np
import streamlit as st

from viz.offline.source import Columns, Source

_CORNERS: list[Callable[[str, str, Callable], dict]] = []  # the one that tells what a picture takes along


def corners_by(tell: Callable[[str, str, Callable], dict]) -> None:
    """Have each picture told what it takes along: of its key, what it is called, and what gives its numbers."""
    _CORNERS[:] = [tell]


def register(name: str, html: str, *, shared: Sequence[str] = (), picture: bool | None = None):
    """The component made of `name`.js and `name`.css beside this file; call the result to draw it. `shared`: as in
    `viz.offline.source.Source`; `picture`: as in `mount`.
    """
    return mount(Source(name, html, shared), picture=picture)


def mount(source: Source, *, picture: bool | None = None):
    """The same for one that a page without a server shows too.

    `picture`: whether it is one, and so can be saved from its corner: then it is drawn with what it is `called`, in
    words, and `numbers`, a function that gives them as a DataFrame or a `viz.figures.corner.Cube`. A test asks each
    component to say so.
    """
    component = st.components.v2.component(f"regard_{source.name}", html=source.html, css=source.css, js=source.js)
    if not picture:
        return component

    def draw(*, key: str, called: str, numbers: Callable[[], object], data: dict[str, Any], **more: object):
        if _CORNERS:
            data = data | {"corner": _CORNERS[0](key, called, numbers)}
        return component(key=key, data=data, **more)

    return draw


def sent(data: dict[str, Any]) -> dict[str, Any]:
    """Data as Streamlit sends it: with its `Columns` as such."""
    return {name: columns(**part) if isinstance(part, Columns) else part for name, part in data.items()}


def columns(**numbers: np.ndarray):
    """Numbers for a component's data, as columns: in a tenth of the time that a DataFrame takes on its way."""
    import pyarrow  # which the first page need not wait for

    return pyarrow.table(numbers)


def pick_handler(key: str, among: Container[int], on_pick: Callable[[int], None] | None) -> Callable[[], None]:
    """For `on_pick_change` of the component drawn with `key`: hands what was picked to `on_pick`, if it is `among`."""

    def picked() -> None:
        match st.session_state[key].pick:
            case int(i) if on_pick and i in among:
                on_pick(i)

    return picked


def css_variables(key: str, **values: object) -> None:
    """Set CSS variables on the component drawn with `key`. They reach into it without sending its data again."""
    rules = ";".join(f"--{name.replace('_', '-')}:{value}" for name, value in values.items())
    st.html(f"<style>.st-key-{key}{{{rules}}}</style>")
