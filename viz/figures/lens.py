"""What each layer would say of each token, as a table of words in colour; and a logit taken apart, as bars."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from model.analysis.lens import RANK
from viz.figures import axes, theme

_ROW, _ABOVE, _LONGEST = 26, 46, 8  # px, px, characters of a cell


def lens_table(
    words: Sequence[Sequence[str]],
    values: np.ndarray,
    tokens: Sequence[str],
    rows: Sequence[str],
    texts: Sequence[Sequence[str]],
    *,
    of: str,
    most: float = 1.0,
    first: int = 0,
    selected: tuple[int, int] | None = None,
) -> go.Figure:
    """Words (R, N) in cells that `values` (R, N) colour; `tokens`: under which column each stands, from position
    `first` on. `of`: one of `model.analysis.lens.READINGS`; a rank is drawn the stronger the better it is, by its
    logarithm.

    `texts`: what the hover says. A transparent point over each cell hears clicks, and carries row and column.
    """
    bar: dict = {"title": of, "thickness": 12, "outlinewidth": 0}
    low, high, drawn = 0.0, most, values
    if of == RANK:
        worst = max(1, int(np.ceil(np.log10(values.max() + 1))))
        low, high, drawn = -float(worst), 0.0, -np.log10(values + 1)
        bar |= {"tickvals": [-i for i in range(worst + 1)], "ticktext": [f"{10**i - 1:,}" for i in range(worst + 1)]}
    heatmap = go.Heatmap(
        z=drawn,
        zmin=low,
        zmax=high,
        text=[[axes.escape(_cut(word)) for word in row] for row in words],
        texttemplate="%{text}",
        textfont={"family": theme.MONOSPACE, "size": 11},
        hoverinfo="skip",
        xgap=1,
        ygap=1,
        colorbar=bar,
    )
    row, column = (index.ravel() for index in np.indices(values.shape))
    points = go.Scatter(
        x=column,
        y=row,
        mode="markers",
        marker={"symbol": "square", "size": _ROW, "opacity": 0.0},
        customdata=np.stack([row, column], axis=1),
        text=[axes.escape(texts[a][b]).replace("\n", "<br>") for a, b in zip(row, column, strict=True)],
        hovertemplate="%{text}<extra></extra>",
        showlegend=False,
    )
    fig = go.Figure([heatmap, points])
    ticks = [f"{axes.escape(_cut(token))}<br>{first + i}" for i, token in enumerate(tokens)]
    n = len(tokens)
    fig.update_layout(
        height=_ROW * len(rows) + _ABOVE + 12,
        margin={"l": 64, "r": 8, "t": _ABOVE, "b": 12},
        clickmode="event+select",
        dragmode=False,
        hoverdistance=-1,
        xaxis={"side": "top", "tickmode": "array", "tickvals": list(range(n)), "ticktext": ticks, "tickangle": 0}
        | {"tickfont": {"family": theme.MONOSPACE, "size": 11}, "range": [-0.5, n - 0.5]}
        | {"showgrid": False, "zeroline": False, "fixedrange": True},
        yaxis=axes.row_axis(rows) | {"tickfont": {"size": 12}},
    )
    if selected:
        y, x = selected
        line = {"color": theme.ACCENT, "width": 3}
        fig.add_shape(type="rect", x0=x - 0.5, x1=x + 0.5, y0=y - 0.5, y1=y + 0.5, line=line)
    return fig


def part_bars(attention: np.ndarray, rest: np.ndarray, embedding: float, constant: float, mode: str) -> go.Figure:
    """The parts of a logit, layer by layer: what its heads (L,) and its MLP (L,) add, above or below zero; NaN of the
    heads where all of the layer is in `rest`. First what enters, last the constant. `mode`: light or dark.
    """
    n, colours = len(rest), theme.CATEGORICAL[mode]
    names = ["input", *map(str, range(n)), "constant"]
    whole, layers = np.isnan(attention), np.arange(1, n + 1)
    bars = [
        ("embedding, constant", np.array([0, n + 1]), np.array([embedding, constant]), colours[4]),
        ("heads", layers[~whole], attention[~whole], colours[0]),
        ("MLP", layers[~whole], rest[~whole], colours[1]),
        ("whole layer", layers[whole], rest[whole], colours[2]),
    ]
    fig = go.Figure()
    for name, x, y, colour in bars:
        if len(x):
            text = [f"{name}, {names[i] if i in (0, n + 1) else f'layer {i - 1}'}" for i in x.tolist()]
            said = "%{text}: %{y:+.4f}<extra></extra>"
            fig.add_bar(x=x, y=y, name=name, marker_color=colour, text=text, textposition="none", hovertemplate=said)
    step = max(1, -(-n // 16))
    named = [0, *range(1, n + 1, step), n + 1]
    fig.update_layout(
        height=280,
        barmode="relative",
        margin={"l": 8, "r": 8, "t": 34, "b": 8},
        legend=axes.LEGEND,
        dragmode=False,
        xaxis={"title": "layer", "tickmode": "array", "tickvals": named, "ticktext": [names[i] for i in named]}
        | {"range": [-0.7, n + 1.7], "showgrid": False, "zeroline": False, "fixedrange": True},
        yaxis={"title": "part of the logit", "zeroline": True, "fixedrange": True},
    )
    return fig


def _cut(word: str) -> str:
    return word if len(word) <= _LONGEST else word[: _LONGEST - 1] + "…"
