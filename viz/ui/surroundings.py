"""What is around every page: the sheet of styles for screen and paper, and the keyboard's way past the navigation."""

import html
from functools import cache
from pathlib import Path

import streamlit as st

from model.run import VisitorError
from viz.components.paper import paper
from viz.components.skip import skip
from viz.plain import visible
from viz.ui import session
from viz.ui.pictures import PRESENTED

_MOST = 600  # characters of the text on paper
_SHEETS = Path(__file__).parents[1]
_NAMES = {  # of a component's variables, and of Streamlit's options
    "text-color": "textColor",
    "primary-color": "primaryColor",
    "border-color": "borderColor",
    "background-color": "backgroundColor",
    "secondary-background-color": "secondaryBackgroundColor",
    "chart-categorical-colors": "chartCategoricalColors",
    "chart-sequential-colors": "chartSequentialColors",
}


def draw() -> None:
    """Before all else that is drawn: the first stop of the keyboard is here."""
    mode = st.context.theme.type or "light"
    # both at once: the browser changes the theme before Python hears of it
    light, dark = (st.get_option(f"theme.{theme}.backgroundColor") for theme in ("light", "dark"))
    variables = f"--regard-background:light-dark({light},{dark});--regard-larger:{PRESENTED};"
    presented = (_SHEETS / "presented.css").read_text(encoding="utf-8") if st.session_state.present else ""
    st.html(f"<style>:root{{{variables}}}{_styles(mode == 'dark')}{presented}</style>")
    skip()
    paper()


def on_paper(place) -> None:
    """Model and text, which paper without a sidebar would not tell; not on screen, and not where a page cannot read."""
    try:
        title, text = session.current_model().info.title, session.current_text()
    except VisitorError:
        return
    cut = visible(text[:_MOST]) + (" …" if len(text) > _MOST else "")
    place.html(f'<p class="on-paper"><b>{html.escape(title)}</b> reads: <span dir="auto">{html.escape(cut)}</span></p>')


@cache
def _styles(dark: bool) -> str:
    """The sheets; in the dark theme with the light theme's colours for paper."""
    frame = "".join((_SHEETS / name).read_text(encoding="utf-8") for name in ("frame.css", "paper.css"))
    if not dark:
        return frame
    named = "".join(f"--st-{name}:{_light(option)}!important;" for name, option in _NAMES.items())
    paper_text = f"--paper-text:{_light('textColor')};"
    return (
        f"{frame}{(_SHEETS / 'dark_paper.css').read_text(encoding='utf-8')}"
        f"@media print{{:root{{{paper_text}}} .stBidiComponent *{{{named}}}}}"
    )


def _light(option: str) -> str:
    value = st.get_option(f"theme.light.{option}")
    return ",".join(value) if isinstance(value, list | tuple) else value
