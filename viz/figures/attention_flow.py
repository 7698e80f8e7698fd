"""What a token draws on: what each layer leaves as a row, tokens to the right."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from viz.figures import axes, theme

_ROW, _LEAST, _ABOVE = 26, 140, 84  # px


def drawn_map(values: np.ndarray, rows: Sequence[str], tokens: Sequence[str], token: int, title: str) -> go.Figure:
    """Values (R, T) of what the token numbered `token` draws on, the last row on top, as layers stand on each other.

    Colours end at the largest of the others: its own column may hold more, and is then as dark as that.
    """
    others = np.delete(values, token, axis=1)
    most = float(others.max(initial=0)) or float(values.max()) or 1.0
    n_row, n = values.shape
    heatmap = go.Heatmap(
        z=values,
        zmin=0,
        zmax=most,
        xgap=1 if n <= 64 else 0,
        ygap=1,
        text=[[f"“{axes.escape(label)}” ({i}), {row}" for i, label in enumerate(tokens)] for row in rows],
        hovertemplate=f"%{{text}}<br>{title} %{{z:.4f}}<extra></extra>",
        colorbar={"title": title, "thickness": 12, "outlinewidth": 0},
    )
    fig = go.Figure(heatmap)
    slanted = n > 12 or sum(len(axes.shorten(label)) for label in tokens) > 60
    ticks = {"tickfont": {"family": theme.MONOSPACE, "size": 11}, "tickangle": -60 if slanted else 0}
    fig.update_layout(
        height=max(_LEAST, _ROW * n_row) + _ABOVE,
        margin={"l": 92, "r": 8, "t": _ABOVE if slanted else 40, "b": 8},
        dragmode=False,
        xaxis=axes.token_axis(tokens, "", side="top", fixedrange=True, **ticks),
        yaxis=axes.row_axis(rows) | {"tickfont": {"size": 12}, "range": [-0.5, n_row - 0.5]},
    )
    line = {"color": theme.ACCENT, "width": 2}
    fig.add_shape(type="rect", x0=token - 0.5, x1=token + 0.5, y0=-0.5, y1=n_row - 0.5, line=line)
    return fig
