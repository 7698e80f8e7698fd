"""Pictures of attention: one head as a heatmap, one cell's arithmetic, and weights as bytes for the grid of heads."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from viz.figures import theme
from viz.figures.axes import cut, escape, shorten, token_axis
from viz.figures.labels import name_size
from viz.figures.scale import ColourScale

_UNIT = ColourScale()
_MOST_CELLS = 256  # a side: more would be smaller than a pixel, and plotly would simply skip some
_MOST_CLICKABLE = 64  # tokens; the overlay that hears clicks costs one SVG node a cell
_LETTERS, _LINE = 13, 12  # px: a little more than the 12 of a tick's letters; from one tick to the next, at least
WIDTH = 390  # px: in what is narrower, viz/frame.css makes the letters of the ticks smaller


def is_clickable(n_token: int) -> bool:
    """Whether `heatmap_spec` of so many tokens hears clicks on its cells."""
    return n_token <= _MOST_CLICKABLE


def attention_heatmap(*args, **options) -> go.Figure:
    """What `heatmap_spec` takes, as a figure of plotly's, which checks it."""
    return go.Figure(heatmap_spec(*args, **options))


def heatmap_spec(
    weights: np.ndarray,
    labels: Sequence[str],
    key_labels: Sequence[str] | None = None,
    *,
    first: tuple[int, int] = (0, 0),
    selected: tuple[int, int] | None = None,
    scale: ColourScale = _UNIT,
    title: str = "weight",
    height: int = 480,
    width: int = WIDTH,
    sink: bool = False,
    say: Callable[[float], str] | None = None,
) -> dict:
    """Weights (Q, K) as colours: rows look, columns are looked at; NaN is left blank. Traces and layout, as plain
    values that `viz.figures.unchecked.Unchecked` can draw: a map is what visitors wait for.

    `key_labels` are those of the columns, if they are not those of the rows. `first`: the positions of the first row
    and the first column in their text. `selected`: the (query, key) to outline. `title`: what the numbers are.
    `width`: pixels that the picture has at least, by which its ticks are chosen. Up to 64 x 64 cells, a second,
    invisible trace of points hears clicks (plotly heatmaps do not) and carries (query, key) as customdata. `sink`:
    whether the last column is that of a learned one, which is always named, and taken together with no key. `say`: what
    the hover says of a number, NaN too. A `signed` scale is for differences.
    """
    key_labels = labels if key_labels is None else key_labels
    step = cells_pooled(max(weights.shape))
    if sink and (gap := -(weights.shape[1] - 1) % step):  # so that a cell begins with it
        sink_at = weights.shape[1] - 1
        weights = np.insert(weights, [sink_at] * gap, np.nan, axis=1)
        key_labels = [*key_labels[:-1], *[""] * gap, key_labels[-1]]
        if selected and selected[1] == first[1] + sink_at:
            selected = selected[0], selected[1] + gap
    (n_query, n_key), (top, left) = weights.shape, first
    bottom_up = [top + n_query - 0.5, top - 0.5]
    longest_query, longest_key = (
        max(name_size(cut(label), _LETTERS)[0] for label in names) for names in (labels, key_labels)
    )
    # margins worked out here: left to itself, plotly draws everything once more to find them
    left_of, right_of = longest_query + 44, 64
    room = width - left_of - right_of
    slanted = n_key > 12 or longest_key * n_key > room
    above = 36 + (0.87 * longest_key + 12 if slanted else 16)  # 0.87: the sine of 60°
    ticks = {"tickfont": {"family": theme.MONOSPACE}, "automargin": False, "ticklabeloverflow": "allow"}
    low, high = scale.ends
    marks, texts = scale.ticks
    layout = {
        "xaxis": token_axis(
            key_labels,
            "key: the token looked at",
            first=left,
            most=int(room // _LINE) if slanted else n_key,
            last=sink,
            side="top",
            tickangle=-60 if slanted else 0,
            **ticks,
        ),
        "yaxis": token_axis(
            labels,
            "query: the token that looks",
            first=top,
            most=int((height - above) // _LINE),
            range=bottom_up,
            tickangle=0,
            **ticks,
        ),
        "height": height,
        "margin": {"l": left_of, "r": right_of, "t": above, "b": 0, "autoexpand": False},
        "clickmode": "event+select",
        "dragmode": False,
        "hoverdistance": -1,
        "showlegend": False,
    }
    if selected:
        query, key = selected
        cell = {"x0": key - 0.5, "x1": key + 0.5, "y0": query - 0.5, "y1": query + 0.5}
        layout["shapes"] = [{"type": "rect", **cell, "line": {"color": theme.ACCENT, "width": 3}}]
    cells = _farthest(weights, step) if scale.signed else _largest(weights, step)
    heatmap = dict(
        type="heatmap",
        z=scale.place(cells),
        x0=left + (step - 1) / 2,  # the middle of the first cell
        y0=top + (step - 1) / 2,
        dx=step,
        dy=step,
        zmin=low,
        zmax=high,
        colorbar={"title": {"text": title}, "thickness": 12, "outlinewidth": 0, "tickvals": marks, "ticktext": texts},
        hoverongaps=False,
        hovertemplate="query %{y} looks at key %{x}<br>"
        + (f"the largest {title} of {step} × {step} around it: " if step > 1 else f"{title} ")
        + f"%{{{'customdata' if scale.log else 'z'}:.4f}}<extra></extra>",
    )
    if scale.log:
        heatmap["customdata"] = cells
    if scale.signed:
        heatmap["colorscale"] = theme.DIVERGING
    traces = [heatmap]
    if is_clickable(max(weights.shape)):
        traces.append(_click_overlay(weights, labels, key_labels, first, title, height, say))
    return {"data": traces, "layout": layout}


def cells_pooled(n_token: int) -> int:
    """How many tokens a side of a cell of `attention_heatmap` stands for: 1 up to 256 tokens."""
    return -(-n_token // _MOST_CELLS)


def _largest(weights: np.ndarray, step: int) -> np.ndarray:
    """The largest weight of each step x step neighbourhood; NaN only where there is nothing else."""
    if step == 1:
        return weights
    rows, columns = (np.arange(0, n, step) for n in weights.shape)
    return np.fmax.reduceat(np.fmax.reduceat(weights, rows, axis=0), columns, axis=1)


def _farthest(values: np.ndarray, step: int) -> np.ndarray:
    """The value of each such neighbourhood that is farthest from 0."""
    high, low = _largest(values, step), -_largest(-values, step)
    return np.where(high >= -low, high, low)


def _click_overlay(
    weights: np.ndarray,
    labels: Sequence[str],
    key_labels: Sequence[str],
    first: tuple[int, int],
    title: str,
    height: int,
    say: Callable[[float], str] | None,
) -> dict:
    row, column = (index.ravel() for index in np.indices(weights.shape))
    query, key = row + first[0], column + first[1]
    rows, columns = ([escape(label) for label in names] for names in (labels, key_labels))
    say = say or (lambda w: "taken out" if np.isnan(w) else f"{title} {w:.4f}")
    words = [say(w) for w in weights.ravel().tolist()]
    return dict(
        type="scatter",
        x=key,
        y=query,
        mode="markers",
        marker={"symbol": "square", "size": max(4, 0.7 * height / len(labels)), "opacity": 0.0},
        customdata=np.stack([query, key], axis=1),
        text=[
            f"“{rows[r]}” (query {r + first[0]}) looks at “{columns[c]}” (key {c + first[1]})<br>{value}"
            for r, c, value in zip(row, column, words, strict=True)
        ],
        hovertemplate="%{text}<extra></extra>",
    )


@dataclass(frozen=True)
class Bars:
    """One number for each of some positions of a text."""

    title: str
    values: np.ndarray  # (n,) NaN where there is nothing
    positions: np.ndarray  # (n,)
    labels: Sequence[str]  # (n,)
    say: Callable[[str, float], str]  # what the hover says of a label and its value
    clickable: bool = False  # whether a click carries the position as customdata
    sink: bool = False  # whether the last is that of a learned sink, which is always named


def token_bars(panels: Sequence[Bars], *, panel_height: int = 130) -> go.Figure:
    """Panels of bars on top of each other, each over its own tokens: what they receive, give, or lose."""
    n = len(panels)
    layout = {"height": panel_height * n + 70 * n, "margin": {"l": 56, "r": 8, "t": 30, "b": 8}, "showlegend": False}
    # by column: the smallest bar can be pointed at too
    layout |= {"hovermode": "x", "hoverdistance": -1, "clickmode": "event+select", "dragmode": False, "annotations": []}
    traces = []
    for i, bars in enumerate(panels):
        top, bottom = 1 - i / n, 1 - (i + 1) / n
        mark = str(i + 1) if i else ""
        slanted = len(bars.labels) > 12 or sum(len(shorten(label)) for label in bars.labels) > 60
        ticks = {"tickfont": {"family": theme.MONOSPACE}, "tickangle": -60 if slanted else 0, "anchor": f"y{mark}"}
        layout[f"xaxis{mark}"] = token_axis(bars.labels, "", first=int(bars.positions[0]), last=bars.sink, **ticks)
        layout[f"yaxis{mark}"] = {
            "domain": [bottom + 70 / layout["height"], top - 8 / layout["height"]],
            "rangemode": "tozero",
            "nticks": 4,
        }
        layout["annotations"].append(
            {
                "text": escape(bars.title),
                "x": 0,
                "y": top,
                "xref": "paper",
                "yref": "paper",
                "xanchor": "left",
                "yanchor": "bottom",
            }
            | {"showarrow": False}
        )
        traces.append(
            go.Bar(
                x=bars.positions,
                y=bars.values,
                xaxis=f"x{mark}",
                yaxis=f"y{mark}",
                text=[escape(bars.say(*each)) for each in zip(bars.labels, bars.values.tolist(), strict=True)],
                textposition="none",
                hovertemplate="%{text}<extra></extra>",
                customdata=bars.positions if bars.clickable else None,
                marker={"color": None},
            )
        )
    return go.Figure(traces, layout)
