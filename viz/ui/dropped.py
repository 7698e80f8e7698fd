"""What of a link could not be had: said once, when its page is shown."""

import streamlit as st

from viz.plain import plain
from viz.ui import links, session
from viz.ui.choices import CHOICES
from viz.ui.choices import of as choices_of
from viz.ui.prose import quoted


def from_link() -> list[str]:
    """One sentence, as Markdown, for each value of the link that could not be had; told once."""
    state, memory = st.session_state, st.session_state.memory
    asked, memory.asked = memory.asked, {}
    sentences = []
    if memory.too_long:
        (length, n_choice), memory.too_long = memory.too_long, None
        sentences.append(
            f"The link was not read: it has {length:,} characters (choices: {n_choice:,}), and at most "
            f"{links.LONGEST_LINK:,} characters and {links.MOST_CHOICES:,} choices can be. Paste a long text into the "
            "sidebar instead."
        )
    if memory.lost_text:
        memory.lost_text = False
        sentences.append(
            f"The link's text is longer than the {links.LONGEST_TEXT:,} bytes that an address takes, and this server "
            "does not keep it, or not any more. Paste it into the sidebar."
        )
    for name, wanted in asked.items():
        if CHOICES[name].own_words or name not in choices_of(state.page) or CHOICES[name].says(wanted, state[name]):
            continue
        why = "does not exist here" if name != "model" or "refused" not in state else "cannot be shown here"
        because = f" {plain(state.refused)}" if why == "cannot be shown here" else ""
        short = wanted if len(wanted) <= 80 else f"{wanted[:80]}…"
        shown = state[name] if state[name] is not None else memory.default.get(name)
        if name == "model":
            shown = session.titles().get(shown, shown)
        shown = plain(CHOICES[name].write(shown)) if shown not in (None, "", ()) else "nothing"
        sentences.append(f"The link asked for {name} {quoted(short)}, which {why}: showing {shown}.{because}")
    return sentences
