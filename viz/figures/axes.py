"""Axes that carry tokens: positions underneath, labels as ticks, so that two equal tokens stay two rows."""

from collections.abc import Sequence

from viz.figures import theme

_MOST_TICKS = 28  # a picture often takes half the page
_LONGEST_LABEL = 16
# above the picture, at its left
LEGEND = {"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0, "xanchor": "left", "traceorder": "normal"}


def token_axis(
    labels: Sequence[str], title: str, *, first: int = 0, most: int = _MOST_TICKS, last: bool = False, **options
) -> dict:
    """A plotly axis over positions `first` … `first` + n - 1 with the tokens as ticks; of more than `most`, only some
    are named, with the `last` one if told, in place of the one before it.
    """
    n = len(labels)
    step = max(1, -(-n // max(1, most)))
    named = list(range(0, n, step))
    if last:
        named[-1] = n - 1
    return {
        "title": {"text": title},
        "tickmode": "array",
        "tickvals": [first + i for i in named],
        "ticktext": [shorten(labels[i]) for i in named],
        "range": [first - 0.5, first + n - 0.5],
        "showgrid": False,
        "zeroline": False,
        "constrain": "domain",
        **options,
    }


def row_axis(ticks: Sequence[str]) -> dict:
    """A plotly axis down the side, one row for each of `ticks` (plotly text), the first on top."""
    n = len(ticks)
    return {
        "tickmode": "array",
        "tickvals": list(range(n)),
        "ticktext": list(ticks),
        "tickfont": {"family": theme.MONOSPACE, "size": 14},
        "range": [n - 0.5, -0.5],
        "showgrid": False,
        "zeroline": False,
        "fixedrange": True,
    }


def shorten(label: str) -> str:
    """For a tick: long labels are cut, and what plotly would read as markup is not."""
    return escape(cut(label))


def cut(label: str) -> str:
    return label if len(label) <= _LONGEST_LABEL else label[: _LONGEST_LABEL - 1] + "…"


def escape(label: str) -> str:
    """Token text as plotly text: its ticks and hovers understand a little HTML."""
    return label.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
