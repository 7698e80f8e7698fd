"""The switches: what is taken away, with what each part is for, and the head, query and key that some are about."""

from dataclasses import replace

import numpy as np
import streamlit as st

from model.analysis.attention import visible
from model.intervention import UNCHANGED, Intervention
from model.run import ModelRun
from viz.figures import score_scale
from viz.figures.heads import head_name
from viz.guard import handler
from viz.ui import controls, heads, links, provenance, session
from viz.ui.choices import TEMPERATURES
from viz.ui.pictures import caption
from viz.ui.prose import quoted

UNBROKEN = "\u2060"  # a line does not end here, as it may after a slash
TOGGLES = ("mask_off", "scale_off", "positions_off", "head_uniform", "head_off", "row_off", "edge_off")


def choose(run: ModelRun) -> Intervention | None:
    """The switches, each with what its part is for, and the head, query and key that some are about; None where the
    chosen layer has no heads, which is said.

    All of it is in the link.
    """
    info = run.info
    if info.grid.instead(controls.held("layer", info.n_layer)):
        heads.choose_one(run, places=st.columns(4, gap="medium")[:2], on_change=handler(change_again))
        heads.has_attention(run, key="nearest")
        return None
    with st.container(key="roomy_switches"):
        rows = [st.columns(4, gap="small"), st.columns(4, gap="small")]
    cards = [column.container(border=True, height="stretch", gap="xsmall") for row in rows for column in row]
    columns = st.columns(4, gap="medium")
    again = {"on_change": handler(change_again)}
    layer, head = heads.choose_one(run, places=columns[:2], **again)
    token, key = heads.choose_pair(run, places=columns[2:], **again)
    with cards[0]:
        switch("Without the causal mask", "mask_off", disabled=not info.causal)
        caption(
            (
                "The mask hides what comes after a token; without it, weights appear right of the diagonal, and the "
                "model sees the answers."
                + " Its layers without attention still read from left to right."
                * bool(info.others)
            )
            if info.causal
            else "This model has no causal mask: its tokens look both ways."
        )
    with cards[1]:
        usual = all(map(score_scale.is_usual, run.attending()))
        removable = score_scale.can_go(run.attending())
        switch(f"Without the scale{f' 1/{UNBROKEN}√d' if usual else ''}", "scale_off", disabled=not removable)
        caption(score_scale.scale_in_words(run.attention, layer))
    with cards[2]:
        st.select_slider(
            "**Softmax temperature**",
            TEMPERATURES,
            key=links.key("softmax_temperature"),
            on_change=handler(change_again),
        )
        caption("The scores are divided by it: below 1, each row sharpens; above 1, it flattens; 1 is as trained.")
    with cards[3]:
        switch("Without positions", "positions_off")
        caption(
            "Position vectors say where a token stands; without them, "
            + ("only the mask still tells what came before what." if info.causal else "nothing tells the order.")
        )
    this_head = head_name(layer, head)
    with cards[4]:
        switch(f"{this_head.capitalize()} uniform", "head_uniform")
        caption(
            "Queries choose where a head looks; with queries of zero, it looks alike at all that it may see, and takes "
            "their plain average" + (" of what the sink leaves." if run.has_sink() else ".")
        )
    with cards[5]:
        switch(f"{this_head.capitalize()} off", "head_off")
        caption(
            "A head writes what it finds for the later layers to use; switched off, it writes nothing, and the less "
            "that changes, the less it matters here."
        )
    looks, seen = quoted(run.labels[token]), quoted(run.key_labels()[key])
    what = key_in_words(run, key)
    with cards[6]:
        switch(f"Off for query {token} only", "row_off")
        caption(f"{this_head.capitalize()} writes nothing at {looks}: does the model need there what this head finds?")
    with cards[7]:
        there = edge_can_go(run, token, key)
        switch(f"Query {token} does not see {what}", "edge_off", disabled=not there)
        caption(
            f"In {this_head}, {looks} cannot look at {seen}: its other weights share what that one had."
            if there
            else f"{looks} at {token} does not see {seen} at {key}, or sees nothing else: choose another key."
        )
    return chosen_change(run)


def switch(label: str, key: str, **options) -> None:
    st.toggle(f"**{label}**", key=links.key(key), on_change=handler(change_again), **options)


def edge_can_go(run: ModelRun, query: int, key: int) -> bool:
    """Whether there is such an edge, and another one that is left."""
    sees = visible(run.layer(st.session_state.layer), st.session_state.head)[query]  # (T,)
    if st.session_state.mask_off and run.info.causal:
        sees = sees | (np.arange(len(sees)) > query)
    return bool(sees[key]) and int(sees.sum()) > 1


def chosen_change(run: ModelRun) -> Intervention:
    """What the widgets say."""
    state, info = st.session_state, run.info
    head, query, key = (state.layer, state.head), state.token, state.key
    edge = state.edge_off and edge_can_go(run, query, key)
    return Intervention(
        heads_off=frozenset({head} if state.head_off else ()),
        heads_uniform=frozenset({head} if state.head_uniform else ()),
        rows_off=frozenset({(*head, query)} if state.row_off else ()),
        edges_off=frozenset({(*head, query, key)} if edge else ()),
        causal_mask=not (state.mask_off and info.causal),
        scale=not (state.scale_off and score_scale.can_go(run.attending())),
        temperature=float(state.softmax_temperature),
        positions=not state.positions_off,
    )


def as_trained_again() -> None:
    st.session_state.update(dict.fromkeys(TOGGLES, False) | {"softmax_temperature": 1})
    change_again()


def change_again() -> None:
    """A card that is open on a weight of the changed model follows the change."""
    cell = provenance.pointed_at()
    if (
        cell
        and cell.run_key.intervention != UNCHANGED
        and not session.current_run().grid().instead(st.session_state.layer)
    ):
        change = chosen_change(session.current_run())
        provenance.point_at(replace(cell, run_key=replace(cell.run_key, intervention=change)))
        st.rerun(["mechanism", "card"])


def key_in_words(run: ModelRun, key: int) -> str:
    return "the sink" if key == len(run.tokens) else f"key {key}"


def name_of(change: Intervention, run: ModelRun) -> str:
    """What is changed in a run, in words."""
    parts = []
    if not change.causal_mask:
        parts.append("without the causal mask")
    if not change.scale:
        parts.append("without the scale")
    if not change.positions:
        parts.append("without positions")
    if change.temperature != 1:
        parts.append(f"softmax temperature {change.temperature:g}")
    parts += [f"{head_name(*head)} uniform" for head in change.heads_uniform]
    parts += [f"{head_name(*head)} off" for head in change.heads_off]
    parts += [f"{head_name(*head)} off for query {query}" for *head, query in change.rows_off]
    for *head, query, key in change.edges_off:
        parts.append(f"in {head_name(*head)}, query {query} does not see {key_in_words(run, key)}")
    return "Changed: " + "; ".join(parts) if parts else "Nothing is changed yet"
