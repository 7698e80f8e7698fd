"""The charts of the page about the model: its parameters by part, its memory by length, its loss while it learned."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from model.analysis.parameters import INSTEAD
from viz.figures import axes, theme
from viz.figures.architecture import PART_COLOUR
from viz.figures.numbers import percent
from viz.figures.training import Curves

_MARGIN = {"l": 0, "r": 12, "t": 8, "b": 0}


def parameter_bars(parts: Mapping[str, int], mode: str) -> go.Figure:
    """How many parameters each part holds, as one bar a part."""
    total, colours = sum(parts.values()) or 1, theme.CATEGORICAL[mode]
    names = list(parts)
    own = {part: colours[i] for part, i in {**PART_COLOUR, INSTEAD: PART_COLOUR["cross"], "other": 9}.items()}
    own |= {"positions": theme.ACCENT, "norms": theme.NEUTRAL}
    fig = go.Figure(
        go.Bar(
            x=list(parts.values()),
            y=names,
            orientation="h",
            marker_color=[own[name] for name in names],
            text=[f"{n:,}<br>{percent(n / total)}" for n in parts.values()],  # two lines: a telephone is narrow
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y}: %{x:,} parameters<extra></extra>",
        )
    )
    fig.update_layout(height=52 + 42 * len(names), margin=_MARGIN, dragmode=False, bargap=0.3, showlegend=False)
    fig.update_xaxes(title="parameters", showgrid=True, zeroline=False, range=[0, max(parts.values()) * 1.45])
    fig.update_yaxes(autorange="reversed", showgrid=False)
    return fig


def memory_lines(lengths: Sequence[int], record: Sequence[int], weights: Sequence[int], now: int | None) -> go.Figure:
    """Bytes kept of a run by the number of its tokens: queries, keys and values, against all attention weights."""
    fig = go.Figure()
    for values, name, dash in ((record, "queries, keys, values", "solid"), (weights, "all attention weights", "dot")):
        fig.add_scatter(
            x=list(lengths),
            y=list(values),
            mode="lines",
            name=name,
            line={"width": 3, "dash": dash},
            customdata=[size_in_words(value) for value in values],
            hovertemplate=f"%{{x:,}} tokens<br>{name}: %{{customdata}}<extra></extra>",
        )
    if now:
        fig.add_vline(x=now, line_color=theme.ACCENT, line_width=2)
        # plotly places an annotation on a logarithmic axis by its exponent
        where = {"x": np.log10(now), "y": 1, "yref": "paper", "xanchor": "left", "yanchor": "bottom"}
        fig.add_annotation(text=f"your text: {now:,} token{'s' if now != 1 else ''}", showarrow=False, **where)
    low, high = (pick(*record, *weights) for pick in (min, max))
    decades = range(int(np.floor(np.log10(max(low, 1)))), int(np.ceil(np.log10(high))) + 1)
    last = max(*lengths, now or 1, 2)
    ticks = [n for n in (1, *(b * 10**p for p in range(7) for b in (1, 2, 5))) if n < last / 1.4] + [last]
    fig.update_layout(height=340, margin=_MARGIN | {"t": 28}, dragmode=False, legend={"orientation": "h", "y": -0.24})
    fig.update_xaxes(
        title="tokens in the text",
        type="log",
        range=[0, np.log10(last) + 0.03],
        tickvals=sorted(set(ticks)),
        ticktext=[f"{n:,}" for n in sorted(set(ticks))],
        showgrid=True,
    )
    fig.update_yaxes(
        type="log",
        tickvals=[10.0**p for p in decades],
        ticktext=[size_in_words(10**p) for p in decades],
        showgrid=True,
    )
    return fig


def learning_lines(curves: Curves) -> go.Figure:
    """A measure on texts held out, as training went on: the first line strong, others, if any, thin."""
    fig = go.Figure()
    for i, (name, values) in enumerate(curves.values.items()):
        fig.add_scatter(
            x=list(curves.tokens[name]),
            y=list(values),
            mode="lines" if i else "lines+markers",
            line_width=1.5 if i else 2.5,
            name=name,
            hovertemplate=f"after %{{x:,}} tokens: %{{y:.3f}}<extra>{axes.escape(name)}</extra>",
        )
    several = len(curves.values) > 1
    fig.update_layout(height=330 if several else 300, margin=_MARGIN, dragmode=False, showlegend=several)
    fig.update_layout(legend={"orientation": "h", "y": -0.25})
    fig.update_xaxes(title="tokens read in training")
    fig.update_yaxes(title=axes.escape(curves.unit))
    return fig


def size_in_words(n_byte: float) -> str:
    """Bytes as people say them, in powers of 1,000."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if n_byte < 1000 or unit == "TB":
            return f"{n_byte:.3g} {unit}"
        n_byte /= 1000
    raise AssertionError
