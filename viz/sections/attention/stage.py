"""The stage beside the grid of heads: the map that is read, or its lines, and whatever head the pointer looks at."""

import time
from typing import NoReturn

import numpy as np
import streamlit as st

from model.analysis.attention_map import AttentionMap, MapSpec
from model.run import ModelRun, NoAttentionHere, VisitorError
from viz.components.head_grid import outline_head
from viz.components.head_look import head_look
from viz.figures.scale import ColourScale
from viz.guard import handler, section
from viz.offline.pictures import MOST_LINES
from viz.plain import plain
from viz.sections.attention import graph, heatmap
from viz.ui import controls, heads, links, reading, session
from viz.ui.choices import LINES, MAP, ONE

MOST_LOOKED_AT = 600_000  # weights of all heads that travel at once, of two bytes each; of more, the grid's own maps


@section("stage")
def show(run: ModelRun) -> None:
    state = st.session_state
    try:
        spec = reading.spec(run)
    except NoAttentionHere as error:
        outline_head("head_grid", state.layer, 0, across=run.info.n_head)
        heads.lead_on(error, key="nearest")
        return
    except VisitorError as error:
        outline_head("head_grid", state.layer, state.head)
        st.warning(plain(error), icon=":material/info:")
        return
    outline_head("head_grid", state.layer, state.head, spec.heads if len(spec.heads) > 1 else ())
    read_now, beside = session.current_map(spec), pinned(spec, run) if state.stage == MAP else None
    with st.container(horizontal=True, vertical_alignment="center", key="stage_line"):
        with st.container(key="stage_title"):
            st.header(reading.title(spec, run), anchor=False)
        controls.choose("On the stage", "stage", label_visibility="collapsed", on_change=handler(_drawn))
        if state.stage == MAP:
            _offer_pin(spec, beside)
    if state.stage == MAP:
        show_map(run, read_now, spec, beside)
    else:
        graph.show(run, read_now, spec)
    time.sleep(0.01)  # lets the server send the picture now; otherwise it leaves only with all that follows
    ready_to_look(run, read_now, spec, colours(read_now, beside))


def show_map(run: ModelRun, read_now: AttentionMap, spec: MapSpec, beside: MapSpec | None = None) -> None:
    """The map; if a head is pinned, that head's first, in the same colours."""
    scale = colours(read_now, beside)
    if beside is None:
        heatmap.show(read_now, spec, scale)
        return
    left, right = st.columns(2, gap="small")
    with left:
        name = heads.in_words(beside, run)
        heatmap.show(session.current_map(beside), beside, scale, key="pinned_map", name=name)
    with right:
        heatmap.show(read_now, spec, scale, name=heads.in_words(spec, run))


def colours(read_now: AttentionMap, beside: MapSpec | None = None) -> ColourScale:
    maps = [read_now, session.current_map(beside)] if beside else [read_now]
    return reading.colours_of(np.concatenate([each.weights.ravel() for each in maps]))


def ready_to_look(run: ModelRun, read_now: AttentionMap, spec: MapSpec, scale: ColourScale) -> None:
    """What the stage shows while a tile of the grid is pointed at."""
    overview = session.current_overview(spec.of)
    exact = read_now.weights.size * len(run.layers(spec.of)) * run.info.n_head <= MOST_LOOKED_AT
    maps = session.current_every_map(reading.rules(spec)) if exact else session.current_pooled_maps(spec.of)
    same = maps.shape == overview.maximum.shape and not overview.pooled
    sides = (read_now.units, read_now.queries), (read_now.key_units, read_now.keys)
    names = [[units.labels[i] for i in shown] for units, shown in sides] if same else []
    state = st.session_state
    made = heads.scored(run, spec.of)
    lines = {"least": state.least, "top": state.top, "most": MOST_LINES} if exact and state.stage == LINES else None
    head_look(
        maps,
        names,
        key="head_look",
        hint="click to keep it" if exact else "pooled, as on the grid: click for every weight",
        title="stage_title",
        scale=scale,
        over="head_map" if state.stage == MAP else "",
        lines=lines,
        sliders=("layer", "head") if exact and state.show == ONE else (),
        chosen=spec.heads[0],
        others=[layer for layer, _ in run.grid(spec.of).others],
        called=made.labels.ravel().tolist() if made else (),
    )


def pinned(spec: MapSpec, run: ModelRun) -> MapSpec | None:
    """The head that stays beside the one that is read, by the same rules; None, with a word, where there is none."""
    there = run.grid(spec.of)
    chosen = st.session_state[links.key("beside")]
    if chosen is None:
        return None
    if chosen[0] not in there.layers or chosen[1] >= there.n_head:
        st.session_state.beside = None
        if not links.is_asked("beside"):
            st.toast("The pinned head is not in this model: it was let go.")
        return None
    return reading.rules(spec, (chosen,))


def _offer_pin(spec: MapSpec, beside: MapSpec | None) -> None:
    if beside is not None:
        st.button(
            f"Let go of {beside.heads[0][0]}.{beside.heads[0][1]}",
            key="unpin",
            icon=":material/keep_off:",
            type="tertiary",
            help="The pinned head.",
            on_click=handler(_pin),
        )
    elif st.session_state.show == ONE:
        st.button(
            "Pin",
            key="pin",
            icon=":material/keep:",
            type="tertiary",
            help="Keep this head here, and choose or point at another one beside it.",
            on_click=handler(_pin),
            args=(spec.heads[0],),
        )


def _pin(head: tuple[int, int] | None = None) -> NoReturn:
    st.session_state.beside = head
    st.rerun()  # the columns are others


def _drawn() -> NoReturn:
    st.rerun() if st.session_state.beside else st.rerun(["stage", "read"])
