"""The text as chips of tokens, and how byte-pair merges put the chosen token's word together."""

from collections import Counter
from collections.abc import Sequence

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from model.analysis import checks
from model.language_model import LanguageModel, ShowsCutting
from model.run import Token
from model.text.tokenizer import Tokenizer
from viz.components.token_chips import token_chips
from viz.figures import tokenization as figures
from viz.guard import handler, section
from viz.plain import plain
from viz.ui import controls
from viz.ui.pictures import caption, picture
from viz.ui.prose import check, quoted

MOST_CHIPS = 2000
MOST_BYTES = 48  # of a merge ladder; of a longer word, what lies around the chosen token is shown


@section("cut")
def show(lm: LanguageModel, text: str, tokens: Sequence[Token]) -> None:
    """The chips, and all that hangs on the chosen token: only this runs again when another is chosen."""
    chips = st.container()
    if not isinstance(lm, ShowsCutting):
        draw_chips(chips, tokens, token := controls.position("Token", "token", len(tokens)))
        st.markdown(describe(token, tokens[token]))
        st.info(f"How a word is put together can be shown for built-in models, not for {plain(lm.info.title)}.")
        return
    words = lm.tokenizer.words(text)
    word_of = figures.words_of_tokens(words, tokens)

    st.header("How a word is put together", divider="gray")
    st.markdown(
        "The cutting begins with single bytes. Again and again, the two neighbours whose merge was **learned "
        "earliest** become one, until no learned merge is left. In training, the pair seen most often was always "
        "learned next: so frequent words end as one token, and rare ones in pieces."
    )
    left, right = st.columns([2, 3])
    with left:
        token = controls.position("Token", "token", len(tokens))
    draw_chips(chips, tokens, token)
    st.session_state.word = chosen = word_of[token]
    right.selectbox(
        "Word",
        range(len(words)),
        index=chosen,  # with None it could be emptied
        placeholder="none: this token stands for nothing in the text",
        format_func=lambda i: f"{figures.word_name(words[i])}  (word {i})",
        key="word",
        on_change=handler(lambda: choose_word(word_of)),
        help="Merges never cross from one of these to the next: words with the space before them, numbers, signs.",
    )
    st.markdown(describe(token, tokens[token]))
    if chosen is not None:
        merges(lm.tokenizer, text, tokens, token, words[chosen], word_of)

    st.subheader("Which words fall apart")
    per_word = Counter(place for place in word_of if place is not None)
    n_token = [per_word[i] for i in range(len(words))]
    most = n_token.index(max(n_token))
    picture(
        figures.tokens_per_word(words, n_token, chosen),
        key="tokens_per_word",
        how="One bar a word, as high as the number of tokens it takes; the chosen word is amber. A word with a bar of "
        "1 has an entry of its own in the vocabulary.",
        alt=f"Tokens of each of {len(words)} words: {n_token.count(1)} are one token; the word in most pieces, "
        f"{n_token[most]}, is {figures.word_name(words[most])}.",
        table=lambda: pd.DataFrame(
            {"word": map(figures.word_name, words), "tokens": n_token, "bytes": [len(word.encode()) for word in words]}
        ),
    )


def choose_word(word_of: list[int | None]) -> None:
    if st.session_state.word is not None:
        controls.select("token", word_of.index(st.session_state.word))


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
            "in your text: it was put there for the model, and no merges made it."
        )
    return (
        f"Token **{position}** is {quoted(token.label)}: id **{token.id}**, bytes `{token.piece.hex(' ').upper()}`, "
        f"characters {token.start} to {token.end} of the text."
    )


def merges(
    tokenizer: Tokenizer, text: str, tokens: Sequence[Token], token: int, word: str, word_of: list[int | None]
) -> None:
    own = [i for i, place in enumerate(word_of) if place == word_of[token]]
    first, last = figures.stretch_around(tokens, token, own[0], own[-1], MOST_BYTES)
    part = text[tokens[first].start : tokens[last].end]
    if part != word:
        st.caption(
            f"This word is {len(word.encode()):,} bytes long: shown are the {len(part.encode())} bytes around token "
            f"{token}. No merge crosses to the rest, so what happens here does not depend on it."
        )
    ladder = figures.merge_ladder(tokenizer.merge_steps(part), tokenizer.merge_rank)
    st.html(figures.merge_table(ladder))
    caption(
        "From top to bottom: the single bytes, then one row a merge, with the piece just made in a frame. The number "
        "says when that merge was learned, counted from 0: of all merges possible in a row, the lowest number wins."
    )
    n_merge, n_piece = len(ladder) - 1, last - first + 1
    check(
        checks.same(
            "pieces after the last merge, and the tokens",
            ladder[-1].pieces == tuple(token.piece for token in tokens[first : last + 1]),
        ),
        f"after {n_merge} merge{'s' * (n_merge != 1)}, the last row must equal what the tokenizer gave for this "
        f"part of your text: {n_piece} token{'s' * (n_piece != 1)}, "
        f"{f'{first} to {last}' if n_piece > 1 else f'number {first}'}.",
    )
