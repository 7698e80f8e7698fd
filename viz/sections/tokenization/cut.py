"""The text as chips of tokens, how the chosen token's word was put together, and which words fall apart."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from model.language_model import LanguageModel
from model.run import Token
from model.text.cut import Cut, NotFollowed
from viz.components.token_chips import token_chips
from viz.figures import tokenization as figures
from viz.guard import handler, section
from viz.plain import plain
from viz.sections.tokenization import steps
from viz.ui import controls, session
from viz.ui.pictures import caption, picture
from viz.ui.prose import quoted

MOST_CHIPS = 2000


@section("cut")
def show(lm: LanguageModel, text: str, tokens: Sequence[Token]) -> None:
    """The chips, and all that hangs on the chosen token: only this runs again when another is chosen."""
    chips = st.container()
    try:
        cutting, cut = session.cutting_of(session.model_name()), session.current_cut()
        why_not = "" if cut.words else "No word of this text became a token that stands for any of it."
    except NotFollowed as error:
        why_not = str(error)
    if why_not:
        draw_chips(chips, tokens, token := controls.position("Token", "token", len(tokens)))
        st.markdown(describe(token, tokens[token]))
        st.info(plain(why_not))
        return

    st.header("How a word is put together", divider="gray")
    st.markdown(f"{steps.how_it_works(cutting)} {steps.first_steps(cutting)}")
    left, right = st.columns([2, 3])
    with left:
        token = controls.position("Token", "token", len(tokens))
    draw_chips(chips, tokens, token)
    st.session_state.word_cut = chosen = cut.word_of[token]
    right.selectbox(
        "Word",
        range(len(cut.words)),
        index=chosen,  # with None it could be emptied
        placeholder="none: this token stands for nothing in the text",
        format_func=lambda i: f"{figures.word_name(text[cut.words[i].start : cut.words[i].end])}  (word {i})",
        key="word_cut",
        on_change=handler(lambda: choose_word(cut)),
        help="Pieces never cross from one of these to the next.",
    )
    st.markdown(describe(token, tokens[token]))
    if chosen is not None and cut.words[chosen].written is None:
        st.markdown("It is looked for in the text before all else, so no steps made it.")
    elif chosen is not None:
        steps.show(lm, cutting, cut, text, tokens, token, cut.words[chosen])
    falling_apart(cut, text, chosen)


def falling_apart(cut: Cut, text: str, chosen: int | None) -> None:
    st.subheader("Which words fall apart")
    words = [text[word.start : word.end] for word in cut.words]
    n_token = [word.last + 1 - word.first for word in cut.words]
    most = n_token.index(max(n_token))
    picture(
        figures.tokens_per_word(words, n_token, chosen),
        key="tokens_per_word",
        how="One bar a word, as high as the number of tokens it takes; the chosen word is amber. A word with a bar of "
        "1 has an entry of its own in the vocabulary, or is unknown to it as a whole. All words were cut again by the "
        "steps above, and ended, token for token, where the tokenizer did.",
        alt=f"Tokens of each of {len(words)} words: {n_token.count(1)} are one token; the word in most pieces, "
        f"{n_token[most]}, is {figures.word_name(words[most])}.",
        table=lambda: pd.DataFrame(
            {"word": map(figures.word_name, words), "tokens": n_token, "bytes": [len(word.encode()) for word in words]}
        ),
    )


def choose_word(cut: Cut) -> None:
    if st.session_state.word_cut is not None:
        controls.select("token", cut.words[st.session_state.word_cut].first)


def draw_chips(place: DeltaGenerator, tokens: Sequence[Token], token: int) -> None:
    with place:
        token_chips(
            tokens[:MOST_CHIPS],
            key="chips",
            selected=token,
            on_pick=lambda position: controls.select("token", position),
        )
        caption(
            "Each chip is one token, in the order of the text; colours only tell neighbours apart. ␣ is a space, which "
            "belongs to its token; `<E2>` is a byte that is no whole character. Hover a chip for its id, bytes and "
            "place; click to choose it."
        )
        if len(tokens) > MOST_CHIPS:
            st.caption(f"The first {MOST_CHIPS:,} of {len(tokens):,} tokens; the table below has them all.")


def describe(position: int, token: Token) -> str:
    if token.special and token.start == token.end:
        return (
            f"Token **{position}** is {quoted(token.label)}: id **{token.id}**, a special token. It stands for nothing "
            "in your text: it was put there for the model, and no steps made it."
        )
    return (
        f"Token **{position}** is {quoted(token.label)}: id **{token.id}**, bytes `{token.piece.hex(' ').upper()}`, "
        f"characters {token.start} to {token.end} of the text."
    )
