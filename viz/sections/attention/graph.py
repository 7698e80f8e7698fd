"""The same map as lines: between two columns, as arcs over one line, or through all layers."""

import numpy as np
import streamlit as st

from model.analysis.attention_map import AttentionMap, MapSpec
from model.run import ModelRun
from viz.components.layer_graph import layer_graph
from viz.components.token_graph import token_graph
from viz.figures.heads import others_in_words
from viz.guard import handler
from viz.sections.attention.cell import first_token, open_cell, outlined
from viz.ui import controls, corners, links, provenance, reading, session
from viz.ui.choices import ARCS, FORMS, LAYERS, LINES
from viz.ui.pictures import caption

MOST_UNASKED = 500_000  # weights, of four bytes each, that travel without being asked for


def show(run: ModelRun, read_now: AttentionMap, spec: MapSpec) -> None:
    with corners.about(reading.title(spec, run)):
        _draw(run, read_now, spec)


def _draw(run: ModelRun, read_now: AttentionMap, spec: MapSpec) -> None:
    crossing = spec.of == "cross"
    form = controls.choose(
        "Draw the lines as",
        "graph",
        FORMS[:1] if crossing else FORMS,
        on_change=handler(reading.read_again),
        help="columns: queries left, keys right · arcs: over one line · layers: through all of them, to follow a path",
    )
    threshold, top = st.session_state.least, st.session_state.top
    shared = {"threshold": threshold, "on_open": open_cross_line if crossing else open_cell}
    if form == LAYERS:
        followed = links.about("followed", session.current_key())
        maps = [
            None
            if run.grid(spec.of).instead(layer)
            else square(session.current_map(reading.layer_spec(spec, layer, run.grid(spec.of))).weights)
            for layer in range(len(run.layers(spec.of)))
        ]
        layer_graph(
            maps,
            read_now.key_units.labels,
            others=dict(run.grid(spec.of).others),
            about_others=others_in_words(run.grid(spec.of)) if run.grid(spec.of).others else "",
            key="layer_graph",
            top=top or 3,
            pinned=followed if followed and followed[1] < len(read_now.units) else None,
            on_pick=follow,
            **(shared | {"on_open": open_layer_line}),
        )
        whose = "its chosen heads" if len(spec.heads) > 1 else "all its heads"
        caption(
            f"Each layer by the {spec.combine if len(spec.heads) > 1 else 'mean'} of {whose}. Point at a token in any "
            "layer to follow back where it comes from; click it to keep the path, click a line to see how it was made."
            + (" What goes to the sink ends there." if run.has_sink(spec.of) else "")
        )
        return
    pinned = outlined(read_now)[0]
    # two texts, one after the other, where the keys are another text
    labels, offset = read_now.key_units.labels, 0  # with a sink, which no query is
    if crossing:
        labels, offset = read_now.units.labels + labels, len(read_now.units)
    token_graph(
        read_now.weights,
        labels,
        read_now.queries,
        read_now.keys + offset,
        key="token_arcs" if form == ARCS else "token_graph",
        form=form,
        offset=offset,
        top=top,
        pinned=pinned if st.session_state.pinned and pinned in read_now.queries else None,
        on_pick=pick_query,
        **shared,
    )
    caption(
        "The same weights as lines, thicker and darker for more. Point at a token to see only its own; click it to "
        "keep them, click a line to see how it was made."
    )


def square(weights: np.ndarray) -> np.ndarray:
    """Of a map (U, U + 1) whose last column is a sink, (U + 1, U + 1): the sink looks at nothing."""
    more = weights.shape[1] - len(weights)
    return np.pad(weights, ((0, more), (0, 0)), constant_values=np.nan) if more else weights


def offer(run: ModelRun, read_now: AttentionMap, spec: MapSpec) -> None:
    """Below the map; of a long text only where the lines are asked for, since all weights travel with them."""
    if read_now.weights.size <= MOST_UNASKED:
        show(run, read_now, spec)
    else:
        caption(
            f"The lines of {read_now.weights.size:,} weights are drawn where you choose “{LINES}” on the stage: all "
            "weights travel to your browser with them."
        )


def choose() -> None:
    """Which lines are drawn."""
    left, right = st.columns(2, gap="medium")
    again = {"on_change": handler(reading.read_again)}
    with left:
        controls.slider("Hide lines below", 0.0, 0.5, "least", step=0.01, **again)
    with right:
        controls.slider(
            "Lines for each query",
            0,
            8,
            "top",
            help="The largest ones; 0: no limit (3 in the graph of layers).",
            **again,
        )


def pick_query(query: int) -> None:
    st.session_state.pinned = query >= 0
    if query >= 0:
        controls.select("token", first_token(query))


def open_cross_line(query: int, key: int) -> None:
    """As `open_cell`, where the keys' positions stand after the queries'."""
    open_cell(query, key - len(session.current_map(reading.whole_spec()).units))


def open_layer_line(layer: int, query: int, key: int) -> None:
    spec = reading.whole_spec()
    spec = reading.layer_spec(spec, layer, session.current_run().grid(spec.of))
    provenance.open_value(spec, (query,), (key,))


def follow(column: int, token: int) -> None:
    st.session_state.followed = (column, token) if column >= 0 else None
