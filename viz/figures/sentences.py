"""Pictures of how a few lines were learned by heart."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from viz.figures import axes

MOST_TOKENS = 64  # rows of a picture


def token_loss_map(labels: Sequence[str], steps: Sequence[int], losses: np.ndarray) -> go.Figure:
    """The loss of each of the first tokens, from top to bottom, at each checkpoint (C, N), from left to right."""
    labels, losses = labels[:MOST_TOKENS], losses[:, :MOST_TOKENS]
    places = list(range(len(steps)))
    every = max(1, -(-len(steps) // 8))
    fig = go.Figure(
        go.Heatmap(
            z=losses.T,
            x=places,
            y=list(range(len(labels))),
            zmin=0,
            zmax=max(float(losses.max()), 0.01),
            xgap=1,
            ygap=1,
            customdata=[[f"step {step:,}, {axes.shorten(label)}" for step in steps] for label in labels],
            hovertemplate="%{customdata}: %{z:.3f} nats<extra></extra>",
            colorbar={"title": {"text": "nats"}, "thickness": 12, "len": 1, "outlinewidth": 0},
        )
    )
    fig.update_layout(
        height=90 + 20 * max(len(labels), 3),
        margin={"l": 0, "r": 0, "t": 8, "b": 0},
        dragmode=False,
        xaxis={
            "title": "steps",
            "tickvals": places[::every],
            "ticktext": [f"{step:,}" for step in steps][::every],
            "showgrid": False,
            "zeroline": False,
            "fixedrange": True,
        },
        yaxis=axes.row_axis([axes.shorten(label) for label in labels]) | {"tickfont": {"size": 12}},
    )
    return fig
