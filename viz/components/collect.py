"""Takes the pictures of the page along for a report: each as its corner would save it, sent to Python."""

from collections.abc import Callable, Sequence

import streamlit as st

from viz.components import register
from viz.guard import handler

_collect = register("collect", html="<span></span>", picture=False)


def collect(number: int, but: Sequence[str], most: int, *, key: str, on_collected: Callable[[object], None]) -> None:
    """Ask the browser for the pictures that are seen now, but for those drawn with one of the keys in `but`.

    `most`: letters of all their SVGs. `on_collected` is called, once for each `number`, with what came back:
    {number, left, pictures: [{title, own, svg}]}, if the browser is no stranger.
    """

    def came() -> None:
        on_collected(st.session_state[key].collected)

    _collect(key=key, data={"number": number, "but": list(but), "most": most}, on_collected_change=handler(came))
