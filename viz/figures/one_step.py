"""One step of training in pictures and tables: logits and what becomes of them, the loss and the learning rate over all
steps, a matrix of gradients and what each token adds to one of them, a weight on its way.
"""

import html
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from model.lab.by_hand import Answer, Schedule
from viz.figures import axes, theme
from viz.figures.numbers import in_full

_MOST_CLICKABLE = 64 * 64  # cells: the overlay that hears clicks costs one SVG node a cell
_MARGIN = {"l": 0, "r": 8, "t": 8, "b": 0}


def answer_table(answer: Answer, place: int, labels: Sequence[str], most: int = 24) -> str:
    """The logits of one place with what becomes of them, as HTML; the row of the token that came is marked.

    Of more than `most`, those whose gradients are largest, and the sums of the others.
    """
    target, exponentials = answer.targets[place], np.exp(answer.logits[place])
    gradient, probability = answer.gradient[place], answer.probability[place]
    those = np.sort(np.argsort(-np.abs(gradient), kind="stable")[:most])
    largest = float(np.abs(gradient).max())
    rows = [
        (
            f"{labels[i]}{' ← came' if i == target else ''}",
            (
                (in_full(answer.logits[place, i]), ""),
                (in_full(exponentials[i]), ""),
                (in_full(probability[i]), ""),
                (str(int(i == target)), ""),
                (in_full(gradient[i]), _behind(gradient[i], largest)),
            ),
        )
        for i in those
    ]
    if left := len(labels) - len(those):
        rest = [in_full(values.sum() - values[those].sum()) for values in (exponentials, probability, gradient)]
        rows.append((f"the other {left}", (("", ""), (rest[0], ""), (rest[1], ""), ("0", ""), (rest[2], ""))))
    return number_table(("token", "logit z", "e^z", "p", "y", "(p − y) / n"), rows)


def number_table(heads: Sequence[str], rows: Sequence[tuple[str, Sequence[tuple[str, str]]]]) -> str:
    """Rows of a name and of numbers, each with the CSS colour behind it or none, as HTML; `heads`: of the names too."""
    line = "border-bottom:1px solid color-mix(in srgb, currentColor 14%, transparent)"
    cell = f"padding:.2rem .6rem;{line}"
    right = f"{cell};text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap"
    top = "".join(
        f'<th scope="col" style="{right if i else cell};text-align:{"right" if i else "left"};font-weight:600">'
        f"{html.escape(head)}</th>"
        for i, head in enumerate(heads)
    )
    body = "".join(
        f'<tr><th scope="row" style="{cell};text-align:left;font-weight:400">{html.escape(name)}</th>'
        + "".join(f'<td style="{right};background:{colour or "none"}">{html.escape(n)}</td>' for n, colour in numbers)
        + "</tr>"
        for name, numbers in rows
    )
    return (
        '<div style="overflow-x:auto"><table style="border-collapse:collapse;font-size:.9rem">'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _behind(value: float, largest: float) -> str:
    """A colour that leaves the number legible in both themes."""
    return theme.signed_background(value, 2 * largest)


def loss_line(losses: np.ndarray, t: int, least: float) -> go.Figure:
    """The loss of each step's batch before it and after it (S, 2), with step `t` marked; points carry their step."""
    steps = np.arange(1, len(losses) + 1)
    fig = go.Figure()
    fig.add_hline(y=least, line={"color": theme.NEUTRAL, "width": 1, "dash": "dot"})
    fig.add_scatter(
        x=steps,
        y=losses[:, 0],
        mode="lines+markers",
        marker={"size": 7},
        line={"width": 2},
        customdata=steps[:, None],
        hovertemplate="step %{x}: %{y:.4f} nats before it<extra></extra>",
    )
    _here(fig, t, losses[t - 1, 0], "%{y:.4f}")
    fig.update_layout(height=240, clickmode="event+select")
    fig.update_yaxes(title="loss of its batch, nats", rangemode="tozero")
    return fig


def rate_line(schedule: Schedule, t: int) -> go.Figure:
    """The learning rate of each step, with step `t` marked."""
    steps = np.arange(1, schedule.n_step + 1)
    rates = [schedule.rate(step) for step in steps.tolist()]
    fig = go.Figure()
    fig.add_scatter(
        x=steps,
        y=rates,
        mode="lines",
        line={"width": 3},
        hovertemplate="step %{x}: %{y:.5f}<extra></extra>",
    )
    _here(fig, t, rates[t - 1], "%{y:.5f}")
    # where no line is: behind the rise, or before the fall
    left = t > schedule.n_step / 2
    side = {"ax": -48 if left else 48, "ay": 30, "xanchor": "right" if left else "left"}
    fig.add_annotation(x=t, y=rates[t - 1], text="you are here", arrowcolor=theme.NEUTRAL, **side)
    fig.update_layout(height=180)
    fig.update_yaxes(title="learning rate", rangemode="tozero", nticks=4)
    return fig


def way_picture(weight: np.ndarray, gradient: np.ndarray, m_hat: np.ndarray, t: int) -> go.Figure:
    """One weight after each step (S + 1,); below it, its clipped gradient in each step, and their corrected mean."""
    steps = np.arange(len(weight))
    fig = go.Figure()
    fig.add_scatter(
        x=steps, y=weight, name="w", line={"width": 3}, hovertemplate="after step %{x}: w = %{y:.6g}<extra></extra>"
    )
    fig.add_bar(
        x=steps[1:],
        y=gradient,
        name="g",
        yaxis="y2",
        marker={"color": theme.NEUTRAL, "line": {"width": 0}},
        hovertemplate="step %{x}: g = %{y:.4g}<extra></extra>",
    )
    fig.add_scatter(x=steps[1:], y=m_hat, name="m̂", yaxis="y2", hovertemplate="step %{x}: m̂ = %{y:.4g}<extra></extra>")
    fig.add_vline(x=t, line={"color": theme.ACCENT, "width": 2})
    fig.update_layout(height=330, margin=_MARGIN | {"t": 30}, dragmode=False, legend=axes.LEGEND, bargap=0.3)
    fig.update_layout(
        xaxis={"title": "step", "showgrid": False, "anchor": "y2", "range": [-0.5, len(weight) - 0.5]},
        yaxis={"title": "w", "domain": [0.55, 1], "nticks": 4},
        yaxis2={"title": "g and m̂", "domain": [0, 0.45], "nticks": 4},
    )
    return fig


def _here(fig: go.Figure, t: int, value: float, form: str) -> None:
    fig.add_scatter(
        x=[t],
        y=[value],
        mode="markers",
        marker={"size": 13, "color": theme.ACCENT},
        hovertemplate=f"step {t}: {form}<extra></extra>",
    )
    fig.update_layout(margin=_MARGIN, dragmode=False, showlegend=False)
    fig.update_xaxes(title="step", showgrid=False)


def gradient_heatmap(gradient: np.ndarray, chosen: tuple[int, int], rows: Sequence[str], across: str) -> go.Figure:
    """Gradients (R, C) of a matrix, orange below 0, blue above; a click carries (row, column)."""
    n_row, n_column = gradient.shape
    row, column = (index.ravel() for index in np.indices(gradient.shape))
    fig = go.Figure(
        go.Heatmap(
            z=gradient,
            **theme.symmetric(gradient),
            colorbar={"thickness": 12, "outlinewidth": 0, "exponentformat": "power", "nticks": 5},
            hoverinfo="skip",
        )
    )
    height = 90 + max(160, min(18 * n_row, 560))
    if gradient.size > _MOST_CLICKABLE:
        fig.update_traces(hoverinfo=None, hovertemplate="row %{y}, column %{x}: %{z:.4g}<extra></extra>")
        row, column = row[:0], column[:0]
    fig.add_scatter(
        x=column,
        y=row,
        mode="markers",
        marker={"symbol": "square", "size": max(4, 0.6 * (height - 90) / n_row), "opacity": 0.0},
        customdata=np.stack([row, column], axis=1),
        text=[
            f"{axes.escape(rows[r])}, column {c}: {in_full(gradient[r, c])}" for r, c in zip(row, column, strict=True)
        ],
        hovertemplate="%{text}<extra></extra>",
    )
    (i, j), half = chosen, 0.5
    fig.add_shape(
        type="rect",
        x0=j - half,
        x1=j + half,
        y0=i - half,
        y1=i + half,
        line={"color": theme.ACCENT, "width": 3},
    )
    fig.update_layout(height=height, margin=_MARGIN, dragmode=False, showlegend=False, clickmode="event+select")
    fig.update_xaxes(title=across, range=[-half, n_column - half], showgrid=False, zeroline=False)
    few = -(-n_row // 16)
    ticks = {"tickvals": list(range(0, n_row, few)), "ticktext": [axes.shorten(name) for name in rows[::few]]}
    fig.update_yaxes(range=[n_row - half, -half], showgrid=False, zeroline=False, **ticks)
    return fig


def contribution_table(
    heads: tuple[str, str], names: Sequence[str], left: np.ndarray, right: np.ndarray, most: int = 14
) -> str:
    """What each token (N,) adds to one gradient, left · right, as HTML; of more than `most`, the largest in order."""
    products = left * right
    those = np.sort(np.argsort(-np.abs(products), kind="stable")[:most])
    largest = float(np.abs(products).max())
    rows = [
        (
            names[i],
            (
                (in_full(left[i]), ""),
                (in_full(right[i]), ""),
                (in_full(products[i]), _behind(products[i], largest)),
            ),
        )
        for i in those
    ]
    if len(products) > len(those):
        rest = products.sum() - products[those].sum()
        rows.append((f"the other {len(products) - len(those)}", (("", ""), ("", ""), (in_full(rest), ""))))
    rows.append(("sum", (("", ""), ("", ""), (in_full(products.sum()), ""))))
    return number_table(("row.position", *heads, "product"), rows)
