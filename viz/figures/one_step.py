"""One step of training: its formulas with their numbers, the loss and the learning rate over all steps, a matrix of
gradients, and what each token adds to one of them.

A formula is a line: in words, and as pieces of LaTeX between which it may end.
"""

import html
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from model.lab.by_hand import CLIP_EPSILON, Answer, Optimizer, Schedule, Update
from viz.figures import axes, theme
from viz.figures.numbers import digits_and_power, in_full

Line = tuple[str, tuple[str, ...]]
_MARGIN = {"l": 0, "r": 8, "t": 8, "b": 0}


def tex(value: float, *, signed: bool = False) -> str:
    """A number as LaTeX, to six digits; `signed`: a negative one in brackets, for within a formula."""
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e5:
        said = f"{value:.6g}"
    else:
        digits, power = digits_and_power(value, 4)
        said = rf"{digits} \cdot 10^{{{power}}}"
    return f"({said})" if signed and value < 0 else said


def answer_lines(answer: Answer, place: int, label: str) -> list[Line]:
    """From the logits of one place to its loss, and to the gradient; `label` is what came there."""
    target, n = answer.targets[place], len(answer.targets)
    logits, p, loss = answer.logits[place], answer.probability[place], answer.losses[place]
    name = rf"\text{{{_text(label)}}}"
    return [
        (
            "Softmax makes probabilities of the logits: e to each, divided by the sum over all tokens j",
            (
                rf"p_{{{name}}} = \frac{{e^{{z_{{{name}}}}}}}{{\sum_j e^{{z_j}}}}",
                rf"= \frac{{e^{{{tex(logits[target])}}}}}{{{tex(np.exp(logits).sum())}}}",
                f"= {tex(p[target])}",
            ),
        ),
        (
            "Cross-entropy: the loss of this token, 0 if it was certain",
            (rf"\ell = -\ln p_{{{name}}}", rf"= -\ln {tex(p[target])}", f"= {tex(loss)}"),
        ),
        (
            f"The loss of the batch: the mean over its {n} tokens",
            (
                r"L = \frac{1}{n} \sum \ell",
                rf"= \frac{{{tex(answer.losses.sum())}}}{{{n}}}",
                f"= {tex(answer.loss)}",
            ),
        ),
        (
            "How L changes with this token's logit; y is 1 for the token that came, and 0 for all others",
            (
                rf"\frac{{\partial L}}{{\partial z_{{{name}}}}} = \frac{{p_{{{name}}} - y_{{{name}}}}}{{n}}",
                rf"= \frac{{{tex(p[target])} - 1}}{{{n}}}",
                f"= {tex(answer.gradient[place, target])}",
            ),
        ),
    ]


def answer_table(answer: Answer, place: int, labels: Sequence[str]) -> str:
    """All logits of one place with what becomes of them, as HTML; the row of the token that came is marked."""
    target, logits, gradient = answer.targets[place], answer.logits[place], answer.gradient[place]
    largest = float(np.abs(gradient).max())
    rows = [
        (
            f"{label}{' ← came' if i == target else ''}",
            (
                (in_full(logits[i]), ""),
                (in_full(np.exp(logits[i])), ""),
                (in_full(answer.probability[place, i]), ""),
                (str(int(i == target)), ""),
                (in_full(gradient[i]), _behind(gradient[i], largest)),
            ),
        )
        for i, label in enumerate(labels)
    ]
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


def clipping_lines(norm: float, n_weight: int, most: float, share: float, raw: float) -> list[Line]:
    """What is done to a gradient `raw` if all of them together are too long."""
    return [
        (
            f"The norm: the length of all {n_weight:,} gradients together",
            (
                r"\lVert \nabla L \rVert = \sqrt{\textstyle\sum_w \left(\frac{\partial L}{\partial w}\right)^2}",
                f"= {tex(norm)}",
            ),
        ),
        (
            f"By what all are multiplied, so that the norm is at most {most:g}",
            (
                rf"c = \min\!\left(1, \frac{{{most:g}}}{{\lVert \nabla L \rVert + {_power(CLIP_EPSILON)}}}\right)",
                f"= {tex(share)}",
            ),
        ),
        (
            "This weight's gradient, clipped",
            (
                r"g = c \cdot \frac{\partial L}{\partial w}",
                rf"= {tex(share)} \cdot {tex(raw, signed=True)}",
                f"= {tex(share * raw)}",
            ),
        ),
    ]


def rate_lines(schedule: Schedule, t: int) -> list[Line]:
    """The learning rate of step `t`."""
    highest, most = tex(schedule.highest), schedule.warm_up
    if t <= most:
        words = f"Warm-up: in the first {most} steps it rises in a straight line"
        pieces = (rf"\eta_t = \eta \cdot \frac{{t}}{{{most}}}", rf"= {highest} \cdot \frac{{{t}}}{{{most}}}")
    elif schedule.falls:
        left = schedule.n_step - most + 1
        words = f"After the warm-up of {most} steps it falls in a straight line to the last of {schedule.n_step}"
        pieces = (
            rf"\eta_t = \eta \cdot \frac{{{schedule.n_step + 1} - t}}{{{left}}}",
            rf"= {highest} \cdot \frac{{{schedule.n_step + 1 - t}}}{{{left}}}",
        )
    else:
        return [(f"After the warm-up of {most} steps it stays", (r"\eta_t = \eta", f"= {highest}"))]
    return [(words, (*pieces, f"= {tex(schedule.rate(t))}"))]


def adamw_lines(update: Update, at: int, *, t: int, rate: float, settings: Optimizer) -> list[Line]:
    """AdamW's step for the weight at a place among all."""
    one = {name: float(values[at]) for name, values in vars(update).items()}
    (beta_1, beta_2), decay, epsilon = settings.betas, settings.decay, settings.epsilon
    small = _power(epsilon)
    return [
        (
            "m, the mean of the gradients so far, of which later ones count more",
            (
                r"m_t = \beta_1 m_{t-1} + (1 - \beta_1)\, g",
                rf"= {beta_1:g} \cdot {tex(one['m_before'], signed=True)}",
                rf"+\, {1 - beta_1:.3g} \cdot {tex(one['gradient'], signed=True)}",
                f"= {tex(one['m'])}",
            ),
        ),
        (
            "v, the same of their squares",
            (
                r"v_t = \beta_2 v_{t-1} + (1 - \beta_2)\, g^2",
                rf"= {beta_2:g} \cdot {tex(one['v_before'])}",
                rf"+\, {1 - beta_2:.3g} \cdot ({tex(one['gradient'])})^2",
                f"= {tex(one['v'])}",
            ),
        ),
        (
            "m corrected: it began at 0, and is too small at first",
            (
                r"\hat m = \frac{m_t}{1 - \beta_1^{\,t}}",
                rf"= \frac{{{tex(one['m'])}}}{{1 - {beta_1:g}^{{{t}}}}}",
                f"= {tex(one['m_hat'])}",
            ),
        ),
        (
            "v corrected",
            (
                r"\hat v = \frac{v_t}{1 - \beta_2^{\,t}}",
                rf"= \frac{{{tex(one['v'])}}}{{1 - {beta_2:g}^{{{t}}}}}",
                f"= {tex(one['v_hat'])}",
            ),
        ),
        (
            "The step: the rate, times how steadily the gradients point one way",
            (
                r"s = \eta_t \frac{\hat m}{\sqrt{\hat v} + \varepsilon}",
                rf"= {tex(rate)} \cdot \frac{{{tex(one['m_hat'])}}}{{{tex(np.sqrt(one['v_hat']))} + {small}}}",
                f"= {tex(one['step'])}",
            ),
        ),
        (
            "Weight decay, apart from the gradient: the weight shrinks a little",
            (
                r"d = \eta_t \lambda\, w_{t-1}",
                rf"= {tex(rate)} \cdot {decay:g} \cdot {tex(one['before'], signed=True)}",
                f"= {tex(one['decayed'])}",
            ),
        ),
        (
            "The new weight",
            (
                r"w_t = w_{t-1} - d - s",
                f"= {tex(one['before'])}",
                f"- {tex(one['decayed'], signed=True)} - {tex(one['step'], signed=True)}",
                f"= {tex(one['after'])}",
            ),
        ),
    ]


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


def _power(value: float) -> str:
    """A power of ten, as LaTeX."""
    return rf"10^{{{round(np.log10(value))}}}"


_IN_TEX = {"<": r"\textless{}", ">": r"\textgreater{}"} | {sign: rf"\{sign}" for sign in "#$%&_{}"}


def _text(label: str) -> str:
    """A token's label within LaTeX; what has no place there is left out."""
    return "".join(_IN_TEX.get(sign, sign) for sign in label if sign not in "\\^~")
