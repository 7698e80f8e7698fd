from collections import Counter

import pandas as pd
import streamlit as st

from model.analysis import checks
from model.language_model import ShowsCutting
from model.run import Token
from viz.components.token_chips import token_chips
from viz.figures import tokenization as figures
from viz.guard import handler, section
from viz.plain import plain
from viz.ui import controls, pictures, session
from viz.ui.prose import check, quoted

MOST_CHIPS = 2000
MOST_BYTES = 48  # of a merge ladder; of a longer word, what lies around the chosen token is shown
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
tokenizer = lm.tokenizer if isinstance(lm, ShowsCutting) else None


def counts() -> None:
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


@section("cut")
def cut() -> None:
    """The chips, and all that hangs on the chosen token: only this runs again when another is chosen."""
    chips = st.container()
    if tokenizer is None:
        draw_chips(chips, token := controls.position("Token", "token", len(tokens)))
        st.markdown(describe(token))
        st.info(f"How a word is put together can be shown for built-in models, not for {plain(lm.info.title)}.")
        return
    words = tokenizer.words(text)
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
    draw_chips(chips, token)
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
    st.markdown(describe(token))
    if chosen is not None:
        merges(token, words[chosen], word_of)

    st.subheader("Which words fall apart")
    per_word = Counter(place for place in word_of if place is not None)
    n_token = [per_word[i] for i in range(len(words))]
    most = n_token.index(max(n_token))
    pictures.picture(
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


def draw_chips(place, token: int) -> None:
    with place:
        token_chips(
            tokens[:MOST_CHIPS],
            key="chips",
            selected=token,
            on_pick=lambda position: controls.select("token", position),
        )
        pictures.caption(
            "Each chip is one token, in the order of the text; colours only tell neighbours apart. ␣ is a space, which "
            "belongs to its token; `<E2>` is a byte that is no whole character. Hover a chip for its id, bytes and "
            "place; click to choose it."
        )
        if len(tokens) > MOST_CHIPS:
            st.caption(f"The first {MOST_CHIPS:,} of {len(tokens):,} tokens; the table below has them all.")


def describe(position: int) -> str:
    token = tokens[position]
    if token.special and token.start == token.end:
        return (
            f"Token **{position}** is {quoted(token.label)}: id **{token.id}**, a special token. It stands for nothing "
            "in your text: it was put there for the model, and no merges made it."
        )
    return (
        f"Token **{position}** is {quoted(token.label)}: id **{token.id}**, bytes `{token.piece.hex(' ').upper()}`, "
        f"characters {token.start} to {token.end} of the text."
    )


def merges(token: int, word: str, word_of: list[int | None]) -> None:
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
    pictures.caption(
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


def vocabulary() -> None:
    st.header("Why some text costs more", divider="gray")
    n_mark = lm.info.n_vocab - 256 - tokenizer.n_merge
    marks = f"{n_mark} mark{'s' * (n_mark != 1)} that stand{'s' * (n_mark == 1)} for no text"
    st.markdown(
        f"The vocabulary of {plain(lm.info.title)} has **{lm.info.n_vocab:,}** entries: the 256 possible bytes, "
        f"{marks}, and the {tokenizer.n_merge:,} merges learned from the texts it was trained on. Any text can be "
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
    pictures.caption(
        "The same tokenizer on other writing, cut just now. Near 1 byte per token, the model has to read byte by byte."
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
        "Start and end count the characters of the text from 0, the end not included; tokens that share a character "
        f"share its place. {special_tokens()}"
    )


def special_tokens() -> str:
    """Which of these tokens are special, and whether their names, typed, are read as them: tried out just now."""
    special = {token.id: token for token in tokens if token.special}
    if not special:
        return "None of these is a special token."
    typed = [quoted(token.label) for token in special.values() if can_be_typed(token)]
    said = f"Special here: {', '.join(quoted(token.label) for token in special.values())}. "
    if not typed:
        return said + "Typed, such a name is cut like any other text."
    return said + f"Typed in a text, {' and '.join(typed)} {'is' if len(typed) == 1 else 'are'} read as special too."


def can_be_typed(token: Token) -> bool:
    """Whether its name in a text becomes this special token, besides those that are put around every text."""
    name = token.piece.decode(errors="replace")
    with_name, without = ([each.id for each in lm.encode(text)].count(token.id) for text in (f"a {name} a", "a a"))
    return with_name > without


st.html(f"<style>{figures.MERGE_LADDER_CSS}</style>")
counts()
cut()
if tokenizer is not None:
    vocabulary()
every_token()
