"""From the last vector to a word: the card of one logit, and the largest terms of its product beside a rival's."""

import html
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from model.analysis.checks import Check
from model.unembedding import Unembedding
from viz.figures import axes, provenance
from viz.figures.numbers import how_far, percent

N_TERM = 4  # written out in the card


def logit_card(
    its: Unembedding, i: int, label: str, behind: str, *, id: int, logit: float, log_sum: float, check: Check
) -> str:
    """The logit of entry number `i` of the rows, in steps. `behind`: which vector, in words; `logit`: as the model
    computed it; `log_sum`: ln Σ exp of all logits.
    """
    terms, row = its.terms[i], its.rows[i].astype(np.float64)
    vector, product = its.vector.astype(np.float64), float(terms.sum())
    length, its_length = float(np.linalg.norm(vector)), float(np.linalg.norm(row))
    angle = product / (length * its_length) if length * its_length else 0.0
    strongest = largest(terms, N_TERM)
    rest = product - float(terms[strongest].sum())
    n_rest = len(terms) - len(strongest)
    steps = [
        ("h", f"what stands behind the final norm: {len(vector):,} numbers, length {length:.3f}"),
        ("w", f"row {id:,} of the output matrix, length {its_length:.3f}; cosine with h {angle:.3f}"),
        *((f"h·w, dim {d}", f"{vector[d]:.4f} × {row[d]:.4f} = {terms[d]:+.4f}") for d in strongest.tolist()),
        *([("others", f"{n_rest:,} more terms: {rest:+.4f}")] if n_rest else []),
        ("h·w", f"{product:.4f}"),
        *_finish(its, i),
        ("logit", f"<b>{logit:.4f}</b>"),
        ("softmax", f"e^({logit:.4f} − {log_sum:.4f}) = {percent(float(np.exp(logit - log_sum)))}; ln Σ of all logits"),
    ]
    again = "equal" if check.passed else "NOT equal"
    sentence = (
        f"summed up in double precision it is {its.logits[i]:.6f}; the model’s own logit is {again} to "
        f"{how_far(check.tolerance)} (difference {how_far(check.difference)})."
    )
    return provenance.card(f"The logit of “{html.escape(label)}”", behind, steps, check.passed, sentence)


def _finish(its: Unembedding, i: int) -> list[tuple[str, str]]:
    """What is done to the product."""
    steps = []
    if its.bias is not None:
        steps.append(("bias", f"{its.bias[i]:+.4f}"))
    if its.factor != 1:
        steps.append(("scale", f"× {its.factor:g}"))
    if its.cap is not None:
        steps.append(("soft cap", f"{its.cap:g} · tanh(x / {its.cap:g})"))
    if its.shift is not None:
        steps.append(("shift", f"{its.shift[i]:+.4f}"))
    return steps


def largest(terms: np.ndarray, n: int) -> np.ndarray:
    """Which of terms (D,) are the n largest without sign, the largest first."""
    return np.argsort(-np.abs(terms), kind="stable")[:n]


def term_bars(dimensions: Sequence[int], terms: dict[str, np.ndarray]) -> go.Figure:
    """What some dimensions add to the logit of each of a few tokens, (n,) by its label, and what all others do."""
    ticks = [*map(str, dimensions), "rest"]
    fig = go.Figure(
        [
            go.Bar(
                x=list(range(len(ticks))),
                y=values,
                name=axes.escape(label),
                hovertemplate="dimension %{customdata}: %{y:.4f}<extra>%{fullData.name}</extra>",
                customdata=ticks,
            )
            for label, values in terms.items()
        ]
    )
    fig.update_layout(
        height=300,
        barmode="group",
        bargap=0.25,
        margin={"l": 0, "r": 10, "t": 34, "b": 0},
        legend=axes.LEGEND,
        showlegend=True,
        dragmode=False,
        xaxis={"title": "dimension", "tickvals": list(range(len(ticks))), "ticktext": ticks, "fixedrange": True},
        yaxis={"title": "part of the logit", "fixedrange": True},
    )
    return fig
