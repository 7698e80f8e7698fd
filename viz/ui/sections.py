"""Parts of a page that run again by themselves."""

from collections.abc import Callable
from functools import wraps

import streamlit as st

from model.run import VisitorError


def section(key: str) -> Callable[[Callable], Callable]:
    """Make a fragment of a function, under this key; a `VisitorError` becomes a sentence in its place.

    What a fragment raises on a rerun never reaches app.py.
    """

    def decorate(show: Callable) -> Callable:
        @wraps(show)  # Streamlit tells fragments apart by their names
        def guarded(*args, **kwargs) -> None:
            try:
                show(*args, **kwargs)
            except VisitorError as error:
                st.warning(str(error), icon=":material/info:")

        return st.fragment(guarded, key=key)

    return decorate
