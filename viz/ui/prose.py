"""Tokens and checks in running text."""

import streamlit as st

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
