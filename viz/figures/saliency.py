"""What each token counts by several ways: a row each over the tokens; and how alike the ways order them."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from viz.figures import axes, theme

_ROW, _LEFT = 30, 150  # px
_PALE = 1.6  # where the colours behind numbers would be full, which so stay pale enough to be read on


def saliency_map(
    values: np.ndarray, rows: Sequence[str], tokens: Sequence[str], texts: Sequence[Sequence[str]]
) -> go.Figure:
    """Values (M, T) from -1 to 1, below zero in orange, above in blue. `texts`: what the hover says of each."""
    n = values.shape[1]
    heatmap = go.Heatmap(
        z=values,
        zmin=-1,
        zmax=1,
        colorscale=theme.DIVERGING,
        showscale=False,
        xgap=1 if n <= 64 else 0,
        ygap=2,
        text=[[axes.escape(text).replace("\n", "<br>") for text in row] for row in texts],
        hovertemplate="%{text}<extra></extra>",
    )
    slanted = n > 12 or sum(len(axes.shorten(label)) for label in tokens) > 48
    ticks = {"tickfont": {"family": theme.MONOSPACE, "size": 12}, "tickangle": -60 if slanted else 0}
    above = 100 if slanted else 36
    return _laid_out(go.Figure(heatmap), rows, above).update_layout(
        xaxis=axes.token_axis(tokens, "", side="top", fixedrange=True, **ticks)
    )


def agreement_map(values: np.ndarray, names: Sequence[str], mode: str) -> go.Figure:
    """Rank correlations (M, M) from -1 to 1, NaN where there is none; the diagonal stays blank. `mode`: light, dark."""
    shown = np.where(np.eye(len(names), dtype=bool), np.nan, values)
    heatmap = go.Heatmap(
        z=shown,
        zmin=-_PALE,
        zmax=_PALE,
        colorscale=theme.DIVERGING,
        showscale=False,
        xgap=1,
        ygap=1,
        text=[
            ["" if np.isnan(value) else f"{value:.2f}".replace("0.", ".").replace("-", "−") for value in row]
            for row in shown
        ],
        texttemplate="%{text}",
        textfont={"size": 11, "color": theme.PAGE[mode][1]},
        hoverongaps=False,
        customdata=[[f"{axes.escape(one)} and {axes.escape(other)}" for other in names] for one in names],
        hovertemplate="%{customdata}: %{z:.3f}<extra></extra>",
    )
    n = len(names)
    columns = {"tickmode": "array", "tickvals": list(range(n)), "ticktext": [axes.escape(name) for name in names]}
    columns |= {
        "side": "top",
        "tickangle": -90,
        "ticklabeloverflow": "allow",
        "range": [-0.5, n - 0.5],
        "tickfont": {"size": 12},
    }
    return _laid_out(go.Figure(heatmap), names, 140).update_layout(
        xaxis=columns | {"showgrid": False, "zeroline": False, "fixedrange": True}
    )


def _laid_out(fig: go.Figure, rows: Sequence[str], above: int) -> go.Figure:
    return fig.update_layout(
        height=_ROW * len(rows) + above + 12,
        margin={"l": _LEFT, "r": 8, "t": above, "b": 12},
        dragmode=False,
        yaxis=axes.row_axis([axes.escape(row) for row in rows]) | {"tickfont": {"size": 12}},
    )
