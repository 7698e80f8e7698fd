"""On the page Generation: the film of what was written, each token among what could have stood in its place."""

import numpy as np
import pandas as pd
import streamlit as st

from model.analysis.attention import layer_weights
from model.analysis.attention_map import MapSpec
from model.analysis.generation import Step
from model.run import Attention, ModelRun
from viz.components.film import Film
from viz.components.film import film as draw
from viz.guard import handler
from viz.sections.generation import continuation
from viz.sections.generation.continuation import NAMES
from viz.ui import heads, links, session
from viz.ui.choices import LAYER, ONE
from viz.ui.pictures import caption, twin

MOST_BEFORE, N_CANDIDATES = 200, 8  # tokens drawn before what was written; candidates of each step
# what took a candidate out of the choice
CUT = NAMES | {"no_repeat_ngram": "repeats", "greedy": "greedy", "temperature": "temperature", "model": "the model"}


def choose_head(run: ModelRun) -> None:
    """Whose look is shown, in the film and behind a choice."""
    columns = st.columns(3, vertical_alignment="bottom")
    mean = columns[2].toggle("Mean of the layer's heads", key=links.key("mean_of_heads"))
    heads.choose_one(run, places=columns[:2], disabled=(False, mean))


def spec(run: ModelRun) -> MapSpec:
    return heads.spec(LAYER if st.session_state.mean_of_heads else ONE, run)


def show() -> None:
    """Every generated token, among what could have stood in its place."""
    steps, lm = st.session_state.generated, session.current_model()
    run = continuation.run_after(steps)
    choose_head(run)
    if not heads.has_attention(run, key="nearest_of_film"):
        return
    its = spec(run)
    n_text = len(run.tokens) - len(steps)
    first = max(0, n_text - MOST_BEFORE)
    found = [step.candidates for step in steps]
    n = min(N_CANDIDATES, len(found[0].ids))
    opened = st.session_state.opened
    draw(
        Film(
            labels=[token.label for token in run.tokens[first:]],
            written=st.session_state.written,
            probability=np.array([step.probability for step in steps]),
            entropy=np.array([each.entropy for each in found]),
            candidates=[[lm.token(int(id)).label for id in each.ids[:n]] for each in found],
            model=np.array([each.probability[:n] for each in found]),
            chance=np.array([each.chance[:n] for each in found]),
            cut_by=[[each.cut_by[i] and CUT[each.cut_by[i]] for i in range(n)] for each in found],
            drawn=[_place(step, n) for step in steps],
            n_vocab=run.info.n_vocab,
            weights=rows(run, its, len(steps))[:, first:],
            who=heads.in_words(its, run),
            n_byte=kept_bytes(run),
            n_layer=len(run.attention),
            first=first,
            at=len(steps) - 1 if opened is None else opened,
        ),
        key="film",
        on_open=continuation.open_token,
        on_branch=continuation.branch,
    )
    caption(
        f"Play it, or pull. Blue: how much {heads.in_words(its, run)} looked at a token when the one in the frame was "
        "chosen, relative to the most. The line below a written token is the more yellow, the more probable it was. "
        "Point at a token to see which later ones looked at it. Pale bars are the model’s probability, solid ones the "
        "chance to be drawn. Click a candidate that was not taken to write on with it."
        + (f" The first {first:,} tokens are left out." if first else "")
    )
    if continuation.left():
        st.button(
            "Back to what was written before",
            key="go_back",
            icon=":material/undo:",
            on_click=handler(continuation.go_back),
        )
    twin(numbers, key="generated")


def _place(step: Step, n: int) -> int:
    """Which of the first n candidates was written; -1: none of these."""
    found = np.flatnonzero(step.candidates.ids[:n] == step.token.id)
    return int(found[0]) if len(found) else -1


def rows(run: ModelRun, spec: MapSpec, n: int) -> np.ndarray:
    """(n, T) the weights of the positions that chose the last n tokens, of the heads of a spec, by their mean."""
    first = len(run.tokens) - n - 1  # the last token has chosen nothing yet
    chose = slice(first, first + n)
    each = [layer_weights(run.attention[layer], chose, [head])[0] for layer, head in spec.heads]
    return np.mean(each, axis=0)[:, : len(run.tokens)]


def kept_bytes(run: ModelRun) -> int:
    """Of the keys and values of one token, in all layers."""
    layers = [layer for layer in run.attention if isinstance(layer, Attention)]
    # of a long text, a run keeps no values: they are of the size of the keys
    kept = [each for layer in layers for each in (layer.key, layer.key if layer.value is None else layer.value)]
    return sum(4 * each.shape[0] * each.shape[2] for each in kept)


def numbers() -> pd.DataFrame:
    steps = st.session_state.generated
    return pd.DataFrame(
        {
            "token": [step.token.label for step in steps],
            "id": [step.token.id for step in steps],
            "probability": [step.probability for step in steps],
            "chance": [step.chance for step in steps],
            "rank": [step.rank for step in steps],
            "random number": [step.number for step in steps],
            "temperature": [step.sampling.temperature for step in steps],
            **{name: [getattr(step.sampling, each) for step in steps] for each, name in NAMES.items()},
            "entropy": [step.candidates.entropy for step in steps],
        }
    )
