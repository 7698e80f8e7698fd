"""On the page Training: what a model of a few lines makes of a word that it never saw."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from model.run import PromptError
from viz.components.token_line import Piece, token_line
from viz.figures.numbers import percent
from viz.guard import section
from viz.plain import plain
from viz.ui import links
from viz.ui.choices import BY_CHARACTERS, BY_PIECES
from viz.ui.pictures import caption

if TYPE_CHECKING:
    from model.lab.sentences import Run


@section("unseen")
def show(run: Run) -> None:
    from model.lab.sentences import language_model

    st.subheader("A word that it never saw", anchor=False)
    what = {BY_CHARACTERS: "a letter", BY_PIECES: "a word"}.get(run.settings.units, "a word")
    st.text_input(f"A text with {what} that the lines do not have", key=links.key("unseen"), max_chars=200)
    text = st.session_state.unseen.strip()
    if not text:
        raise PromptError("There is no text to read: type one.")
    lm = language_model(run, "The model")
    tokens = lm.encode(text)
    found = lm.run(tokens).predictions
    unknown = getattr(run.vocabulary, "unk_token_id", None)
    pieces = []
    for i, token in enumerate(tokens):
        p = None if i == 0 else float(np.exp(found.next_log_prob[i - 1]))
        pieces.append(
            Piece(
                run.vocabulary.token(token.id).label,
                note=f"“{text[token.start : token.end].strip() or 'a space'}”, id {token.id}"
                + ("" if p is None else f"\nprobability {percent(p)} after what stands before"),
                look="changed" if token.id == unknown else "",
                under="" if p is None else percent(p),
            )
        )
    token_line(pieces, key="unseen_line", name="The text as the model reads it")
    caption("Under each token: how probable it was after those before it, by the weights of the last checkpoint.")
    strange = [text[token.start : token.end].strip() for token in tokens if token.id == unknown]
    st.markdown(f"{_in_words(run, strange, unknown)} {_what_comes(run, found)}")


def _in_words(run: Run, strange: list[str], unknown: int | None) -> str:
    if run.settings.units == BY_PIECES:
        return (
            "No word is unknown to this tokenizer: what is no entry falls into pieces, down to single bytes. But those "
            "that the lines do not have still hold their first random vectors, moved only by being wrong answers."
        )
    if not strange:
        return "All of it is in the vocabulary: type something that is not in your lines."
    named = ", ".join(f"“{plain(each)}”" for each in strange[:5]) + (" …" if len(strange) > 5 else "")
    return (
        f"**{named}: out of the vocabulary.** In its place the model reads the **unknown token** `[UNK]`, id "
        f"{unknown}: the same for whatever is unknown, so any other unknown "
        f"{'letter' if run.settings.units == BY_CHARACTERS else 'word'} there gives exactly these numbers. Its vector "
        "still holds its first random numbers, moved only by being a wrong answer."
    )


def _what_comes(run: Run, found) -> str:
    best = [
        f"“{plain(run.vocabulary.token(int(id)).label)}” ({percent(float(np.exp(log_p)))})"
        for id, log_p in zip(found.top_id[-1][:3], found.top_log_prob[-1][:3], strict=True)
    ]
    return f"After the whole text it expects {', '.join(best)}."
