"""A text as it was written: each token among what could have stood in its place, and what its position looked at.

All of it is in the browser: to play and to pull asks nothing of the server.
"""

from collections.abc import Callable

import streamlit as st

from viz.components import mount, sent
from viz.guard import handler
from viz.offline.film import FILM, Film

_film = mount(FILM)


def film(shown: Film, *, key: str, on_open: Callable[[int], None], on_branch: Callable[[int, int], None]) -> None:
    """`on_open(step)`: to look behind a choice. `on_branch(step, candidate)`: to write on with that one instead."""
    n, n_candidate = len(shown.probability), len(shown.candidates[0])

    def opened() -> None:
        match st.session_state[key].open:
            case int(step) if 0 <= step < n:
                on_open(step)

    def branched() -> None:
        match st.session_state[key].branch:
            case {"step": int(step), "candidate": int(i)} if 0 <= step < n and 0 <= i < n_candidate:
                on_branch(step, i)

    _film(key=key, data=sent(shown.data), on_open_change=handler(opened), on_branch_change=handler(branched))
