"""Controls that stand on several pages."""

import streamlit as st

from viz.ui import own_choices


def position(label: str, name: str, n: int, **options) -> int:
    """Choose one of `n` things, counted from 0 and kept in the URL under `name`.

    A choice that no longer exists (the text got shorter, the model smaller) is dropped with a word.
    """
    current, default = st.session_state.get(name), start(name, n)
    if isinstance(current, int) and current >= n:
        st.session_state[name] = default
        st.toast(f"There is no {name} {current} any more: showing {name} {default}.")
    elif name in st.session_state:
        # said again: after a callback that ends in st.rerun, Streamlit would take the value of the first link instead
        st.session_state[name] = default if current is None else current
    standard = {"key": name, "bind": "query-params"} | options
    # a slider needs two ends
    value = st.slider(label, 0, n - 1, default, **standard) if n > 1 else st.number_input(label, 0, 0, **standard)
    own_choices.put_in_address(name, value, default)
    return value


def start(name: str, n: int) -> int:
    """What is chosen at first: the last token looks, at the second; the last layer is compared; else the first thing.

    One rule for all pages: with another default on another page, a choice that a link brought would be lost there.
    """
    return {"token": n - 1, "key": min(1, n - 1), "compared": n - 1}.get(name, 0)


def select(name: str, value: int) -> None:
    """Set a choice made elsewhere (a click on a picture); only inside a callback."""
    st.session_state[name] = value
