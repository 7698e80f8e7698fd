"""A button that reads a text file on the visitor's machine; the server takes no uploads, the browser sends its text."""

from collections.abc import Callable

import streamlit as st

from viz.components import register
from viz.guard import handler

_file = register(
    "text_file",
    html='<button type="button">Read a .txt file</button><input type="file" accept=".txt,text/plain" hidden>'
    '<span class="said" role="status"></span>',
    picture=False,
)


def text_file(*, key: str, most: int, on_text: Callable[[str], object]) -> None:
    """`on_text` is called with what stands in the file: at most its first `most` bytes, as UTF-8."""

    def read() -> None:
        match st.session_state[key].text:
            case str(text):
                on_text(text[:most])

    _file(key=key, data={"most": most}, on_text_change=handler(read))
