"""On the page Training: one step of training, number by number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from model import serving
from model.analysis import checks
from model.run import Token
from viz.components.token_chips import token_chips
from viz.figures.numbers import how_far, percent
from viz.figures.one_step import answer_table, loss_line
from viz.figures.step_formulas import answer_lines
from viz.guard import section
from viz.sections.training import one_weight
from viz.ui import cache, controls, links
from viz.ui.choices import BY_WORDS
from viz.ui.pictures import caption, measures, picture
from viz.ui.prose import check, formula, quoted, to_read

if TYPE_CHECKING:  # torch is imported where it is needed, once its threads are set
    from model.lab.one_step import Step, Training
    from model.lab.short_course import Settings

_LONGEST_QUOTED = 80  # characters of the lines, in a sentence


@cache.kept(spinner="Training …")
def training_of(settings: Settings) -> Training:
    from model.lab.one_step import train

    return train(settings)


@cache.kept()
def step_of(settings: Settings, t: int) -> Step:
    from model.lab.one_step import open_step

    return open_step(training_of(settings), t)


@cache.kept()
def quotient_of(settings: Settings, t: int, place: int) -> float:
    """See `model.lab.one_step.nudged`."""
    from model.lab.one_step import nudged

    return nudged(training_of(settings), t, place)


@section("one_step")
def show() -> None:
    serving.load_torch()
    settings = choose_training()
    t = choose_step(settings)
    training, step = training_of(settings), step_of(settings, t)
    show_run(training, step)
    tokens = tokens_of(settings)
    place = show_batch(step, tokens)
    show_answer(step, place, tokens, " " if settings.units == BY_WORDS else "")
    weight = one_weight.show_gradient(
        training, step, tokens, int(step.answer.targets[place]), lambda place: quotient_of(settings, t, place)
    )
    one_weight.show_clipping(training, step, weight)
    one_weight.show_rate(training, step)
    one_weight.show_adamw(training, step, weight)
    show_outcome(training, step)


def tokens_of(settings: Settings) -> list[Token]:
    """The vocabulary."""
    from model.lab.short_course import vocabulary_of

    vocabulary = vocabulary_of(settings)
    return [vocabulary.token(id) for id in range(vocabulary.n_vocab)]


def choose_training() -> Settings:
    """What is learned, and how. Raises `VisitorError` for lines that cannot be learned."""
    from model.lab.short_course import settings_of

    said = st.empty()
    with st.expander("Other lines, another rate", icon=":material/tune:"):
        left, right = st.columns([2, 3], gap="large")
        with left:
            st.text_area(
                "Lines to learn", key=links.key("learned"), height=120, help="Those of the lesson *sentences*, too"
            )
            units = controls.choose("Cut into", "step_units")
        with right:
            rate = controls.choose("Highest learning rate η", "step_rate", format_func=lambda rate: f"{rate:g}")
            schedule = controls.choose("After the warm-up, it", "schedule", format_func=_SCHEDULES.get)
            clip = controls.choose("Gradients are clipped", "clip", format_func=_clip_in_words)
            decay = controls.choose("Weight decay λ", "decay", format_func=lambda decay: f"{decay:g}")
    settings = settings_of(schedule, rate=rate, decay=decay, clip=clip, typed=st.session_state.learned, units=units)
    lines, n_line = " ".join(settings.lines), len(settings.lines)
    short = lines if len(lines) <= _LONGEST_QUOTED else f"{lines[:_LONGEST_QUOTED]}…"
    both = f"{settings.n_row} of {n_line} lines" if n_line > settings.n_row else "all lines"
    said.markdown(
        f"A transformer of {settings.n_layer} layers with {settings.n_head} heads each, and vectors of "
        f"{settings.d_model} numbers, begins with random weights and learns the {units} of {quoted(short)}, {both} a "
        f"step, for {settings.schedule.n_step} steps. It is trained on this server, in double precision, when someone "
        "first looks. Choose a step, a token and a weight, and follow the numbers."
    )
    return settings


_SCHEDULES = {"constant": "stays", "linear": "falls"}


def _clip_in_words(clip: float) -> str:
    return f"to a norm of {clip:g}" if clip else "never"


def choose_step(settings: Settings) -> int:
    n_step = settings.schedule.n_step
    if st.session_state[links.key("training_step")] > n_step:
        st.session_state.training_step = n_step
    return controls.slider("Step", 1, n_step, "training_step", help="Counted from 1, as in Adam's formula")


def show_run(training: Training, step: Step) -> None:
    from model.lab.short_course import least_loss

    losses, t, least = training.losses, step.t, least_loss(training.settings)
    picture(
        loss_line(losses, t, least),
        key="step_losses",
        how="The loss of each step's own batch, before the step; a click chooses the step. Dotted: the least that any "
        "model can have in the mean"
        + (", since where lines begin alike, nothing tells which of them has begun." if least else "."),
        alt=f"A line of {len(losses)} losses, from {losses[0, 0]:.2f} to {losses[-1, 0]:.2f} nats; step {t} is marked.",
        table=lambda: pd.DataFrame(
            {
                "rate": [training.settings.schedule.rate(each) for each in range(1, len(losses) + 1)],
                "loss before": losses[:, 0],
                "loss after": losses[:, 1],
                "norm of the gradients": training.norms,
                "clipped": training.norms > training.settings.clip,
            },
            pd.Index(range(1, len(losses) + 1), name="step"),
        ),
        on_pick=lambda t: controls.select("training_step", t),
    )


def show_batch(step: Step, tokens: Sequence[Token]) -> int:
    """The chosen one of the tokens that are asked for."""
    batch, answer = step.batch, step.answer
    st.subheader("1 · The batch", anchor=False)
    place = controls.held("prediction", len(batch.places), first=1)
    for row, ids in enumerate(batch.ids):
        asked = np.flatnonzero(batch.places[:, 0] == row)
        targets = [tokens[id] for id in answer.targets[asked]]
        p = [float(answer.probability[i, answer.targets[i]]) for i in asked]
        first = int(asked[0])
        st.markdown(f"Row {row}: after {quoted(tokens[ids[0]].label)}, the start, comes")
        token_chips(
            targets,
            key=f"batch_row_{row}",
            first=1,
            selected=place - first if first <= place < first + len(asked) else None,
            on_pick=lambda i, first=first: controls.select("prediction", first + i),
            notes=[f"expected with {percent(each)}" for each in p],
            shades=p,
        )
    caption(
        f"The model reads each row and is asked, at each place, for the token that comes next: {len(batch.places)} "
        "questions. The darker a chip, the more the model expected it before this step. A click chooses the one that "
        "is followed below; the last of each row is the end of the text."
    )
    return place


def show_answer(step: Step, place: int, tokens: Sequence[Token], between: str) -> None:
    """`between`: what stands between two tokens of a text."""
    answer, (row, position) = step.answer, step.batch.places[place]
    came = tokens[answer.targets[place]].label
    read = between.join(tokens[id].label for id in step.batch.ids[row, : position + 1])
    st.subheader("2 · From logits to loss", anchor=False)
    st.markdown(
        f"After {quoted(read)}, the model has one number, a **logit** z, for each of the {len(tokens)} tokens of its "
        f"vocabulary. What came is {quoted(came)}."
    )
    for line in answer_lines(answer, place, came):
        formula(*line)
    left, right = st.columns([3, 2], gap="large")
    with left:
        to_read(answer_table(answer, place, [token.label for token in tokens]))
    with right:
        caption(
            "z: the logit. p: the probability. y: 1 for the token that came, else 0. n: the questions of the batch. "
            "The last column is how the loss of the batch, L, changes with this logit: above 0 (blue), a smaller one "
            "is better; below 0 (orange), a larger one. It is all that the rest of the step is made from: the "
            "difference between what was expected and what came."
        )
    loss = abs(answer.loss - step.loss)
    gradient = float(np.abs(answer.gradient - step.logit_gradient).max())
    check(
        checks.training_again("cross-entropy and its gradient, and autograd's", max(loss, gradient)),
        f"the loss of the batch and all {answer.gradient.size} gradients of logits, by these formulas, equal those of "
        f"PyTorch's cross_entropy and autograd, to **{how_far(max(loss, gradient))}**.",
    )


def show_outcome(training: Training, step: Step) -> None:
    st.subheader("7 · What it did", anchor=False)
    change = step.loss_after - step.loss
    measures(
        "step_outcome",
        {
            "Loss before": (f"{step.loss:.5f} nats", "of this batch"),
            "Loss after": (f"{step.loss_after:.5f} nats", "of the same batch, with the new weights"),
            "Change": (f"{change:+.5f} nats", None),
        },
    )
    st.markdown(
        f"All {training.n_weight:,} weights have moved, each by a step like that one. On this batch, the loss "
        + ("**fell**." if change < 0 else "**rose**: a step of this size went too far.")
    )
