"""Understanding: an encoder reads both ways, and says what may stand in a blank."""

import numpy as np
import pandas as pd
import streamlit as st

from model.run import ModelRun, Token, VisitorError
from viz.components.token_chips import token_chips
from viz.figures.mechanism import next_token_pairs
from viz.ui import session
from viz.ui.pictures import caption, picture
from viz.ui.prose import quoted

N_BEST = 8  # words for each blank


def main() -> None:
    st.title("Fill the blank")
    st.markdown(
        "An **encoder** sees the whole text at once, what comes before a word and what comes after it. It was trained "
        "by hiding words and guessing them: hide some here, and see what it expects in their place."
    )
    run = session.current_run()
    mask = mask_of(run)
    choose_blanks(run, mask)
    blanks = [i for i, token in enumerate(run.tokens) if token.id == mask.id]
    if not blanks:
        st.info(f"Nothing is hidden yet. Click a token above, or write {mask.label} into the text.")
    for place in blanks:
        show_blank(run, place)


def mask_of(run: ModelRun) -> Token:
    """What hides a word. Raises `VisitorError` where this page has nothing to show."""
    info = run.info
    if info.family != "encoder":
        raise VisitorError(f"{info.title} is no encoder: it guesses what comes next, on the page Generation.")
    mask = session.current_model().mask_token()
    if run.predictions is None or mask is None:
        raise VisitorError(
            f"{info.title} was saved without the head that guesses hidden words, so it cannot fill a blank. Its "
            "attention can be read on the page Attention."
        )
    return mask


def choose_blanks(run: ModelRun, mask: Token) -> None:
    def hide(i: int) -> None:
        token, text = run.tokens[i], session.current_text()
        if not token.special and token.id != mask.id:
            space = text[token.start : token.end][:1].isspace()
            session.read_next(text[: token.start] + " " * space + mask.label + text[token.end :])
        st.rerun()

    token_chips(run.tokens, key="blanks", on_pick=hide)
    caption("Click a token to hide it. Tokens in brackets are special: they mark where texts begin and end.")


def show_blank(run: ModelRun, place: int) -> None:
    lm, predictions = session.current_model(), run.predictions
    ids = predictions.top_id[place, :N_BEST].tolist()
    probability = np.exp(predictions.top_log_prob[place, :N_BEST])
    labels = [lm.token(id).label for id in ids]
    st.subheader(f"The blank at position {place}", anchor=False)
    picture(
        next_token_pairs(labels, {"probability": probability}),
        key=f"blank_{place}",
        how=f"The {len(ids)} tokens it expects most, out of {run.info.n_vocab:,}; they hold "
        f"{100 * probability.sum():.1f} % of the probability. First: {quoted(labels[0])}.",
        alt=f"Bars of the most probable tokens; “{labels[0]}” leads with {100 * probability[0]:.1f} %.",
        table=lambda: pd.DataFrame({"token": labels, "id": ids, "probability": probability}),
    )


main()
