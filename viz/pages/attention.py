"""The attention page: all heads, any of them read together, and every weight down to the card that explains it."""

import time

import numpy as np
import pandas as pd
import streamlit as st

from model.analysis import checks
from model.analysis.attention import attention_weights, strongest_in_cell
from model.analysis.attention_map import AttentionMap, MapSpec
from model.run import ModelRun, VisitorError
from model.text.units import second_text
from viz.components.head_grid import Pick, head_grid, outline_head
from viz.components.layer_graph import layer_graph
from viz.components.token_graph import token_graph
from viz.figures.attention import attention_heatmap, cells_pooled, is_clickable
from viz.figures.numbers import how_far
from viz.figures.score_scale import weights_formula
from viz.guard import handler, section
from viz.plain import plain
from viz.sections.attention import token_numbers
from viz.ui import controls, provenance, reading, session
from viz.ui.pictures import caption, clicked, picture
from viz.ui.prose import check

COLUMNS, ARCS, LAYERS = FORMS = ("columns", "arcs", "layers")


def main() -> None:
    st.title("Attention")
    st.markdown(
        "To read a token, each **head** looks at the text and decides how much of every token to take: a row of "
        "**weights** that adds up to 1. Here is every head of this run. Any weight can be opened, to see how it was "
        "made."
    )
    run = session.current_run()
    left, right = st.columns([1.15, 1], gap="large")
    with right:
        st.subheader("What to read", anchor=False)
        reading.choose_heads(run)
        caption(
            "On the grid: click a tile for one head, the name of a layer or of a column for all its heads; hold shift "
            "to add or take away."
        )
    with left:
        show_grid(run)
    read(run)


def show_grid(run: ModelRun) -> None:
    st.subheader("All heads at a glance", anchor=False)
    overview = session.current_overview(reading.kind(run))
    head_grid(overview, key="head_grid", on_pick=pick_heads)
    cells = "each cell is the largest weight of its neighbourhood" if overview.pooled else "each cell is one weight"
    caption(f"Each tile is one head: rows are the tokens that look, columns the tokens looked at, {cells}.")


@section("read")
def read(run: ModelRun) -> None:
    try:
        spec = reading.spec(run)
    except VisitorError as error:
        outline_head("head_grid", st.session_state.layer, st.session_state.head)
        st.warning(plain(error), icon=":material/info:")
        return
    outline_head("head_grid", st.session_state.layer, st.session_state.head, spec.heads if len(spec.heads) > 1 else ())
    heading = st.container()
    two_texts = len(run.kinds) == 1 and second_text(run.tokens, session.current_text()) < len(run.tokens)
    reading.choose_how(two_texts)
    spec = reading.spec(run)
    read_now = session.current_map(spec)
    token, key = choose_cell(*map(len, run.sides(spec.of)))
    heatmap, graph = st.columns([1.15, 1], gap="large")
    heading.subheader(reading.title(spec, run), anchor=False)
    with heatmap:
        show_map(read_now, spec, token, key)
    time.sleep(0.01)  # lets the server send the map now; otherwise it leaves only with all that follows
    with graph:
        show_graph(run, read_now, spec, token)
    token_numbers.show(read_now, spec)
    show_checks(run, read_now, spec)


def choose_cell(n_query: int, n_key: int) -> tuple[int, int]:
    left, right = st.columns(2, gap="medium")
    with left:
        token = controls.position(
            "Query", "token", n_query, help="The token that looks.", on_change=handler(reading.read_again)
        )
    with right:
        key = controls.position("Key", "key", n_key, help="The token looked at.", on_change=handler(reading.read_again))
    return token, key


def show_map(read_now: AttentionMap, spec: MapSpec, token: int, key: int) -> None:
    weights, units, key_units = read_now.weights, read_now.units, read_now.key_units
    rows, columns = [units.labels[i] for i in read_now.queries], [key_units.labels[i] for i in read_now.keys]
    clicks = {"on_select": handler(pick_cell), "selection_mode": "points"} if is_clickable(max(weights.shape)) else {}
    selected = units.of(token), key_units.of(key)
    inside = selected[0] in read_now.queries and selected[1] in read_now.keys
    step = cells_pooled(max(weights.shape))
    above = st.container()
    scale = reading.choose_colours(weights)
    fig = attention_heatmap(
        weights,
        rows,
        columns,
        first=(int(read_now.queries[0]), int(read_now.keys[0])),
        selected=selected if inside else None,
        scale=scale,
        title="weight" if spec.plain else "value",
    )
    with above:
        picture(
            fig,
            key="head_map",
            how="Read along a row: how what stands on the left shares its attention. "
            + (f"So that no cell is smaller than a pixel, each is the largest of {step} × {step}. " if step > 1 else "")
            + ("Click a cell to see how it was made." if clicks else "Choose query and key above to outline a cell."),
            alt=strongest(read_now),
            table=lambda: named_table(read_now),
            **clicks,
        )
        if not clicks:
            st.button("How was the outlined weight made?", on_click=handler(open_outlined), disabled=not inside)
    for sentence in reading.statements(read_now, spec):
        st.markdown(f":small[{sentence}]")


def named_table(read_now: AttentionMap) -> pd.DataFrame:
    """The map as a table; names carry positions, so that equal units stay different rows."""
    index = [f"{i} {read_now.units.labels[i]}" for i in read_now.queries]
    columns = [f"{i} {read_now.key_units.labels[i]}" for i in read_now.keys]
    return pd.DataFrame(read_now.weights, index, columns)


def show_graph(run: ModelRun, read_now: AttentionMap, spec: MapSpec, token: int) -> None:
    crossing = spec.of == "cross"
    form = st.segmented_control(
        "Draw the lines as",
        FORMS[:1] if crossing else FORMS,
        default=COLUMNS,
        required=True,
        key="graph",
        bind="query-params",
        help="columns: queries left, keys right · arcs: over one line · layers: through all of them, to follow a path",
    )
    left, right = st.columns(2, gap="medium")
    with left:
        threshold = st.slider("Hide lines below", 0.0, 0.5, 0.02, 0.01, key="least", bind="query-params")
    with right:
        top = st.slider(
            "Lines for each query",
            0,
            8,
            0,
            key="top",
            bind="query-params",
            help="The largest ones; 0: no limit (3 in the graph of layers).",
        )
    shared = {"threshold": threshold, "on_open": open_cross_line if crossing else open_line}
    if form == LAYERS:
        followed = st.session_state.get("followed")
        maps = [
            session.current_map(reading.layer_spec(spec, layer, run.info.n_head)).weights
            for layer in range(len(run.layers(spec.of)))
        ]
        layer_graph(
            maps,
            read_now.units.labels,
            key="layer_graph",
            top=top or 3,
            pinned=followed if followed and followed[1] < len(read_now.units) else None,
            on_pick=follow,
            **(shared | {"on_open": open_layer_line}),
        )
        whose = "its chosen heads" if len(spec.heads) > 1 else "all its heads"
        caption(
            f"Each layer by the {spec.combine if len(spec.heads) > 1 else 'mean'} of {whose}. Point at a token in any "
            "layer to follow back where it comes from; click it to keep the path, click a line to see how it was made."
        )
        return
    pinned = read_now.units.of(token)
    # two texts, one after the other, where the keys are another text
    labels, offset = read_now.units.labels, 0
    if crossing:
        labels, offset = labels + read_now.key_units.labels, len(labels)
    token_graph(
        read_now.weights,
        labels,
        read_now.queries,
        read_now.keys + offset,
        key="token_arcs" if form == ARCS else "token_graph",
        form=form,
        top=top,
        pinned=pinned if st.session_state.get("pinned") and pinned in read_now.queries else None,
        on_pick=pick_query,
        **shared,
    )
    caption(
        "The same weights as lines, thicker and darker for more. Point at a token to see only its own; click it to "
        "keep them, click a line to see how it was made."
    )


def show_checks(run: ModelRun, read_now: AttentionMap, spec: MapSpec) -> None:
    layer, head = spec.heads[0]
    rows = checks.rows_sum_to_one(attention_weights(run.layers(spec.of)[layer], head))
    check(
        rows,
        f"every row of layer {layer}, head {head} adds up to 1; the largest difference is "
        f"**{how_far(rows.difference)}**.",
    )
    if not (exact := run.layers(spec.of)[layer].exact):
        caption(
            "Queries and keys of this long text are kept in half precision, 16 bits a number: its weights are exact to "
            "about 0.002."
        )
    if spec.of != "self":
        return
    try:
        difference = session.recomputed(session.current_key(), layer)
    except VisitorError as error:
        caption(plain(error))
        return
    check(
        checks.layer_again(difference, exact=exact),
        f"layer {layer} done again by hand from these weights, {weights_formula(run.attention[layer])}, gives what the "
        f"model itself computed on its fast path; the largest difference is **{how_far(difference)}**.",
    )


def strongest(read_now: AttentionMap) -> str:
    weights, names, key_names = read_now.weights, read_now.units.labels, read_now.key_units.labels
    if np.isnan(weights).all():
        return "An empty map: nothing is left."

    def largest(values: np.ndarray) -> tuple[float, int, int]:
        row, column = np.unravel_index(np.nanargmax(values), values.shape)
        return float(values[row, column]), int(read_now.queries[row]), int(read_now.keys[column])

    value, query, key = largest(weights)
    text = f"Heatmap of {weights.shape[0]} by {weights.shape[1]} {read_now.units.kind}. The largest weight is "
    text += f"{value:.3f}, from {query} “{names[query]}” to {key} “{key_names[key]}”."
    apart = np.where(read_now.queries[:, None] == read_now.keys, np.nan, weights)
    if query == key and np.nansum(apart) > 0:
        value, query, key = largest(apart)
        text += f" Between two different ones it is {value:.3f}, from “{names[query]}” to “{key_names[key]}”."
    return text


def pick_heads(pick: Pick) -> None:
    run = session.current_run()
    reading.choose_on_grid(run, pick.layer, pick.head, add=pick.add)
    if pick.add or pick.cell is None:
        reading.follow()
        return
    kind = reading.kind(run)
    overview = session.current_overview(kind)
    query, key = strongest_in_cell(run.layers(kind)[pick.layer], pick.head, overview, pick.cell)
    controls.select("token", query)
    controls.select("key", key)
    spec = MapSpec(((pick.layer, pick.head),), of=kind)
    provenance.point_at(provenance.Cell(session.current_key(), spec, (query,), (key,)))


def pick_query(query: int) -> None:
    st.session_state.pinned = query >= 0
    if query >= 0:
        controls.select("token", first_token(query))


def pick_cell() -> None:
    """A click on the heatmap: plotly hands back the customdata of the point under it."""
    if points := clicked("head_map"):
        open_line(*points[0])


def open_line(query: int, key: int) -> None:
    """Open the card on a value of the map, and outline it there. Query and key are units."""
    controls.select("token", first_token(query))
    controls.select("key", int(session.current_map(reading.whole_spec()).key_units.starts[key]))
    provenance.open_value(reading.whole_spec(), (query,), (key,), also=["read"])


def open_cross_line(query: int, key: int) -> None:
    """The same where the keys' positions stand after the queries'."""
    open_line(query, key - len(session.current_map(reading.whole_spec()).units))


def open_outlined() -> None:
    read_now = session.current_map(reading.whole_spec())
    open_line(read_now.units.of(st.session_state.token), read_now.key_units.of(st.session_state.key))


def open_layer_line(layer: int, query: int, key: int) -> None:
    spec = reading.layer_spec(reading.whole_spec(), layer, session.current_model().info.n_head)
    provenance.open_value(spec, (query,), (key,))


def follow(column: int, token: int) -> None:
    st.session_state.followed = (column, token) if column >= 0 else None


def first_token(unit: int) -> int:
    return int(session.current_map(reading.whole_spec()).units.starts[unit])


main()
