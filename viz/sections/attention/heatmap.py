"""The attention map of the heads that are read, as a heatmap, with what its numbers mean."""

from functools import partial

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from model.analysis.attention_map import AttentionMap, MapSpec
from viz.figures.attention import WIDTH, cells_pooled, heatmap_spec, is_clickable
from viz.figures.scale import ColourScale
from viz.guard import handler
from viz.sections.attention.cell import open_cell, open_outlined, outlined
from viz.ui import reading, session
from viz.ui.pictures import picture

NARROW = 260  # px at 1280 x 720: of one of two maps, with the room that the names of the axes do not take
HEIGHT = 400  # px: with its line of words in sight at 1280 x 720, beside the grid of heads


def show(read_now: AttentionMap, spec: MapSpec, scale: ColourScale, *, key: str = "head_map", name: str = "") -> None:
    """`key`: of the picture, whose cells open the card; `name`: of the heads, where two maps stand side by side."""
    weights, units, key_units = read_now.weights, read_now.units, read_now.key_units
    rows, columns = [units.labels[i] for i in read_now.queries], [key_units.labels[i] for i in read_now.keys]
    clickable = is_clickable(max(weights.shape))
    selected = outlined(read_now)
    inside = selected[0] in read_now.queries and selected[1] in read_now.keys
    step = cells_pooled(max(weights.shape))
    fig = heatmap_spec(
        weights,
        rows,
        columns,
        first=(int(read_now.queries[0]), int(read_now.keys[0])),
        selected=selected if inside else None,
        scale=scale,
        title="weight" if spec.plain else "value",
        height=HEIGHT,
        sink=read_now.shows_sink,
        width=NARROW if name else WIDTH,
    )
    if name:
        fig = go.Figure(fig)
        _make_narrow(fig, bar=key == "head_map")
    picture(
        fig,
        key=key,
        how=(
            f"{name.capitalize()}. " if name else "Read along a row: how what stands on the left shares its attention. "
        )
        + (f"So that no cell is smaller than a pixel, each is the largest of {step} × {step}. " if step > 1 else "")
        + ("Click a cell to see how it was made." if clickable else "Choose query and key below to outline a cell."),
        alt=strongest(read_now),
        which=reading.title(spec, session.current_run()),
        table=lambda: named_table(read_now),
        on_pick=partial(open_cell, spec=spec) if clickable else None,
    )
    if not clickable:
        st.button(
            "How was the outlined weight made?", key=f"open_{key}", on_click=handler(open_outlined), disabled=not inside
        )


def _make_narrow(fig: go.Figure, *, bar: bool) -> None:
    """One of two side by side: without names of the axes, and one colour bar for both."""
    fig.update_xaxes(title=None).update_yaxes(title=None)
    margin = fig.layout.margin
    fig.update_layout(margin={"l": margin.l - 32, "t": margin.t - 20, "r": margin.r if bar else 8})
    fig.update_traces(showscale=bar, selector={"type": "heatmap"})


def named_table(read_now: AttentionMap) -> pd.DataFrame:
    """The map as a table; names carry positions, so that equal units stay different rows."""
    index = [f"{i} {read_now.units.labels[i]}" for i in read_now.queries]
    columns = [f"{i} {read_now.key_units.labels[i]}" for i in read_now.keys]
    return pd.DataFrame(read_now.weights, index, columns)


def strongest(read_now: AttentionMap) -> str:
    weights, names, key_names = read_now.weights, read_now.units.labels, read_now.key_units.labels
    if np.isnan(np.fmax.reduce(weights, axis=None)):
        return "An empty map: nothing is left."

    def largest(values: np.ndarray) -> tuple[float, int, int]:
        row = np.nanargmax(np.fmax.reduce(values, axis=1))  # a fifth of the time of looking at all at once
        column = np.nanargmax(values[row])
        return float(values[row, column]), int(read_now.queries[row]), int(read_now.keys[column])

    value, query, key = largest(weights)
    text = f"Heatmap of {len(weights)} by {reading.columns(read_now)}. The largest weight is "
    text += f"{value:.3f}, from {query} “{names[query]}” to {key} “{key_names[key]}”."
    if query == key:
        apart = weights.copy()
        _, rows, columns = np.intersect1d(read_now.queries, read_now.keys, return_indices=True)
        apart[rows, columns] = np.nan
        if not np.fmax.reduce(apart, axis=None) > 0:
            return text
        value, query, key = largest(apart)
        text += f" Between two different ones it is {value:.3f}, from “{names[query]}” to “{key_names[key]}”."
    return text
