"""On the page Training: a model that learns to copy, and its heads at each checkpoint."""

from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from model import catalog, serving
from model.lab import copier as copiers
from model.lab import copying, course
from model.lab.course import LOCKED
from model.run import ModelNotAvailable
from viz.components.course import Course, Rest
from viz.components.course import course as course_picture
from viz.figures.numbers import percent
from viz.guard import section
from viz.plain import plain
from viz.sections.training import copier_live
from viz.ui import cache, links
from viz.ui.choices import ATTENTION, HEAD, MECHANISM
from viz.ui.pictures import caption, twin

NAME, KEY = "copier", "copier_course"
GUESS = float(np.log(len(copying.SYMBOLS)))
RULE = (
    f"the first checkpoint from which on, to the end, the best induction score is at least {LOCKED['induction']} and "
    f"the best previous-token score at least {LOCKED['previous']}"
)


@cache.kept()
def shipped() -> copiers.Run:
    """Raises `ModelNotAvailable`."""
    serving.load_torch()
    with copiers.readable(folder()):
        return copiers.read(folder())


def folder() -> Path:
    return Path(catalog.find(NAME).where)


@cache.kept()
def maps() -> np.ndarray:
    """(C, L, H, T, T) of the shipped run on the lesson's text."""
    return copiers.maps(shipped(), text())


def text() -> str:
    return copiers.examples()[0][0]


def course_of(run: copiers.Run, weights: np.ndarray, **more) -> Course:
    """What there is to see of a run; `weights` (C, L, H, T, T) on the lesson's text."""
    locked = run.locked
    steps = [each.step for each in run.checkpoints]
    return Course(
        steps=steps,
        known=np.array([each.known for each in run.checkpoints]),
        unknown=np.array([each.unknown for each in run.checkpoints]),
        guess=GUESS,
        previous=np.array([each.previous for each in run.checkpoints]),
        induction=np.array([each.induction for each in run.checkpoints]),
        maps=weights,
        labels=list(text()),
        marked=copiers.examples()[0][1],
        locked=steps.index(locked.step) if locked else None,
        **more,
    )


def show() -> None:
    st.markdown(
        f"It reads rows of {copying.N_TOKEN} symbols: {copying.N_DIFFERENT} different ones in random order, then "
        "pieces of them again, each from a random place. **Once a piece has begun, its next symbol can be known: it "
        "is what stood behind the present one before.** One head, below, has to look at the token before; another, "
        "above it, has to find where the present symbol stood, and copy what came next: an **induction head** "
        "(Olsson et al. 2022)."
    )
    try:
        run = shipped()
    except ModelNotAvailable as error:
        st.warning(plain(error), icon=":material/info:")
        return
    scrub(run)
    show_ablations(run)
    copier_live.show(run)


def at_rest(run: copiers.Run) -> Rest:
    """What the address says, or the moment when both heads lock, and the head that copies."""
    steps = [each.step for each in run.checkpoints]
    last = run.checkpoints[-1]
    first = (run.locked or last).step
    wanted = st.session_state[links.key("checkpoint", first)]
    nearest = min(steps, key=lambda step: abs(step - wanted))
    if nearest != wanted:
        st.info(f"The copier was not kept after step {wanted:,}: shown is the nearest, {nearest:,}.")
        st.session_state.checkpoint = nearest
    copies = tuple(int(i) for i in np.unravel_index(last.induction.argmax(), last.induction.shape))
    layer, head = st.session_state[links.key("enlarged", copies)]
    n_layer, n_head = last.induction.shape
    if layer >= n_layer or head >= n_head:
        st.info(f"The copier has no layer {layer}, head {head}: shown is layer {copies[0]}, head {copies[1]}.")
        layer, head = st.session_state.enlarged = copies
    return Rest(steps.index(nearest), layer * n_head + head)


@section("copier_course")
def scrub(run: copiers.Run) -> None:
    rest = at_rest(run)
    n_head = run.settings.n_head
    shown = course_of(run, maps())

    def rested(found: Rest) -> None:
        st.session_state.checkpoint = run.checkpoints[found.at].step
        st.session_state.enlarged = divmod(found.head, n_head)

    course_picture(shown, key=KEY, rest=rest, alt=in_words(run), on_rest=rested)
    caption(
        "Drag the time, or the curves, or press ▶. In the map, a row is a symbol that looks, a column one that is "
        "looked at: point at a cell for its weight. Colours follow its square root. Below, the same text: what can "
        "be known is underlined, and the stronger a symbol's colour, the more the framed one looks at it."
    )
    caption(
        f"The vertical line: {RULE}. Scores are mean weights over {course.N_JUDGED} rows that it was not trained on: "
        "on the token before; and, for induction, on what stood behind an earlier copy of the present symbol."
    )
    twin(lambda: numbers(run), key=KEY)
    now = run.checkpoints[rest.at]
    tell(run, now.step)
    go_on(now.step, *divmod(rest.head, n_head))


def in_words(run: copiers.Run) -> str:
    first, last, locked = run.checkpoints[0], run.checkpoints[-1], run.locked
    lock = f" From step {locked.step} on both heads stay." if locked else ""
    return (
        f"Curves over {last.step} steps. The loss where a symbol can be known goes from {first.known:.2f} to "
        f"{last.known:.2f}; to guess costs {GUESS:.2f}. The best induction score goes from {first.induction.max():.2f} "
        f"to {last.induction.max():.2f}, the best previous-token score from {first.previous.max():.2f} to "
        f"{last.previous.max():.2f}.{lock}"
    )


def numbers(run: copiers.Run) -> pd.DataFrame:
    """Of each checkpoint."""
    rows = []
    for each in run.checkpoints:
        row = {"step": each.step, "loss, known": each.known, "loss, unknown": each.unknown, "copied": each.copied}
        for layer, head in np.ndindex(each.induction.shape):
            row[f"induction {layer}.{head}"] = float(each.induction[layer, head])
            row[f"previous {layer}.{head}"] = float(each.previous[layer, head])
        rows.append(row)
    return pd.DataFrame(rows).set_index("step")


def tell(run: copiers.Run, step: int) -> None:
    """What is to be seen at a checkpoint."""
    now, locked = next(each for each in run.checkpoints if each.step == step), run.locked
    copied = f"Of what can be known it names **{percent(now.copied)}** right."
    if locked is None:
        said = "In this run the two heads did not come to stay."
    elif step < locked.step:
        said = "The two heads are not there yet: neither is of use without the other, so nothing pulls at either."
    elif step == locked.step:
        said = "This is the moment: from here on both heads stay, and the loss falls off."
    else:
        said = (
            "Both heads are there. Where nothing can be known the loss is far above that of a guess: that was not "
            "asked of it, so there it copies too, and is sure of it."
        )
    st.markdown(f"**Step {step:,}.** {said} {copied}")


def go_on(step: int, layer: int, head: int) -> None:
    """To the other pages, with the model as it was then."""
    st.markdown("Open the model as it was then, with this text and this head, on")
    pages = ((ATTENTION, "Attention"), (HEAD, "Inside a head"), (MECHANISM, "Break the mechanism"))
    with st.container(horizontal=True, key="copier_open"):
        for page, title in pages:
            if st.button(title, key=f"copier_open_{page}", icon=":material/open_in_new:", width="content"):
                last = catalog.steps_of(catalog.find(NAME))[-1]
                name = NAME if step == last else catalog.at_step(NAME, step)
                links.go(page, model=name, text=text(), layer=layer, head=head)


def show_ablations(run: copiers.Run) -> None:
    last, without = run.checkpoints[-1], run.without
    needed = np.argwhere(without > last.known + 1)
    st.subheader("Which heads it needs", anchor=False)
    named = [f"layer {layer}, head {head}" for layer, head in needed]
    st.markdown(
        f"At the end, after step {last.step:,}, each head was taken out alone, and the loss on what can be known "
        f"measured again; with all heads it is **{last.known:.2f}**. "
        + (f"Copying needs {' and '.join(named)}, and no other." if named else "None is needed alone.")
    )
    rows = {
        f"layer {layer}, head {head}": {
            "previous token": last.previous[layer, head],
            "induction": last.induction[layer, head],
            "loss without it": without[layer, head],
            "costs": round(without[layer, head] - last.known, 2) + 0.0,
        }
        for layer, head in np.ndindex(without.shape)
    }
    st.dataframe(pd.DataFrame(rows).T.style.format("{:.2f}"), key="copier_without", width="content")
    caption(
        f"In nats; to guess costs {GUESS:.2f}. A loss above that is one of a model that is sure of something wrong: "
        "what is left of it still copies, from the wrong place. *Break the mechanism* takes heads out on any text."
    )
