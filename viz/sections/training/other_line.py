"""On the page Training: a model that knows a few lines learns one more; what it gains there, what it forgets here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from viz.figures.training import Table, training_table
from viz.guard import handler
from viz.plain import plain
from viz.sections.training.lines import OPEN_MEANS, open_model, show_course
from viz.ui import controls, links, trainings
from viz.ui.choices import CHOICES, RATES
from viz.ui.pictures import caption
from viz.ui.prose import to_read
from viz.ui.trainings import Training

if TYPE_CHECKING:
    from model.lab.sentences import Checkpoint, Run

KIND = "one line more"
SECONDS = 60
_BEGUN = "other_begun"  # in the session's state: what was begun last
_ASKED = "other_asked"
LINES, OTHER = "the lines before", "the other line"


@dataclass(frozen=True)
class Tuning:
    """A training of one more line, and from where it began."""

    key: tuple  # the base's settings, its last step, the line, the rate, the steps
    run: Run
    base: Run


@dataclass(frozen=True)
class Found:
    tuning: Tuning | None  # None: it ships
    run: Run
    checkpoints: list[Checkpoint]

    @property
    def n_step(self) -> int:
        """That were asked for."""
        return self.tuning.key[-1] if self.tuning else self.checkpoints[-1].step


def show(base: Run, *, ships: bool) -> None:
    """`base`: the run that it begins from, and whether that is the one that ships."""
    from model.lab.sentences import MOST_STEPS, fine_tuned

    st.subheader("Fine-tuning: one line more, and what it forgets", anchor=False)
    st.markdown(
        "The weights that have learned the lines learn **one other line**, and see the lines no more. That is all that "
        "fine-tuning is: the same steps, begun from weights that can do something already."
    )
    left, right = st.columns([2, 3], gap="large", vertical_alignment="bottom")
    with left:
        st.text_input("The other line", key=links.key("other_line"), max_chars=400)
    with right, st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        st.select_slider(
            "Learning rate for it", RATES, key=links.key("other_rate"), format_func="{:g}".format, width=260
        )
        controls.number("Steps for it", 0, MOST_STEPS, "other_steps", width=120)
    state = st.session_state
    rate, n_step = float(state.other_rate), int(state.other_steps)
    run = fine_tuned(base, state.other_line, rate)  # what cannot be learned is said here
    key = (base.settings, base.learner.step, state.other_line, rate, n_step)
    _begin_as_asked(base, key, ships)
    found = of_key(key, run, ships)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "Fine-tune" if found is None else "Fine-tune again",
            key="train_other",
            icon=":material/model_training:",
            type="primary" if found is None else "secondary",
            on_click=handler(_train),
            args=(base, key),
        )
        done = found is not None and found.tuning and not trainings.is_under_way(KIND) and found.checkpoints
        if done and st.button("Open this model", key="open_other", icon=":material/visibility:", help=OPEN_MEANS):
            also = f" Then on one other line, with {rate:g}, in {found.run.learner.step:,} steps."
            open_model(found.run, "Lines, then another", also)
    unknown = [token for token in run.text.rows[0] if token.id == getattr(run.vocabulary, "unk_token_id", None)]
    if unknown:
        words = ", ".join(f"“{plain(state.other_line.strip()[token.start : token.end].strip())}”" for token in unknown)
        caption(
            f"Not in the vocabulary: {words}. Fine-tuning adds no entry, so the model learns the unknown token there."
        )
    if found is None:
        st.info("Not trained yet with these settings: press “Fine-tune”.", icon=":material/info:")
    elif found.tuning is None:
        caption("Shown is the run that ships, which began from the weights that ship; “Fine-tune again” makes it here.")
    trainings.watch(KIND, lambda training: draw(training, found))
    if found and found.checkpoints and not trainings.is_under_way(KIND):
        compare(found)


def of_key(key: tuple, run: Run, ships: bool) -> Found | None:
    """What this session trained so, or what ships; None: nothing yet. `run`: the same, before its first step."""
    from model.lab.finished import TUNED_STEPS, finished

    tuning, training = st.session_state.get(_BEGUN), trainings.of_session(KIND)
    if tuning and training and tuning.key == key and (training.steps or training.under_way):
        return Found(tuning, tuning.run, list(training.steps))
    shipped = finished()
    if ships and key[2:] == (shipped.other, shipped.rate, TUNED_STEPS):
        return Found(None, run, shipped.tuned)
    return None


def remember_link() -> None:
    """Whether a link asked for such a training: known in the first run alone, which may end before that can begin."""
    names = [name for name in CHOICES if name.startswith("other_")]
    st.session_state.setdefault(_ASKED, any(map(links.is_asked, names)))


def _begin_as_asked(base: Run, key: tuple, ships: bool) -> None:
    """A link shows what was seen."""
    if not st.session_state[_ASKED] or trainings.of_session(KIND):
        return
    st.session_state[_ASKED] = False
    if of_key(key, base, ships) is None:
        begin_training(base, key)


def begin_training(base: Run, key: tuple) -> None:
    """Raises `VisitorError`."""
    from model.lab.sentences import fine_tuned, n_checkpoints

    *_, line, rate, n_step = key
    run = fine_tuned(base, line, rate)
    trainings.start(KIND, lambda: run.learner.each_step(n_step), seconds=SECONDS, expected=n_checkpoints(n_step))
    st.session_state[_BEGUN] = Tuning(key, run, base)


def _train(base: Run, key: tuple) -> None:
    begin_training(base, key)
    st.session_state.other_at = None


def draw(training: Training | None, found: Found | None) -> None:
    if training is not None and training.under_way:
        tuning = st.session_state[_BEGUN]
        found = Found(tuning, tuning.run, list(training.steps))
    if found is None or not found.checkpoints:
        return
    lines, other = found.run.learner.judged
    show_course(
        found.checkpoints,
        {LINES: lines, OTHER: other},
        found.run,
        until=found.n_step,
        key="other_course",
        at="other_at",
        marks={},
    )


def compare(found: Found) -> None:
    """Both losses and what is written, before and after, side by side."""
    first, last = found.checkpoints[0], found.checkpoints[-1]
    heads = ("loss before", "after", "perplexity before", "after ", "written on as it stands, before", "after  ")
    rows = []
    for i, (name, text) in enumerate(zip((LINES, OTHER), found.run.learner.judged, strict=True)):
        ids = [[token.id for token in text.rows[line.row][line.given : line.end]] for line in text.lines]
        cells = [f"{checkpoint.loss(i):.3f}" for checkpoint in (first, last)]
        cells += [f"{np.exp(checkpoint.loss(i)):,.2f}" for checkpoint in (first, last)]
        for checkpoint in (first, last):
            written = checkpoint.written[i]
            right = sum(list(line) == of[: len(line)] for line, of in zip(written, ids, strict=False))
            cells.append(f"{right} of {len(written)}")
        rows.append((name, tuple(cells)))
    gained, lost = first.loss(1) - last.loss(1), last.loss(0) - first.loss(0)
    st.markdown(
        f"**After {last.step:,} steps:** on the other line the loss {_moved(-gained)}; on the lines before it "
        f"{_moved(lost)}. "
        + (
            "Nothing held the old lines in place: the same weights serve both, and only the new line was asked for."
            if lost > 0.01
            else "Little was forgotten so far."
        )
    )
    to_read(training_table(Table(heads, tuple(rows), "")))
    caption(
        "Losses in nats a token, the mean over each text; lines are written on from their first word, by the most "
        "probable token."
    )


def _moved(by: float) -> str:
    if abs(by) < 0.0005:
        return "stays as it was"
    return f"{'rises' if by > 0 else 'falls'} by **{abs(by):.3f} nats**"
