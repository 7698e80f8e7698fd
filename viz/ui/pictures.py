"""How every picture is put on a page: the figure, one sentence on how to read it, and its numbers as a table."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from viz.figures.attention import Bars, token_bars
from viz.figures.unchecked import Unchecked
from viz.guard import handler
from viz.ui import corners, links

PRESENTED = 1.5  # how much larger all is for a projector


def picture(
    fig,
    *,
    key: str,
    how: str,
    alt: str,
    table: Callable[[], pd.DataFrame] | None = None,
    which: str | None = None,
    on_pick: Callable[..., object] | None = None,
    **options,
) -> None:
    """Draw a plotly figure, or the spec of one, which goes to the browser unchecked.

    `how`: one sentence on how to read it. `alt`: what it shows, for those who cannot see it.
    `table`: the same numbers, for the twin that the reader may open, and for the corner.
    `which`: layer, head and rules, as they stand below the picture when it leaves the page.
    `on_pick`: called with the customdata of a point that was clicked, one argument for each number.
    """

    def picked() -> None:
        for point in clicked(key)[:1]:
            on_pick(*point)

    if on_pick:
        options |= {"on_select": handler(picked), "selection_mode": "points"}
    if st.session_state.present:
        fig = go.Figure(fig)
        _enlarge(fig)
    with corners.about(which):
        meta = {"regard": corners.of(key, alt, table)}
    if isinstance(fig, dict):
        fig = Unchecked(fig | {"layout": fig["layout"] | {"meta": meta}})
    else:
        fig.update_layout(meta=meta)
    # the theme is part of the key: plotly keeps an old colour scale unless the chart is mounted anew
    bare = {"displaylogo": False, "displayModeBar": False}
    st.plotly_chart(fig, key=f"{key}_{st.context.theme.type}", alt=alt, config=bare, **options)
    caption(how)
    if table is not None:
        twin(table, key=key)


def row_picture(
    weights: np.ndarray,
    labels: Sequence[str],
    *,
    on_pick: Callable[[int], object],
    title: str = "weight",
    height: int = 130,
    narrow: bool = False,
    sink: bool = False,
    **words,
) -> None:
    """A row of attention (S,) as bars over what is looked at; a click opens a weight. `sink`: whether the last is that
    of a learned one. `words`: `key` and `how`.
    """
    bars = Bars(title, weights, np.arange(len(weights)), labels, "“{}” weight {:.4f}".format, True, sink)
    fig = token_bars([bars], panel_height=height)
    if narrow:
        fig.update_xaxes(tickangle=-60)
    most = int(weights.argmax())
    picture(
        fig,
        alt=f"Bars over {len(labels) - sink} tokens{' and the sink' * sink}, {title}; the highest is “{labels[most]}”, "
        f"{weights[most]:.3f}.",
        table=lambda: pd.DataFrame({"position": range(len(labels)), "token": labels, "weight": weights}),
        on_pick=on_pick,
        **words,
    )


def measures(key: str, rows: Mapping[str, tuple[str, str | None]]) -> None:
    """Numbers side by side, smaller than Streamlit's own: {name: (the number, what it means)}."""
    st.html(f"<style>.st-key-{key} [data-testid=stMetricValue] {{ font-size: 1.35rem }}</style>")
    with st.container(horizontal=True, gap="medium", key=key):
        for name, (number, meaning) in rows.items():
            st.metric(name, number, width="content", help=meaning)


def _enlarge(fig) -> None:
    """Room for the larger type of a presentation: a figure's margins are made for letters of the usual size."""
    sides = {side: fig.layout.margin[side] for side in "lrtb"}
    fig.update_layout(margin={side: PRESENTED * size for side, size in sides.items() if size is not None})
    if fig.layout.height:
        fig.update_layout(height=fig.layout.height * PRESENTED)


def caption(how: str) -> None:
    st.caption(how)


def twin(table: Callable[[], pd.DataFrame], *, key: str) -> None:
    """The numbers behind a picture, computed and sent only once asked for."""
    if shows_numbers(key):
        st.dataframe(table(), key=f"{key}_table")


def shows_numbers(key: str) -> bool:
    """A switch, and what it says; the address names all that are on."""
    state, widget = st.session_state, f"{key}{links.NUMBERS}"
    if widget not in state:
        state[widget] = key in state.numbers
    shown = st.toggle("Show the numbers", key=widget)
    if shown != (key in state.numbers):
        state.numbers = tuple(sorted({*state.numbers, key} if shown else {*state.numbers} - {key}))
    return shown


def square_table(values: np.ndarray, labels: Sequence[str]) -> pd.DataFrame:
    """Values (T, T) between tokens; the names carry positions, so that equal tokens stay different rows."""
    return token_table(values, labels, labels)


def token_table(values: np.ndarray, rows: Sequence[str], columns: Sequence[str]) -> pd.DataFrame:
    """Values (T, S) between tokens of two texts."""
    return pd.DataFrame(values, *([f"{i} {label}" for i, label in enumerate(labels)] for labels in (rows, columns)))


def clicked(key: str) -> list[tuple[int, ...]]:
    """In the callback of a `picture` with `on_select`: the customdata of each point that was clicked."""
    chart = st.session_state.get(f"{key}_{st.context.theme.type}")
    found = (point.get("customdata") for point in (chart.selection.points if chart else []))
    # plotly sends a row of an array as a dict, a single number as itself
    rows = (list(data.values()) if isinstance(data, dict) else [data] for data in found if data is not None)
    return [tuple(int(value) for value in row) for row in rows]
