"""Parts of a long page that stand there as headings: what is below one is computed and drawn while it is open."""

from collections.abc import Callable, Sequence
from functools import wraps

import streamlit as st

from viz.guard import section
from viz.ui import links
from viz.ui.choices import CHOICES

KEY = "chapter_"  # begins the key of each, by which the page's contents and frame.css know them


def chapter(
    name: str, title: str, *, of: Sequence[str] = (), tables: Sequence[str] = (), part: str | None = None
) -> Callable[[Callable], Callable]:
    """Make one of a function; whether it is open is the choice `name`.

    Where that has no default, it is open at first if an address says something of what is in it, as in links from when
    nothing was closed: one of the choices `of`, or that the numbers of one of the pictures `tables` are shown. `part`:
    the key of the fragment that it is; None: it is drawn with the page.
    """

    def decorate(show: Callable) -> Callable:
        @wraps(show)
        def guarded(*args, **kwargs) -> None:
            asked = None
            if CHOICES[name].default is None:
                asked = links.are_said(of) or not set(tables).isdisjoint(st.session_state.numbers)
            with st.container(key=KEY + name):
                place = st.expander(title, key=links.key(name, asked), on_change="rerun")
            if place.open:
                with place:
                    show(*args, **kwargs)

        return section(part)(guarded) if part else guarded

    return decorate
