"""On the page Generation: the film of what was written, each token among what could have stood in its place."""

import pandas as pd
import streamlit as st

from model.analysis.attention_map import MapSpec
from model.run import ModelRun
from viz.components.film import film as draw
from viz.offline.film import NAMES, film_of
from viz.sections.generation import continuation
from viz.ui import corners, heads, links, session
from viz.ui.choices import LAYER, ONE
from viz.ui.pictures import caption, twin


def choose_head(run: ModelRun) -> None:
    """Whose look is shown, in the film and behind a choice."""
    columns = st.columns(3, vertical_alignment="bottom")
    mean = columns[2].toggle("Mean of the layer's heads", key=links.key("mean_of_heads"))
    heads.choose_one(run, places=columns[:2], disabled=(False, mean))


def spec(run: ModelRun) -> MapSpec:
    return heads.spec(LAYER if st.session_state.mean_of_heads else ONE, run)


def show() -> None:
    """Every generated token, among what could have stood in its place."""
    steps, lm = st.session_state.generated, session.current_model()
    run = continuation.run_after(steps)
    choose_head(run)
    if not heads.has_attention(run, key="nearest_of_film"):
        return
    its = spec(run)
    opened = st.session_state.opened
    shown = film_of(
        run,
        its,
        steps,
        who=heads.in_words(its, run),
        label=lambda id: lm.token(id).label,
        at=len(steps) - 1 if opened is None else opened,
        written=st.session_state.written,
    )
    with corners.about(heads.in_words(its, run)):
        draw(
            shown,
            key="film",
            on_open=continuation.open_token,
            on_branch=continuation.branch,
        )
    caption(
        f"Play it, or pull. Blue: how much {heads.in_words(its, run)} looked at a token when the one in the frame was "
        "chosen, relative to the most. The line below a written token is the more yellow, the more probable it was. "
        "Point at a token to see which later ones looked at it. Pale bars are the model’s probability, solid ones the "
        "chance to be drawn. Click a candidate that was not taken to write on with it."
        + (f" The first {shown.first:,} tokens are left out." if shown.first else "")
        + (
            f" Of {len(steps):,} written ones the last {len(steps) - shown.skipped} are played."
            if shown.skipped
            else ""
        )
    )
    twin(numbers, key="generated")


def numbers() -> pd.DataFrame:
    steps = st.session_state.generated
    return pd.DataFrame(
        {
            "token": [step.token.label for step in steps],
            "id": [step.token.id for step in steps],
            "probability": [step.probability for step in steps],
            "chance": [step.chance for step in steps],
            "rank": [step.rank for step in steps],
            "random number": [step.number for step in steps],
            "temperature": [step.sampling.temperature for step in steps],
            **{name: [getattr(step.sampling, each) for step in steps] for each, name in NAMES.items()},
            "entropy": [step.candidates.entropy for step in steps],
        }
    )
