"""Pictures of attention: one head as a heatmap, one cell's arithmetic, and weights as bytes for the grid of heads."""

import html
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from model.attention import CellArithmetic
from viz.figures import theme
from viz.figures.axes import escape, shorten, token_axis

_MOST_CLICKABLE = 64  # tokens; the overlay that hears clicks costs one SVG node a cell


def is_clickable(n_token: int) -> bool:
    """Whether `attention_heatmap` of so many tokens hears clicks on its cells."""
    return n_token <= _MOST_CLICKABLE


def attention_heatmap(
    weights: np.ndarray, labels: Sequence[str], *, selected: tuple[int, int] | None = None, height: int = 480
) -> go.Figure:
    """Weights (T, T) of one head, or a mean of heads: rows look, columns are looked at; the colours span 0 to 1.

    Up to 64 tokens, a second, invisible trace of points hears clicks (plotly heatmaps do not) and carries
    (query, key) as customdata. `selected`: the (query, key) cell to outline.
    """
    n = len(labels)
    slanted = n > 12
    longest = 8 * max(len(shorten(label)) for label in labels)  # pixels
    ticks = {"tickfont": {"family": theme.MONOSPACE}, "automargin": False, "ticklabeloverflow": "allow"}
    layout = {
        "xaxis": token_axis(labels, "key: the token looked at", side="top", tickangle=-60 if slanted else 0, **ticks),
        "yaxis": token_axis(labels, "query: the token that looks", range=[n - 0.5, -0.5], tickangle=0, **ticks),
        "height": height,
        # margins worked out here: left to itself, plotly draws everything once more to find them
        "margin": {
            "l": longest + 44,
            "r": 64,
            "t": (longest + 12 if slanted else 16) + 36,
            "b": 0,
            "autoexpand": False,
        },
        "clickmode": "event+select",
        "dragmode": False,
        "hoverdistance": -1,
        "showlegend": False,
    }
    if selected:
        query, key = selected
        cell = {"x0": key - 0.5, "x1": key + 0.5, "y0": query - 0.5, "y1": query + 0.5}
        layout["shapes"] = [{"type": "rect", **cell, "line": {"color": theme.ACCENT, "width": 3}}]
    heatmap = go.Heatmap(
        z=weights,
        zmin=0,
        zmax=1,
        colorbar={"title": "weight", "thickness": 12, "outlinewidth": 0},
        hovertemplate="query %{y} looks at key %{x}<br>weight %{z:.4f}<extra></extra>",
    )
    overlay = [_click_overlay(weights, [escape(label) for label in labels], height)] if is_clickable(n) else []
    return go.Figure([heatmap, *overlay], layout)


def _click_overlay(weights: np.ndarray, labels: Sequence[str], height: int) -> go.Scatter:
    n = len(labels)
    query, key = (index.ravel() for index in np.indices(weights.shape))
    return go.Scatter(
        x=key,
        y=query,
        mode="markers",
        marker={"symbol": "square", "size": max(4, 0.7 * height / n), "opacity": 0.0},
        customdata=np.stack([query, key], axis=1),
        text=[
            f"“{labels[q]}” (query {q}) looks at “{labels[k]}” (key {k})<br>weight {weights[q, k]:.4f}"
            for q, k in zip(query, key, strict=True)
        ],
        hovertemplate="%{text}<extra></extra>",
    )


def cell_strips(cell: CellArithmetic, query_label: str, key_label: str) -> str:
    """The query, the key, and their product element by element, as three rows of coloured cells (K,), in HTML.

    Not a plotly figure: it is drawn anew with every step of the layer control, and this takes a tenth of the time.
    """
    rows = {
        f"q of “{query_label}”": cell.query,
        f"k of “{key_label}”": cell.key,
        "q × k": cell.product,
    }
    cells = []
    for name, values in rows.items():
        largest = float(np.abs(values).max())
        cells.append(f'<div class="name">{html.escape(name)}</div>')
        cells += [
            f'<div title="element {i}: {value:.4f}" style="background:{theme.signed_background(value, largest)}"></div>'
            for i, value in enumerate(values.tolist())
        ]
        cells.append(f'<div class="sum">± {largest:.2f}</div>')
    alt = f"Query and key of {len(cell.query)} elements each; their products add up to {cell.dot:.4f}."
    return (
        f"<style>{_STRIPS_CSS}</style>"
        f'<div class="strips" role="img" aria-label="{alt}" style="--n:{len(cell.query)}">{"".join(cells)}</div>'
    )


_STRIPS_CSS = f"""
.strips {{ display: grid; grid-template-columns: minmax(5rem, auto) repeat(var(--n), minmax(2px, 1fr)) auto;
  gap: 6px 1px; align-items: center; }}
.strips > div {{ height: 30px; border-radius: 2px; outline: 1px solid rgb(128 128 128 / 0.15); }}
.strips > .name, .strips > .sum {{ outline: none; font: 14px/30px {theme.MONOSPACE}; white-space: pre;
  padding: 0 10px 0 0; unicode-bidi: isolate; max-width: 14rem; overflow: hidden; text-overflow: ellipsis; }}
.strips > .sum {{ padding: 0 0 0 10px; font-size: 12px; opacity: 0.75; }}
"""


def weights_as_bytes(weights: np.ndarray) -> np.ndarray:
    """0 … 1 as 0 … 255 on a square-root scale, so that small weights stay visible (1 % is 26); any shape, uint8."""
    return np.sqrt(weights * np.float32(255 * 255)).round().clip(0, 255).astype(np.uint8)
