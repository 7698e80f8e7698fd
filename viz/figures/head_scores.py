"""All heads by one number, or by what they are called: layers downwards, heads to the right; a cell can be clicked."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from viz.figures import axes, theme

_LEAST, _LARGEST = 20, 40  # px: a row
_NARROW = 300  # px: so wide a map is at least
_LOWEST = 140  # px: a map of few layers, beside which the scale has to be read
_ABOVE, _LEFT = 30, 52
_SQUARE = 0.82  # of a row's height: the side of a head's mark


def score_map(
    values: np.ndarray, texts: Sequence[Sequence[str]], *, title: str, most: float | None = 1.0, signed: bool = False
) -> go.Figure:
    """Values (L, H) as colours; NaN is left blank. `texts`: what the hover says of each head, as plain text.

    A transparent point over each cell hears clicks and carries (layer, head). `most`: the end of the scale, from 0;
    None: the largest there is. `signed`: colours diverge around 0 instead.
    """
    n_layer, n_head = values.shape
    scale = {"zmin": 0, "zmax": most or float(np.nanmax(values, initial=0)) or 1.0}
    heatmap = go.Heatmap(
        z=values,
        hoverinfo="skip",
        xgap=1,
        ygap=1,
        colorbar={"title": title, "thickness": 12, "outlinewidth": 0},
        **(theme.symmetric(np.nan_to_num(values)) if signed else scale),
    )
    layer, head = (index.ravel() for index in np.indices(values.shape))
    points = _points(layer, head, texts, values.shape)
    points.marker.opacity = 0.0
    return _laid_out(go.Figure([heatmap, points]), n_layer, n_head, legend=False)


def label_map(
    labels: np.ndarray, texts: Sequence[Sequence[str]], order: Sequence[str], rest: str, mode: str
) -> go.Figure:
    """What each head (L, H) is called, as a square of the colour of its label; "" is left blank. `rest`: the label of
    those that are nothing in particular, in grey and smaller. `mode`: light or dark.
    """
    n_layer, n_head = labels.shape
    fig = go.Figure()
    for i, label in enumerate(order):
        layer, head = np.nonzero(labels == label)
        if not len(layer):
            continue
        points = _points(layer, head, texts, labels.shape)
        points.update(name=f"{label} ({len(layer)})", showlegend=True)
        if label == rest:
            points.marker.size *= 0.4
        # a colour of its own for each label, whichever others there are
        points.marker.color = theme.NEUTRAL if label == rest else theme.CATEGORICAL[mode][i]
        fig.add_trace(points)
    return _laid_out(fig, n_layer, n_head, legend=True)


def _points(layer: np.ndarray, head: np.ndarray, texts: Sequence[Sequence[str]], shape: tuple[int, int]) -> go.Scatter:
    side = _SQUARE * min(_row(shape[0]), _NARROW / shape[1])
    return go.Scatter(
        x=head,
        y=layer,
        mode="markers",
        marker={"symbol": "square", "size": side},
        customdata=np.stack([layer, head], axis=1),
        text=[axes.escape(texts[a][b]).replace("\n", "<br>") for a, b in zip(layer, head, strict=True)],
        hovertemplate="%{text}<extra></extra>",
        showlegend=False,
    )


def _row(n_layer: int) -> int:
    return int(max(np.clip(460 / n_layer, _LEAST, _LARGEST), _LOWEST / n_layer))


def _laid_out(fig: go.Figure, n_layer: int, n_head: int, *, legend: bool) -> go.Figure:
    height, step = _row(n_layer) * n_layer, max(1, -(-n_layer // 24))
    fig.update_layout(
        height=height + _ABOVE + (70 if legend else 20),
        margin={"l": _LEFT, "r": 8, "t": _ABOVE, "b": 0},
        clickmode="event+select",
        dragmode=False,
        hoverdistance=-1,
        showlegend=legend,
        legend={"orientation": "h", "y": -0.02, "yanchor": "top", "x": 0, "xanchor": "left", "itemclick": False}
        | {"itemdoubleclick": False, "itemsizing": "constant"},
        xaxis={"side": "top", "title": "head", "range": [-0.5, n_head - 0.5], "tickmode": "linear", "tick0": 0}
        | {"dtick": max(1, -(-n_head // 16)), "showgrid": False, "zeroline": False, "fixedrange": True},
        yaxis={"title": "layer", "range": [n_layer - 0.5, -0.5], "tickmode": "linear", "tick0": 0, "dtick": step}
        | {"showgrid": False, "zeroline": False, "fixedrange": True},
    )
    return fig
