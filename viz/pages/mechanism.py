"""Break the mechanism: take a part of attention away, and read the same text with and without it."""

from dataclasses import replace
from functools import partial

import numpy as np
import streamlit as st

from model.analysis import checks
from model.analysis.attention import attention_weights, visible
from model.intervention import UNCHANGED, Intervention
from model.run import ModelRun, VisitorError
from viz.figures import score_scale
from viz.figures.attention import attention_heatmap, cells_pooled, is_clickable
from viz.figures.mechanism import without_effect
from viz.figures.numbers import how_far, percent
from viz.figures.scale import ColourScale, colour_scale
from viz.guard import handler, part, section
from viz.plain import plain
from viz.sections.mechanism import effect
from viz.ui import controls, provenance, reading, session
from viz.ui.pictures import caption, clicked, picture, square_table
from viz.ui.prose import check, quoted

# 1 is as trained; between neighbours lies the same factor, but for rounding
TEMPERATURES = [0.1, 0.125, 0.16, 0.2, 0.25, 0.32, 0.4, 0.5, 0.63, 0.8, 1, 1.25, 1.6, 2, 2.5, 3.2, 4, 5, 6.3, 8, 10]
# a change of a weight by less does not count: rounding, of single and of half precision
ROUNDING, HALF_PRECISION = 1e-6, 5e-3
TOGGLES = ("mask_off", "scale_off", "positions_off", "head_uniform", "head_off", "row_off", "edge_off")


def main() -> None:
    st.title("Break the mechanism")
    st.markdown(
        "What is each part of attention for? Take it away, and see: the same model reads the same text **as trained** "
        "and **changed**."
    )
    session.current_run()  # whatever is wrong with the text is said here, once, before anything else is drawn
    experiment()


@section("mechanism")
def experiment() -> None:
    trained = session.current_run()
    change = choose_change(trained)
    try:
        changed = session.current_run(intervention=change)
    except VisitorError as error:
        st.warning(f"{plain(error)} Flip that switch back.", icon=":material/info:")
        return
    show_summary(trained, changed)
    show_maps(trained, changed)
    if effect.predicts_next(trained):
        with part():  # some models' last vectors cannot be read as tokens: the losses can be told all the same
            effect.show_next_token(trained, changed)
        effect.show_loss(trained, changed)
    else:
        caption("This model does not predict next tokens, so there is no loss to compare.")


def choose_change(run: ModelRun) -> Intervention:
    """The switches, each with what its part is for, and the head, query and key that some are about.

    All of it is in the link.
    """
    info = run.info
    rows = [st.columns(4, gap="small"), st.columns(4, gap="small")]
    cards = [column.container(border=True, height="stretch", gap="xsmall") for row in rows for column in row]
    columns = st.columns(4, gap="medium")
    with columns[0]:
        layer = controls.position("Layer", "layer", info.n_layer, on_change=handler(change_again))
    with columns[1]:
        head = controls.position("Head", "head", info.n_head, on_change=handler(change_again))
    n = len(run.tokens)
    with columns[2]:
        token = controls.position("Query", "token", n, help="The token that looks.", on_change=handler(change_again))
    with columns[3]:
        key = controls.position("Key", "key", n, help="The token looked at.", on_change=handler(change_again))
    with cards[0]:
        switch("Without the causal mask", "mask_off", disabled=not info.causal)
        caption(
            "The mask hides what comes after a token; without it, weights appear right of the diagonal, and the model "
            "sees the answers."
            if info.causal
            else "This model has no causal mask: its tokens look both ways."
        )
    with cards[1]:
        usual = all(map(score_scale.is_usual, run.attention))
        removable = score_scale.can_go(run.attention)
        switch(f"Without the scale{' 1/√d' if usual else ''}", "scale_off", disabled=not removable)
        caption(score_scale.scale_in_words(run.attention, layer))
    with cards[2]:
        st.select_slider(
            "**Softmax temperature**",
            TEMPERATURES,
            1,
            key="softmax_temperature",
            bind="query-params",
            on_change=handler(change_again),
        )
        caption("The scores are divided by it: below 1, each row sharpens; above 1, it flattens; 1 is as trained.")
    with cards[3]:
        switch("Without positions", "positions_off")
        caption(
            "Position vectors say where a token stands; without them, "
            + ("only the mask still tells what came before what." if info.causal else "nothing tells the order.")
        )
    with cards[4]:
        switch(f"Layer {layer}, head {head} uniform", "head_uniform")
        caption(
            "Queries choose where a head looks; with queries of zero, it looks alike at all that it may see, and takes "
            "their plain average."
        )
    with cards[5]:
        switch(f"Layer {layer}, head {head} off", "head_off")
        caption(
            "A head writes what it finds for the later layers to use; switched off, it writes nothing, and the less "
            "that changes, the less it matters here."
        )
    looks, seen = quoted(run.labels[token]), quoted(run.labels[key])
    with cards[6]:
        switch(f"Off for query {token} only", "row_off")
        caption(
            f"Layer {layer}, head {head} writes nothing at {looks}: does the model need there what this head finds?"
        )
    with cards[7]:
        there = edge_can_go(run, token, key)
        switch(f"Query {token} does not see key {key}", "edge_off", disabled=not there)
        caption(
            f"In layer {layer}, head {head}, {looks} cannot look at {seen}: its other weights share what that one had."
            if there
            else f"{looks} at {token} does not see {seen} at {key}, or sees nothing else: choose another key."
        )
    return chosen_change(run)


def switch(label: str, key: str, **options) -> None:
    st.toggle(f"**{label}**", key=key, bind="query-params", on_change=handler(change_again), **options)


def edge_can_go(run: ModelRun, query: int, key: int) -> bool:
    """Whether there is such an edge, and another one that is left."""
    sees = visible(run.attention[st.session_state.layer], st.session_state.head)[query]  # (T,)
    if st.session_state.mask_off and run.info.causal:
        sees = sees | (np.arange(len(sees)) > query)
    return bool(sees[key]) and int(sees.sum()) > 1


def chosen_change(run: ModelRun) -> Intervention:
    """What the widgets say."""
    state, info = st.session_state, run.info
    head, query, key = (state.layer, state.head), state.token, state.key
    edge = state.edge_off and edge_can_go(run, query, key)
    return Intervention(
        heads_off=frozenset({head} if state.head_off else ()),
        heads_uniform=frozenset({head} if state.head_uniform else ()),
        rows_off=frozenset({(*head, query)} if state.row_off else ()),
        edges_off=frozenset({(*head, query, key)} if edge else ()),
        causal_mask=not (state.mask_off and info.causal),
        scale=not (state.scale_off and score_scale.can_go(run.attention)),
        temperature=float(state.softmax_temperature),
        positions=not state.positions_off,
    )


def as_trained_again() -> None:
    st.session_state.update(dict.fromkeys(TOGGLES, False) | {"softmax_temperature": 1})
    change_again()


def change_again() -> None:
    """A card that is open on a weight of the changed model follows the change."""
    cell = provenance.pointed_at()
    if cell and cell.run_key.intervention != UNCHANGED:
        change = chosen_change(session.current_run())
        provenance.point_at(replace(cell, run_key=replace(cell.run_key, intervention=change)))
        st.rerun(["mechanism", "card"])


def name_of(change: Intervention) -> str:
    """What is changed, in words."""
    parts = []
    if not change.causal_mask:
        parts.append("without the causal mask")
    if not change.scale:
        parts.append("without the scale")
    if not change.positions:
        parts.append("without positions")
    if change.temperature != 1:
        parts.append(f"softmax temperature {change.temperature:g}")
    parts += [f"layer {layer}, head {head} uniform" for layer, head in change.heads_uniform]
    parts += [f"layer {layer}, head {head} off" for layer, head in change.heads_off]
    parts += [f"layer {layer}, head {head} off for query {query}" for layer, head, query in change.rows_off]
    parts += [
        f"in layer {layer}, head {head}, query {query} does not see key {key}"
        for layer, head, query, key in change.edges_off
    ]
    return "Changed: " + "; ".join(parts) if parts else "Nothing is changed yet"


def show_summary(trained: ModelRun, changed: ModelRun) -> None:
    change = changed.intervention
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header(name_of(change), anchor=False, width="stretch")
        st.button(
            "Back to as trained",
            key="as_trained",
            icon=":material/restart_alt:",
            on_click=handler(as_trained_again),
            disabled=change == UNCHANGED,
        )
    if idle := without_effect(trained, change):
        st.info("These do nothing here:\n" + "".join(f"\n- {sentence}" for sentence in idle), icon=":material/block:")
    if change != UNCHANGED and len(trained.tokens) > 1 and effect.predicts_next(trained):
        st.markdown(
            f"Loss on this text: {trained.predictions.loss:.3f} nats a token as trained, "
            f"**{changed.predictions.loss:.3f}** changed."
        )
        if not change.causal_mask:
            st.warning(
                "Without the mask this loss loses its meaning: the model has already seen each token that it must "
                "predict, and since it was never trained to look ahead, the number need not even be small.",
                icon=":material/visibility_off:",
            )


def show_maps(trained: ModelRun, changed: ModelRun) -> None:
    layer, head, token, key = (st.session_state[name] for name in ("layer", "head", "token", "key"))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(f"Where layer {layer}, head {head} looks", anchor=False, width="stretch")
        log, fitted = choose_colours()
    places = st.columns(2, gap="medium")
    if changed.intervention != UNCHANGED:
        difference = st.container()
    before, after = (attention_weights(run.attention[layer], head) for run in (trained, changed))
    colours = colour_scale(np.stack([before, after]), log=log, fitted=fitted)  # one for both
    columns = st.columns(2, gap="medium")
    with places[0]:
        show_map(trained, before, "as trained", colours, token, key)
    with columns[0]:
        show_weight(trained, before, "as trained", token, key)
    if changed.intervention == UNCHANGED:
        with places[1]:
            st.markdown("**Changed**")
            st.info(
                "Flip one switch above, or several: this head's map in the changed model then stands here, beside "
                "the one as trained.",
                icon=":material/construction:",
            )
        return
    with places[1]:
        show_map(changed, after, "changed", colours, token, key)
    with columns[1]:
        show_weight(changed, after, "changed", token, key)
    difference.markdown(map_difference(trained, changed, layer, before, after))
    try:
        error = session.recomputed(session.current_key(intervention=changed.intervention), layer)
    except VisitorError as unknown:
        caption(plain(unknown))
        return
    check(
        checks.layer_again(error, exact=changed.attention[layer].exact),
        f"layer {layer} of the changed model done again by hand from these weights gives what the model itself "
        f"computed; the largest difference is **{how_far(error)}**.",
    )


def choose_colours() -> list[bool]:
    """Whether the colours are logarithmic, and whether they are fitted: the same choice as on the attention page."""
    return [
        st.segmented_control(
            label,
            options,
            default=options[0],
            required=True,
            key=name,
            bind="query-params",
            label_visibility="collapsed",
        )
        == options[1]
        for label, options, name in (("Colours", reading.SCALES, "scale"), ("Range", reading.RANGES, "range"))
    ]


def show_map(run: ModelRun, weights: np.ndarray, name: str, colours: ColourScale, token: int, key: int) -> None:
    clickable, map_key = is_clickable(len(run.tokens)), f"map_{name}".replace(" ", "_")
    clicks = {"on_select": handler(partial(pick_cell, map_key, run.intervention)), "selection_mode": "points"}
    step = cells_pooled(len(run.tokens))
    pooled = f"; a cell is the largest of {step} × {step} weights" if step > 1 else ""
    st.markdown(f"**{name.capitalize()}**")
    picture(
        attention_heatmap(weights, run.labels, selected=(token, key), scale=colours, height=420),
        key=map_key,
        how=f"Each row adds up to 1{pooled}. "
        + (
            "Click a cell, or choose one above, to see how its weight was made."
            if clickable
            else "Choose query and key above to see how a weight was made."
        ),
        alt=f"Heatmap of this head {name}, {len(run.tokens)} by {len(run.tokens)} tokens; a row's largest weight is "
        f"{weights.max(axis=1).mean():.3f} on average.",
        table=lambda: square_table(weights, run.labels),
        **(clicks if clickable else {}),
    )


def show_weight(run: ModelRun, weights: np.ndarray, name: str, token: int, key: int) -> None:
    """One weight, and a way to its arithmetic that long texts and keyboards have too."""
    st.button(
        f"{name.capitalize()}, {quoted(run.labels[token])} looks at {quoted(run.labels[key])} with "
        f"**{weights[token, key]:.4f}**",
        key=f"open_{name}".replace(" ", "_"),
        icon=":material/calculate:",
        on_click=handler(open_cell),
        args=(run.intervention, token, key),
        width="stretch",
    )


def pick_cell(map_key: str, change: Intervention) -> None:
    """A click on a heatmap."""
    for query, key in clicked(map_key)[:1]:
        controls.select("token", query)
        controls.select("key", key)
        open_cell(change, query, key)


def open_cell(change: Intervention, query: int, key: int) -> None:
    state = st.session_state
    if change != UNCHANGED:  # an edge or a row that is off goes along with a new choice
        change = chosen_change(session.current_run())
    provenance.open_card(state.layer, state.head, query, key, intervention=change, also=["mechanism"])


def map_difference(trained: ModelRun, changed: ModelRun, layer: int, before: np.ndarray, after: np.ndarray) -> str:
    """What the change did to the map, in this run's numbers."""
    exact = trained.attention[layer].exact and changed.attention[layer].exact
    change, least = np.abs(after - before), ROUNDING if exact else HALF_PRECISION
    if change.max() < least:
        same = f"**This map has not changed**: no weight has by {least:f}".rstrip("0") + " or more."
        if changed.intervention.heads_off or changed.intervention.rows_off:
            return f"{same} A head that is switched off still looks; what it finds is missing in what comes after it."
        return same
    query, key = np.unravel_index(change.argmax(), change.shape)
    labels = trained.labels
    said = (
        f"A row's largest weight is {before.max(axis=1).mean():.2f} on average as trained and "
        f"**{after.max(axis=1).mean():.2f}** changed. The weight that changed most: {quoted(labels[query])} (query "
        f"{query}) looked at {quoted(labels[key])} (key {key}) with {before[query, key]:.3f}, and now with "
        f"**{after[query, key]:.3f}**."
    )
    if not changed.intervention.causal_mask:
        ahead = float(np.triu(after, 1).sum() / len(after))
        said += f" **{percent(ahead)}** of all weight now lies on tokens that come later."
    return said


main()
