"""The formulas of one step of training, with their numbers.

Each is a line: in words, and as pieces of LaTeX between which it may end.
"""

import re

import numpy as np

from model.lab.by_hand import CLIP_EPSILON, Answer, Optimizer, Schedule, Update
from viz.figures.numbers import digits_and_power

Line = tuple[str, tuple[str, ...]]


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
    name = _text(label, int(target))
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


def clipping_lines(norm: float, n_weight: int, most: float, share: float, raw: float) -> list[Line]:
    """What is done to a gradient `raw` if all of them together are too long; `most` infinite: nothing."""
    length = (
        f"The norm: the length of all {n_weight:,} gradients together",
        (
            r"\lVert \nabla L \rVert = \sqrt{\textstyle\sum_w \left(\frac{\partial L}{\partial w}\right)^2}",
            f"= {tex(norm)}",
        ),
    )
    if most == np.inf:
        return [length, ("This weight's gradient", (r"g = \frac{\partial L}{\partial w}", f"= {tex(raw)}"))]
    return [
        length,
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


def _power(value: float) -> str:
    """A power of ten, as LaTeX."""
    return rf"10^{{{round(np.log10(value))}}}"


def _text(label: str, id: int) -> str:
    """A token's label within LaTeX; one of other signs than these is told by its id."""
    return rf"\text{{{label}}}" if re.fullmatch(r"[A-Za-z0-9.,;!?()-]{1,12}", label) else rf"\text{{id {id}}}"
