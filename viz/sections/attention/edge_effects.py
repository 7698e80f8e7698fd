"""On the page Attention: beside the weights of one head, what taking each of its edges away does to a prediction."""

from functools import partial
from typing import NoReturn

import numpy as np
import pandas as pd
import streamlit as st

from model.analysis import checks
from model.analysis.attention import attention_weights, visible
from model.analysis.attention_map import MapSpec
from model.analysis.edge_effects import Agreement, Estimate, HeadAt, agreement
from model.language_model import Said
from model.run import ModelRun, VisitorError
from viz.figures.attention import Bars, attention_heatmap, is_clickable, token_bars
from viz.figures.edge_effects import effect_heatmap, rise_in_words
from viz.figures.heads import head_name
from viz.figures.numbers import how_far, percent
from viz.guard import handler, section
from viz.plain import plain
from viz.sections.understanding import masking
from viz.ui import controls, edge_effects, heads, links, provenance, reading, session, waiting
from viz.ui.choices import BLANKED, LOSS, MECHANISM, NEXT, NONE
from viz.ui.edge_effects import Row, Subject
from viz.ui.pictures import caption, picture, token_table
from viz.ui.prose import check, quoted

N_NEXT = 5  # of the most probable tokens, any of which can be chosen
HEIGHT = 400  # px
OFFERED = {"decoder": (NONE, NEXT, LOSS), "encoder": (NONE, BLANKED), "encoder-decoder": (NONE, NEXT, LOSS)}
RULE = (
    "**Taken away** means: in this head, the query does not see that key (its score is −∞), and the other weights of "
    "the row share what it had, each divided by 1 − a. All that comes behind is computed anew."
)
ESTIMATED = (
    "**Estimated** means: without a key, the query takes the others' mean in its place, which is exact; what that does "
    "to the prediction is read off one gradient, as if all behind this head were linear, which it is not: "
    "Δ ≈ a · (g·m − g·v), with g = ∂loss/∂(what the head writes), v the key's value, m the mean of the other keys' "
    "values by their weights. The larger the step, the less that holds. It is attribution patching (Nanda 2023; Syed, "
    "Rager & Conmy 2023) with the softmax done again, as in AtP* (Kramár et al. 2024)."
)


@section("effects")
def show(run: ModelRun) -> None:
    st.header("Weight beside effect", anchor=False)
    by = controls.choose("Effect on", "effect", OFFERED[run.info.family], help=_help(run.info.family))
    if by == NONE:
        st.markdown(
            "A weight says where a head looks. Whether anything depends on it is another question: take the edge away, "
            "and see by how much worse a token is foreseen. **They need not agree**: a large weight may do nothing."
        )
        return
    at = head_at(run)
    if at is None:
        return
    try:
        said, words = asked(run, by)
    except VisitorError as error:
        st.info(plain(str(error)), icon=":material/info:")
        return
    if words is None:
        return
    of = Subject(session.current_key(), at, said)
    if say_loss(run, of, words):
        show_effects(run, of, words)


def _help(family: str) -> str:
    one = f"{BLANKED}: what is guessed in its place" if family == "encoder" else f"{NEXT}: one token behind another"
    return one + ("" if family == "encoder" else f" · {LOSS}: all tokens of the text, in the mean")


def head_at(run: ModelRun) -> HeadAt | None:
    """The chosen head; None where the layer has none, which is said."""
    of, state = reading.kind(run), st.session_state
    there = run.grid(of)
    layer, head = controls.held("layer", there.n_layer), controls.held("head", there.n_head)
    if there.instead(layer):
        heads.has_attention(run, key="nearest_effect")
        return None
    if state.show != "head":
        caption(f"An edge belongs to one head: of those that are read above, {head_name(layer, head)} is shown.")
    return HeadAt(of, layer, head)


def asked(run: ModelRun, by: str) -> tuple[Said | None, str | None]:
    """What is foreseen, and that in words; no words where there is nothing to ask, which is said."""
    if by == LOSS:
        return None, "this text"
    mask = masking.mask_of(run) if by == BLANKED else None
    if run.predictions is None:
        raise VisitorError(f"{run.info.title} has no language-model head, so it predicts no tokens.")
    places = [t for t, token in enumerate(run.tokens) if mask is None or token.id == mask.id]
    if not places:
        offer_to_hide(run, mask.label)
        return None, None
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="effect_of"):
        token = _place(run, places)
        ids = run.predictions.top_id[token, :N_NEXT].tolist()
        labels = [session.current_model().token(id).label for id in ids]
        chances = np.exp(run.predictions.top_log_prob[token, :N_NEXT]).tolist()
        key = links.key("effect_place")
        st.session_state[key] = min(st.session_state[key], len(ids))
        place = st.selectbox(
            "What may stand there" if mask else "What comes next",
            range(1, len(ids) + 1),
            key=key,
            format_func=lambda i: f"{labels[i - 1]}  {percent(chances[i - 1])}",
            help="Any of the most probable tokens can be asked about.",
        )
    word = quoted(session.current_model().token(ids[place - 1]).label)
    where = f"in the place of token {token}" if mask else f"behind {quoted(run.labels[token])} ({token})"
    return Said(ids[place - 1], token), f"{word} {where}"


def _place(run: ModelRun, places: list[int]) -> int:
    if len(places) == len(run.tokens):
        return controls.position("Behind token", "effect_token", len(places), first=len(places) - 1)
    key = links.key("effect_token", places[0])
    if st.session_state[key] not in places:
        st.session_state[key] = places[0]
    return st.selectbox("Hidden token", places, key=key)


def offer_to_hide(run: ModelRun, mask: str) -> None:
    token = st.session_state.token
    st.info(
        f"An encoder foresees no next token: it guesses hidden ones, and none is hidden here. Write {plain(mask)} into "
        "the text in the place of a word, or hide the query.",
        icon=":material/info:",
    )
    if token < len(run.tokens) and not run.tokens[token].special:
        st.button(
            f"Hide {quoted(run.labels[token])}",
            key="effect_hide",
            icon=":material/visibility_off:",
            on_click=handler(_hide),
            args=(token,),
        )


def _hide(token: int) -> NoReturn:
    run = session.current_run()
    masking.put_in(run, token, masking.mask_of(run))
    st.rerun()  # the whole page reads another text


def say_loss(run: ModelRun, of: Subject, words: str) -> bool:
    """The loss as trained, and without the whole head; False, with a word, where there is none."""
    try:
        trained = edge_effects.loss_of(of.run_key, of.said, None)
    except VisitorError as error:
        st.info(plain(str(error)), icon=":material/info:")
        return False
    sentence = (
        f"The loss of {words}, −ln of its probability, is **{trained:.4f}** nats ({percent(float(np.exp(-trained)))})."
        if of.said
        else f"The loss of {words}, the mean of −ln of each next token's probability, is **{trained:.4f}** nats."
    )
    try:
        off = edge_effects.loss_of(of.run_key, of.said, of.at) - trained
        sentence += f" Without all of {head_name(of.at.layer, of.at.head)}, which then writes nothing (zero ablation), "
        sentence += f"it {'falls' if off < 0 else 'rises'} by **{abs(off):.3g}**."
    except VisitorError as error:
        caption(plain(str(error)))
    st.markdown(sentence)
    made = checks.foreseen_again(_shown(run, of.said), -trained)
    check(made, f"the run that is shown everywhere says the same but for **{how_far(made.difference)}**.")
    return True


def _shown(run: ModelRun, said: Said | None) -> float:
    if said is None:
        return -float(run.predictions.loss)
    place = run.predictions.top_id[said.position].tolist().index(said.id)
    return float(run.predictions.top_log_prob[said.position, place])


def show_effects(run: ModelRun, of: Subject, words: str) -> None:
    """Both maps, the chosen row, the chosen edge; what cannot be had says why."""
    layer, state = run.layers(of.at.kind)[of.at.layer], st.session_state
    weights = attention_weights(layer, of.at.head)
    query, key = (controls.held(name, n) for name, n in zip(("token", "key"), weights.shape, strict=True))
    found, row = _estimate(of), _row(of, query)
    draw_maps(run, of, weights, found, words)
    if row is not None:
        draw_row(run, of, weights, found, row, query)
        show_edge(run, of, weights, found, row, (query, key))
        compare(weights, found, row, query)
    for rule in [RULE] * (row is not None) + [ESTIMATED] * (found is not None):
        caption(rule)
    if state.units != "tokens" or state.sink != "as is":
        caption("Here rows and columns are tokens, and weights as they are, whatever the map above shows.")


def _estimate(of: Subject) -> Estimate | None:
    try:
        return edge_effects.estimate_of(of)
    except VisitorError as error:
        st.info(f"No map of effects: {plain(str(error))}", icon=":material/info:")
        return None


def _row(of: Subject, query: int) -> Row | None:
    try:
        row = edge_effects.row_of(of, query)
    except VisitorError as error:
        st.info(f"No edge can be taken away: {plain(str(error))}", icon=":material/info:")
        return None
    if not row.complete:
        waiting.stopped("the keys that are there are shown.", edge_effects.go_on, key="edges_on")
    return row


def _names(run: ModelRun, kind: str) -> tuple[list[str], list[str]]:
    """Of queries and of keys, the sink too."""
    return tuple([token.label for token in side] for side in run.sides(kind))


def draw_maps(run: ModelRun, of: Subject, weights: np.ndarray, found: Estimate | None, words: str) -> None:
    labels, key_labels = _names(run, of.at.kind)
    selected, sink = (st.session_state.token, st.session_state.key), run.has_sink(of.at.kind)
    shape = {"selected": selected, "height": HEIGHT, "sink": sink}
    name, clickable = head_name(of.at.layer, of.at.head), is_clickable(max(weights.shape))
    with st.container(key="roomy_effects"):
        left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("Where it looks", anchor=False)
        picture(
            attention_heatmap(weights, labels, key_labels, scale=reading.colours_of(weights), **shape),
            key="effect_weights_map",
            which=f"{name}, weights",
            how="The weights." + " Click one to see how it was made." * clickable,
            alt=f"Heatmap of the weights of {name}, {len(labels)} by {len(key_labels)}.",
            table=lambda: token_table(weights, labels, key_labels),
            on_pick=partial(open_weight, of.at) if clickable else None,
        )
    if found is None:
        return
    query, key = np.unravel_index(np.nan_to_num(np.abs(found.rise)).argmax(), found.rise.shape)
    most = f"“{labels[query]}” ({query}) → “{key_labels[key]}” ({key})"
    with right:
        st.subheader("What depends on it: an estimate", anchor=False)
        picture(
            effect_heatmap(found.rise, labels, key_labels, **shape),
            key="effect_map",
            which=f"{name}, estimated effect of each edge on the loss of {words}",
            how="By how much the loss rises without each edge, estimated: blue, the prediction rests on it; orange, it "
            "is better without." + " Click one to have it exactly." * clickable,
            alt=f"Heatmap of estimated effects. The largest: {most}, {rise_in_words(found.rise[query, key])}.",
            table=lambda: token_table(found.rise, labels, key_labels),
            on_pick=choose_edge if clickable else None,
        )


def draw_row(run: ModelRun, of: Subject, weights: np.ndarray, found: Estimate | None, row: Row, query: int) -> None:
    """The keys of one query: weight, exact effect, estimate."""
    labels, key_labels = _names(run, of.at.kind)
    who = f"{quoted(labels[query])} ({query})"
    st.subheader(f"The row of {who}, exactly", anchor=False)
    if np.isnan(row.rise).all():
        st.markdown("This query sees one thing alone: it cannot be taken away. Choose another query above.")
        return
    there = np.arange(len(key_labels))
    series = {"weight": weights[query], "the loss rises by, exactly": row.rise}
    series |= {"the loss rises by, estimated": found.rise[query]} if found else {}
    panels = [
        Bars(name, values, there, key_labels, f"“{{}}” {name} {{:.4g}}".format, True, run.has_sink(of.at.kind))
        for name, values in series.items()
    ]
    if found is not None and not found.counts[query]:
        reaching = ", ".join(map(str, np.flatnonzero(found.counts)[-5:].tolist()))
        st.markdown(f"What this query takes here reaches nothing of what is foreseen. Others do: {reaching}.")
    most = int(np.nanargmax(np.abs(row.rise)))
    fig = token_bars(panels, panel_height=90)
    if found is not None:
        fig.update_layout(yaxis3={"matches": "y2"})  # the exact and the estimated number have one scale
    picture(
        fig,
        key="effect_row",
        which=f"{head_name(of.at.layer, of.at.head)}, query {query}, “{labels[query]}”",
        how="Each key taken away in turn, all others there, and the text read again: above the line, the loss rises "
        "without it. Click a bar to choose that key.",
        alt=f"Bars over {len(key_labels)} keys of query {query}, “{labels[query]}”. Most: without “{key_labels[most]}” "
        f"({most}), {rise_in_words(row.rise[most])}.",
        table=lambda: pd.DataFrame(series, [f"{i} {label}" for i, label in enumerate(key_labels)]),
        on_pick=partial(choose_edge, query),
    )


def show_edge(
    run: ModelRun, of: Subject, weights: np.ndarray, found: Estimate | None, row: Row, edge: tuple[int, int]
) -> None:
    """One edge with the arithmetic of its numbers, and ways to look further."""
    labels, key_labels = _names(run, of.at.kind)
    (query, key), a, rise = edge, weights[edge], row.rise[edge[1]]
    with st.container(border=True, key="effect_edge"):
        st.markdown(f"**{quoted(labels[query])} ({query}) looks at {quoted(key_labels[key])} ({key})**, weight {a:.4f}")
        if np.isnan(rise):
            st.markdown("There is no edge here that could be taken away: choose another key.")
            return
        st.markdown(
            f"Exact: {row.trained + rise:.6f} without it − {row.trained:.6f} as trained = **{rise:+.6f}** nats"
            + (
                f", the other {len(edge_effects.keys_of(of, query)) - 1} weights divided by {1 - a:.4f}."
                if a < 1
                else "."
            )
        )
        if found is not None:
            others, worth = found.others[edge], found.worth[edge]
            st.markdown(
                f"Estimate: a · (g·m − g·v) = {a:.4g} · ({others:.6f} − ({worth:.6f})) = **{found.rise[edge]:+.6f}** "
                f"nats, off by {how_far(abs(found.rise[edge] - rise))}."
            )
        with st.container(horizontal=True, key="effect_ways"):
            st.button(
                "How was the weight made?",
                key="effect_weight",
                icon=":material/calculate:",
                on_click=handler(open_weight),
                args=(of.at, query, key),
            )
            if (
                of.at.kind == "self"
                and not run.source
                and st.button(
                    "Break this edge",
                    key="effect_break",
                    icon=":material/construction:",
                    help="On Break the mechanism.",
                )
            ):
                places = {"layer": of.at.layer, "head": of.at.head, "token": query, "key": key}
                links.go(MECHANISM, edge_off=True, **places)


def compare(weights: np.ndarray, found: Estimate | None, row: Row, query: int) -> None:
    """How far larger weights have larger effects."""
    n_row = "this row"
    made: list[tuple[str, str, str, Agreement]] = [
        ("weight", "exact effect", n_row, agreement(weights[query], row.rise))
    ]
    if found is not None:
        there = found.counts
        rows = "the whole map" if there.all() else f"the {there.sum()} rows of the map that can matter"
        made.append(("weight", "estimated effect", rows, agreement(weights[there], found.rise[there])))
        made.append(("estimated effect", "exact effect", n_row, agreement(found.rise[query], row.rise)))
    st.dataframe(
        pd.DataFrame(
            {"of": a, "and": b, "over": over, "edges": each.n, "ρ of sizes": each.size, "ρ with sign": each.signed}
            for a, b, over, each in made
        ),
        key="effect_correlations",
        hide_index=True,
        column_config={name: st.column_config.NumberColumn(format="%.2f") for name in ("ρ of sizes", "ρ with sign")},
    )
    caption(
        "Spearman's rank correlation: 1 is the same order, 0 none, −1 the opposite; of sizes, it does not count "
        "whether the loss rises or falls. Of fewer than three edges there is none, and of a handful it says little."
    )


def open_weight(at: HeadAt, query: int, key: int) -> NoReturn:
    """Choose an edge and open the card of its weight; what a mask hides has none."""
    controls.select("token", query)
    controls.select("key", key)
    if visible(session.current_run().layers(at.kind)[at.layer], at.head)[query, key]:
        provenance.open_value(MapSpec(((at.layer, at.head),), of=at.kind), (query,), (key,), also=reading.parts())
    reading.read_again()


def choose_edge(query: int, key: int) -> NoReturn:
    controls.select("token", query)
    controls.select("key", key)
    reading.read_again()
