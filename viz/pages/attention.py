"""The attention page: all heads, any of them read together, and every weight down to the card that explains it."""

import time

import streamlit as st

from model.analysis import checks
from model.analysis.attention import attention_weights, strongest_in_cell
from model.analysis.attention_map import MapSpec
from model.run import ModelRun, VisitorError
from model.text.units import second_text
from viz.components.head_grid import Pick, head_grid, outline_head
from viz.figures.numbers import how_far
from viz.figures.score_scale import weights_formula
from viz.guard import section
from viz.plain import plain
from viz.sections.attention import cell, graph, heatmap, token_numbers
from viz.ui import controls, provenance, reading, session
from viz.ui.pictures import caption
from viz.ui.prose import check


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
        st.header("What to read", anchor=False)
        reading.choose_heads(run)
        caption(
            "On the grid: click a tile for one head, the name of a layer or of a column for all its heads; hold shift "
            "to add or take away."
        )
    with left:
        show_grid(run)
    read(run)


def show_grid(run: ModelRun) -> None:
    st.header("All heads at a glance", anchor=False)
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
    token, key = cell.choose(*map(len, run.sides(spec.of)))
    left, right = st.columns([1.15, 1], gap="large")
    heading.header(reading.title(spec, run), anchor=False)
    with left:
        heatmap.show(read_now, spec, token, key)
    time.sleep(0.01)  # lets the server send the map now; otherwise it leaves only with all that follows
    with right:
        graph.show(run, read_now, spec, token)
    token_numbers.show(read_now, spec)
    show_checks(run, spec)


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


def show_checks(run: ModelRun, spec: MapSpec) -> None:
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


main()
