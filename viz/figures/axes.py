"""Axes that carry tokens: positions underneath, labels as ticks, so that two equal tokens stay two rows."""

from collections.abc import Sequence

_MOST_TICKS = 28  # a picture often takes half the page
_LONGEST_LABEL = 16


def token_axis(labels: Sequence[str], title: str, **options) -> dict:
    """A plotly axis over positions 0 … n - 1 with the tokens as ticks; over many tokens, only some are named."""
    n = len(labels)
    step = max(1, -(-n // _MOST_TICKS))
    positions = list(range(0, n, step))
    return {
        "title": title,
        "tickmode": "array",
        "tickvals": positions,
        "ticktext": [shorten(labels[i]) for i in positions],
        "range": [-0.5, n - 0.5],
        "showgrid": False,
        "zeroline": False,
        "constrain": "domain",
        **options,
    }


def shorten(label: str) -> str:
    """For a tick: long labels are cut, and what plotly would read as markup is not."""
    cut = label if len(label) <= _LONGEST_LABEL else label[: _LONGEST_LABEL - 1] + "…"
    return escape(cut)


def escape(label: str) -> str:
    """Token text as plotly text: its ticks and hovers understand a little HTML."""
    return label.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
