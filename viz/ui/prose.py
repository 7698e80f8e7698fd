"""Tokens and checks in running text."""

import streamlit as st


def quoted(label: str) -> str:
    """A token's label within markdown: every sign that markdown could obey is written as an entity."""
    return "“" + "".join(c if c.isalnum() or c in " ␣" else f"&#{ord(c)};" for c in label) + "”"


def check(passed: bool, sentence: str) -> None:
    """A number made again in another way, and whether it came out the same."""
    if passed:
        st.markdown(f":green[:material/check_circle:] **Check:** {sentence}")
    else:
        st.markdown(f":red[:material/error:] **Check failed, please report it:** {sentence}")
