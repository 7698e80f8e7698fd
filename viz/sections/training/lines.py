"""How lines were learned, at any checkpoint; and the model that learned them, opened on the other pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from viz.components.learning import Course, WrittenLine, learning
from viz.ui import lab_models, links
from viz.ui.choices import ATTENTION, BY_WORDS
from viz.ui.pictures import caption

if TYPE_CHECKING:  # torch is imported where it is needed, once its threads are set
    from model.lab.sentences import Checkpoint, Run, Text


def show_course(
    checkpoints: list[Checkpoint],
    texts: dict[str, Text],
    run: Run,
    *,
    until: int,
    key: str,
    at: str,
    marks: dict[str, float],
) -> None:
    """Texts, as they were learned; `until`: the last step that there will be. `at`: the choice that names one."""
    steps = [checkpoint.step for checkpoint in checkpoints]
    wanted = st.session_state[at]

    def picked(i: int) -> None:
        st.session_state[at] = None if i == len(steps) - 1 else steps[i]

    chosen = None if wanted is None else int(np.abs(np.array(steps) - wanted).argmin())
    courses = [_course(name, text, i, checkpoints, run) for i, (name, text) in enumerate(texts.items())]
    apart = run.settings.units == BY_WORDS
    learning(steps, courses, key=key, until=until, at=chosen, apart=apart, marks=marks, on_pick=picked)
    if len(texts) > 1:
        return
    caption(
        "Move the slider, click the curve or press Play. Under each token stands its loss in nats, and the more "
        "probable it was, the stronger its colour; the first token is given. Behind the arrow: the most probable "
        "token, again and again, after everything before the line and its first word; struck through where the text "
        "goes on otherwise."
    )


def _course(name: str, text: Text, which: int, checkpoints: list[Checkpoint], run: Run) -> Course:
    def labels(ids) -> list[str]:
        return [run.vocabulary.token(id).label for id in ids]

    lines = []
    for i, line in enumerate(text.lines[: len(checkpoints[0].written[which])]):
        row = [token.id for token in text.rows[line.row]]
        lines.append(
            WrittenLine(
                labels(row[line.first : line.given]),
                labels(row[line.given : line.end]),
                [labels(checkpoint.written[which][i]) for checkpoint in checkpoints],
            )
        )
    rows = [labels(token.id for token in row) for row in text.rows]
    losses = [[round(float(nats), 3) for nats in checkpoint.losses[which]] for checkpoint in checkpoints]
    return Course(name, rows, losses, lines)


OPEN_MEANS = (
    "On the page Attention, with these lines as its text. Every page can read it from then on: it stands in the "
    "sidebar's list, for you alone, until you close or reload this page."
)


def open_model(run: Run, title: str, also: str = "") -> None:
    """Let the model of its last weights be one of this session's, and go to the page Attention with it."""
    from model.lab.sentences import language_model

    settings = run.settings
    origin = (
        f"From random numbers (seed {settings.seed}) on {len(settings.lines)} lines, cut into {settings.units}, with a "
        f"learning rate of {settings.rate:g}, in {settings.n_step:,} steps.{also}"
    )
    name = lab_models.own(language_model(run, title), title, origin)
    links.go(ATTENTION, model=name, text=settings.lines[0] if settings.apart else "\n".join(settings.lines))
