"""A fine-tuning over its steps: what is learned, and what is forgotten meanwhile."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from viz.figures import axes


def gain_and_loss(steps: Sequence[int], losses: Mapping[str, Sequence[float]]) -> go.Figure:
    """Losses in nats a token, each at the same checkpoints."""
    fig = go.Figure()
    for name, values in losses.items():
        fig.add_scatter(
            x=list(steps),
            y=list(values),
            mode="lines+markers",
            line_width=2.5,
            name=name,
            hovertemplate="after %{x:,} steps: %{y:.3f} nats<extra>" + axes.escape(name) + "</extra>",
        )
    fig.update_layout(height=280, margin={"l": 0, "r": 8, "t": 34, "b": 0}, dragmode=False, legend=axes.LEGEND)
    fig.update_xaxes(title="steps", rangemode="tozero", fixedrange=True)
    fig.update_yaxes(title="nats a token", rangemode="tozero", fixedrange=True)
    return fig
