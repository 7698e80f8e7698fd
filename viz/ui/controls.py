"""Controls that stand on several pages."""

import streamlit as st


def position(label: str, name: str, n: int, *, default: int = 0, **options) -> int:
    """Choose one of `n` things, counted from 0 and kept in the URL under `name`.

    A choice that no longer exists (the text got shorter, the model smaller) is dropped with a word.
    """
    current = st.session_state.get(name)
    if isinstance(current, int) and current >= n:
        st.session_state[name] = default
        st.toast(f"There is no {name} {current} any more: showing {name} {default}.")
    if n == 1:  # a slider needs two ends
        return st.number_input(label, 0, 0, key=name, bind="query-params", **options)
    return st.slider(label, 0, n - 1, default, key=name, bind="query-params", **options)


def select(name: str, value: int) -> None:
    """Set a choice made elsewhere (a click on a picture); only inside a callback."""
    st.session_state[name] = value
