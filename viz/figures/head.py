"""The words of the path through one head: its formula, a sentence for each step, which rows of a long text are drawn.

In the sentences, symbols stand in square brackets; `symbols_apart` cuts them out, so that a picture can colour them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.analysis.head import HeadSteps
from viz.figures import theme

# what each symbol is coloured with, as a number of theme.CATEGORICAL; the residual stream (x) has the text's colour.
# No blue or orange for vectors, which are themselves drawn from orange to blue
HUES = {"q": 3, "k": 4, "v": 2, "s": 0, "a": 0, "z": 1, "o": 7}
MOST_ROWS = 24  # tokens drawn of a longer text


@dataclass(frozen=True)
class Step:
    title: str
    sentence: tuple[str, ...]  # text, symbol, text, …: see `symbols_apart`


def head_formula(steps: HeadSteps, mode: str, *, causal: bool) -> list[str]:
    """The path as LaTeX, one formula for each part; `mode` is light or dark."""

    def tint(symbol: str, tex: str | None = None) -> str:
        return rf"\textcolor{{{theme.CATEGORICAL[mode][HUES[symbol]]}}}{{{tex or symbol}}}"

    q, k, v, z, o = (tint(symbol) for symbol in "qkvzo")
    k_j, v_j, a_j, s_j = (tint(symbol, f"{symbol}_j") for symbol in "kvas")
    root = rf"\sqrt{{{len(steps.q)}}}"
    score = rf"\frac{{{q} \cdot {k_j}}}{{{root}}}" if plain_scale(steps) else rf"{steps.scale:.4g}\,{q} \cdot {k_j}"
    return [
        r"\hat{x} = \mathrm{norm}(x)",
        rf"{q} = W_q\hat{{x}} + b_q",
        rf"{k} = W_k\hat{{x}} + b_k",
        rf"{v} = W_v\hat{{x}} + b_v",
        rf"{s_j} = {score}" + r" + \mathrm{mask}_j" * causal,
        rf"{a_j} = \frac{{e^{{{s_j}}}}}{{\sum_i e^{{{tint('s', 's_i')}}}}}",
        rf"{z} = \sum\nolimits_j {a_j}{v_j}",
        rf"{o} = W_o{z}",
        rf"x' = x + {o} + \mathrm{{other\ heads}} + b",
    ]


def plain_scale(steps: HeadSteps) -> bool:
    """Whether the scores are divided by √d_head, as in the paper."""
    return abs(steps.scale * len(steps.q) ** 0.5 - 1) < 1e-6


def head_sentences(
    steps: HeadSteps, label: str, *, n_head: int, n_key_head: int, causal: bool, cross: bool = False
) -> list[Step]:
    """What happens, and why, for somebody who sees it for the first time; nine steps of a sentence or two."""
    d_model, d_head, n = len(steps.hidden), len(steps.q), len(steps.dots)
    before = {
        0: "the vector of the token plus the vector of its position",
        1: "the vectors of the token and of its position, plus what layer 0 has added",
    }.get(
        steps.layer,
        f"the vectors of the token and of its position, plus what the {steps.layer} layers before have added",
    )
    shared = f" {n_head // n_key_head} heads in a row share one [k] and one [v]." if n_key_head < n_head else ""
    scale = (
        f"A sum of {d_head} products easily gets large, so it is divided by √{d_head} = {d_head**0.5:.4f}"
        if plain_scale(steps)
        else f"The sum is multiplied by this model's own scale, {steps.scale:.4g}"
    )
    n_masked = n - int(steps.visible.sum())
    masked = f"here {n_masked} of {n}" if n_masked else "here none: the query is the last"
    mask = (
        f". Tokens that come after the query must not be seen: their score becomes −∞ ({masked})."
        if causal
        else ". Nothing is masked: in this model every token sees every token."
    )
    sized = "shrunk" if steps.deviation > 1 else "stretched"
    rest = {1: "", 2: ", the other head's"}.get(n_head, f", those of the {n_head - 1} other heads")
    return [
        _step(
            "The vector of the token",
            "Token {query}, “{label}”, comes to layer {layer} as {d_model} numbers, [x]: {before}.",
            query=steps.query,
            label=label,
            layer=steps.layer,
            d_model=d_model,
            before=before,
        ),
        _step(
            "Layer norm",
            "The numbers are moved to mean 0 and {sized} to deviation 1, divided by their own, {deviation:.4f}; then "
            "each gets a factor and a summand that the model has learned.",
            sized=sized,
            deviation=steps.deviation,
        ),
        _step(
            "Query, key and value",
            "The head makes three short vectors of {d_head} numbers from [x̂]: [q] is what the token looks for, [k] "
            "what it can be found by, [v] what it hands over when it is looked at. Every token gets its own three "
            "from the same matrices." + shared,
            d_head=d_head,
        ),
        _step(
            "Compare the query with every key",
            "[q] is multiplied with the [k] of each token, number by number, and the products are summed. The more the "
            "two point the same way, the larger the sum: this token has what the query looks for.",
        ),
        _step("Scale and mask", "{scale}{mask}", scale=scale, mask=mask),
        _step(
            "Softmax",
            "Each score [s] becomes e to the power of [s], divided by the sum of all of them: weights [a] between 0 "
            "and 1 that add up to 1. A difference between scores becomes a ratio between weights.",
        ),
        _step(
            "Mix the values",
            "From each token's [v], as much is taken as its weight [a] says. The sum [z] is all that this head brings "
            "back to “{label}”.",
            label=label,
        ),
        _step(
            "Back to the width of the stream",
            "The head's own part of the output projection turns the {d_head} numbers of [z] into {d_model}: [o], what "
            "this head writes.",
            d_head=d_head,
            d_model=d_model,
        ),
        _step(
            "Add to the residual stream",
            "Nothing is replaced. [x] stays, and this head's share [o]{rest} and a bias are added to it. The sum [x′] "
            "goes on to the layer's {next}.",
            rest=rest,
            next="cross-attention, and then its MLP" if cross else "MLP",
        ),
    ]


def _step(title: str, template: str, **values: object) -> Step:
    # cut before the values are filled in: a token's label may itself hold brackets
    pieces = symbols_apart(template)
    return Step(title, tuple(piece if i % 2 else piece.format(**values) for i, piece in enumerate(pieces)))


def symbols_apart(template: str) -> list[str]:
    """Text and symbols by turns: "so [q] is" -> ["so ", "q", " is"]."""
    return re.split(r"\[(.+?)\]", template)


def drawn_rows(weights: np.ndarray, always: Sequence[int], most: int = MOST_ROWS) -> np.ndarray:
    """The tokens of a long text that are drawn: `always`, their neighbours, the largest weights; (R,) sorted."""
    n = len(weights)
    if n <= most:
        return np.arange(n)
    chosen = {i for place in always for i in (place - 1, place, place + 1) if 0 <= i < n}
    for i in np.argsort(-weights, kind="stable").tolist():
        if len(chosen) >= most:
            break
        chosen.add(i)
    return np.array(sorted(chosen))
