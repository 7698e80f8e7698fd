"""What a score, or what a head carries, is made of: pairs as a map, the largest parts as bars; and their names."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from model.analysis.score_parts import BIAS, HEAD, INPUT, LAYER, MLP, OWN, POSITION, TOKEN, Part
from viz.figures import axes, theme

_CELL, _ABOVE, _LEFT = 24, 96, 104  # px: a row; the names above and beside
_BAR = 28  # px


def part_name(part: Part) -> str:
    """In a few letters, as along an axis: "token", "head 16.0", "MLP 2"."""
    return {
        TOKEN: "token",
        POSITION: "position",
        INPUT: "input",
        HEAD: f"head {part.layer}.{part.head}",
        BIAS: f"bias {part.layer}",
        MLP: f"MLP {part.layer}",
        LAYER: f"layer {part.layer}",
        OWN: "constants",
    }[part.kind]


def part_in_words(part: Part, cross: bool = False) -> str:
    """What a part is, for a hover; `cross`: its layers have cross-attention too."""
    return {
        TOKEN: "the vector of the token",
        POSITION: "the vector of its position",
        INPUT: "what enters the first layer, token and position in one",
        HEAD: f"what head {part.head} of layer {part.layer} wrote there",
        BIAS: f"the bias of the heads of layer {part.layer}",
        MLP: f"what {'cross-attention and ' * cross}the MLP of layer {part.layer} wrote there",
        LAYER: f"all that layer {part.layer} added there",
        OWN: f"what layer {part.layer} adds to every token: the shift of its norm, its biases",
    }[part.kind]


def pair_map(
    values: np.ndarray, rows: Sequence[str], columns: Sequence[str], texts: Sequence[Sequence[str]]
) -> go.Figure:
    """Parts of a score (G, G') as colours that diverge around 0; rows are the query's, columns the key's.

    `texts`: what the hover says. A transparent point over each cell hears clicks, and carries row and column.
    """
    heatmap = go.Heatmap(
        z=values,
        hoverinfo="skip",
        xgap=1,
        ygap=1,
        colorbar={"title": "of the score", "thickness": 12, "outlinewidth": 0},
        **theme.symmetric(values),
    )
    row, column = (index.ravel() for index in np.indices(values.shape))
    points = go.Scatter(
        x=column,
        y=row,
        mode="markers",
        marker={"symbol": "square", "size": min(_CELL, 480 / len(columns)), "opacity": 0.0},
        customdata=np.stack([row, column], axis=1),
        text=[axes.escape(texts[a][b]).replace("\n", "<br>") for a, b in zip(row, column, strict=True)],
        hovertemplate="%{text}<extra></extra>",
        showlegend=False,
    )
    fig = go.Figure([heatmap, points])
    fig.update_layout(
        height=_CELL * len(rows) + _ABOVE + 8,
        margin={"l": _LEFT, "r": 8, "t": _ABOVE, "b": 8},
        clickmode="event+select",
        dragmode=False,
        hoverdistance=-1,
        xaxis={"side": "top", "title": "made of the key", "tickangle": -90, **_ticks(columns)}
        | {"range": [-0.5, len(columns) - 0.5]},
        yaxis={"title": "of the query", **_ticks(rows), "range": [len(rows) - 0.5, -0.5]},
    )
    return fig


def part_bars(
    names: Sequence[str], values: np.ndarray, texts: Sequence[str], mode: str, *, form: str = "{:+.3f}"
) -> go.Figure:
    """Parts (N,) from top to bottom, to the right where they add and to the left where they take away, with the
    number beside each. `texts`: what the hover says. A click carries the number of the row. `mode`: light or dark.
    """
    colours = theme.CATEGORICAL[mode]
    bars = go.Bar(
        y=list(range(len(names))),
        x=values,
        orientation="h",
        marker={"color": [colours[0] if value >= 0 else colours[1] for value in values.tolist()]},
        text=[form.format(value) for value in values.tolist()],
        textposition="outside",
        cliponaxis=False,
        customdata=list(range(len(names))),
        hovertext=[axes.escape(text).replace("\n", "<br>") for text in texts],
        hovertemplate="%{hovertext}<extra></extra>",
    )
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    room = 0.3 * (high - low or 1.0)
    fig = go.Figure(bars)
    fig.update_layout(
        height=_BAR * len(names) + 24,
        margin={"l": 6, "r": 6, "t": 8, "b": 8},
        clickmode="event+select",
        dragmode=False,
        xaxis={"range": [low - room * (low < 0), high + room], "visible": False, "fixedrange": True},
        yaxis=axes.row_axis([axes.escape(name) for name in names]) | {"tickfont": {"size": 12}},
    )
    fig.add_vline(x=0, line={"color": theme.NEUTRAL, "width": 1})
    return fig


def _ticks(names: Sequence[str]) -> dict:
    return {
        "tickmode": "array",
        "tickvals": list(range(len(names))),
        "ticktext": list(names),
        "tickfont": {"size": 11},
        "showgrid": False,
        "zeroline": False,
        "fixedrange": True,
    }
