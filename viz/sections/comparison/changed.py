"""On the page Comparison: how much of each head's attention is elsewhere in B, as a map of layers by heads."""

import numpy as np
import pandas as pd
import streamlit as st

from model import catalog
from model.analysis.differences import moved
from model.run import PromptError
from model.text.minimal_pair import minimal_pair
from model.text.prompt import RunKey
from viz.figures.head_scores import score_map
from viz.figures.heads import head_name
from viz.figures.numbers import how_far, percent
from viz.guard import handler
from viz.sections.comparison.sides import aligned_sides
from viz.ui import cache, checkpoints, controls, corners, links, session
from viz.ui.choices import ATTENTION, OF_HEADS, OF_LAYERS, OF_TEXTS, ONE
from viz.ui.compared import Compared
from viz.ui.pictures import caption, picture

ROUNDING = 1e-5  # of a share: what single precision leaves of rows that are the same
_OPENED = "opened_difference"  # in the session's state: what was pressed, until the next run can go there


@cache.kept()
def moved_of(a: RunKey, b: RunKey, of: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """See `model.analysis.differences.moved`. Raises `PromptError`."""
    queries, keys = aligned_sides(a, b, of)
    runs = [session.run_of(key) for key in (a, b)]
    if len({(len(run.layers(of)), run.info.n_head) for run in runs}) > 1:
        raise PromptError("The two models have other layers and heads, so no head of one is a head of the other.")
    return moved(*(run.layers(of) for run in runs), queries, keys)


def go_if_picked() -> None:
    if opened := st.session_state.pop(_OPENED, None):
        whole, at, step = opened["model"].partition(catalog.AT)
        if at:
            checkpoints.offered(whole, int(step))
        links.go(ATTENTION, **opened)


def show(both: Compared) -> None:
    """Of two texts or two models."""
    if both.what in (OF_HEADS, OF_LAYERS):
        return
    st.header("How much each head changed", anchor=False)
    of = both.a.spec.of
    share, largest, rows = moved_of(both.a.run_key, both.b.run_key, of)
    layer, head = (int(i) for i in np.unravel_index(np.nanargmax(share), share.shape))
    if share[layer, head] < ROUNDING:
        most = float(np.nanmax(largest))
        but = f", but for rounding: the largest difference is {how_far(most)}" if most else ""
        st.markdown(f"**No head changed**: A and B give the same weights everywhere{but}.")
        return
    words = [
        [
            f"{head_name(a, b)}\n{percent(float(share[a, b]))} of its weight is elsewhere\nlargest change of a weight "
            f"{largest[a, b]:.3f}" + "\nclick: compare this head" * both.own
            for b in range(share.shape[1])
        ]
        for a in range(share.shape[0])
    ]
    n = len(both.queries.a)
    over = f"{n:,} aligned queries" if len(rows) == n else f"{len(rows):,} of {n:,} aligned queries, at equal distances"
    left, right = st.columns([1.3, 1], gap="large")
    with (
        left,
        corners.about("all heads, how much each changed", model=both.a.run.info, text=f"{both.a.text} / {both.b.text}"),
    ):
        picture(
            score_map(share, words, title="share", most=None),
            key="changed_heads",
            how=f"Each cell is a head, its colour the share of its weight that is elsewhere in B, the mean "
            f"over {over}." + " Click one to see it above." * both.own,
            alt=f"A map of {share.shape[0]} layers by {share.shape[1]} heads; {head_name(layer, head)} changed most, "
            f"{share[layer, head]:.3f}.",
            table=lambda: pd.DataFrame(
                share,
                [f"layer {i}" for i in range(share.shape[0])],
                [f"head {i}" for i in range(share.shape[1])],
            ),
            on_pick=pick if both.own else None,
        )
    with right:
        st.markdown(
            f"**{head_name(layer, head).capitalize()}** changed most: {percent(float(share[layer, head]))} of its "
            f"weight is elsewhere; of the weights between partners the largest change is {largest[layer, head]:.3f}. "
            f"Over all heads, {percent(float(np.nanmean(share)))} is elsewhere."
        )
        with st.container(horizontal=True, key="changed_most"):
            if both.own:
                st.button(
                    "Compare this head",
                    key="compare_most",
                    icon=":material/compare:",
                    on_click=handler(pick),
                    args=(layer, head),
                )
            _to_attention(both, layer, head)
        caption(
            "The share is the total variation distance of two rows, ½ Σ |b − a| over the keys of both: half of what "
            "all weights differ by, 0 if a row is the same and 1 if nothing is where it was. A key without a partner "
            "is one that the other row has nothing on."
            + (
                ""
                if both.what == OF_TEXTS
                else " A head has the same place in both models, which means something only where one was trained from "
                "the other."
            )
        )


def _to_attention(both: Compared, layer: int, head: int) -> None:
    for side, name in ((both.a, "A"), (both.b, "B")):
        there = {"layer": layer, "head": head, "show": ONE, "kind": side.spec.of, "model": side.run_key.model}
        if both.what == OF_TEXTS and name == "B":
            there |= {"text": st.session_state.other_text or minimal_pair(st.session_state.text)}
        if not both.own:
            there |= {"text": side.text}
        st.button(
            f"On Attention: {name}",
            key=f"changed_{name.lower()}",
            icon=":material/visibility:",
            on_click=handler(st.session_state.update),
            args=({_OPENED: there},),
        )


def pick(layer: int, head: int) -> None:
    """Compare another head."""
    controls.select("layer", layer)
    controls.select("head", head)
