"""The attention map of the heads that are read, as a heatmap, with what its numbers mean."""

import numpy as np
import pandas as pd
import streamlit as st

from model.analysis.attention_map import AttentionMap, MapSpec
from viz.figures.attention import attention_heatmap, cells_pooled, is_clickable
from viz.guard import handler
from viz.sections.attention.cell import open_cell, open_outlined
from viz.ui import reading
from viz.ui.pictures import clicked, picture


def show(read_now: AttentionMap, spec: MapSpec, token: int, key: int) -> None:
    weights, units, key_units = read_now.weights, read_now.units, read_now.key_units
    rows, columns = [units.labels[i] for i in read_now.queries], [key_units.labels[i] for i in read_now.keys]
    clicks = {"on_select": handler(pick_cell), "selection_mode": "points"} if is_clickable(max(weights.shape)) else {}
    selected = units.of(token), key_units.of(key)
    inside = selected[0] in read_now.queries and selected[1] in read_now.keys
    step = cells_pooled(max(weights.shape))
    above = st.container()
    scale = reading.choose_colours(weights)
    fig = attention_heatmap(
        weights,
        rows,
        columns,
        first=(int(read_now.queries[0]), int(read_now.keys[0])),
        selected=selected if inside else None,
        scale=scale,
        title="weight" if spec.plain else "value",
    )
    with above:
        picture(
            fig,
            key="head_map",
            how="Read along a row: how what stands on the left shares its attention. "
            + (f"So that no cell is smaller than a pixel, each is the largest of {step} × {step}. " if step > 1 else "")
            + ("Click a cell to see how it was made." if clicks else "Choose query and key above to outline a cell."),
            alt=strongest(read_now),
            table=lambda: named_table(read_now),
            **clicks,
        )
        if not clicks:
            st.button("How was the outlined weight made?", on_click=handler(open_outlined), disabled=not inside)
    for sentence in reading.statements(read_now, spec):
        st.markdown(f":small[{sentence}]")


def named_table(read_now: AttentionMap) -> pd.DataFrame:
    """The map as a table; names carry positions, so that equal units stay different rows."""
    index = [f"{i} {read_now.units.labels[i]}" for i in read_now.queries]
    columns = [f"{i} {read_now.key_units.labels[i]}" for i in read_now.keys]
    return pd.DataFrame(read_now.weights, index, columns)


def strongest(read_now: AttentionMap) -> str:
    weights, names, key_names = read_now.weights, read_now.units.labels, read_now.key_units.labels
    if np.isnan(weights).all():
        return "An empty map: nothing is left."

    def largest(values: np.ndarray) -> tuple[float, int, int]:
        row, column = np.unravel_index(np.nanargmax(values), values.shape)
        return float(values[row, column]), int(read_now.queries[row]), int(read_now.keys[column])

    value, query, key = largest(weights)
    text = f"Heatmap of {weights.shape[0]} by {weights.shape[1]} {read_now.units.kind}. The largest weight is "
    text += f"{value:.3f}, from {query} “{names[query]}” to {key} “{key_names[key]}”."
    apart = np.where(read_now.queries[:, None] == read_now.keys, np.nan, weights)
    if query == key and np.nansum(apart) > 0:
        value, query, key = largest(apart)
        text += f" Between two different ones it is {value:.3f}, from “{names[query]}” to “{key_names[key]}”."
    return text


def pick_cell() -> None:
    """A click on the heatmap: plotly hands back the customdata of the point under it."""
    if points := clicked("head_map"):
        open_cell(*points[0])
