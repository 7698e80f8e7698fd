"""On the page Training: one step of training, number by number."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from model.analysis import checks
from model.lab import one_step
from model.lab.one_step import Settings, Step, Training
from model.run import Token
from viz.components.token_chips import token_chips
from viz.figures.numbers import how_far, percent
from viz.figures.one_step import (
    answer_lines,
    answer_table,
    loss_line,
)
from viz.guard import section
from viz.sections.training import one_weight
from viz.ui import cache, controls, links
from viz.ui.pictures import caption, measures, picture
from viz.ui.prose import check, formula, quoted


@cache.kept(spinner="Training …")
def training_of(settings: Settings) -> Training:
    return one_step.train(settings)


@cache.kept()
def step_of(settings: Settings, t: int) -> Step:
    return one_step.open_step(training_of(settings), t)


@cache.kept()
def quotient_of(settings: Settings, t: int, place: int) -> float:
    """See `one_step.nudged`."""
    return one_step.nudged(training_of(settings), t, place)


@section("one_step")
def show() -> None:
    settings = one_step.settings_of(st.session_state[links.key("schedule")])
    show_setting(settings)
    settings, t = choose_step(settings)
    training, step = training_of(settings), step_of(settings, t)
    show_run(training, step)
    tokens = tokens_of(settings)
    place = show_batch(step, tokens)
    show_answer(step, place, tokens)
    weight = one_weight.show_gradient(
        training, step, tokens, int(step.answer.targets[place]), lambda place: quotient_of(settings, t, place)
    )
    one_weight.show_clipping(training, step, weight)
    one_weight.show_rate(training, step)
    one_weight.show_adamw(training, step, weight)
    show_outcome(training, step)


def tokens_of(settings: Settings) -> list[Token]:
    """The vocabulary."""
    vocabulary = one_step.vocabulary_of(settings)
    return [vocabulary.token(id) for id in range(vocabulary.n_vocab)]


def show_setting(settings: Settings) -> None:
    lines = " ".join(settings.lines)
    st.markdown(
        f"A transformer of {settings.n_layer} layers, {settings.n_head} heads each, vectors of {settings.d_model} "
        f"numbers, begins with random weights and learns the words of “{lines}”, {settings.n_row} of the "
        f"{len(settings.lines)} sentences a step, for {settings.schedule.n_step} steps. It was trained just now, on "
        "this server, in double precision. Choose a step, a token and a weight, and follow the numbers."
    )


def choose_step(settings: Settings) -> tuple[Settings, int]:
    """The training with the chosen schedule, and a step of it."""
    n_step = settings.schedule.n_step
    left, right = st.columns([3, 1], gap="large")
    with right:
        schedule = controls.choose(
            "Learning rate", "schedule", help="After the warm-up: it stays, or falls in a straight line"
        )
    links.key("training_step")
    st.session_state.training_step = min(st.session_state.training_step, n_step)
    with left:
        t = controls.slider("Step", 1, n_step, "training_step", help="Counted from 1, as in Adam's formula")
    return one_step.settings_of(schedule), t


def show_run(training: Training, step: Step) -> None:
    losses, t = training.losses, step.t
    picture(
        loss_line(losses, t, least_loss(training.settings)),
        key="step_losses",
        how="The loss of each step's own batch before the step; a click chooses the step. Dotted: the least that it "
        f"can be in the mean, since nothing tells which of the {len(training.settings.lines)} sentences has begun.",
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


def least_loss(settings: Settings) -> float:
    """In the mean over the tokens of a line, of which the one that tells the lines apart cannot be known."""
    n_token = 1 + len(one_step.vocabulary_of(settings).encode_ids([settings.lines[0]])[0])
    return float(np.log(len(settings.lines)) / n_token)


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


def show_answer(step: Step, place: int, tokens: Sequence[Token]) -> None:
    answer, (row, position) = step.answer, step.batch.places[place]
    came = tokens[answer.targets[place]].label
    read = " ".join(tokens[id].label for id in step.batch.ids[row, : position + 1])
    st.subheader("2 · From logits to loss", anchor=False)
    st.markdown(
        f"After {quoted(read)}, the model has one number, a **logit** z, for each of the {len(tokens)} tokens of its "
        f"vocabulary. What came is {quoted(came)}."
    )
    for line in answer_lines(answer, place, came):
        formula(*line)
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.html(answer_table(answer, place, [token.label for token in tokens]))
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
        + " The next step draws other sentences."
    )
