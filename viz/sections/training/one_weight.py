"""On the page Training: one weight in one step, from its gradient to its new value."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from model.analysis import checks
from model.run import Token
from viz.figures.numbers import how_far
from viz.figures.one_step import (
    contribution_table,
    gradient_heatmap,
    rate_line,
    way_picture,
)
from viz.figures.step_formulas import adamw_lines, clipping_lines, rate_lines, tex
from viz.ui import controls, links
from viz.ui.pictures import caption, picture, shows_numbers
from viz.ui.prose import check, formula, to_read

if TYPE_CHECKING:  # torch is imported where it is needed, once its threads are set
    from model.lab.one_step import Matrix, Step, Training

_PARTS = {"query": "q", "key": "k", "value": "v", "output": "o", "up": "up", "down": "down"}
_MEANT = {
    "q": "makes queries",
    "k": "makes keys",
    "v": "makes values",
    "o": "writes what the heads found",
    "up": "the MLP's first layer",
    "down": "the MLP's second layer",
}
# what a matrix does with each token t, the sum that is its gradient, and the columns of the table
_TOLD = {
    "linear": (
        "The matrix makes, of what comes in, x, what goes out, y = x Wᵀ. How L changes with y is passed back to "
        "here from what follows (δ); how it changes with the weight is, over all tokens t",
        r"\sum_t \delta_{t,i}\, x_{t,j}",
        ("δ at i", "x at j"),
    ),
    "writes": (
        "As a table to write by, E makes the logits of the last vectors h: z = h Eᵀ. How L changes with z was told "
        "in 2, p − y over n (δ); so, over all tokens t",
        r"\sum_t \delta_{t,i}\, h_{t,j}",
        ("δ at i", "h at j"),
    ),
    "reads E": (
        "As a table to read by, E gives each token its first vector. How L changes with that was passed back "
        "through all layers (δ); so, over the places t where token i was read",
        r"\sum_t \delta_{t,j}",
        ("token i", "δ at j"),
    ),
    "reads P": (
        "P gives each position a vector, which is added to that of the token there. How L changes with the sum was "
        "passed back through all layers (δ); so, over the tokens t that stand at position i",
        r"\sum_t \delta_{t,j}",
        ("position i", "δ at j"),
    ),
}


def code_of(name: str) -> str:
    parts = name.split(".")
    return {"token_embedding": "E", "position_embedding": "P"}.get(parts[0]) or f"{parts[1]}.{_PARTS[parts[3]]}"


def title_of(code: str) -> str:
    if code in "EP":
        return {"E": "E: a vector for each token, to read and to write", "P": "P: a vector for each position"}[code]
    layer, _, part = code.partition(".")
    return f"W_{part}, layer {layer}: {_MEANT[part]}"


@dataclass(frozen=True)
class Weight:
    """The chosen one."""

    code: str  # of its matrix, as an address has it
    matrix: Matrix
    row: int
    column: int

    @property
    def place(self) -> int:
        """Among all weights."""
        return self.matrix.at(self.row, self.column)

    def of(self, numbers: np.ndarray) -> float:
        """Its own of numbers for all weights."""
        return float(numbers[self.place])


def choose_weight(training: Training, first_row: int) -> Weight:
    """`first_row`: of the table of token vectors, before anybody has chosen."""
    matrices = {code_of(matrix.name): matrix for matrix in training.matrices}
    if st.session_state[links.key("matrix")] not in matrices:
        st.session_state.matrix = "E"
    columns = st.columns([2, 1, 1], gap="medium")
    code = columns[0].selectbox("Matrix", list(matrices), format_func=title_of, key=links.key("matrix"))
    for name in ("matrix_row", "matrix_column"):
        links.about(name, code)
    n_row, n_column = matrices[code].shape
    row = controls.position("Row i", "matrix_row", n_row, columns[1], first=first_row if code == "E" else 0)
    column = controls.position("Column j", "matrix_column", n_column, columns[2], first=0)
    return Weight(code, matrices[code], row, column)


def show_gradient(
    training: Training, step: Step, tokens: Sequence[Token], came: int, quotient_at: Callable[[int], float]
) -> Weight:
    """The chosen weight. `came`: the id of the token that is followed. `quotient_at`: `model.lab.one_step.nudged`."""
    st.subheader("3 · The gradient of one weight", anchor=False)
    weight = choose_weight(training, came)
    gradient, names = weight.matrix.of(step.gradient), row_names(weight, tokens)
    n_row, n_column = weight.matrix.shape
    picture(
        gradient_heatmap(gradient, (weight.row, weight.column), names, "column j"),
        key="step_gradient",
        how=f"How L changes with each of these {n_row} × {n_column} weights: blue, L grows with the weight; orange, it "
        "falls. A click chooses a weight.",
        alt=f"A map of {n_row} by {n_column} gradients, the largest {np.abs(gradient).max():.3g} in size; row "
        f"{weight.row}, column {weight.column}, is marked: {weight.of(step.gradient):.3g}.",
        table=lambda: pd.DataFrame(gradient, names),
        on_pick=pick_weight,
    )
    show_contributions(training, step, weight, tokens)
    show_quotient(weight.of(step.gradient), quotient_at(weight.place))
    return weight


def pick_weight(row: int, column: int) -> None:
    controls.select("matrix_row", row)
    controls.select("matrix_column", column)


def row_names(weight: Weight, tokens: Sequence[Token]) -> list[str]:
    if weight.code == "E":
        return [f"{i} {token.label}" for i, token in enumerate(tokens)]
    return [f"{'position' if weight.code == 'P' else 'row'} {i}" for i in range(weight.matrix.shape[0])]


def show_contributions(training: Training, step: Step, weight: Weight, tokens: Sequence[Token]) -> None:
    """What each token of the batch adds to the gradient of a weight."""
    from model.lab.one_step import chain_rule_off

    matrix, row, column = weight.matrix, weight.row, weight.column
    names = [f"{r}.{position} {tokens[id].label}" for (r, position), id in np.ndenumerate(step.batch.ids)]
    flows = step.flows[matrix.name]
    for flow, place in zip(flows, st.columns(len(flows), gap="large"), strict=True):
        words, letters, heads = _TOLD[f"{flow.kind} {weight.code}" if flow.kind == "reads" else flow.kind]
        those = np.flatnonzero(flow.left[:, row]) if flow.kind == "reads" else np.arange(len(names))
        with place:
            st.markdown(rf"{words}: ${letters}$")
            if len(those):
                left, right = flow.left[those, row], flow.right[those, column]
                to_read(contribution_table(heads, [names[i] for i in those], left, right))
            else:
                st.markdown("It is not among those that this batch reads: 0.")
    if len(flows) > 1:
        both = " + ".join(tex(flow.at(row, column).sum(), signed=True) for flow in flows)
        st.markdown(f"It is one table, so both count: $ {both} = {tex(weight.of(step.gradient))} $")
    off = chain_rule_off(training, step)
    check(
        checks.training_again("gradients by the chain rule, and autograd's", off),
        f"the gradients of all {len(training.matrices)} matrices, summed like this, equal autograd's, to "
        f"**{how_far(off)}**; this weight's is {weight.of(step.gradient):.6g}.",
    )


def show_quotient(gradient: float, quotient: float) -> None:
    from model.lab.one_step import NUDGE

    made = checks.gradient_nudged(gradient, quotient)
    check(
        made,
        f"without any rule: the weight {NUDGE:g} larger and as much smaller, the loss of the batch computed "
        f"with both, and their difference divided by {2 * NUDGE:g}, gives {quotient:.6g}, the same to "
        f"**{how_far(made.difference)}**.",
    )


def show_clipping(training: Training, step: Step, weight: Weight) -> None:
    most = training.settings.clip
    st.subheader("4 · Clipping", anchor=False)
    if most == np.inf:
        st.markdown("In this training, nothing is clipped: g is the gradient as it is.")
        for line in clipping_lines(step.norm_by_hand, training.n_weight, most, 1.0, weight.of(step.gradient)):
            formula(*line)
        return
    st.markdown(
        f"If the gradients of all weights together are longer than {most:g}, all are made shorter alike and keep their "
        "direction, so that one odd batch cannot throw the model far. Here "
        + ("they are: **all are shortened**." if step.clipped else "they are not: **nothing is clipped**.")
    )
    for line in clipping_lines(step.norm_by_hand, training.n_weight, most, step.share, weight.of(step.gradient)):
        formula(*line)


def show_rate(training: Training, step: Step) -> None:
    schedule = training.settings.schedule
    st.subheader("5 · The learning rate", anchor=False)
    picture(
        rate_line(schedule, step.t),
        key="step_rate",
        how="η, how far a step may go: little at first, while m and v are still made of few gradients.",
        alt=f"The learning rate over {schedule.n_step} steps: it rises to {schedule.highest:g} in {schedule.warm_up} "
        f"steps and then {'falls' if schedule.falls else 'stays'}; at step {step.t} it is {step.rate:.5g}.",
    )
    for line in rate_lines(schedule, step.t):
        formula(*line)


def show_adamw(training: Training, step: Step, weight: Weight) -> None:
    settings, update = training.settings.optimizer, step.update
    st.subheader("6 · AdamW moves the weight", anchor=False)
    caption(
        f"w: the weight at row {weight.row}, column {weight.column} of {title_of(weight.code).partition(':')[0]}. g: "
        f"its gradient, clipped. t: the step, {step.t}. η: the learning rate. β₁ = {settings.betas[0]:g}, β₂ = "
        f"{settings.betas[1]:g}: how much m and v keep of before. ε = {settings.epsilon:g}: so that nothing is "
        f"divided by 0. λ = {settings.decay:g}: the weight decay. Kingma & Ba 2015; the decay apart from the "
        "gradient: Loshchilov & Hutter 2019."
    )
    for line in adamw_lines(update, weight.place, t=step.t, rate=step.rate, settings=settings):
        formula(*line)
    show_way(training, step, weight)
    made = np.stack([update.after, update.m, update.v])
    off = float(np.abs(made - step.after).max())
    check(
        checks.training_again("AdamW by hand, and torch.optim.AdamW", off),
        f"all {training.n_weight:,} weights, with their m and v, moved by these formulas, equal those of "
        f"torch.optim.AdamW in double precision, to **{how_far(off)}**; the norm equals that of clip_grad_norm_ to "
        f"**{how_far(abs(step.norm - step.norm_by_hand))}**.",
    )
    caption(
        f"Every number of this step, for all {weight.matrix.shape[0] * weight.matrix.shape[1]:,} weights of the matrix:"
    )
    if shows_numbers("step_weights"):
        st.dataframe(weight_table(step, weight))
    st.download_button(
        "Save all arrays of this step",
        lambda: arrays_of(training, step),
        f"step-{step.t}.npz",
        "application/octet-stream",
        icon=":material/download:",
        on_click="ignore",
        help="For numpy.load: weights, gradients, m and v before and after, by parameter; the batch, its logits",
    )


def show_way(training: Training, step: Step, weight: Weight) -> None:
    from model.lab.one_step import way_of

    way = way_of(training, weight.place)
    picture(
        way_picture(way.weight, way.gradient, way.m_hat, step.t),
        key="step_way",
        how="This weight through the whole training: above, w after each step; below, its gradient g in each step "
        "(bars), and m̂ (line), by which it moves: where gradients change their sign from step to step, they cancel "
        "in m̂.",
        alt=f"A weight over {len(way.gradient)} steps, from {way.weight[0]:.4g} to {way.weight[-1]:.4g}, above its "
        f"gradients; step {step.t} is marked.",
        table=lambda: pd.DataFrame(
            {
                "w after": way.weight,
                "g": [np.nan, *way.gradient],
                "m̂": [np.nan, *way.m_hat],
                "v̂": [np.nan, *way.v_hat],
            },
            pd.Index(range(len(way.weight)), name="step"),
        ),
    )


def weight_table(step: Step, weight: Weight) -> pd.DataFrame:
    """Every number of the step, for each weight of its matrix."""
    matrix, update = weight.matrix, step.update
    row, column = np.indices(matrix.shape)
    numbers = {"gradient": step.gradient, **vars(update)}
    names = {"gradient": "g, clipped", "m_before": "m before", "v_before": "v before", "m_hat": "m̂", "v_hat": "v̂"}
    raw = {"row": row.ravel(), "column": column.ravel(), "gradient": matrix.of(step.gradient).ravel()}
    return pd.DataFrame(raw | {names.get(name, name): matrix.of(numbers[name]).ravel() for name in vars(update)})


def arrays_of(training: Training, step: Step) -> bytes:
    """As an .npz file."""
    kinds = {"gradient": step.gradient} | {
        name if name != "gradient" else "clipped": values for name, values in vars(step.update).items()
    }
    arrays = {
        f"{kind}/{name}": values[first : first + int(np.prod(shape))].reshape(shape)
        for kind, values in kinds.items()
        for name, shape, first in training.parameters
    }
    batch, answer = step.batch, step.answer
    file = io.BytesIO()
    np.savez_compressed(
        file,
        ids=batch.ids,
        targets=batch.targets,
        asked=batch.asked,
        logits=answer.logits,
        logit_gradient=answer.gradient,
        **arrays,
    )
    return file.getvalue()
