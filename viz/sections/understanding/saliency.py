"""On the page Understanding: a label, or what is expected in a blank, explained in eight ways, side by side."""

import numpy as np
import streamlit as st

from model.language_model import Said
from model.text.prompt import Prompt, RunKey
from viz.figures.numbers import percent
from viz.sections.generation.saliency import asks, choose_steps, draw, find
from viz.sections.understanding import masking, sentiment
from viz.ui import session
from viz.ui.prose import quoted
from viz.ui.saliency import Subject


def of_label() -> None:
    """The label that the section above explains."""
    st.subheader("Eight answers, side by side", anchor=False)
    if not asks("explained_here", "this judgement"):
        return
    judge = session.judge_name(sentiment.MODEL)
    judged = sentiment.judgement(judge, session.current_text())
    choose_steps()
    key = RunKey(judge, Prompt(session.current_text()))
    if found := find(Subject(key, Said(judged.label, None), st.session_state.steps)):
        label = quoted(judged.labels[judged.label])
        st.markdown(f"What is explained: by how much {label} is ahead, **{found.whole.value:+.4f}** logits.")
        draw(found, f"the lead of {label}", "logits")


def of_blank() -> None:
    """The best guess for the first blank."""
    run = session.current_run()
    mask = masking.mask_of(run)
    blank = next((i for i, token in enumerate(run.tokens) if token.id == mask.id), None)
    if blank is None:
        return
    st.subheader("Why this guess? Eight answers", anchor=False)
    if not asks("explained_here", "the first guess"):
        return
    choose_steps()
    guess = int(run.predictions.top_id[blank, 0])
    if found := find(Subject(session.current_key(), Said(guess, blank), st.session_state.steps)):
        label = quoted(session.current_model().token(guess).label)
        st.markdown(
            f"What is explained: ln of the probability of {label} in the first blank (token {blank}), "
            f"**{found.whole.value:.4f}** nats ({percent(float(np.exp(found.whole.value)))})."
        )
        draw(found, f"ln p of {label}", "nats")
