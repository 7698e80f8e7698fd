"""What an address asks for: taken down before any widget drops a value, put back where no widget does, and said where
it could not be had.
"""

import re

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from viz.plain import plain
from viz.ui.prose import quoted
from viz.ui.session import LINKED

# of a link, in characters and choices: Streamlit ignores all of a longer one, and says nothing
LONGEST_LINK, MOST_CHOICES = 512 * 1024, 1000


def remember_link() -> None:
    """Keep what the URL asked for when the session began, before any widget drops a value."""
    if "asked" not in st.session_state:
        st.session_state.asked = {name: st.query_params[name] for name in LINKED if name in st.query_params}
        st.session_state.pinned = "token" in st.session_state.asked  # in the token graph
        query = get_script_run_ctx().query_string
        st.session_state.link_size = (len(query), query.count("&") + 1)
        ids = st.session_state.asked.get("target_ids", "")
        st.session_state.target_ids = ids if re.fullmatch(r"(\d{1,7}\.){1,1000}|\.", ids) else ""


def keep_link() -> None:
    """Put what no widget holds into the address."""
    ids = st.session_state.target_ids
    if ids and st.query_params.get("target_ids") != ids:
        st.query_params["target_ids"] = ids
    elif not ids and "target_ids" in st.query_params:
        del st.query_params["target_ids"]


def dropped_from_link() -> list[str]:
    """One sentence, as Markdown, for each value of the link that the first page's widgets refused; told once."""
    state = st.session_state
    asked, state.asked = state.asked, {}
    (length, n_choice), state.link_size = state.link_size, (0, 0)
    said = []
    if (length > LONGEST_LINK or n_choice > MOST_CHOICES) and not st.query_params:
        said.append(
            f"The link was not read: it has {length:,} characters (choices: {n_choice:,}), and at most "
            f"{LONGEST_LINK:,} characters and {MOST_CHOICES:,} choices can be. Paste a long text into the sidebar "
            "instead."
        )
    for name, wanted in asked.items():
        if name not in state or _same(state[name], wanted):
            continue
        why = "does not exist here" if name != "model" or "refused" not in state else "cannot be shown here"
        because = f" {plain(state.refused)}" if why == "cannot be shown here" else ""
        short = wanted if len(wanted) <= 80 else f"{wanted[:80]}…"
        shown = plain(state[name]) or "nothing"
        said.append(f"The link asked for {name} {quoted(short)}, which {why}: showing {shown}.{because}")
    return said


def _same(value: object, wanted: str) -> bool:
    """Whether a widget took what a link says: a switch is true in a link, and 0.10 is 0.1."""
    try:
        return float(wanted) == float(value)
    except (TypeError, ValueError):
        return str(value).lower() == wanted.lower()
