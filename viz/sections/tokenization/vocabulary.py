"""The same tokenizer on other writing, and why some of it falls into bytes, or is unknown."""

from contextlib import suppress

import streamlit as st

from model.language_model import LanguageModel
from model.run import PromptError, Token
from model.text.bpe import BytePairs
from model.text.cut import Cutting, NotFollowed
from model.text.word_piece import WordPieces
from viz.plain import plain
from viz.ui import session
from viz.ui.pictures import caption
from viz.ui.prose import quoted

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


def show(lm: LanguageModel) -> None:
    st.header("Why some text costs more", divider="gray")
    unknown = None
    with suppress(NotFollowed):  # the part above says why
        cutting = session.cutting_of(session.model_name())
        unknown = None if cutting.n_byte == 256 else cutting.model.unknown
        st.markdown(holds(lm, cutting))
    rows = [row(lm, kind, sample, unknown) for kind, sample in SAMPLES.items()]
    if unknown is None:
        rows = [{name: value for name, value in each.items() if name != "unknown"} for each in rows]
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


def holds(lm: LanguageModel, cutting: Cutting) -> str:
    """What the vocabulary is made of, and what becomes of text that it has no entry for."""
    model, n_vocab = cutting.model, lm.info.n_vocab
    parts = []
    if cutting.n_byte:
        parts.append(
            "the 256 possible bytes" if cutting.n_byte == 256 else f"{cutting.n_byte} of the 256 possible bytes"
        )
    if isinstance(model, BytePairs):
        n_mark = n_vocab - 256 - model.n_merge  # an entry for each merge, where they were learned one by one
        if cutting.byte_level and cutting.n_byte == 256 and 0 <= n_mark < 256:
            parts.append(f"{n_mark} mark{'s' * (n_mark != 1)} that stand{'s' * (n_mark == 1)} for no text")
        parts.append(f"what {model.n_merge:,} learned merges make")
    elif isinstance(model, WordPieces) and not model.whole_only:
        n_within = sum(entry.startswith(model.prefix) for entry in model.ids) if model.prefix else 0
        parts.append(f"{n_within:,} of them, written with {quoted(model.prefix)}, go on within a word")
    elif not isinstance(model, WordPieces):
        parts.append("each with a log-probability")
    made_of = f"{', '.join(parts[:-1])}{' and ' * (len(parts) > 1)}{parts[-1]}" if parts else "whole words"
    if cutting.n_byte == 256:
        rest = "Any text can be written with the bytes alone, so nothing is ever unknown."
    elif cutting.n_byte:
        rest = "Text is written with the bytes that there are; what needs another one is left out, or unknown."
    elif model.unknown is None:
        rest = f"A {'byte' if cutting.byte_level else 'character'} that is no entry is left out."
    else:
        what = "A word that they cannot make" if isinstance(model, WordPieces) else "A character that is no entry"
        rest = f"{what} is {quoted(lm.token(model.unknown).label.lstrip('␣'))}: what it was, the model never sees."
    seldom = "falls apart, in the end into bytes" if cutting.n_byte else "falls apart, or is unknown"
    return (
        f"The vocabulary of {plain(lm.info.title)} has **{n_vocab:,}** entries: {made_of}. {rest} What the texts "
        f"that it was learned from seldom held, a rare word, another alphabet, an emoji, {seldom}."
    )


def row(lm: LanguageModel, kind: str, sample: str, unknown: int | None) -> dict[str, object]:
    n_byte = len(sample.encode())
    try:
        tokens: list[Token] = [token for token in lm.encode(sample) if not token.special]
    except PromptError:  # no entry, and none for the unknown
        tokens = []
    return {
        "what": kind,
        "text": sample.strip(),
        "tokens": len(tokens),
        "bytes": n_byte,
        "bytes per token": n_byte / len(tokens) if tokens else None,
        "unknown": sum(token.id == unknown for token in tokens),
        "pieces": [token.label for token in tokens],
    }
