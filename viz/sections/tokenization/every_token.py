"""The table of a text's tokens, and whether the special ones can be typed."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from model.language_model import LanguageModel
from model.run import Token
from viz.ui.pictures import caption
from viz.ui.prose import quoted


def show(lm: LanguageModel, tokens: Sequence[Token]) -> None:
    st.header("Every token", divider="gray")
    st.dataframe(
        pd.DataFrame(
            {
                "position": range(len(tokens)),
                "token": [token.label for token in tokens],
                "id": [token.id for token in tokens],
                "bytes": [token.piece.hex(" ").upper() for token in tokens],
                "start": [token.start for token in tokens],
                "end": [token.end for token in tokens],
                "special": [token.special for token in tokens],
            }
        ),
        hide_index=True,
        key="every_token",
    )
    caption(
        "Start and end count the characters of the text from 0, the end not included; tokens that share a character "
        f"share its place. {special_tokens(lm, tokens)}"
    )


def special_tokens(lm: LanguageModel, tokens: Sequence[Token]) -> str:
    """Which of these tokens are special, and whether their names, typed, are read as them: tried out just now."""
    special = {token.id: token for token in tokens if token.special}
    if not special:
        return "None of these is a special token."
    typed = [quoted(token.label) for token in special.values() if can_be_typed(lm, token)]
    listed = f"Special here: {', '.join(quoted(token.label) for token in special.values())}. "
    if not typed:
        return listed + "Typed, such a name is cut like any other text."
    return listed + f"Typed in a text, {' and '.join(typed)} {'is' if len(typed) == 1 else 'are'} read as special too."


def can_be_typed(lm: LanguageModel, token: Token) -> bool:
    """Whether its name in a text becomes this special token, besides those that are put around every text."""
    name = token.piece.decode(errors="replace")
    with_name, without = ([each.id for each in lm.encode(text)].count(token.id) for text in (f"a {name} a", "a a"))
    return with_name > without
