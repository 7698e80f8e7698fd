"""The words of the path through one head: its formula, a sentence for each step, which rows of a long text are drawn.

Only the steps that the layer has are there. In the sentences, symbols stand in square brackets; `symbols_apart` cuts
them out, so that a picture can colour them.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from model.analysis.head import HeadSteps
from model.layer import Norm
from viz.figures import theme

# what each symbol is coloured with, as a number of theme.CATEGORICAL; the residual stream (x) has the text's colour.
# No blue or orange for vectors, which are themselves drawn from orange to blue
HUES = {"q": 3, "k": 4, "v": 2, "s": 0, "a": 0, "z": 1, "o": 7}
MOST_ROWS = 24  # tokens drawn of a longer text
_SINK = (
    " The sink's score is one that this head has learned: it stands for no token, is compared with no query, and what "
    "it takes of the row brings nothing back. So a head can look at nothing in particular."
)
_SCORE_TITLES = {"scale": "Scale", "cap": "Soft cap", "bias": "Position bias"}


@dataclass(frozen=True)
class Step:
    kind: str  # which picture is drawn
    title: str
    sentence: tuple[str, ...]  # text, symbol, text, …: see `symbols_apart`


def head_formula(steps: HeadSteps, mode: str, *, causal: bool) -> list[str]:
    """The path as LaTeX, one formula for each part; `mode` is light or dark."""

    def tint(symbol: str, tex: str | None = None) -> str:
        return rf"\textcolor{{{theme.CATEGORICAL[mode][HUES[symbol]]}}}{{{tex or symbol}}}"

    def projected(letter: str, bias: np.ndarray | None, norm: Norm | None = None, *, turned: bool = False) -> str:
        made = rf"W_{letter}{read}" + rf" + b_{letter}" * (bias is not None)
        if norm:
            made = rf"\mathrm{{{_function(norm)}}}({made})"
        return rf"R\,({made})" if turned else made

    q, k, v, z, o = (tint(symbol) for symbol in "qkvzo")
    k_j, v_j, a_j, s_j = (tint(symbol, f"{symbol}_j") for symbol in "kvas")
    read = r"\hat{x}" if steps.norm else "x"
    score = rf"{q} \cdot {k_j}"
    if plain_scale(steps):
        score = rf"\frac{{{score}}}{{\sqrt{{{len(steps.q.end)}}}}}"
    elif steps.scale != 1:
        score = rf"{steps.scale:.4g}\,{score}"
    if steps.soft_cap:
        score = rf"{steps.soft_cap:.4g}\tanh\frac{{{score}}}{{{steps.soft_cap:.4g}}}"
    sink = rf" + e^{{{tint('s', 's')}_{{\mathrm{{sink}}}}}}" if steps.has_sink else ""
    score += r" + b_j" * (steps.bias is not None) + r" + \mathrm{mask}_j" * bool(causal or steps.window)
    written = rf"{o} + \mathrm{{other\ heads}}" + " + b" * (steps.output_bias is not None)
    if steps.written_norm:
        written = rf"\mathrm{{{_function(steps.written_norm)}}}({written})"
    elif steps.multiplier != 1:
        written = f"({written})"
    if steps.multiplier != 1:
        written = rf"{steps.multiplier:.4g}\,{written}"
    after = rf"x + {written}"
    turned = bool(steps.rotary)
    return [
        *([rf"\hat{{x}} = \mathrm{{{_function(steps.norm)}}}(x)"] if steps.norm else []),
        rf"{q} = {projected('q', steps.q.bias, steps.query_norm, turned=turned)}",
        rf"{k} = {projected('k', steps.keys.bias, steps.key_norm, turned=turned)}",
        rf"{v} = {projected('v', steps.values.bias)}",
        rf"{s_j} = {score}",
        rf"{a_j} = \frac{{e^{{{s_j}}}}}{{\sum_i e^{{{tint('s', 's_i')}}}{sink}}}",
        rf"{z} = \sum\nolimits_j {a_j}{v_j}",
        rf"{o} = W_o{z}",
        rf"x' = {after}",
        *([rf"x'' = \mathrm{{{_function(steps.norm_behind)}}}(x')"] if steps.norm_behind else []),
    ]


def _function(norm: Norm) -> str:
    return "norm" if norm.centred else "RMSnorm"


def plain_scale(steps: HeadSteps) -> bool:
    """Whether the scores are divided by √d_head, as in the paper."""
    return abs(steps.scale * len(steps.q.end) ** 0.5 - 1) < 1e-6


def score_chain(steps: HeadSteps) -> list[tuple[str, str, str]]:
    """The steps from q·k (d) to the score (s), each with the numbers that it takes and those that it gives: p after the
    scale, c after the cap. Where there is no scale, but something else, that step is left out.
    """
    kinds = []
    if steps.scale != 1 or (steps.capped is None and steps.bias is None):
        kinds.append("scale")
    if steps.capped is not None:
        kinds.append("cap")
    if steps.bias is not None:
        kinds.append("bias")
    gives = [{"scale": "p", "cap": "c"}.get(kind, "s") for kind in kinds[:-1]] + ["s"]
    return list(zip(kinds, ["d", *gives[:-1]], gives, strict=True))


def head_sentences(
    steps: HeadSteps,
    label: str,
    *,
    n_head: int,
    n_key_head: int,
    causal: bool,
    cross: bool = False,
    entering: tuple[str, str],
) -> list[Step]:
    """What happens, and why, for somebody who sees it for the first time; a sentence or two a step.

    `entering`: what layer 0 is given, said alone, and as a part of what later layers are given.
    """
    d_model, d_head, d_value = len(steps.hidden), len(steps.q.end), len(steps.mixed)
    added = {1: "what layer 0 has added"}.get(steps.layer, f"what the {steps.layer} layers before have added")
    before = entering[0] if steps.layer == 0 else f"{entering[1]}, plus {added}"
    if steps.norm_behind and steps.layer:
        before += ", normed after each sum"
    group, shared = n_head // n_key_head, ""
    if group > 1:
        first = steps.head // group * group
        shared = (
            f" {group} heads in a row share one [k] and one [v]: heads {first} to {first + group - 1} are group "
            f"{first // group} of {n_key_head}."
        )
    values = f", [v] of {d_value}" if d_value != d_head else ""
    said = [
        _step(
            "stream",
            "The vector of the token",
            "Token {query}, “{label}”, comes to layer {layer} as {d_model} numbers, [x]: {before}.",
            query=steps.query,
            label=label,
            layer=steps.layer,
            d_model=d_model,
            before=before,
        )
    ]
    if steps.norm:
        said.append(Step("norm", norm_title(steps.norm), (_normed(steps.norm, steps.deviation),)))
    read = "[x̂]" if steps.norm else "[x] itself (no norm stands before it)"
    said.append(
        _step(
            "project",
            "Query, key and value",
            "The head makes three short vectors of {d_head} numbers{values} from " + read + ": [q] is what the token "
            "looks for, [k] what it can be found by, [v] what it hands over when it is looked at. Every token gets its "
            "own three from the same matrices." + shared,
            d_head=d_head,
            values=values,
        )
    )
    if steps.query_norm or steps.key_norm:
        said.append(_head_norm(steps))
    if steps.rotary:
        said.append(_rotation(steps))
    said.append(
        _step(
            "compare",
            "Compare the query with every key",
            "[q] is multiplied with the [k] of each token, number by number, and the products are summed. The more the "
            "two point the same way, the larger the sum: this token has what the query looks for.",
        )
    )
    said += _scores(steps, causal)
    said += [
        _step(
            "softmax",
            "Softmax",
            "Each score [s] becomes e to the power of [s], divided by the sum of all of them: weights [a] between 0 "
            "and 1 that add up to 1{sink}. A difference between scores becomes a ratio between weights.{learned}",
            sink=" with that of the sink" if steps.has_sink else "",
            learned=_SINK if steps.has_sink else "",
        ),
        _step(
            "mix",
            "Mix the values",
            "From each token's [v], as much is taken as its weight [a] says. The sum [z] is all that this head brings "
            "back to “{label}”.",
            label=label,
        ),
        _step(
            "write",
            "Back to the width of the stream",
            "The head's own part of the output projection turns the {d_value} numbers of [z] into {d_model}: [o], what "
            "this head writes.",
            d_value=d_value,
            d_model=d_model,
        ),
        *_sum(steps, n_head, cross),
    ]
    return said


def entering_in_words(entering: tuple[str, float]) -> tuple[str, str]:
    """What layer 0 is given (`model.analysis.head.entering`), said alone, and as a part of what later layers get."""
    how, factor = entering
    if how == "sum":
        return "the vector of the token plus the vector of its position", "the vectors of the token and of its position"
    if how == "token":
        own = "the vector of the token" + (f" times {factor:.4g}" if factor != 1 else "")
        return own, own
    return ("what the model makes of the token and its place before its first layer",) * 2


def norm_title(norm: Norm) -> str:
    return "Layer norm" if norm.centred else "RMS norm"


def _normed(norm: Norm, size: float) -> str:
    sized = "shrunk" if size > 1 else "stretched"
    learned = "each gets a factor and a summand" if norm.shift is not None else "each gets a factor"
    if norm.centred:
        done = f"The numbers are moved to mean 0 and {sized} to deviation 1, divided by their own, {size:.4f}"
    else:
        done = f"The numbers are {sized} to a mean square of 1, divided by the root of their own, {size:.4f}"
        done += " (their mean stays as it is)"
    return f"{done}; then {learned} that the model has learned."


def _head_norm(steps: HeadSteps) -> Step:
    both = [
        (s, n, size[1])
        for s, n, size in (("q", steps.query_norm, steps.query_size), ("k", steps.key_norm, steps.key_size))
        if n
    ]
    symbols = " and ".join(f"[{symbol}]" for symbol, *_ in both)
    sizes = " and ".join(f"{size:.4f}" for *_, size in both)
    whose = "all heads' numbers together" if both[0][1].together else "its own numbers"
    return _step(
        "head norm",
        "Norm of query and key",
        symbols + " {are} brought to one size before they are compared: each is divided by the {root} of {whose}, here "
        "{sizes}, and each number gets a factor that the model has learned. So no token is heard only because its "
        "vector is long.",
        are="are" if len(both) > 1 else "is",
        root="deviation" if both[0][1].centred else "root mean square",
        whose=whose,
        sizes=sizes,
    )


def _rotation(steps: HeadSteps) -> Step:
    rotary, d_head = steps.rotary, len(steps.q.end)
    n_turned = 2 * len(rotary.frequencies)
    part = f" Only {n_turned} of the {d_head} numbers are turned, the others stay." if n_turned < d_head else ""
    part += f" What is turned is also multiplied by {rotary.strength:.4f}." if rotary.strength != 1 else ""
    return _step(
        "rotate",
        "Rotary positions",
        "No vector of its position was added to the token; where it stands is told here. The numbers are taken in "
        "pairs, and each pair is turned like the hand of a clock, by its own angle times the token's position: those "
        "of this [q] {query} times. Turned alike, two vectors compare as before: what counts in [q] · [k] is how far "
        "apart the two tokens stand.{part}",
        query=steps.query,
        part=part,
    )


def _scores(steps: HeadSteps, causal: bool) -> Iterator[Step]:
    d_head, chain = len(steps.q.end), score_chain(steps)
    scale = (
        f"A sum of {d_head} products easily gets large, so it is divided by √{d_head} = {d_head**0.5:.4f}"
        if plain_scale(steps)
        else f"The sum is multiplied by this model's own scale, {steps.scale:.4g}"
    )
    done = {
        "scale": scale,
        "cap": f"No score gets beyond ± {steps.soft_cap:.4g}: it is divided by this cap, and the tanh of that is "
        "multiplied by the cap. Small scores stay nearly as they are, large ones are bent",
        "bias": "To each score a number is added that says how far the key stands from the query, whatever the two "
        "tokens are; the model has learned it, or it follows a rule",
    }
    for i, (kind, *_) in enumerate(chain):
        last = i == len(chain) - 1
        title = _SCORE_TITLES[kind] + " and mask" * last
        yield Step(kind, title, (done[kind] + (_mask(steps, causal) if last else "."),))


def _mask(steps: HeadSteps, causal: bool) -> str:
    n, n_masked = len(steps.dots), len(steps.dots) - int(steps.visible.sum())
    masked = f"here {n_masked} of {n}" if n_masked else "here none"
    if causal and not steps.window:
        masked += "" if n_masked else ": the query is the last"
        return f". Tokens that come after the query must not be seen: their score becomes −∞ ({masked})."
    if steps.window:
        far = f"stand {steps.window:,} or more "
        far = f"come after the query, or {far}before it," if causal else f"{far}away from the query"
        return f". Tokens that {far} must not be seen: their score becomes −∞ ({masked})."
    if n_masked:
        return f". Some tokens are hidden from this query: their score becomes −∞ ({masked})."
    return ". Nothing is masked: in this model every token sees every token."


def _sum(steps: HeadSteps, n_head: int, cross: bool) -> Iterator[Step]:
    rest = {1: "", 2: ", the other head's"}.get(n_head, f", those of the {n_head - 1} other heads")
    bias = " and a bias" if steps.output_bias is not None else ""
    rest = rest.replace(", ", " and ", 1) if rest and not bias else rest
    share = "this head's share [o]" + rest + bias
    if steps.written_norm:
        size = steps.written_size[1]
        yield _step(
            "written",
            f"{norm_title(steps.written_norm)} of what was written",
            f"All that the heads write is added up: {share}. The sum [w] is "
            "{sized} to one size, divided by its own, "
            "{size:.4f}, and each number gets a learned factor: [ŵ]. So a head counts by its part in the sum.",
            sized="shrunk" if size > 1 else "stretched",
            size=size,
        )
        share = "[ŵ]"
    times = f", {steps.multiplier:.4g} times," if steps.multiplier != 1 else ""
    if steps.parallel:
        end = "Nothing in this layer reads [x′] as it is: what works beside the attention adds its share as well."
    elif steps.alone:
        end = "The sum [x′] is what leaves the layer: it has no MLP."
    elif steps.norm_behind:
        end = "The sum [x′] is normed before anything reads it."
    else:
        end = "The sum [x′] goes on to the layer's " + ("cross-attention, and then its MLP." if cross else "MLP.")
    are = "is" if steps.written_norm or not (rest or bias) else "are"
    yield _step(
        "add",
        "Add to the residual stream",
        f"Nothing is replaced. [x] stays, and {share}{times} {are} added to it. {end}",
    )
    if steps.norm_behind:
        next_one = "cross-attention, and then its MLP" if cross else "MLP"
        yield _step(
            "behind",
            f"{norm_title(steps.norm_behind)} of the sum",
            f"{_normed(steps.norm_behind, steps.after_size[1])} The result [x″] is the residual stream from here "
            f"on, and goes to the layer's {next_one}.",
        )


def _step(kind: str, title: str, template: str, **values: object) -> Step:
    # cut before the values are filled in: a token's label may itself hold brackets
    filled = []
    for i, piece in enumerate(symbols_apart(template)):
        filled += [piece] if i % 2 else [piece.format(**values)] if values else [piece]
    return Step(kind, title, tuple(filled))


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
