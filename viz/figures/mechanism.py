"""Two runs beside each other, as trained and changed: what may come next, how surprising each token is; and which of
the switches do nothing there.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from model.intervention import Intervention
from model.run import DenseAttention, ModelRun
from viz.figures import axes, theme
from viz.figures.heads import head_name

# a change of a loss by less, in nats, does not count: the same model run by another path differs by about 1e-6, and
# 0.001 is a probability that is 1.001 times another
COUNTS = 0.001
_MOST_PAIRS = 64  # of bars: more are too thin to see


def without_effect(run: ModelRun, change: Intervention) -> list[str]:
    """Which parts of a change of this run, as trained, do nothing to what the model computes; each with the reason."""
    idle, off = [], change.heads_off
    for head in change.heads_uniform & off:
        idle.append(f"{head_name(*head).capitalize()} uniform: it is off and writes nothing, wherever it looks.")
    for *head, query in change.rows_off:
        if tuple(head) in off:
            idle.append(f"{head_name(*head).capitalize()} off for query {query}: it is off for every query.")
    for *head, query, key in change.edges_off:
        what = "the sink" if key == len(run.tokens) else f"key {key}"
        edge = f"{head_name(*head).capitalize()}, query {query} does not see {what}"
        if tuple(head) in off:
            idle.append(f"{edge}: the head is off and writes nothing, whatever it sees.")
        elif (*head, query) in change.rows_off:
            idle.append(f"{edge}: the head is off for this query and writes nothing there.")
    if len(run.tokens) == 1 and not run.source and not run.has_sink():
        parts = [f"{head_name(*head).capitalize()} uniform" for head in change.heads_uniform - off]
        parts += ["Without the causal mask"] * (not change.causal_mask) + ["Without the scale"] * (not change.scale)
        parts += [f"Softmax temperature {change.temperature:g}"] * (change.temperature != 1)
        return idle + [f"{part}: a token alone gives all its weight to itself, whatever the score." for part in parts]
    layers = [layer for kind in run.kinds for layer in run.attending(kind)]
    if change.scale or any(isinstance(layer, DenseAttention) or layer.whole_scale is None for layer in layers):
        return idle
    if all(abs(layer.whole_scale * change.temperature - 1) < 1e-6 for layer in layers):
        if change.temperature == 1:
            idle.append("Without the scale: in this model it is 1.")
        elif not any(layer.soft_cap or layer.bias is not None for layer in layers):  # those are divided too
            one = f"1/{change.temperature:g}"
            idle.append(
                f"Without the scale, at temperature {change.temperature:g}: the scale was {one}, so both cancel."
            )
    return idle


def token_losses(labels: Sequence[str], losses: Mapping[str, np.ndarray]) -> go.Figure:
    """The loss of each token but the first, in nats (T - 1,), in each of the named runs.

    Each stands at its token's position; the first token has none.
    """
    fig = _over_tokens(labels, losses, "%{y:.3f} nats")
    fig.update_layout(barmode="group", yaxis={"title": "loss, nats", "rangemode": "tozero"})
    return fig


def token_loss_changes(labels: Sequence[str], before: np.ndarray, after: np.ndarray) -> go.Figure:
    """How much the loss of each token but the first rose or fell, in nats, from `before` (T - 1,) to `after`.

    For a text too long for two bars a token. What changes by less than `COUNTS` is called neither.
    """
    change = after - before
    kinds = {
        "falls": change <= -COUNTS,
        "rises": change >= COUNTS,
        f"changes by less than {COUNTS:g}": np.abs(change) < COUNTS,
    }
    series = {name: np.where(those, change, np.nan) for name, those in kinds.items()}
    fig = _over_tokens(labels, series, "by %{y:+.3f} nats")
    fig.update_layout(barmode="overlay", bargap=0, yaxis={"title": "change of loss, nats"})
    return fig


def has_room_for_pairs(n_token: int) -> bool:
    """Whether `token_losses` can draw two bars for each of so many tokens."""
    return n_token <= _MOST_PAIRS


def _over_tokens(labels: Sequence[str], series: Mapping[str, np.ndarray], value: str) -> go.Figure:
    fig = go.Figure()
    for name, values in series.items():
        fig.add_bar(
            x=list(range(1, len(labels))),
            y=values,
            name=name,
            marker={"line": {"width": 0}},
            customdata=[axes.escape(label) for label in labels[1:]],
            hovertemplate=f"%{{customdata}}, position %{{x}}<br>%{{fullData.name}}: {value}<extra></extra>",
        )
    fig.update_layout(
        bargap=0.25,
        bargroupgap=0.05,
        height=300,
        margin={"l": 0, "r": 0, "t": 34, "b": 0},
        legend=axes.LEGEND,
        showlegend=True,
        xaxis=axes.token_axis(
            labels,
            "",
            range=[0.5, len(labels) - 0.5],
            tickfont={"family": theme.MONOSPACE, "size": 13},
            fixedrange=True,
        ),
        yaxis={"fixedrange": True, "nticks": 6},
    )
    return fig
