"""Choices that belong to a model: which layer, which head, which tokens.

A page may be read by another model than the chosen one (see `session.READ_BY`), and each page's widgets hold these
choices under the same names. So whenever another model reads, those of the one before it are put away, and those of the
one that reads now are put back, before any widget is drawn.
"""

from urllib.parse import parse_qs, urlencode

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from viz.ui.session import LINKED

READER = ("layer", "head", "heads", "token", "key", "compared", "step")  # of the model that reads the page
DECODER = ("decoder_layer", "decoder_head")  # of the decoder that is shown beside it
_AT_FIRST = {"heads": ""}  # all others: None, which `controls.position` makes a default


def belong_to(model: str, names: tuple[str, ...]) -> None:
    """Let the choices of these names be a model's; to be said in each run, before their widgets are drawn.

    A model that was chosen in the sidebar for the first time begins with those of the model chosen before it, so that
    two can be compared; one that only reads a page begins anew.
    """
    state = st.session_state
    if names not in state.setdefault("own_choices", {}):
        state.own_choices[names] = {}, model, None, state.page
    kept, before, chosen_before, page = state.own_choices[names]
    if before != model:
        kept[before] = {name: state.get(name) for name in names}
        start = kept.get(model, kept.get(chosen_before, {}) if model == state.model else {})
        for name in names:
            value = start.get(name)
            state[name] = _AT_FIRST.get(name) if value is None else value
        state.not_in_address = {*state.get("not_in_address", ()), *names}
        _forget_link(names, same_page=page == state.page)
    state.own_choices[names] = kept, model, model if model == state.model else chosen_before, state.page


def _forget_link(names: tuple[str, ...], *, same_page: bool) -> None:
    """Streamlit would give a widget of another range what the first link said, whatever was chosen since."""
    context = get_script_run_ctx()
    with context.session_state.query_params() as params:
        if same_page:  # else Streamlit does it itself
            params.populate_from_query_string(context.query_string)
        rest = {name: params.get_initial_value(name) for name in LINKED if name not in names}
        told = {name: value for name, value in rest.items() if value is not None}
        params.set_initial_query_params(urlencode(told, doseq=True))


def put_in_address(name: str, value: int, default: int) -> None:
    """After its widget was drawn: Streamlit forgets the address of one whose range has changed with the model."""
    waiting = st.session_state.get("not_in_address", set())
    if name not in waiting:
        return
    waiting.remove(name)
    context = get_script_run_ctx()
    told = parse_qs(context.query_string).get(name)
    with context.session_state.query_params() as params:
        if value != default and told != [str(value)]:
            params.set_corrected_value(name, value, "int_value")
        elif value == default and told:
            params.set_with_no_forward_msg(name, told)
            params.remove_param(name)
