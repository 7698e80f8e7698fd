"""Pictures of what an encoder makes of a text: who sees whom, and how alike the vectors of two texts are."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from viz.figures import axes, theme
from viz.figures.attention import attention_heatmap, cells_pooled, is_clickable
from viz.figures.scale import ColourScale

_MOST_THICK = 40  # rows: of more, a thick outline would hide its row


def seen_heatmap(
    weights: np.ndarray,
    labels: Sequence[str],
    row: int,
    *,
    scale: ColourScale,
    key_labels: Sequence[str] | None = None,
) -> go.Figure:
    """Attention weights (T, C), with the row of one query outlined; a weight of exactly 0 is left blank. `key_labels`:
    of the columns, if they are not the rows.
    """
    n = weights.shape[1]
    seen, sink = np.where(weights > 0, weights, np.nan), n > len(labels)
    fig = attention_heatmap(seen, labels, key_labels, scale=scale, height=430, sink=sink)
    line = {"color": theme.ACCENT, "width": 3 if n <= _MOST_THICK else 1}
    fig.add_shape(type="rect", x0=-0.5, x1=n - 0.5, y0=row - 0.5, y1=row + 0.5, line=line)
    return fig


def token_cosines(
    cosines: np.ndarray, rows: Sequence[str], columns: Sequence[str], *, selected: tuple[int, int]
) -> go.Figure:
    """The cosine (T, S) of each token of one text with each of another; one pair outlined; clicks as
    `attention_heatmap` hears them. The colours span -1 to 1 whatever the values.
    """
    height = min(560, 150 + 30 * max(len(rows), 6))
    span = ColourScale(-1.0, 1.0)
    fig = attention_heatmap(cosines, rows, columns, selected=selected, scale=span, title="cosine", height=height)
    fig.update_xaxes(title="the second text")
    fig.update_yaxes(title="your text")
    fig.data[0].colorscale = theme.DIVERGING
    step = cells_pooled(max(cosines.shape))
    around = f"the largest cosine of {step} × {step} around it:" if step > 1 else "cosine"
    fig.data[0].hovertemplate = f"%{{y}} and %{{x}}<br>{around} %{{z:.4f}}<extra></extra>"
    if is_clickable(max(cosines.shape)):
        fig.data[1].text = [
            f"“{axes.escape(row)}” ({i}) and “{axes.escape(column)}” ({j})<br>cosine {cosines[i, j]:.4f}"
            for i, row in enumerate(rows)
            for j, column in enumerate(columns)
        ]
    return fig


def cosine_strip(
    alike: np.ndarray, unrelated: np.ndarray, yours: float, *, pairs: Sequence[Sequence[str]], mode: str
) -> go.Figure:
    """Where the cosine of two texts lies among those of known pairs, which are alike (N,) or unrelated (M,).

    `pairs`: what the hover says of each of the first and of each of the second. `mode` is light or dark.
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
