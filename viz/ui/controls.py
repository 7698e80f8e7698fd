"""Controls that stand on several pages."""

import streamlit as st


def position(label: str, name: str, n: int, **options) -> int:
    """Choose one of `n` things, counted from 0 and kept in the URL under `name`.

    A choice that no longer exists (the text got shorter, the model smaller) is dropped with a word.
    """
    current, default = st.session_state.get(name), start(name, n)
    if isinstance(current, int) and current >= n:
        st.session_state[name] = default
        st.toast(f"There is no {name} {current} any more: showing {name} {default}.")
    elif current is not None:
        # said again: after a callback that ends in st.rerun, Streamlit would take the value of the first link instead
        st.session_state[name] = current
    if n == 1:  # a slider needs two ends
        return st.number_input(label, 0, 0, key=name, bind="query-params", **options)
    return st.slider(label, 0, n - 1, default, key=name, bind="query-params", **options)


def start(name: str, n: int) -> int:
    """What is chosen at first: the last token looks, at the second; the last layer is compared; else the first thing.

    One rule for all pages: with another default on another page, a choice that a link brought would be lost there.
    """
    return {"token": n - 1, "key": min(1, n - 1), "compared": n - 1}.get(name, 0)


def select(name: str, value: int) -> None:
    """Set a choice made elsewhere (a click on a picture); only inside a callback."""
    st.session_state[name] = value
