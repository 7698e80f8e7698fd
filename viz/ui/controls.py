"""Controls that stand on several pages, and hold what the address does."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from model.run import VisitorError
from viz.ui import links, session
from viz.ui.choices import CHOICES


def position(label: str, name: str, n: int, place: Any = st, *, first: int | None = None, **options) -> int:
    """Choose one of `n` things, counted from 0, in this place of the page; at first `first`, else as `start` says.

    A choice that no longer exists (the text got shorter, the model smaller) is dropped with a word.
    """
    held(name, n, first)
    if n == 1:  # a slider needs two ends
        return place.number_input(label, 0, 0, key=name, **options)
    return place.slider(label, 0, n - 1, 0, key=name, **options)


def slider(label: str, least: float, most: float, name: str, **options) -> Any:
    """A slider that holds a choice. Without any value Streamlit looks through all that the session holds for one."""
    return st.slider(label, least, most, least, key=links.key(name), **options)


def number(label: str, least: int, most: int | None, name: str, **options) -> int:
    """A field that holds a choice, with its value as its own too: a browser that draws it only after a press, by which
    no value is told again, has it from there, and would take the least for it.
    """
    key = links.key(name)
    return st.number_input(label, least, most, st.session_state[key], key=key, **options)


def held(name: str, n: int, first: int | None = None) -> int:
    """The same choice where it counts and no widget shows it."""
    default = start(name, n) if first is None else first
    links.key(name, default, among=n)
    current = st.session_state[name]
    if current >= n:
        st.session_state[name] = default
        if not links.is_asked(name):  # else it is said of the link
            word = name.replace("_", " ")
            st.toast(f"There is no {word} {current} any more: showing {word} {default}.")
    return st.session_state[name]


def choose(label: str, name: str, options: tuple[str, ...] | None = None, **more) -> str:
    """Choose one of a few: `options`, or all that there are."""
    options = options or CHOICES[name].options
    key = links.key(name)
    if st.session_state[name] not in options:
        st.session_state[name] = options[0]
    return st.segmented_control(label, options, key=key, required=True, **more)


def colours() -> list[bool]:
    """Whether the colours of maps are logarithmic, and whether they are fitted: the same choices on all pages."""
    return [
        choose(label, name, label_visibility="collapsed") == CHOICES[name].options[1]
        for label, name in (("Colours", "scale"), ("Range", "range"))
    ]


def beam(places: Sequence[Any], what: str) -> tuple[int, float]:
    """A slider in each of two places: how many texts a search keeps, and the power of the length that it divides by;
    `what` names such a text.
    """
    with places[0]:
        width = slider("Beam width", 1, 8, "width", help=f"How many {what}s are kept. 1: greedy.")
    with places[1]:
        penalty = slider(
            "Length penalty",
            0.0,
            2.0,
            "penalty",
            step=0.1,
            help=f"A {what}'s log-probability is divided by its number of tokens, with the end, to this power. 0: "
            "short ones win, for each token costs; more favours long ones.",
        )
    return width, penalty


def start(name: str, n: int) -> int:
    """What is chosen at first: the telling head and its strongest weight (`session.FirstLook`), the last layer to be
    compared, else the first thing.

    One rule for all pages: with another default on another page, a choice that a link brought would be lost there.
    """
    if name in ("layer", "head", "token", "key"):
        try:
            look = session.first_look()
        except VisitorError:  # the page says so
            return 0
        return min({"layer": look.layer, "head": look.head, "token": look.query, "key": look.key}[name], n - 1)
    return n - 1 if name == "compared" else 0


def select(name: str, value: int) -> None:
    """Set a choice made elsewhere (a click on a picture); only inside a callback."""
    st.session_state[name] = value
