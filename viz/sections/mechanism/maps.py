"""One head's map as trained and changed, side by side in the same colours; every weight leads to its card."""

from functools import partial

import numpy as np
import streamlit as st

from model.analysis.attention import attention_weights
from model.intervention import UNCHANGED, Intervention
from model.run import ModelRun
from viz.figures.attention import attention_heatmap, cells_pooled, is_clickable
from viz.figures.heads import head_name
from viz.figures.numbers import percent
from viz.figures.scale import ColourScale, colour_scale
from viz.guard import handler
from viz.sections.mechanism.switches import chosen_change, name_of
from viz.ui import controls, later, provenance, session
from viz.ui.pictures import picture, token_table
from viz.ui.prose import quoted

# a change of a weight by less does not count: rounding, of single and of half precision
ROUNDING, HALF_PRECISION = 1e-6, 5e-3


def show(trained: ModelRun, changed: ModelRun) -> None:
    layer, head, token, key = (st.session_state[name] for name in ("layer", "head", "token", "key"))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(f"Where {head_name(layer, head)} looks", anchor=False, width="stretch")
        log, fitted = controls.colours()
    with st.container(key="roomy_maps"):
        places = st.columns(2, gap="medium")
    if changed.intervention != UNCHANGED:
        difference = st.container()
    before, after = (attention_weights(run.layer(layer), head) for run in (trained, changed))
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
    later.check_layer(
        changed,
        layer,
        f"layer {layer} of the changed model done again by hand from these weights gives what the model itself "
        "computed",
        place="mechanism",
        intervention=changed.intervention,
    )


def show_map(run: ModelRun, weights: np.ndarray, name: str, colours: ColourScale, token: int, key: int) -> None:
    clickable, map_key = is_clickable(len(run.tokens)), f"map_{name}".replace(" ", "_")
    step = cells_pooled(len(run.tokens))
    pooled = f"; a cell is the largest of {step} × {step} weights" if step > 1 else ""
    sink_too = " and the sink" if run.has_sink() else ""
    sink = " with the last column, the sink" if run.has_sink() else ""
    st.markdown(f"**{name.capitalize()}**")
    picture(
        attention_heatmap(
            *(weights, run.labels, run.key_labels()),
            selected=(token, key),
            scale=colours,
            height=420,
            sink=run.has_sink(),
        ),
        key=map_key,
        which=f"{head_name(st.session_state.layer, st.session_state.head)}, {name_of(run.intervention, run)}",
        how=f"Each row adds up to 1{sink}{pooled}. "
        + (
            "Click a cell, or choose one above, to see how its weight was made."
            if clickable
            else "Choose query and key above to see how a weight was made."
        ),
        alt=f"Heatmap of this head {name}, {len(run.tokens)} by {len(run.tokens)} tokens{sink_too}; a row's largest "
        f"weight is {weights.max(axis=1).mean():.3f} on average.",
        table=lambda: token_table(weights, run.labels, run.key_labels()),
        on_pick=partial(open_cell, run.intervention) if clickable else None,
    )


def show_weight(run: ModelRun, weights: np.ndarray, name: str, token: int, key: int) -> None:
    """One weight, and a way to its arithmetic that long texts and keyboards have too."""
    st.button(
        f"{name.capitalize()}, {quoted(run.labels[token])} looks at {quoted(run.key_labels()[key])} with "
        f"**{weights[token, key]:.4f}**",
        key=f"open_{name}".replace(" ", "_"),
        icon=":material/calculate:",
        on_click=handler(open_cell),
        args=(run.intervention, token, key),
        width="stretch",
    )


def open_cell(change: Intervention, query: int, key: int) -> None:
    state = st.session_state
    controls.select("token", query)
    controls.select("key", key)
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
    labels, key_labels = trained.labels, trained.key_labels()
    words = (
        f"A row's largest weight is {before.max(axis=1).mean():.2f} on average as trained and "
        f"**{after.max(axis=1).mean():.2f}** changed. The weight that changed most: {quoted(labels[query])} (query "
        f"{query}) looked at {quoted(key_labels[key])} (key {key}) with {before[query, key]:.3f}, and now with "
        f"**{after[query, key]:.3f}**."
    )
    if not changed.intervention.causal_mask:
        ahead = float(np.triu(after[:, : len(after)], 1).sum() / len(after))
        words += f" **{percent(ahead)}** of all weight now lies on tokens that come later."
    return words
