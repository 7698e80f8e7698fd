"""On the page Heads: over which texts heads are scored, ours or lines of the visitor's own."""

import streamlit as st

from model.run import VisitorError
from model.text.passages import MOST_CHARACTERS, MOST_LINES, Lines, lines_in, passages
from viz.components.text_file import text_file
from viz.guard import handler
from viz.ui import controls, links
from viz.ui.choices import OURS
from viz.ui.long_texts import LongTexts
from viz.ui.pictures import caption

_BY_HASH = "hash:"
_LONGEST = 2**20  # characters that are taken in
_KEPT = LongTexts(8 * 10**6)
_BOX, _SHOWN = "lines_box", "lines_shown"  # the key of the widget; which choice it shows


def choose() -> None:
    """Ours, which can be read there, or the visitor's own."""
    which = controls.choose(
        "Texts",
        "texts",
        help=f"ours: {len(passages())} short passages written for this page, of stories, dialogues, lists, questions "
        "and code · own: lines of yours",
    )
    if which == OURS:
        with st.popover(f"Read the {len(passages())} passages", icon=":material/article:", key="passages"):
            st.code("\n\n".join(passages()), language=None, wrap_lines=True, height=320)


def read() -> tuple[str, ...]:
    """The texts; none: there are none yet, which is said."""
    if st.session_state.texts == OURS:
        return passages()
    state, present = st.session_state, _present()
    if _BOX not in state or state.get(_SHOWN) != state.lines:  # a link, Back and Forward bring others
        state[_BOX], state[_SHOWN] = present, state.lines
    st.text_area(
        "Your texts, one a line",
        key=_BOX,
        height=160,
        max_chars=_LONGEST,
        placeholder="Paste lines here.",
        on_change=handler(_keep),
    )
    text_file(key="lines_file", most=_LONGEST, on_text=_put_in)
    lines = lines_in(present)
    if lines.texts:
        caption(in_words(lines))
    else:
        st.info(
            "There are no texts yet. Paste some, one a line; a single one will do, but then nothing says how much a "
            "score differs from text to text.",
            icon=":material/article:",
        )
    return lines.texts


def in_words(lines: Lines) -> str:
    """What of a visitor's lines is read."""
    n = len(lines.texts)
    said = f"{n} text{'s' * (n > 1)}." if n == lines.n_line else f"Of {lines.n_line:,} lines the first {MOST_LINES}."
    if lines.n_cut:
        said += f" {lines.n_cut} of them longer than {MOST_CHARACTERS:,} characters: the beginning is read."
    return said


def _present() -> str:
    """Of a choice that stands in the address, or is kept under its hash. What this server does not keep is said."""
    state = st.session_state
    lines = state[links.key("lines")]
    if not lines.startswith(_BY_HASH):
        return lines
    kept = _KEPT.find(lines.removeprefix(_BY_HASH))
    if kept is None:
        state.lines = ""
        raise VisitorError(
            f"The link's lines are longer than the {links.LONGEST_TEXT:,} bytes that an address takes, and this server "
            "does not keep them, or not any more. Paste them again."
        )
    return kept


def _put_in(text: str) -> None:
    st.session_state[_BOX] = text
    _keep()


def _keep() -> None:
    lines = st.session_state[_BOX]
    long = links.is_long(lines) or lines.startswith(_BY_HASH)
    st.session_state.lines = _BY_HASH + _KEPT.keep(lines) if long else lines
