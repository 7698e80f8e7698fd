"""The tools for reading attention: which heads, in which units, with or without the sink, in which colours.

Each control is a choice of the address, so that a link restores the reading. `spec` makes of them what
`model.analysis.attention_map` follows; `read_again` redraws what depends on them: the fragment "read", and the card if
one is open.
"""

from dataclasses import replace
from typing import NoReturn

import numpy as np
import streamlit as st

from model.analysis.attention_map import SEGMENTS, AttentionMap, MapSpec, parse_heads, write_heads
from model.run import ModelRun, VisitorError
from viz.figures.scale import ColourScale, colour_scale
from viz.guard import handler
from viz.ui import controls, links, provenance, session
from viz.ui.choices import CHOSEN, LAYER, ONE

KINDS_SAID = {
    "self": "the text looks at itself",
    "encoder": "the source looks at itself",
    "cross": "the text looks at the source",
}


def kind(run: ModelRun) -> str:
    """Which attention is read: an encoder-decoder has three kinds."""
    chosen = st.session_state.kind
    return chosen if chosen in run.kinds else "self"


def choose_heads(run: ModelRun) -> None:
    """One head, the heads of its layer, all of them, or any that are written or clicked together."""
    if len(run.kinds) > 1:
        said = " · ".join(f"{name}: {KINDS_SAID[name]}" for name in run.kinds)
        controls.choose("Attention", "kind", run.kinds, on_change=handler(follow), help=said)
    n_layer, n_head = _shape(run)
    # the controls below it change too: not only the map is drawn again
    show = controls.choose(
        "Read", "show", on_change=handler(follow), help="one head · all of a layer · all · those you choose"
    )
    controls.position("Layer", "layer", n_layer, on_change=handler(read_again))
    controls.position("Head", "head", n_head, on_change=handler(read_again))
    st.text_input(
        "Heads read together",
        key=links.key("heads"),
        placeholder="2.3, 4.*, *.1",
        disabled=show != CHOSEN,
        help="layer.head, with * for every one: 4.* is all of layer 4, *.1 is head 1 of every layer.",
        on_change=handler(read_again),
    )
    _choice("Combine them by", "combine", disabled=show == ONE, help="cell by cell")


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
            "renormalise: left out, and each row divided by what remains. Special tokens count as sink too.",
        )
    if two_texts:
        with columns[2]:
            _choice(
                "Between the two texts",
                "segment",
                help="A is your text up to the first blank line (or line end), B the rest. A → B: what the tokens of A "
                "look at in B.",
            )


def choose_colours(weights: np.ndarray) -> ColourScale:
    """The colour scale of a map."""
    left, right = st.columns(2, gap="medium")
    with left:
        scale = _choice("Colours", "scale", help="A logarithmic scale tells small weights apart.")
    with right:
        span = _choice("from", "range", help="fitted: from the smallest to the largest weight of this map.")
    return colour_scale(weights, log=scale == "log", fitted=span == "fitted")


def _choice(label: str, name: str, **more) -> str:
    return controls.choose(label, name, **({"on_change": handler(read_again)} | more))


def _shape(run: ModelRun) -> tuple[int, int]:
    return len(run.layers(kind(run))), run.info.n_head


def spec(run: ModelRun) -> MapSpec:
    """What the controls say. Raises `HeadsError` if the heads as written do not exist."""
    state = st.session_state
    return MapSpec(
        heads_shown(run),
        state.combine,
        state.sink,
        state.units,
        state.segment if len(run.kinds) == 1 else SEGMENTS[0],
        kind(run),
    )


def whole_spec() -> MapSpec:
    """The same over the whole text, whichever part is shown: the values of a part are the same."""
    return replace(spec(session.current_run()), segment="all")


def heads_shown(run: ModelRun) -> tuple[tuple[int, int], ...]:
    state, (n_layer, n_head) = st.session_state, _shape(run)
    if state.show == ONE:
        return ((state.layer, state.head),)
    if state.show == CHOSEN:
        return parse_heads(state.heads, n_layer, n_head)
    layers = [state.layer] if state.show == LAYER else range(n_layer)
    return tuple((layer, head) for layer in layers for head in range(n_head))


def choose_on_grid(run: ModelRun, layer: int | None, head: int | None, *, add: bool) -> None:
    """What a click on the grid chose (no layer: a column, no head: a row); `add`: to or from what is read already."""
    n_layer, n_head = _shape(run)
    clicked = {
        (one, other)
        for one in (range(n_layer) if layer is None else [layer])
        for other in (range(n_head) if head is None else [head])
    }
    state = st.session_state
    if add:
        try:
            before = set(heads_shown(run))
        except VisitorError:
            before = set()
        clicked = before - clicked if clicked <= before and before != clicked else before | clicked
    elif head is None:
        state.show, state.layer = LAYER, layer
        return
    elif layer is not None:
        state.show, state.layer, state.head = ONE, layer, head
        return
    state.show, state.heads = CHOSEN, write_heads(clicked, n_layer, n_head)


def layer_spec(spec: MapSpec, layer: int, n_head: int) -> MapSpec:
    """The heads of one layer that a spec reads, or all of that layer's if it reads only one head or none of them."""
    heads = tuple(pair for pair in spec.heads if pair[0] == layer)
    if len(spec.heads) == 1 or not heads:
        heads = tuple((layer, head) for head in range(n_head))
    return replace(spec, heads=heads, segment="all")


def read_again() -> NoReturn:
    """For callbacks: redraw what depends on the reading, and no more."""
    follow()
    st.rerun(["read", "card"])


def follow() -> None:
    """For callbacks: an open card goes to the weight that is chosen now."""
    if provenance.pointed_at() is None:
        return
    try:
        now = whole_spec()
        read_now = session.current_map(now)
        query, key = read_now.units.of(st.session_state.token), read_now.key_units.of(st.session_state.key)
        provenance.point_at(provenance.Cell(session.current_key(), now, (query,), (key,)))
    except VisitorError:
        provenance.point_at(None)


def title(spec: MapSpec, run: ModelRun) -> str:
    """Exactly what is read."""
    n_layer, n_head = _shape(run)
    heads, by = spec.heads, {"mean": "the mean", "max": "the maximum"}[spec.combine]
    layers, columns = {layer for layer, _ in heads}, {head for _, head in heads}
    n = len(heads)
    if n == 1:
        said = f"Layer {heads[0][0]}, head {heads[0][1]}"
    elif n == n_layer * n_head:
        said = f"All layers: {by} of all {n} heads"
    elif n == n_head and len(layers) == 1:
        said = f"Layer {heads[0][0]}: {by} of its {n} heads"
    elif n == n_layer and len(columns) == 1:
        said = f"Head {heads[0][1]} of every layer: {by} of {n} heads"
    else:
        said = f"{by.capitalize()} of {n} heads: {write_heads(heads, n_layer, n_head)}"
    if len(run.kinds) > 1:
        said += {"self": ", the decoder's own", "encoder": ", the encoder's own", "cross": ", cross-attention"}[spec.of]
    if spec.kind != "tokens":
        said += f", between {spec.kind}"
    if spec.sink != "as is":
        said += ", sink hidden" if spec.sink == "hide" else ", renormalised without the sink"
    if spec.segment != "all":
        said += f", {spec.segment}"
    return said


def statements(reading: AttentionMap, spec: MapSpec) -> list[str]:
    """What must be said under a map that is not simply one head's weights."""
    said = []
    combined = {"mean": "the mean of the heads", "max": "the largest of the heads"}[spec.combine]
    if len(spec.heads) > 1 and spec.combine == "max":
        said.append(f"Each cell is {combined}, so rows can add up to more than 1.")
    if spec.kind != "tokens":
        said.append(
            f"Each cell is the sum over the keys of a {spec.kind[:-1]} and the mean over its queries; "
            f"{reading.units.rule}."
        )
    removed = f"{100 * np.mean(reading.removed):.1f} % of the weight on average"
    if spec.sink == "as is":
        said.append(f"The sink (first token and special tokens) holds {removed}; nothing is taken out.")
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
        said.append(f"The sink (first token and special tokens) is {what}: {removed}.{alone}")
    if reading.given:
        shares = " · ".join(f"{segment} {share:.3f}" for segment, share in reading.given.items())
        said.append(f"Weight between the two texts, mean over the rows: {shares}.")
    return said
