"""On the home page: a tour of five steps through what is live there, with one question about this very run."""

import numpy as np

from model.analysis.attention import attention_weights
from model.analysis.telling import kind_read_first
from model.run import ModelRun
from viz.components.tour import Stop, tour
from viz.sections.home.following import Step
from viz.sections.home.lines import MOST
from viz.ui import controls, heads

MOST_ANSWERS = 4


def show(run: ModelRun, last: Step) -> None:
    """`last`: the last step of the way, which may be without bars."""
    n = len(run.source or run.tokens)
    stops = [
        Stop(
            "Tokens and vectors",
            (
                "Your text is one token, which becomes"
                if n == 1
                else f"Your text was cut into {n:,} tokens. Each becomes"
            )
            + " a vector: the strip beside it, one cell a number, blue above 0, orange below.",
            ".st-key-home_vectors",
        ),
        Stop(
            "Attention",
            f"Each line is a weight of one head: {line_in_words(run)}. Point at a token, or tap it, here and now, to "
            "see its lines alone.",
            ".st-key-home_lines",
        ),
        *([question] if (question := asked(run)) else []),
        *([ending(run, last)] if last.candidates else []),
        Stop(
            "Check it",
            "A click on a line opens the arithmetic that made its number. These links lead on: all heads, all tokens, "
            "the next word. What you choose goes along.",
            ".st-key-roomy_way .stPageLink:has(a[href*=attention])",
        ),
    ]
    tour(stops, key="tour")


def line_in_words(run: ModelRun) -> str:
    if run.source:
        return "how much the decoder took from the token on the right to write the one on the left"
    return "how much the token on the left takes from the one on the right"


def ending(run: ModelRun, last: Step) -> Stop:
    """What the bars are: of the next token, of what fits a place, or of labels."""
    moves = " Move the temperature: the bars follow at once, each with its exact share." if last.moves else ""
    if run.info.labels:
        title, told = "What it judges", "What all layers have made of the text gives each label a probability."
    elif run.source:
        title = "What it expects"
        told = (
            "The decoder's first vector, after all layers, gives every token of the vocabulary a probability to begin."
        )
    elif run.predictions and run.predictions.of_next:
        title = "What it expects"
        told = (
            "The last token's vector, after all layers, gives every token of the vocabulary a probability to come next."
        )
    else:
        title = "What it expects"
        told = (
            "The vector of the place asked about, after all layers, gives every token of the vocabulary a probability."
        )
    return Stop(title, told + moves, ".st-key-home_next_tokens")


def asked(run: ModelRun) -> Stop | None:
    """What the last token looks at most, of up to four keys; None where there is nothing to choose."""
    kind = kind_read_first(run)
    layers, (queries, keys) = run.layers(kind), run.sides(kind)
    layer, head = heads.shown_layer(run, kind), controls.held("head", run.info.n_head)
    # of an encoder-decoder, row i is what was looked at to write token i + 1
    rows = range(1, min(len(queries), MOST)) if kind == "self" else range(min(len(queries), MOST) - 1)
    asks = [i for i in rows if not queries[i if kind == "self" else i + 1].special]
    if not asks or len(keys) < 2:
        return None
    # of tokens: a learned sink is none
    weights = attention_weights(layers[layer], head, slice(asks[-1], asks[-1] + 1))[0, : min(MOST, layers[layer].n_key)]
    best = [key for key in np.argsort(-weights, kind="stable")[:MOST_ANSWERS] if weights[key] > 0]
    if len(best) < 2:
        return None
    offered = sorted(int(key) for key in best)  # as they stand in the text
    label = queries[asks[-1] + (kind == "cross")].label
    asked = f"does “{label}” look at most" if kind == "self" else f"was looked at most to write “{label}”"
    names = [keys[key].label for key in offered]
    if len(set(names)) < len(names):  # two “the” are two places
        names = [f"{key} {name}" for key, name in zip(offered, names, strict=True)]
    return Stop(
        "A question",
        f"Which token {asked}?",
        ".st-key-home_lines",
        names,
        offered.index(int(best[0])),
        f"It is “{keys[best[0]].label}”, with a weight of {weights[best[0]]:.3f}. In layer {layer}, head {head}.",
    )
