"""A page whose every part can raise, as visitors' errors and as the program's own: what test_guard.py reads."""

import streamlit as st

from model.run import VisitorError
from viz.guard import handler, part, section, tell_untold

# what each kind of error is, and what belongs into the log alone
ERRORS = {"visitor": VisitorError("A number that is too large: type a smaller one."), "program": KeyError("secret")}


def may_raise(place: str) -> None:
    if kind := st.session_state.get(f"raise_{place}"):
        raise ERRORS[kind]


def choose(place: str) -> None:
    st.selectbox(place, [None, *ERRORS], key=f"raise_{place}")


@section("outer")
def fragment() -> None:
    choose("fragment")
    choose("part")
    st.button("Again", key="again")
    st.text("above")
    with part():
        may_raise("part")
        st.text("in the part")
    inner()
    may_raise("fragment")
    st.text("below")


@section("inner")
def inner() -> None:
    for kind in ERRORS:
        st.button(f"Call {kind}", key=f"call_{kind}", on_click=handler(raise_now), args=(kind,))
    st.button("Call rerun", key="call_rerun", on_click=handler(st.rerun))
    st.text("inner")


def raise_now(kind: str) -> None:
    raise ERRORS[kind]


def main() -> None:
    tell_untold()
    choose("page")
    with part():
        fragment()
        may_raise("page")
        st.text("the page's end")
    st.text("after the page")


main()
