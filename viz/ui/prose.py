"""Tokens, checks, formulas and tables in running text: all that is read, and is no picture."""

from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from model.analysis.checks import Check
from viz.plain import plain


def quoted(label: str) -> str:
    """A token's label, or a title, within Markdown."""
    return f"“{plain(label)}”"


def check(made: Check, sentence: str) -> None:
    """A number made again in another way, and whether it came out the same."""
    if made.passed:
        st.markdown(f":green[:material/check_circle:] **Check:** {sentence}")
    else:
        st.markdown(f":red[:material/error:] **Check failed, please report it:** {sentence}")


def formula(words: str, pieces: Sequence[str]) -> None:
    """What is computed, in words, and how: LaTeX, with the numbers, in pieces between which a line may end."""
    said, shown = st.columns([2, 3], gap="medium", vertical_alignment="center")
    said.markdown(words)
    # in braces, or KaTeX would break a piece in two at the end of a line
    shown.markdown(" ".join(rf"${{\displaystyle {piece}}}$" for piece in pieces))


def to_read(html: str, place: DeltaGenerator = st) -> None:
    """What is read, as HTML that a figure made: a sentence, a card of formulas, a table.

    The one place for it, because of this rule: what is read is selected and copied as it stands, and has no corner;
    what is seen, colours or places that stand for numbers, goes through `viz.ui.pictures.picture` or is a component,
    which give it one.
    """
    place.html(html)
