"""Pictures of what an encoder makes of a text: who sees whom, and how alike the vectors of two texts are."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from viz.figures import axes, theme
from viz.figures.attention import attention_heatmap
from viz.figures.scale import ColourScale

_MOST_THICK = 40  # rows: of more, a thick outline would hide its row


def seen_heatmap(weights: np.ndarray, labels: Sequence[str], row: int, *, scale: ColourScale) -> go.Figure:
    """Attention weights (T, T), with the row of one query outlined; a weight of exactly 0 is left blank."""
    n = len(labels)
    fig = attention_heatmap(np.where(weights > 0, weights, np.nan), labels, scale=scale, height=430)
    line = {"color": theme.ACCENT, "width": 3 if n <= _MOST_THICK else 1}
    fig.add_shape(type="rect", x0=-0.5, x1=n - 0.5, y0=row - 0.5, y1=row + 0.5, line=line)
    return fig


def token_cosines(
    cosines: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    selected: tuple[int, int],
    clickable: bool = True,
) -> go.Figure:
    """The cosine (T, S) of each token of one text with each of another; one pair outlined.

    The colours span -1 to 1 whatever the values. `clickable`: a second, invisible trace hears clicks and carries
    (row, column) as customdata; it costs one SVG node a cell.
    """
    (n, m), (row, column) = cosines.shape, selected
    longest_row = 8 * max(len(axes.shorten(label)) for label in rows)
    longest_column = 8 * max(len(axes.shorten(label)) for label in columns)
    slanted = m > 12 or longest_column * m > 480  # pixels
    ticks = {"tickfont": {"family": theme.MONOSPACE}, "automargin": False, "ticklabeloverflow": "allow"}
    heatmap = go.Heatmap(
        z=cosines,
        zmin=-1,
        zmax=1,
        colorscale=theme.DIVERGING,
        colorbar={"title": "cosine", "thickness": 12, "outlinewidth": 0},
        hovertemplate="%{y} and %{x}<br>cosine %{z:.4f}<extra></extra>",
    )
    height = min(560, 150 + 30 * max(n, 6))
    traces = [heatmap]
    if clickable:
        index = np.stack(np.indices(cosines.shape), axis=-1).reshape(-1, 2)  # (T * S, 2)
        traces.append(
            go.Scatter(
                x=index[:, 1],
                y=index[:, 0],
                mode="markers",
                marker={"symbol": "square", "size": max(4, 0.7 * height / max(n, m)), "opacity": 0.0},
                customdata=index,
                text=[
                    f"“{axes.escape(rows[i])}” ({i}) and “{axes.escape(columns[j])}” ({j})<br>"
                    f"cosine {cosines[i, j]:.4f}"
                    for i, j in index.tolist()
                ],
                hovertemplate="%{text}<extra></extra>",
            )
        )
    cell = {"x0": column - 0.5, "x1": column + 0.5, "y0": row - 0.5, "y1": row + 0.5}
    return go.Figure(
        traces,
        {
            "xaxis": axes.token_axis(columns, "the second text", side="top", tickangle=-60 if slanted else 0, **ticks),
            "yaxis": axes.token_axis(rows, "your text", range=[n - 0.5, -0.5], tickangle=0, **ticks),
            "height": height,
            "margin": {
                "l": longest_row + 44,
                "r": 64,
                "t": (longest_column + 12 if slanted else 16) + 36,
                "b": 0,
                "autoexpand": False,
            },
            "shapes": [{"type": "rect", **cell, "line": {"color": theme.ACCENT, "width": 3}}],
            "clickmode": "event+select",
            "dragmode": False,
            "hoverdistance": -1,
            "showlegend": False,
        },
    )


def cosine_strip(
    alike: np.ndarray, unrelated: np.ndarray, yours: float, *, pairs: Sequence[Sequence[str]], mode: str
) -> go.Figure:
    """Where the cosine of two texts lies among those of known pairs, which are alike (N,) or unrelated (M,).

    `said`: what the hover says of each of the first and of each of the second. `mode` is light or dark.
    """
    fig = go.Figure()
    names, colours = ("say the same", "unrelated"), (theme.CATEGORICAL[mode][0], theme.CATEGORICAL[mode][4])
    for row, (name, values, texts, colour) in enumerate(zip(names, (alike, unrelated), pairs, colours, strict=True)):
        # spread over the row's height in a fixed order, so that equal values do not hide each other
        spread = 0.28 * np.sin(2.4 * np.arange(len(values)))
        fig.add_scatter(
            x=values,
            y=row + spread,
            mode="markers",
            name=name,
            marker={"size": 9, "opacity": 0.6, "color": colour},
            text=[axes.escape(text) for text in texts],
            hovertemplate="%{text}<br>cosine %{x:.4f}<extra></extra>",
        )
        fig.add_shape(
            type="line",
            x0=float(values.mean()),
            x1=float(values.mean()),
            y0=row - 0.42,
            y1=row + 0.42,
            line={"color": theme.NEUTRAL, "width": 2},
        )
    fig.add_shape(type="line", x0=yours, x1=yours, y0=-0.5, y1=1.5, line={"color": theme.ACCENT, "width": 3})
    low = float(min(alike.min(), unrelated.min(), yours))
    fig.add_annotation(x=yours, y=-0.5, yanchor="bottom", text=f"<b>yours {yours:.3f}</b>", showarrow=False, yshift=2)
    fig.update_layout(
        height=210,
        margin={"l": 6, "r": 12, "t": 8, "b": 0},
        showlegend=False,
        dragmode=False,
        hovermode="closest",
        xaxis={"title": "cosine", "range": [low - 0.06, 1.04], "zeroline": False, "fixedrange": True},
        yaxis=axes.row_axis(names) | {"range": [1.5, -0.85]},
    )
    return fig
