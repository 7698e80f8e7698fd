"""What a visitor's session holds, asked for as cheaply as Streamlit tells it."""

from collections.abc import Iterable, Set
from contextlib import suppress
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.state.common import user_key_from_element_id


def everything() -> dict[str, Any]:
    """All of it, in a seventh of the time of asking for each name."""
    return st.session_state.to_dict()


def values(names: Iterable[str]) -> dict[str, Any]:
    """Some of it; without those that are not held. For a few names, sooner than all."""
    context, found = get_script_run_ctx(suppress_warning=True), {}
    state = context.session_state if context else st.session_state
    for name in names:
        with suppress(KeyError):
            found[name] = state[name]
    return found


def set_by_code(names: Iterable[str]) -> list[str]:
    """Which of them were set by callbacks before this run, and by what was drawn in it so far: not by a widget."""
    state = get_script_run_ctx().session_state
    return [name for name in names if state.is_new_state_value(name)]


def sent(names: Set[str]) -> Set[str]:
    """Those whose widgets stand in what the browser has sent last: it knows them, with the value that it shows."""
    if not names:
        return names
    widgets = get_script_run_ctx().session_state.get_widget_states()
    return names & {user_key_from_element_id(widget.id) for widget in widgets}
