"""Two maps subtracted, B - A, in colours that diverge around 0; tokens without a partner are hatched."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from model.analysis.differences import NONE, Aligned
from viz.figures import theme
from viz.figures.attention import attention_heatmap, is_clickable
from viz.figures.axes import escape
from viz.figures.scale import ColourScale

_RIGHT, _BELOW = 30, 18  # px: more room than a colour bar of weights needs, for the names of its ends


def merged_labels(aligned: Aligned, a: Sequence[str], b: Sequence[str]) -> list[str]:
    """The tokens of both in one order; of those without a partner it is said whose they are."""
    return [f"A: {a[i]}" if j == NONE else f"B: {b[j]}" if i == NONE else b[j] for i, j in aligned.merged.tolist()]


def difference_heatmap(
    values: np.ndarray,
    queries: Sequence[str],
    keys: Sequence[str],
    *,
    selected: tuple[int, int] | None = None,
    texts: Sequence[str] = (),
    height: int = 420,
    sink: bool = False,
) -> go.Figure:
    """Values (Q, K), NaN where query or key has no partner; the scale ends at the farthest from 0, on both sides.

    `texts`: what the hover says of each cell, row by row, where it hears clicks. They carry (row, column).
    """
    most = float(np.nanmax(np.abs(values), initial=0)) if not np.isnan(values).all() else 0.0
    most = most or 1.0
    fig = attention_heatmap(
        values,
        queries,
        keys,
        selected=selected,
        scale=ColourScale(-most, most),
        title="B − A",
        height=height,
        sink=sink,
    )
    bar = {
        "len": 0.9,
        "tickvals": [-most, 0, most],
        "ticktext": [f"−{most:.2g}<br>A more", "0", f"+{most:.2g}<br>B more"],
    }
    fig.data[0].colorbar.update(bar)
    fig.data[0].colorbar.title = ""  # it would lie on the name of the upper end
    fig.data[0].hovertemplate = fig.data[0].hovertemplate.replace(":.4f", ":+.4f")
    fig.update_layout(margin={"r": fig.layout.margin.r + _RIGHT, "b": _BELOW})
    if is_clickable(max(values.shape)):
        fig.data[1].text = [escape(text).replace("\n", "<br>") for text in texts]
    gone = np.isnan(values)
    bands = [(x - 0.5, x + 0.5, y0, y1) for x in np.flatnonzero(gone.all(0)) for y0, y1 in [(-0.5, len(values) - 0.5)]]
    bands += [(-0.5, values.shape[1] - 0.5, y - 0.5, y + 0.5) for y in np.flatnonzero(gone.all(1))]
    if bands:
        fig.add_trace(_hatched(bands))
        fig.data = (fig.data[0], fig.data[-1], *fig.data[1:-1])  # beneath the trace that hears the clicks
    return fig


def _hatched(bands: Sequence[tuple[float, float, float, float]]) -> go.Scatter:
    """Rectangles, each left, right, top, bottom."""
    corners = [[(x0, y0), (x1, y0), (x1, y1), (x0, y1), (None, None)] for x0, x1, y0, y1 in bands]
    x, y = zip(*(corner for each in corners for corner in each), strict=True)
    pattern = {"shape": "/", "size": 7, "solidity": 0.15, "fgcolor": theme.NEUTRAL, "bgcolor": "rgba(0, 0, 0, 0)"}
    return go.Scatter(x=x, y=y, mode="none", fill="toself", fillpattern=pattern, hoverinfo="skip")
