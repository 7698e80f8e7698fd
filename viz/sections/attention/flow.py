"""On the page Attention: what a token draws on through all layers, by rollout, by flow, by what the weights carry."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from model.analysis import attention_flow as paths
from model.analysis import checks
from model.analysis.attention_map import MapSpec, heads_at
from model.run import ModelRun, VisitorError
from model.text.prompt import RunKey
from viz.components.layer_graph import layer_graph
from viz.figures.attention_flow import drawn_map
from viz.figures.heads import others_in_words
from viz.figures.numbers import how_far
from viz.guard import section
from viz.plain import plain
from viz.ui import cache, controls, corners, provenance, reading, session
from viz.ui.choices import CARRIED, FLOW, NONE, ROLLOUT
from viz.ui.loads import language_model
from viz.ui.pictures import caption, picture
from viz.ui.prose import check, quoted

N_NAMED = 3
ALL_LINES = 24  # tokens up to which every line is drawn; of more, the strongest of each token
TOP = 4
MEANINGS = {
    ROLLOUT: "Attention rollout (Abnar & Zuidema 2020): of each layer A, the mean of all heads, and 0.5 A + 0.5 I, for "
    "the residual stream hands on what was there. Along each path these are multiplied, and all paths added up. The "
    "half is that paper's assumption, and is not read off the model.",
    FLOW: "Attention flow (Abnar & Zuidema 2020): the same numbers, 0.5 A + 0.5 I, as the width of pipes, and for each "
    "node the most that can flow from it to the token: a maximum flow for each node alone, so they share pipes, and do "
    "not add up to 1.",
    CARRIED: "Value-weighted attention (Kobayashi et al. 2020): ‖Σ a · W_O v‖ over all heads of a layer, the length of "
    "what each key gives the token there, as a share of its row. A large weight on a short vector moves nothing. Each "
    "layer by itself: what the residual stream hands on, and the output projection's bias, are not in it.",
}
NAMES = {ROLLOUT: "rollout", FLOW: "attention flow", CARRIED: "what the weights carry"}
HOW = {
    ROLLOUT: "A line is 0.5 A + 0.5 I of a layer: the straight ones are mostly what the residual stream hands on. A "
    "number beside a token: products of the lines along each path from it to the chosen node, summed over all paths.",
    FLOW: "A line is as wide as the pipe, 0.5 A + 0.5 I. The numbers beside the tokens are rollout's, along the drawn "
    "lines; those of flow are in the picture above.",
    CARRIED: "A line is the share of what a token is given in that layer. A number beside a token: products of these "
    "along each path, summed over all paths; what the residual stream hands on is not mixed in.",
}
PAIR = {
    "self": "This follows the decoder's own attention. What it takes from the source, by cross-attention in each "
    "layer, is in none of these numbers.",
    "encoder": "This follows the encoder's own attention, through the encoder alone.",
}


@section("paths")
def show(run: ModelRun) -> None:
    st.header("What a token draws on, through all layers", anchor=False)
    by = controls.choose(
        "Follow it by",
        "flow",
        help="rollout: shares along all paths · flow: the most that could pass · carried: how much the weights carry, "
        "layer by layer",
    )
    if by == NONE:
        st.markdown(
            "A map shows one layer. But what stands at a token there was mixed together by all layers before it: "
            "follow it back to the words of the text."
        )
        return
    of = reading.kind(run)
    if of == "cross":
        st.info(
            "Cross-attention leads from one text to another, not from layer to layer: no path goes through it. Choose "
            "the attention of the encoder or of the decoder to itself above.",
            icon=":material/info:",
        )
        return
    tokens = run.sides(of)[0]
    token = controls.position("Token", "flow_token", len(tokens), first=len(tokens) - 1, help="Or click its node.")
    try:
        paths.check_length(len(tokens))
        found = drawn(session.current_key(), of, by, token)
    except VisitorError as error:
        st.info(plain(str(error)), icon=":material/info:")
        return
    if run.source:
        caption(PAIR[of])
    draw(run, found, of)
    show_graph(run, found, of)


@dataclass(frozen=True)
class Drawn:
    """What one token draws on."""

    by: str
    token: int
    values: np.ndarray  # (R, T)
    rows: tuple[str, ...]  # R of them
    rounding: float  # what values may be too small by; 0: they are not rounded


@cache.kept(spinner="Reading every layer …")
def maps_of(run_key: RunKey, of: str, by: str) -> np.ndarray:
    """(L, T, T) what goes from layer to layer. Raises `VisitorError`."""
    run = session.run_of(run_key)
    if by != CARRIED:
        return paths.mixed_layers(run.layers(of))
    if of != "self":
        raise VisitorError(
            "What the weights carry needs the parameters of each layer, and of an encoder before a decoder these are "
            "not read: follow it by rollout or by flow."
        )
    lm = language_model(run_key.model)
    nothing, shares = np.zeros((len(run.tokens),) * 2, np.float32), []
    for i, record in enumerate(run.attention):
        its = i in run.info.grid.layers
        lengths = paths.carried(record, lm.layer_parameters(i)) if its else nothing
        shares.append(paths.shares_of(lengths).astype(np.float32))
    return np.stack(shares)


@cache.kept(spinner="Following every path …")
def drawn(run_key: RunKey, of: str, by: str, token: int) -> Drawn:
    """Raises `VisitorError`."""
    maps = maps_of(run_key, of, by)
    n_layer, n = maps.shape[:2]
    layers = [f"layer {i}" for i in range(n_layer)]
    if by == CARRIED:
        return Drawn(by, token, maps[:, token].astype(np.float64), tuple(layers), 0.0)
    start, columns = np.eye(n)[token], range(n_layer)  # the last column is the token itself, whole
    rows = ("input", *(f"after {layer}" for layer in layers[:-1]))
    if by == ROLLOUT:
        return Drawn(by, token, paths.rollout(maps, start)[:-1], rows, 0.0)
    try:
        flows = paths.flow(maps, start, columns)
    except VisitorError:  # of a longer text, from the input alone
        flows, rows = paths.flow(maps, start), rows[:1]
    return Drawn(by, token, flows, rows, paths.rounding(maps))


def draw(run: ModelRun, found: Drawn, of: str) -> None:
    labels, n = [token.label for token in run.sides(of)[0]], found.values.shape[1]
    row = found.values.mean(0) if found.by == CARRIED else found.values[0]
    where = "in the mean of all layers" if found.by == CARRIED else "of the input"
    order = np.argsort(-row, kind="stable")[:N_NAMED].tolist()
    most = [f"“{labels[i]}” ({i}) {row[i]:.3f}" for i in order if row[i] > 0]
    st.markdown(
        f"By {NAMES[found.by]}, {quoted(labels[found.token])} ({found.token}) draws most, {where}, on "
        + "; ".join(f"{quoted(labels[i])} ({i}) **{row[i]:.3f}**" for i in order if row[i] > 0)
        + "."
    )
    title = {ROLLOUT: "share", FLOW: "flow", CARRIED: "share"}[found.by]
    first = " A long text: from the input alone." if found.by == FLOW and len(found.rows) < len(run.layers(of)) else ""
    what = "each layer, by itself" if found.by == CARRIED else "a column of the graph below, the input lowest"
    picture(
        drawn_map(found.values, found.rows, labels, found.token, title),
        key="drawn",
        which=in_words(found, labels),
        how=f"A row is {what}. Colours end at the largest of the other tokens; the outlined column is the token "
        f"itself.{first}",
        alt=f"A map of {len(found.rows)} rows by {n} tokens. Most: {'; '.join(most)}.",
        table=lambda: pd.DataFrame(found.values, list(found.rows), [f"{i} {label}" for i, label in enumerate(labels)]),
    )
    if found.by == ROLLOUT:
        gone = run.has_sink(of)
        total = float(row.sum())
        if gone:
            caption(f"The shares of the input add up to {total:.3f}: what goes to a learned sink gives nothing.")
        else:
            made = checks.shares_again(total)
            check(made, f"the shares of the input add up to {total:.6f}; off by **{how_far(made.difference)}**.")
    elif found.by == FLOW:
        caption(
            "Capacities are counted in parts of 2⁻³⁰, rounded down, for integers are what scipy's maximum_flow takes: "
            f"no flow is too small by more than {how_far(found.rounding)}, and none too large."
        )
    caption(MEANINGS[found.by])


def in_words(found: Drawn, labels: list[str]) -> str:
    return f"{NAMES[found.by]}, to token {found.token}, “{labels[found.token]}”"


def show_graph(run: ModelRun, found: Drawn, of: str) -> None:
    grid, labels = run.grid(of), [token.label for token in run.sides(of)[0]]
    maps = maps_of(session.current_key(), of, found.by)
    with corners.about(in_words(found, labels)):
        layer_graph(
            [None if grid.instead(i) else each for i, each in enumerate(maps)],
            labels,
            others=dict(grid.others),
            about_others=others_in_words(grid) if grid.others else "",
            key="flow_graph",
            top=0 if len(labels) <= ALL_LINES else TOP,
            pinned=(len(maps), found.token),
            on_pick=pick,
            on_open=partial(open_line, of),
            how=HOW[found.by],
        )
    caption(
        ("" if len(labels) <= ALL_LINES else f"The {TOP} strongest lines of each token are drawn. ")
        + "A click on a node follows its token; a click on a line opens the mean of all heads there, as a card."
    )


def pick(_: int, token: int) -> None:
    if token >= 0:
        controls.select("flow_token", token)


def open_line(of: str, layer: int, query: int, key: int) -> None:
    run = session.current_run()
    provenance.open_value(MapSpec(heads_at(run.grid(of), layer), of=of), (query,), (key,))
