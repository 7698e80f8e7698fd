"""On the page Generation: one choice drawn otherwise, with sliders that act at once, in the browser."""

import numpy as np
import streamlit as st

from model.analysis import checks
from model.analysis.generation import N_CANDIDATES, Step, drawing_number
from model.run import ModelRun
from viz.components.playground import Tried, playground
from viz.figures.numbers import how_far
from viz.sections.generation import continuation, sampling
from viz.ui import controls, session
from viz.ui.chapters import chapter
from viz.ui.choices import CHOICES
from viz.ui.pictures import caption
from viz.ui.prose import check

_STEP = "tried_step"  # in the session's state: the film's step that was asked for, and of which film


@chapter("playground", "Try other settings", part="playground")
def show() -> None:
    steps = st.session_state.generated
    run = continuation.run_after(steps)
    if sampling.cannot_draw(run):
        st.markdown("To draw a token otherwise, the logits of all would be needed.")
        return
    st.markdown(
        "The same choice, drawn otherwise: pull a slider, and see at once what becomes of "
        + ("the one that the film shows." if steps else "the next token.")
    )
    if st.session_state.to_go:
        caption("While it writes, nothing can be tried.")
        return
    at = step_shown()
    if at is None and len(run.tokens) >= run.info.n_context:
        caption("The context is full: no token can come next.")
        return
    logits = logits_of(run, at)
    playground(tried(run, at, logits), key="playground_sliders", on_use=use, on_step=ask)
    n, size = len(logits), 4 * len(logits)
    n_bar = min(N_CANDIDATES, n)
    caption(
        "From top to bottom, in the order in which it is done; z is a logit after the steps above. Upper, pale bar: "
        "the model’s probability. Lower bar: the chance to be drawn, after all seven. "
        + (f"The {n_bar} best have a bar each, all others one together. " if n > n_bar else "")
        + f"Nothing is estimated, for all {n:,} logits are in your browser "
        f"({f'{size / 1e6:.1f} MB' if size >= 1e6 else f'{size / 1e3:.0f} kB'}), as the model computed them in single "
        "precision, and what the sliders do is done to each of them in double precision. The server is told of it when "
        "you use the settings; then what is written from now on is drawn with them."
    )
    if at is not None:
        made = checks.written_again(*apart(steps[at], logits))
        far = how_far(made.difference)
        check(made, f"the logits kept when the token was written, and those tried here, differ by **{far}**.")


def step_shown() -> int | None:
    """Which of the written tokens is looked at: the one that the film came to rest at. None: nothing was written."""
    state = st.session_state
    if not state.generated:
        return None
    about, step = state.get(_STEP, (None, 0))
    if about == (state.written, state.opened) and step < len(state.generated):
        return step
    return len(state.generated) - 1 if state.opened is None else state.opened


def ask(step: int) -> None:
    state = st.session_state
    state[_STEP] = (state.written, state.opened), step


def logits_of(run: ModelRun, at: int | None) -> np.ndarray:
    """(V,) those that step `at` of a run was chosen by, or, of None, what comes next."""
    place = -1 if at is None else len(run.tokens) - len(st.session_state.generated) + at - 1
    return session.current_model().unembed(run.stream[-1, place])


def apart(step: Step, logits: np.ndarray) -> tuple[float, float]:
    """How far logits (V,) are from those that were kept of a step; and the largest of these, without sign."""
    kept = step.candidates
    return float(np.abs(logits[kept.ids] - kept.logits).max()), float(np.abs(kept.logits).max())


def tried(run: ModelRun, at: int | None, logits: np.ndarray) -> Tried:
    state, label = st.session_state, lambda id: session.current_model().token(id).label
    steps = state.generated
    n_before = len(run.tokens) - (0 if at is None else len(steps) - at)
    behind = f"behind “{run.labels[n_before - 1]}” ({n_before - 1})"
    if at is None:
        own, drawn, number = continuation.chosen(), None, drawing_number(state.seed, n_before)
        where = f"What may come next, {behind}; it starts with the settings above."
    else:
        own, drawn, number = steps[at].sampling, steps[at].token.id, steps[at].number
        how = "drawn" if number is not None else "chosen by hand"
        where = f"Token {n_before}, “{steps[at].token.label}”, {how} {behind} at {continuation.in_words(own)}."
    return Tried.of(
        logits,
        [token.id for token in run.tokens[:n_before]],
        N_CANDIDATES,
        label,
        where=where,
        own=own,
        number=number,
        drawn=drawn,
        step=at,
        written=state.written,
    )


def use(settings: dict[str, float]) -> None:
    """Let them be the real ones; none of them, if one cannot be."""
    try:
        values = {name: CHOICES[name].parse(str(value)) for name, value in settings.items()}
    except ValueError:
        return
    for name, value in values.items():
        controls.select(name, value)
    st.rerun()  # the whole page: their sliders are in another part
