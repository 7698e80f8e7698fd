"""The attention page: all heads, any of them read together, and every weight down to the card that explains it."""

import streamlit as st

from model.analysis import checks
from model.analysis.attention import attention_weights
from model.analysis.attention_map import MapSpec
from model.run import ModelRun, VisitorError
from model.text.units import second_text
from viz.components.head_grid import Pick, head_grid
from viz.figures.numbers import how_far
from viz.figures.score_scale import weights_formula
from viz.guard import handler, section
from viz.sections.attention import edge_effects, flow, graph, stage, token_numbers
from viz.ui import corners, glossary, heads, later, reading, session
from viz.ui.choices import MAP
from viz.ui.pictures import caption
from viz.ui.prose import check


def main() -> None:
    st.title("Attention")
    st.markdown(
        "To read a token, each **head** decides how much of every token to take: a row of **weights** that adds up to "
        "1. Point at a tile to see that head; click it to keep it."
    )
    run = session.current_run()
    two = st.session_state.beside and st.session_state.stage == MAP
    with st.container(key="roomy_stage"):
        left, right = st.columns([1, 1.5] if two else [1, 1.2], gap="medium")
    with left:
        show_grid(run)
    below = st.container()
    with below:
        choose(run)
    with right:
        stage.show(run)
    with below:
        choose_how(run)
        read(run)
        edge_effects.show(run)
        flow.show(run)
        glossary.show()


def show_grid(run: ModelRun) -> None:
    overview = session.current_overview(heads.attention_read(run))
    with corners.about(f"all heads, {heads.KINDS[heads.attention_read(run)]}"):
        head_grid(overview, key="head_grid", on_pick=pick_heads, looks=True)
    sink = " and, the last, the sink" if run.has_sink(heads.attention_read(run)) else ""
    cells = "each cell is the largest weight of its neighbourhood" if overview.pooled else "each cell is one weight"
    caption(
        f"A tile is a head: rows are the tokens that look, columns the tokens looked at{sink}, {cells}. A click on the "
        "name of a layer or a column reads all its heads; with shift, a click adds or takes away."
        + " A row without tiles is a layer without softmax attention, and says what it works by."
        * bool(overview.others)
    )


@section("choose")
def choose(run: ModelRun) -> None:
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="choose_heads"):
        reading.choose_heads(run)
        heads.choose_pair(run, heads.attention_read(run), on_change=handler(reading.step))


@section("how")  # a part of its own: no step from head to head has to draw it again
def choose_how(run: ModelRun) -> None:
    two_texts = len(run.kinds) == 1 and second_text(run.tokens, session.current_text()) < len(run.tokens)
    with st.expander("Units, sink, colours and lines", key="how_read", icon=":material/tune:"):
        reading.choose_how(two_texts)
        reading.choose_colours()
        graph.choose()


@section("read")
def read(run: ModelRun) -> None:
    try:
        spec = reading.spec(run)
    except VisitorError:  # the stage says it
        return
    caption(f"In force: {reading.in_force(spec)}.")
    read_now = session.current_map(spec)
    for sentence in reading.statements(read_now, spec):
        st.markdown(f":small[{sentence}]")
    if st.session_state.stage == MAP:
        graph.offer(run, read_now, spec)
    else:
        stage.show_map(run, read_now, spec)
    token_numbers.show(read_now, spec)
    show_checks(run, spec)


def pick_heads(pick: Pick) -> None:
    run = session.current_run()
    heads.choose_on_grid("show", run, heads.attention_read(run), pick.layer, pick.head, add=pick.add)
    reading.read_again()


def show_checks(run: ModelRun, spec: MapSpec) -> None:
    layer, head = spec.heads[0]
    rows = checks.rows_sum_to_one(attention_weights(run.layers(spec.of)[layer], head))
    with_sink = ", the sink included" if run.has_sink(spec.of) else ""
    check(
        rows,
        f"every row of layer {layer}, head {head} adds up to 1{with_sink}; the largest difference is "
        f"**{how_far(rows.difference)}**.",
    )
    if not run.layers(spec.of)[layer].exact:
        caption(
            "Queries and keys of this long text are kept in half precision, 16 bits a number: its weights are exact to "
            "about 0.002."
        )
    if spec.of == "self":
        later.check_layer(
            run,
            layer,
            f"layer {layer} done again by hand from these weights, {weights_formula(run.layer(layer))}, gives what "
            "the model itself computed on its fast path",
            place="attention",
        )


main()
