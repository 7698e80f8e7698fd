"""On the page Training: a model that learns to copy, and its heads at each checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from model.lab import copying
from model.run import ModelNotAvailable
from viz.components.course import Rest
from viz.components.course import course as course_picture
from viz.figures.numbers import percent
from viz.guard import section
from viz.plain import plain
from viz.sections.training import copier_course, copier_live
from viz.ui import checkpoints, links
from viz.ui.choices import ATTENTION, HEAD, MECHANISM
from viz.ui.pictures import caption, twin

if TYPE_CHECKING:  # torch is imported where it is needed, once its threads are set
    from model.lab.copier import Run

KEY = "copier_course"


def show() -> None:
    st.markdown(
        f"It reads rows of {copying.N_TOKEN} symbols: {copying.N_DIFFERENT} different ones in random order, then "
        "pieces of them again, each from a random place. **Once a piece has begun, its next symbol can be known: it "
        "is what stood behind the present one before.** One head, below, has to look at the token before; another, "
        "above it, has to find where the present symbol stood, and copy what came next: an **induction head** "
        "(Olsson et al. 2022)."
    )
    try:
        run = copier_course.shipped()
    except ModelNotAvailable as error:
        st.warning(plain(error), icon=":material/info:")
        return
    scrub(run)
    show_ablations(run)
    copier_live.show(run)


def at_rest(run: Run) -> Rest:
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
def scrub(run: Run) -> None:
    rest = at_rest(run)
    n_head = run.settings.n_head
    shown = copier_course.course_of(run, copier_course.shipped_maps())

    def rested(found: Rest) -> None:
        st.session_state.checkpoint = run.checkpoints[found.at].step
        st.session_state.enlarged = divmod(found.head, n_head)

    course_picture(shown, key=KEY, rest=rest, alt=copier_course.in_words(run), on_rest=rested)
    caption(
        "Drag the time, or the curves, or press ▶. In the map, a row is a symbol that looks, a column one that is "
        "looked at: point at a cell for its weight. Colours follow its square root. Below, the same text: what can "
        "be known is underlined, and the stronger a symbol's colour, the more the framed one looks at it."
    )
    caption(
        f"The vertical line: {copier_course.rule()}. Scores are mean weights over {run.n_judged} rows that it was not "
        "trained on: on the token before; and, for induction, on what stood behind an earlier copy of the present "
        "symbol."
    )
    twin(lambda: copier_course.numbers(run), key=KEY)
    now = run.checkpoints[rest.at]
    tell(run, now.step)
    go_on(now.step, *divmod(rest.head, n_head))


def tell(run: Run, step: int) -> None:
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
                name = checkpoints.offered(copier_course.NAME, step)
                links.go(page, model=name, text=copier_course.text(), layer=layer, head=head)


def show_ablations(run: Run) -> None:
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
        f"In nats; to guess costs {copier_course.GUESS:.2f}. A loss above that is one of a model that is sure of "
        "something wrong: what is left of it still copies, from the wrong place. *Break the mechanism* takes heads "
        "out on any text."
    )
