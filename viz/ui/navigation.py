"""The way through the app: a link to each page, in groups, with all that is chosen; the copy of a link; presenting."""

from dataclasses import dataclass

import streamlit as st

from viz.components.copy_link import copy_link
from viz.components.presenter import presenter
from viz.guard import handler
from viz.ui import links
from viz.ui.choices import (
    ATTENTION,
    COMPARISON,
    EMBEDDINGS,
    GENERATION,
    HEAD,
    HEADS,
    HOME,
    MECHANISM,
    MODEL,
    TOKENIZATION,
    TRAINING,
    TRANSLATION,
    UNDERSTANDING,
)


@dataclass(frozen=True)
class Entry:
    """A page in the navigation."""

    page: str  # its path
    title: str
    icon: str  # of Material


GROUPS: tuple[tuple[Entry, ...], ...] = (
    (
        Entry(HOME, "Home", "home"),
        Entry(TOKENIZATION, "Tokenization", "content_cut"),
        Entry(EMBEDDINGS, "Embeddings", "scatter_plot"),
        Entry(ATTENTION, "Attention", "visibility"),
        Entry(GENERATION, "Generation", "edit_note"),
    ),
    (
        Entry(TRANSLATION, "Translation", "translate"),
        Entry(UNDERSTANDING, "Understanding", "select_check_box"),
    ),
    (
        Entry(HEADS, "Heads", "groups"),
        Entry(HEAD, "Inside a head", "zoom_in"),
        Entry(COMPARISON, "Comparison", "compare"),
        Entry(MECHANISM, "Break the mechanism", "construction"),
        Entry(MODEL, "The model", "schema"),
        Entry(TRAINING, "Training", "exercise"),
    ),
)
ENTRIES = tuple(entry for group in GROUPS for entry in group)


def pages() -> list:
    """For st.navigation, which shows none of them itself: its own menu forgets what is chosen, and hides pages."""
    return [
        st.Page(links.path(entry.page), title=entry.title, icon=f":material/{entry.icon}:", default=entry.page == HOME)
        for entry in ENTRIES
    ]


def bar() -> None:
    """The links, the first of each group a little apart; the last group in a line of its own."""
    now = links.everything()
    with st.container(horizontal=True, key="pages", gap=None):
        for group in GROUPS:
            links.each({entry.page: (entry.title, entry.icon) for entry in group}, now, width="content")
            if group is not GROUPS[-1]:
                st.html(f'<span class="{"line" if group is GROUPS[-2] else "apart"}"></span>', width="content")
        copy_link(key="copy_link")
        _present()


def _present() -> None:
    presenting = st.session_state.present
    st.button(
        "Leave" if presenting else "Present",
        key="presenting",
        type="tertiary",
        icon=":material/close_fullscreen:" if presenting else ":material/slideshow:",
        help="Or Esc. → and ← lead from picture to picture."
        if presenting
        else "For a projector: larger, and no sidebar. → and ← then lead from picture to picture.",
        on_click=handler(_turn),
    )
    if presenting:
        presenter(key="presenter", on_leave=handler(_turn))


def _turn() -> None:
    st.session_state.present = not st.session_state.present
