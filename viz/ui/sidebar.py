"""The sidebar that every page shares: which model, which text, and what the current run is."""

import streamlit as st

from model import catalog
from model.run import VisitorError
from viz.ui import session


def choose() -> None:
    """Model and text, both restored from the URL."""
    if "next_text" in st.session_state:  # see session.read_next: a widget can only be set before it is drawn
        st.session_state.text = st.session_state.pop("next_text")
    with st.sidebar:
        st.markdown("## :material/visibility: Regard")
        st.selectbox(
            "Model",
            catalog.available(),
            key="model",
            bind="query-params",
            help="Built-in models need no download. “story” was trained by us, on children's books and simple stories.",
        )
        st.text_area(
            "Text",
            session.EXAMPLES[0],
            key="text",
            bind="query-params",
            height=110,
            help="Anything you like. Ctrl + Enter (⌘ + Enter on a Mac) reads it.",
        )
        st.selectbox(
            "Examples",
            session.EXAMPLES,
            index=None,
            key="example",
            placeholder="or choose an example …",
            label_visibility="collapsed",
            on_change=_use_example,
        )


def _use_example() -> None:
    if st.session_state.example:
        st.session_state.text = st.session_state.example
        st.session_state.example = None


def summarise(place) -> None:
    """What the current run is, once there is one; says nothing where the page already says what is wrong."""
    try:
        info, n_token = session.current_model().info, len(session.current_tokens())
    except VisitorError:
        return
    place.markdown(
        f"**{n_token:,}** token{'s' if n_token != 1 else ''} × **{info.n_layer}** layers × **{info.n_head}** heads  \n"
        f":small[{info.n_parameter / 1e6:.1f} M parameters · reads up to {info.n_context:,} tokens · "
        f"weights {info.fingerprint[:8]}]"
    )
