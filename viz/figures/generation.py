"""Pictures of a choice among tokens, and of what the choosing position looked at."""

import html
from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from model.run import readable
from viz.figures import axes, theme
from viz.figures.numbers import percent

_LONGEST_TEXT = 600  # characters of a long text that are shown before what is written


def next_token_bars(
    labels: Sequence[str], probability: np.ndarray, chance: np.ndarray, *, chosen: int | None = None
) -> go.Figure:
    """Candidates from top to bottom, two bars each: the model's probability, and the chance to be drawn.

    `probability` and `chance` are (k,), in the order of `labels`; `chosen` is the row that was drawn.
    """
    ticks = [axes.shorten(label) for label in labels]
    if chosen is not None:
        ticks[chosen] = f"<b>▸ {ticks[chosen]}</b>"
    # the chance leads, the probability stands behind it, paler; a click on either tells which candidate
    which = {
        "customdata": list(range(len(labels))),
        "hovertext": [axes.escape(label) for label in labels],
        "hovertemplate": "%{hovertext}<br>%{fullData.name}: %{x:.6f}<extra></extra>",
    }
    fig = go.Figure(
        [
            _bars(labels, values, name, marker={"opacity": pale}, unselected={"marker": {"opacity": pale}}, **which)
            for name, values, pale in (
                ("the model's probability", probability, 0.45),
                ("chance to be drawn", chance, 1.0),
            )
        ]
    )
    fig.update_layout(
        barmode="group",
        bargap=0.25,
        bargroupgap=0.05,
        height=70 + 36 * max(len(labels), 3),
        margin={"l": 0, "r": 10, "t": 34, "b": 0},
        legend=axes.LEGEND,
        xaxis={
            "range": [0, 1.18 * max(float(np.max(probability)), float(np.max(chance)))],
            "visible": False,
            "fixedrange": True,
        },
        yaxis=axes.row_axis(ticks),
    )
    return fig


def next_token_pairs(labels: Sequence[str], probability: Mapping[str, np.ndarray]) -> go.Figure:
    """Candidates from top to bottom, with a bar for their probability (k,) in each of the named runs."""
    fig = go.Figure(
        [
            _bars(labels, values, name, textfont={"size": 13}, constraintext="none")
            for name, values in probability.items()
        ]
    )
    largest = max(float(values.max()) for values in probability.values())
    fig.update_layout(
        barmode="group",
        bargap=0.28,
        bargroupgap=0.05,
        height=60 + 36 * max(len(labels), 3),
        margin={"l": 6, "r": 10, "t": 34, "b": 0},
        legend=axes.LEGEND,
        showlegend=True,
        xaxis={"range": [0, 1.2 * largest], "visible": False, "fixedrange": True},
        yaxis=axes.row_axis([axes.shorten(label) for label in labels]),
    )
    return fig


def _bars(labels: Sequence[str], values: np.ndarray, name: str, **style: object) -> go.Bar:
    """A bar for each candidate, from top to bottom, with its value (k,) beside it."""
    hover = {
        "customdata": [
            [axes.escape(each), f"{value:.6f}"] for each, value in zip(labels, values.tolist(), strict=True)
        ],
        "hovertemplate": "%{customdata[0]}<br>%{fullData.name}: %{customdata[1]}<extra></extra>",
    }
    return go.Bar(
        y=list(range(len(labels))),
        x=values,
        name=name,
        orientation="h",
        text=[percent(value) for value in values.tolist()],
        textposition="outside",
        cliponaxis=False,
        **hover | style,
    )


def growing_text(text: str, written: str, mode: str) -> str:
    """HTML: the text and, in colour, what was written after it. `mode` is light or dark."""
    shown = text if len(text) <= _LONGEST_TEXT else "… " + text[-_LONGEST_TEXT:]
    return (
        '<p dir="auto" style="white-space:pre-wrap;overflow-wrap:anywhere;font-size:1.25rem;line-height:1.6;margin:0">'
        f'{_prose(shown)}<span style="color:{theme.CATEGORICAL[mode][0]};font-weight:600">{_prose(written)}</span></p>'
    )


def message(role: str, text: str) -> str:
    """HTML: what one side of a conversation has said, below who it is."""
    return (
        f'<div style="font-size:0.8rem;opacity:0.8;line-height:1.3">{role}</div>'
        f'<p dir="auto" style="white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.6;margin:0">{_prose(text)}</p>'
    )


def running_bits(ends: Sequence[int], nats: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each token ends in its text (N,), in characters, and the bits (N,) that all up to it have cost."""
    return np.asarray(ends), np.cumsum(nats) / np.log(2)


def bits_lines(lines: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> go.Figure:
    """Of each model by its name, the bits that a text has cost up to each of its characters."""
    fig = go.Figure()
    for name, (ends, bits) in lines.items():
        fig.add_scatter(
            x=ends,
            y=bits,
            name=axes.escape(name),
            mode="lines+markers" if len(ends) <= 80 else "lines",
            hovertemplate=f"%{{x}} characters: %{{y:.2f}} bits<extra>{axes.escape(name)}</extra>",
        )
    fig.update_layout(
        height=300,
        margin={"l": 0, "r": 10, "t": 34, "b": 0},
        legend=axes.LEGEND,
        showlegend=True,
        dragmode=False,
        xaxis={"title": "characters", "rangemode": "tozero"},
        yaxis={"title": "bits", "rangemode": "tozero"},
    )
    return fig


def _prose(text: str) -> str:
    signs_shown = (c if c.isprintable() or c in "\n\u200d" else readable(c.encode()) for c in text)
    return html.escape("".join(signs_shown))
