"""What taking each edge of a head away does, as a map beside that of its weights."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from viz.figures import theme
from viz.figures.attention import WIDTH, attention_heatmap


def effect_heatmap(
    rise: np.ndarray,
    labels: Sequence[str],
    key_labels: Sequence[str],
    *,
    selected: tuple[int, int] | None = None,
    height: int = 480,
    width: int = WIDTH,
    sink: bool = False,
) -> go.Figure:
    """By how much a loss rises (Q, K), in nats, without each edge: blue above 0, orange below; NaN is left blank.

    Laid out as the map of weights beside it; see `viz.figures.attention.attention_heatmap`.
    """
    layout = {"selected": selected, "height": height, "width": width, "sink": sink}
    fig = attention_heatmap(rise, labels, key_labels, title="nats", say=rise_in_words, **layout)
    fig.update_traces(
        **theme.symmetric(np.nan_to_num(rise)),
        colorbar={"tickvals": None, "ticktext": None, "nticks": 5},
        hovertemplate="query %{y}, key %{x}<br>without it, the loss rises by %{z:.3g} nats<extra></extra>",
        selector={"type": "heatmap"},
    )
    return fig


def rise_in_words(rise: float) -> str:
    """What taking one edge away does."""
    if np.isnan(rise):
        return "no edge that could be taken away"
    return f"without it, the loss {'falls' if rise < 0 else 'rises'} by {abs(rise):.3g} nats"
