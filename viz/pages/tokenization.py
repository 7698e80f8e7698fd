from bisect import bisect_right
from collections import Counter
from itertools import accumulate

import pandas as pd
import streamlit as st

from viz.components.token_chips import token_chips
from viz.figures import tokenization as figures
from viz.ui import controls, pictures, session

MOST_CHIPS = 2000
MOST_BYTES = 48  # of a merge ladder; a longer word is shown around the chosen token
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

st.title("Tokenization")
st.markdown(
    "A transformer reads neither letters nor words. It reads **tokens**: pieces of text from a fixed list, its "
    "*vocabulary*. Before anything else, a text is cut into such pieces, and each piece becomes a number, its **id**."
)
lm = session.current_model()
text = session.current_text()
tokens = session.current_tokens()
tokenizer = getattr(lm, "tokenizer", None)
n_byte = len(text.encode())
if len(tokens) > lm.info.n_context:
    st.info(
        f"This text is {len(tokens):,} tokens long. It can be cut, as you see here, but {lm.info.title} reads at most "
        f"{lm.info.n_context:,} at a time: the other pages will ask for a shorter one.",
        icon=":material/info:",
    )


def counts() -> None:
    for place, (name, value, help) in zip(
        st.columns(5),
        {
            "tokens": (f"{len(tokens):,}", "Pieces of the vocabulary: what the model reads."),
            "words": (f"{len(text.split()):,}", "Runs of characters between spaces."),
            "characters": (f"{len(text):,}", "Unicode code points, spaces included."),
            "bytes": (f"{n_byte:,}", "How long the text is in UTF-8: 1 byte for a plain letter, 2 to 4 for others."),
            "characters per token": (f"{len(text) / len(tokens):.2f}", "The higher, the better the vocabulary fits."),
        }.items(),
        strict=True,
    ):
        place.metric(name, value, help=help)


@st.fragment
def inside() -> None:
    token_chips(tokens[:MOST_CHIPS], key="chips", selected=st.session_state.get("token"), on_pick=pick)
    pictures.caption(
        "Each chip is one token, in the order of the text; colours only tell neighbours apart. ␣ is a space that belongs "
        "to the token, <E2> a byte that is no whole character. Hover a chip for its id, bytes and place; click to choose."
    )
    if len(tokens) > MOST_CHIPS:
        st.caption(f"The first {MOST_CHIPS:,} of {len(tokens):,} tokens; the table below has them all.")
    if tokenizer is None:
        token = controls.position("Token", "token", len(tokens))
        st.markdown(describe(token))
        st.info(f"{lm.info.title} does not cut words by merging bytes, so there are no merges to show.")
        return
    words = tokenizer.words(text)
    starts = list(accumulate(map(len, words), initial=0))[:-1]
    word_of = [bisect_right(starts, token.start) - 1 for token in tokens]

    def pick_word() -> None:
        pick(word_of.index(st.session_state.word))

    st.header("How a word is put together", divider="gray")
    st.markdown(
        "The cutting begins with single bytes. Again and again, the two neighbours whose merge was **learned earliest** "
        "are joined, until no learned merge is left. In training, the merge learned next was always the pair seen most "
        "often, so that frequent words end as one token, and rare ones in pieces."
    )
    left, right = st.columns([1, 3])
    with left:
        token = controls.position("Token", "token", len(tokens))
    chosen = word_of[token]
    st.session_state.word = chosen
    right.selectbox(
        "Word",
        range(len(words)),
        format_func=lambda i: f"{figures.word_name(words[i])}  (word {i})",
        key="word",
        on_change=pick_word,
        help="Merges never cross from one of these to the next: words with the space before them, numbers, signs.",
    )
    st.markdown(describe(token))
    merges(token, words[chosen], word_of)

    st.subheader("Which words fall apart")
    per_word = Counter(word_of)
    n_token = [per_word[i] for i in range(len(words))]
    most = max(range(len(words)), key=lambda i: n_token[i])
    whole = sum(n == 1 for n in n_token)
    pictures.picture(
        figures.tokens_per_word(words, n_token, chosen),
        key="tokens_per_word",
        how="One bar a word, as high as the number of tokens it takes; the chosen word is amber. A bar of 1 is a word "
        "that has its own entry in the vocabulary.",
        alt=f"Tokens of each of {len(words)} words: {whole} are one token; the most pieces, {n_token[most]}, "
        f"has {figures.word_name(words[most])}.",
        table=lambda: pd.DataFrame(
            {"word": map(figures.word_name, words), "tokens": n_token, "bytes": [len(word.encode()) for word in words]}
        ),
    )


def pick(position: int) -> None:
    controls.select("token", position)


def describe(position: int) -> str:
    token = tokens[position]
    label = token.label.replace("`", "ˋ")  # a backtick would end the code span
    return (
        f"Token **{position}** is `` {label} ``: id **{token.id}**, bytes `{token.piece.hex(' ').upper()}`, "
        f"characters {token.start} to {token.end} of the text."
    )


def merges(token: int, word: str, word_of: list[int]) -> None:
    own = [i for i, place in enumerate(word_of) if place == word_of[token]]
    first, last = figures.stretch_around(tokens, token, own[0], own[-1], MOST_BYTES)
    part = text[tokens[first].start : tokens[last].end]
    if part != word:
        st.caption(
            f"This word is {len(word.encode()):,} bytes long: shown are the {len(part.encode())} bytes around token "
            f"{token}. What is merged here does not depend on the rest."
        )
    ladder = figures.merge_ladder(tokenizer.merge_steps(part), tokenizer.merge_rank)
    st.html(figures.merge_table(ladder))
    pictures.caption(
        "From top to bottom: the single bytes, then one row a merge; the piece just made is framed. “No. 34” means that "
        "33 merges were learned before it: rows need not be in that order, since a later merge can make an earlier "
        "one possible only by waiting for its parts."
        if False
        else "From top to bottom: the single bytes, then one row a merge, with the piece just made in a frame. The number "
        "says when that merge was learned, counted from 0: at each step, the lowest number possible wins."
    )
    same = ladder[-1].pieces == tuple(tokens[i].piece for i in range(first, last + 1))
    check(
        same,
        f"the last row, {len(ladder) - 1} merges after the bytes, is exactly how the tokenizer cut your text: "
        f"tokens {first} to {last}."
        if same
        else "the last row is not how the tokenizer cut your text.",
    )


def check(passed: bool, sentence: str) -> None:
    st.markdown(f":green[:material/check_circle:] Check: {sentence}" if passed else f":red[:material/error:] {sentence}")


def vocabulary() -> None:
    st.header("Why some text costs more", divider="gray")
    st.markdown(
        f"The vocabulary of {lm.info.title} has **{lm.info.n_vocab:,}** entries: the 256 possible bytes, one mark for the "
        f"end of a text, and the {lm.info.n_vocab - 257:,} merges learned from the texts it was trained on. Any text can be "
        "written with the bytes alone, so nothing is ever unknown. But what those texts seldom held, a rare word, another "
        "alphabet, an emoji, has no merges and falls apart, in the end into bytes."
    )
    rows = []
    for kind, sample in SAMPLES.items():
        cut = lm.encode(sample)
        size = len(sample.encode())
        rows.append(
            {
                "what": kind,
                "text": sample.strip(),
                "tokens": len(cut),
                "bytes": size,
                "bytes per token": size / len(cut),
                "pieces": [token.label for token in cut],
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
    pictures.caption(
        "The same tokenizer on other writing, cut just now: near 1 byte per token, the model reads byte by byte."
    )


def every_token() -> None:
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
    pictures.caption(
        "Start and end count characters of the text from 0, the end not included; tokens that share a character have "
        "the same. Special tokens, such as the mark for the end of a text, cannot be typed."
    )


counts()
st.html(f"<style>{figures.MERGE_LADDER_CSS}</style>")
inside()
if tokenizer is not None:
    vocabulary()
every_token()
