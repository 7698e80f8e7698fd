"""A text as it was written: each token among what could have stood in its place, and what its position looked at.

All of it is in the browser: to play and to pull asks nothing of the server.
"""

from collections.abc import Callable

import streamlit as st

from viz.components import mount, sent
from viz.guard import handler
from viz.offline.film import FILM, Film

_film = mount(FILM, picture=True)


def film(shown: Film, *, key: str, on_open: Callable[[int], None], on_branch: Callable[[int, int], None]) -> None:
    """`on_open(step)`: to look behind a choice. `on_branch(step, candidate)`: to write on with that one instead.

    Both count the steps that the film leaves out, too.
    """
    n, n_candidate = len(shown.probability), len(shown.candidates[0])

    def opened() -> None:
        match st.session_state[key].open:
            case int(step) if 0 <= step < n:
                on_open(shown.skipped + step)

    def branched() -> None:
        match st.session_state[key].branch:
            case {"step": int(step), "candidate": int(i)} if 0 <= step < n and 0 <= i < n_candidate:
                on_branch(shown.skipped + step, i)

    def numbers() -> dict:
        before = len(shown.labels) - n
        looked = {f"{shown.first + i} {label}": shown.weights[:, i] for i, label in enumerate(shown.labels)}
        written = {"position": range(shown.first + before, shown.first + len(shown.labels))}
        written |= {
            "written": shown.labels[before:],
            "probability": shown.probability,
            "entropy in nats": shown.entropy,
        }
        return written | {f"looked at {label}": weights for label, weights in looked.items()}

    _film(
        key=key,
        called=f"{n} tokens as they were written, with where {shown.who} looked",
        numbers=numbers,
        data=sent(shown.data),
        on_open_change=handler(opened),
        on_branch_change=handler(branched),
    )
