"""The attention page: all heads, one head, one cell; each number down to the arithmetic that made it."""

import time

import numpy as np
import pandas as pd
import streamlit as st

from model.attention import CellArithmetic, attention_weights, cell_arithmetic, mean_weights
from model.run import ModelRun
from viz.components.head_grid import head_grid, outline_head
from viz.components.token_graph import token_graph
from viz.figures.attention import attention_heatmap, cell_strips, is_clickable
from viz.ui import controls, session
from viz.ui.pictures import caption, picture, square_table, twin
from viz.ui.prose import check, quoted

ONE, LAYER, ALL = "head", "layer", "all"
VIEWS = {ONE: "one head", LAYER: "mean of the layer", ALL: "mean of all heads"}


def main() -> None:
    st.title("Attention")
    st.markdown(
        "To read a token, each **head** looks back at the text and decides how much of every token to take: a row of "
        "**weights** that adds up to 1. Here is every head of this run, and the arithmetic behind every weight."
    )
    run = session.current_run()
    left, right = st.columns([1.15, 1], gap="large")
    with right:
        choose_head(run)
    with left:
        show_grid()
    read(run)


def show_grid() -> None:
    st.subheader("All heads at a glance", anchor=False)
    overview = session.current_overview()
    head_grid(overview, key="head_grid", on_pick=pick_head)
    cells = "each cell is the largest weight of its neighbourhood" if overview.pooled else "each cell is one weight"
    caption(
        f"Each tile is one head: rows are the tokens that look, columns the tokens looked at, {cells} (colour on a "
        "square-root scale, so that small weights show). Click a tile, or move with the arrow keys, to read that head."
    )


def choose_head(run: ModelRun) -> None:
    st.subheader("What to read", anchor=False)
    st.segmented_control(
        "Show",
        list(VIEWS),
        default=ONE,
        required=True,
        format_func=VIEWS.get,
        key="view",
        persist_state="session",
        on_change=read_again,
    )
    controls.position("Layer", "layer", run.info.n_layer, on_change=read_again)
    controls.position("Head", "head", run.info.n_head, on_change=read_again)


def read_again() -> None:
    """A step of a control redraws what depends on it, not the whole page."""
    st.rerun("read")


@st.fragment(key="read")
def read(run: ModelRun) -> None:
    layer, head, view = st.session_state.layer, st.session_state.head, st.session_state.view
    outline_head("head_grid", layer, head)
    heading = st.container()
    token, key, threshold = choose_cell(run)
    heatmap, graph = st.columns([1.15, 1], gap="large")
    weights = chosen_weights(run, view, layer, head)
    heading.subheader(title_of(view, layer, head), anchor=False)
    with heatmap:
        show_head(run, weights, token, key)
    time.sleep(0.01)  # lets the server send the head now; otherwise it leaves only with all that follows
    with graph:
        show_graph(run, weights, token, threshold)
    show_cell(run, layer, head, token, key)


def choose_cell(run: ModelRun) -> tuple[int, int, float]:
    n = len(run.tokens)
    columns = st.columns(3, gap="medium")
    with columns[0]:
        token = controls.position("Query", "token", n, help="The token that looks.")
    with columns[1]:
        key = controls.position("Key", "key", n, help="The token looked at.")
    with columns[2]:
        threshold = st.slider(
            "Hide lines below",
            0.0,
            0.5,
            0.02,
            0.01,
            key="threshold",
            persist_state="session",
            help="In the token graph, lines of a smaller weight are not drawn; it says how many are.",
        )
    return token, key, threshold


def title_of(view: str, layer: int, head: int) -> str:
    return {
        ONE: f"Layer {layer}, head {head}",
        LAYER: f"Layer {layer}, the mean of its heads",
        ALL: "The mean of all heads of all layers",
    }[view]


def chosen_weights(run: ModelRun, view: str, layer: int, head: int) -> np.ndarray:
    heads = range(run.info.n_head)
    if view == ONE:
        return attention_weights(run.attention[layer], head)
    layers = [layer] if view == LAYER else range(run.info.n_layer)
    return mean_weights(run.attention, [(each, h) for each in layers for h in heads])


def show_head(run: ModelRun, weights: np.ndarray, token: int, key: int) -> None:
    clicks = {"on_select": pick_cell, "selection_mode": "points"} if is_clickable(len(run.tokens)) else {}
    picture(
        attention_heatmap(weights, run.labels, selected=(token, key)),
        key="head_map",
        how="Read along a row: how the token on the left shares its attention. Each row adds up to 1. "
        + ("Click a cell to open its arithmetic below." if clicks else "Choose query and key above to open a cell."),
        alt=strongest(weights, run.labels),
        table=lambda: square_table(weights, run.labels),
        **clicks,
    )


def show_graph(run: ModelRun, weights: np.ndarray, token: int, threshold: float) -> None:
    token_graph(
        weights,
        run.labels,
        key="token_graph",
        threshold=threshold,
        pinned=token if st.session_state.get("pinned") else None,
        on_pick=pick_query,
    )
    caption(
        "The same weights as lines, thicker and darker for more. Point at a token on the left to see only what it "
        "looks at, on the right to see who looks at it; click one on the left to keep it."
    )


def show_cell(run: ModelRun, layer: int, head: int, token: int, key: int) -> None:
    cell = cell_arithmetic(run.attention[layer], head, token, key)
    query_label, key_label = run.tokens[token].label, run.tokens[key].label
    st.subheader(
        f"How much does {quoted(query_label)} look at {quoted(key_label)}? Layer {layer}, head {head}", anchor=False
    )
    st.html(cell_strips(cell, query_label, key_label))
    caption(
        f"The query vector of token {token}, the key vector of token {key}, and their product, element by element: "
        "blue is positive, orange negative, each row up to its own largest number. Where both have the same sign, the "
        "product is positive and adds to the score."
    )
    twin(
        lambda: pd.DataFrame({"query": cell.query, "key": cell.key, "product": cell.product}),
        key="cell_products",
    )
    left, right = st.columns([1.15, 1], gap="medium")
    with left:
        st.markdown(arithmetic(cell))
    with right:
        show_check(run, layer, head)
    show_row(run, cell, token)


def arithmetic(cell: CellArithmetic) -> str:
    """The steps from vectors to weight, each with this run's numbers."""
    d_head = len(cell.query)
    score = (
        "the key comes after the query, so the mask forbids it: score $= -\\infty$"
        if cell.masked
        else f"$s = {cell.dot:.4f} \\times {cell.scale:.4f} = {cell.score:.4f}$"
    )
    return (
        "| step | with this run's numbers |\n|---|---|\n"
        f"| product | $q \\cdot k = \\sum_i q_i k_i = {cell.dot:.4f}$ |\n"
        f"| scale | $1/\\sqrt{{d_{{head}}}} = 1/\\sqrt{{{d_head}}} = {cell.scale:.4f}$ |\n"
        f"| score, mask | {score} |\n"
        f"| softmax | $e^{{s - s_{{max}}}} = {cell.exponential:.4f}$, the row's sum is ${cell.denominator:.4f}$ |\n"
        f"| **weight** | ${cell.exponential:.4f} / {cell.denominator:.4f} =$ **{cell.weight:.4f}**, "
        f"number {cell.rank + 1} of {len(cell.row_scores)} in its row |"
    )


def show_check(run: ModelRun, layer: int, head: int) -> None:
    weights = attention_weights(run.attention[layer], head)
    row_error = float(np.abs(weights.sum(axis=1) - 1).max())
    difference = session.current_model().recompute_layer(run, layer)
    check(row_error < 1e-5, f"every row of this head adds up to 1; the largest difference is **{row_error:.1e}**.")
    check(
        difference < 1e-3,
        f"layer {layer} done again by hand from these weights, softmax(Q·Kᵀ/√d)·V and on through the layer, gives what "
        f"the model itself computed on its fast path; the largest difference is **{difference:.1e}**.",
    )


def show_row(run: ModelRun, cell: CellArithmetic, token: int) -> None:
    if not st.toggle(
        f"Show the whole row: all that {quoted(run.tokens[token].label)} looks at", key="row", persist_state="session"
    ):
        return
    exponentials = np.exp(cell.row_scores - cell.row_scores.max())
    st.dataframe(
        pd.DataFrame(
            {
                "key": [f"{i} {label}" for i, label in enumerate(run.labels)],
                "score": cell.row_scores,
                "exp(score - max)": exponentials,
                "weight": exponentials / exponentials.sum(),
            }
        ),
        hide_index=True,
        column_config={
            "weight": st.column_config.ProgressColumn(format="%.4f", min_value=0, max_value=1),
            "score": st.column_config.NumberColumn(format="%.4f"),
            "exp(score - max)": st.column_config.NumberColumn(format="%.4f"),
        },
    )


def strongest(weights: np.ndarray, labels: list[str]) -> str:
    query, key = np.unravel_index(weights.argmax(), weights.shape)
    off = weights - np.eye(len(labels), dtype=weights.dtype) * weights.diagonal()
    text = f"Heatmap of {len(labels)} by {len(labels)} tokens. The largest weight is {weights[query, key]:.3f}, from "
    text += f"token {query} “{labels[query]}” to token {key} “{labels[key]}”."
    if query == key and off.max() > 0:
        query, key = np.unravel_index(off.argmax(), off.shape)
        text += f" Between two tokens it is {off[query, key]:.3f}, from “{labels[query]}” to “{labels[key]}”."
    return text


def pick_head(layer: int, head: int) -> None:
    controls.select("layer", layer)
    controls.select("head", head)
    st.session_state.view = ONE


def pick_query(query: int) -> None:
    st.session_state.pinned = query >= 0
    if query >= 0:
        controls.select("token", query)


def pick_cell() -> None:
    """A click on the heatmap: plotly hands back the customdata of the point under it."""
    chart = st.session_state.get(f"head_map_{st.context.theme.type}")
    points = chart.selection.points if chart else []
    if points and "customdata" in points[0]:
        query, key = (int(points[0]["customdata"][i]) for i in ("0", "1"))
        controls.select("token", query)
        controls.select("key", key)


main()
