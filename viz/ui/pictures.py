"""How every picture is put on a page: the figure, one sentence on how to read it, and its numbers as a table."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import streamlit as st

from viz.ui import links

PRESENTED = 1.5  # how much larger all is for a projector


def picture(fig, *, key: str, how: str, alt: str, table: Callable[[], pd.DataFrame] | None = None, **options):
    """Draw a plotly figure; returns the selection event if `on_select` is among the options.

    `how`: one sentence on how to read it. `alt`: what it shows, for those who cannot see it.
    `table`: the same numbers, made only when the reader opens the twin.
    """
    if st.session_state.present:
        _enlarge(fig)
    # the theme is part of the key: plotly keeps an old colour scale unless the chart is mounted anew
    bare = {"displaylogo": False, "displayModeBar": False}
    event = st.plotly_chart(fig, key=f"{key}_{st.context.theme.type}", alt=alt, config=bare, **options)
    caption(how)
    if table is not None:
        twin(table, key=key)
    return event


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
    names = [f"{i} {label}" for i, label in enumerate(labels)]
    return pd.DataFrame(values, index=names, columns=names)


def clicked(key: str) -> list[tuple[int, ...]]:
    """In the callback of a `picture` with `on_select`: the customdata of each point that was clicked."""
    chart = st.session_state.get(f"{key}_{st.context.theme.type}")
    found = (point.get("customdata") for point in (chart.selection.points if chart else []))
    # plotly sends a row of an array as a dict, a single number as itself
    rows = (list(data.values()) if isinstance(data, dict) else [data] for data in found if data is not None)
    return [tuple(int(value) for value in row) for row in rows]
