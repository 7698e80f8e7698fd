"""The tools for reading attention: which heads, in which units, with or without the sink, in which colours.

Each control is a choice of the address, so that a link restores the reading. `spec` makes of them what
`model.analysis.attention_map` follows; `read_again` redraws what depends on them: `parts` of the page, and the card if
one is open; `step` less than that.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

import numpy as np
import streamlit as st

from model.analysis.attention_map import COMBINE, SEGMENTS, AttentionMap, MapSpec, heads_at
from model.grid import Grid
from model.run import ModelRun, VisitorError
from viz.figures.scale import ColourScale, colour_scale
from viz.guard import handler
from viz.ui import controls, heads, provenance, session
from viz.ui.choices import NONE

kind = heads.attention_read
PARTS = ("stage", "choose", "read")  # the fragments that are drawn again, first what one waits for
STEP = ("stage", "read")  # a slider that the visitor moved stands there already, and moves no other control


def choose_heads(run: ModelRun) -> None:
    """One head, the heads of its layer, all of them, or any that are written or clicked together."""
    of = heads.choose_attention(run, on_change=handler(read_another))
    heads.choose("show", run, of, on_change=handler(read_again), of_one={"on_change": handler(step)})


def choose_how(two_texts: bool) -> None:
    """Units, sink, and segments if there are two texts."""
    columns = st.columns(3 if two_texts else 2, gap="medium")
    with columns[0]:
        _choice(
            "Rows and columns are",
            "units",
            help="A unit's weight is the sum over its keys, and the mean over its queries: rows still add up to 1.",
        )
    with columns[1]:
        _choice(
            "The sink",
            "sink",
            help="Heads that have nothing to look for often look at the first token. as is: shown · hide: left out · "
            "renormalise: left out, and each row divided by what remains. Special tokens count as sink too, and so "
            "does one that heads have learned, in the last column.",
        )
    if two_texts:
        with columns[2]:
            _choice(
                "Between the two texts",
                "segment",
                help="A is your text up to the first blank line (or line end), B the rest. A → B: what the tokens of A "
                "look at in B.",
            )


def choose_colours() -> None:
    left, right = st.columns(2, gap="medium")
    with left:
        _choice("Colours", "scale", help="A logarithmic scale tells small weights apart.")
    with right:
        _choice("from", "range", help="fitted: from the smallest to the largest weight of this map.")


def colours_of(weights: np.ndarray) -> ColourScale:
    """The colour scale of a map."""
    return colour_scale(weights, log=st.session_state.scale == "log", fitted=st.session_state.range == "fitted")


def in_force(spec: MapSpec) -> str:
    """In a line what `choose_how`, `choose_colours` and the lines' controls say."""
    state = st.session_state
    sink = {"as is": "the sink as is", "hide": "without the sink", "renormalise": "renormalised without the sink"}
    lines = f"lines from {state.least:g}" + (f", {state.top} for each query" if state.top else "")
    part = [] if spec.segment == "all" else [spec.segment]
    return " · ".join([spec.kind, sink[spec.sink], *part, f"{state.scale} colours {_RANGES[state.range]}", lines])


_RANGES = {"0 to 1": "from 0 to 1", "fitted": "fitted to the map"}


def _choice(label: str, name: str, **more) -> str:
    return controls.choose(label, name, on_change=handler(read_again), **more)


def spec(run: ModelRun) -> MapSpec:
    """What the controls say. Raises `HeadsError` if the heads as written do not exist; `NoAttentionHere`."""
    state = st.session_state
    return heads.spec(
        state.show,
        run,
        kind(run),
        combine=state.combine,
        sink=state.sink,
        kind=state.units,
        segment=state.segment if len(run.kinds) == 1 else SEGMENTS[0],
    )


def whole_spec() -> MapSpec:
    """The same over the whole text, whichever part is shown: the values of a part are the same."""
    return replace(spec(session.current_run()), segment="all")


def rules(spec: MapSpec, heads: tuple[tuple[int, int], ...] = ((0, 0),)) -> MapSpec:
    """The same rules for these heads; without any named, for each head alone, whichever it is."""
    return replace(spec, heads=heads, combine=COMBINE[0])


def layer_spec(spec: MapSpec, layer: int, there: Grid) -> MapSpec:
    """The heads of one layer that a spec reads, or all of that layer's if it reads only one head or none of them."""
    chosen = tuple(pair for pair in spec.heads if pair[0] == layer)
    if len(spec.heads) == 1 or not chosen:
        chosen = heads_at(there, layer)
    return replace(spec, heads=chosen, segment="all")


def parts(of: Sequence[str] = PARTS) -> list[str]:
    """For callbacks: these, and what edges do, if that is asked for."""
    return [*of, *["effects"] * (st.session_state.effect != NONE)]


def read_again() -> NoReturn:
    """For callbacks: redraw what depends on the reading, and no more."""
    st.rerun([*parts(), *follow()])


def step() -> NoReturn:
    """For the callback of a slider: the same for another layer, head, query or key."""
    st.rerun([*parts(STEP), *follow()])


def read_another() -> NoReturn:
    """For callbacks: another kind of attention is another grid, another stage, and all below."""
    follow()
    st.rerun()


def follow() -> list[str]:
    """For callbacks: an open card goes to the weight that is chosen now. Returns what is to be redrawn for that."""
    if provenance.pointed_at() is None:
        return []
    try:
        now = whole_spec()
        read_now = session.current_map(now)
        query, key = read_now.units.of(st.session_state.token), read_now.key_units.of(st.session_state.key)
        provenance.point_at(provenance.Cell(session.current_key(), now, (query,), (key,)))
    except VisitorError:
        provenance.point_at(None)
    return ["card"]


def title(spec: MapSpec, run: ModelRun) -> str:
    """Exactly what is read."""
    name = heads.in_words(spec, run).capitalize()
    if len(run.kinds) > 1:
        name += {"self": ", the decoder's own", "encoder": ", the encoder's own", "cross": ", cross-attention"}[spec.of]
    if spec.kind != "tokens":
        name += f", between {spec.kind}"
    if spec.sink != "as is":
        name += ", sink hidden" if spec.sink == "hide" else ", renormalised without the sink"
    if spec.segment != "all":
        name += f", {spec.segment}"
    return name


def columns(reading: AttentionMap) -> str:
    """What the columns of a map are, counted: for those who do not see them."""
    n, kind = len(reading.keys), reading.units.kind
    return f"{n - 1} {kind} and the sink" if reading.shows_sink else f"{n} {kind}"


def statements(reading: AttentionMap, spec: MapSpec) -> list[str]:
    """What must be said under a map that is not simply one head's weights."""
    sentences = []
    if len(spec.heads) > 1 and spec.combine == "max":
        sentences.append("Each cell is the largest of the heads, so rows can add up to more than 1.")
    if spec.kind != "tokens":
        sentences.append(
            f"Each cell is the sum over the keys of a {spec.kind[:-1]} and the mean over its queries; "
            f"{reading.units.rule}."
        )
    tokens = "first token, special tokens and the learned one" if reading.has_sink else "first token and special tokens"
    removed = f"{100 * np.mean(reading.removed):.1f} % of the weight on average"
    if spec.sink == "as is":
        sentences.append(f"The sink ({tokens}) holds {removed}; nothing is taken out.")
    else:
        what = (
            "hidden, and rows add up to what is left"
            if spec.sink == "hide"
            else "taken out and rows made to add up to 1 again"
        )
        gone = int(np.isnan(reading.weights).all(axis=1).sum())
        alone = (
            f" {gone} row{'s' * (gone > 1)} looked at nothing else and {'are' if gone > 1 else 'is'} left blank."
            if gone
            else ""
        )
        sentences.append(f"The sink ({tokens}) is {what}: {removed}.{alone}")
    if reading.shows_sink:
        sentences.append(
            "The last column, “sink”, is no token: this model's heads have learned a score for it, which takes its "
            "share of each row and gives nothing."
        )
    elif reading.has_sink:
        sentences.append("What heads have learned as a sink belongs to neither text: it is not among these columns.")
    if reading.shares:
        shares = " · ".join(f"{segment} {share:.3f}" for segment, share in reading.shares.items())
        sentences.append(f"Weight between the two texts, mean over the rows: {shares}.")
    return sentences
