"""The same tokenizer on other writing, and why some of it falls into bytes."""

import streamlit as st

from model.language_model import LanguageModel
from viz.plain import plain
from viz.ui.pictures import caption

SAMPLES = {
    "a common word": " the",
    "a rarer word": " photosynthesis",
    "a name": " Nebuchadnezzar",
    "a number": " 1984",
    "French": " déjà vu",
    "Chinese": "猫坐在垫子上",
    "Arabic": "القطة",
    "an emoji": "🐈",
}


def show(lm: LanguageModel, n_merge: int) -> None:
    st.header("Why some text costs more", divider="gray")
    n_mark = lm.info.n_vocab - 256 - n_merge
    marks = f"{n_mark} mark{'s' * (n_mark != 1)} that stand{'s' * (n_mark == 1)} for no text"
    st.markdown(
        f"The vocabulary of {plain(lm.info.title)} has **{lm.info.n_vocab:,}** entries: the 256 possible bytes, "
        f"{marks}, and the {n_merge:,} merges learned from the texts it was trained on. Any text can be "
        "written with the bytes alone, so nothing is ever unknown. But what those texts seldom held, a rare word, "
        "another alphabet, an emoji, finds few merges and falls apart, in the end into bytes."
    )
    rows = []
    for kind, sample in SAMPLES.items():
        pieces, n_byte = [token.label for token in lm.encode(sample) if not token.special], len(sample.encode())
        rows.append(
            {
                "what": kind,
                "text": sample.strip(),
                "tokens": len(pieces),
                "bytes": n_byte,
                "bytes per token": n_byte / len(pieces),
                "pieces": pieces,
            }
        )
    st.dataframe(
        rows,
        hide_index=True,
        key="samples",
        column_config={
            "bytes per token": st.column_config.NumberColumn(format="%.2f"),
            "pieces": st.column_config.ListColumn(width="large"),
        },
    )
    caption(
        "The same tokenizer on other writing, cut just now. Near 1 byte per token, the model has to read byte by byte."
    )
