"""Tokenization: the text as tokens, how the chosen one was put together, and why some text takes more of them."""

from collections.abc import Sequence

import streamlit as st

from model.language_model import LanguageModel
from model.run import Token
from viz.figures.tokenization import STEPS_CSS
from viz.plain import plain
from viz.sections.tokenization import cut, every_token, vocabulary
from viz.ui import glossary, session


def main() -> None:
    st.title("Tokenization")
    st.markdown(
        "A transformer reads neither letters nor words. It reads **tokens**: pieces of text from a fixed list, its "
        "*vocabulary*. Before anything else, a text is cut into such pieces, and each piece becomes a number, its "
        "**id**."
    )
    glossary.show()
    lm, text, tokens = session.current_model(), session.current_text(), session.current_tokens()
    st.html(f"<style>{STEPS_CSS}</style>")
    counts(lm, text, tokens)
    cut.show(lm, text, tokens)
    vocabulary.show(lm)
    every_token.show(lm, tokens)


def counts(lm: LanguageModel, text: str, tokens: Sequence[Token]) -> None:
    if len(tokens) > lm.info.n_context:
        st.info(
            f"This text is {len(tokens):,} tokens long. It can be cut, as you see here, but {plain(lm.info.title)} "
            f"reads at most {lm.info.n_context:,} at a time: the other pages will ask for a shorter one.",
            icon=":material/info:",
        )
    n_byte, of_text = len(text.encode()), [token for token in tokens if token.start < token.end]
    per_token = f"{len(text) / len(of_text):.2f}" if of_text else "–"
    shown = [
        ("Tokens", f"{len(tokens):,}", "Pieces of the vocabulary: what the model reads."),
        ("Words", f"{len(text.split()):,}", "Runs of characters between spaces."),
        ("Characters", f"{len(text):,}", "Unicode code points, spaces included."),
        ("Bytes", f"{n_byte:,}", "The text's length in UTF-8: 1 byte for a plain letter, 2 to 4 for any other."),
        ("Characters per token", per_token, "Of those that stand for text. The higher, the better it fits."),
    ]
    with st.container(horizontal=True):
        for name, value, meaning in shown:
            st.metric(name, value, help=meaning)


main()
