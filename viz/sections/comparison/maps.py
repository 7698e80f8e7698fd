"""On the page Comparison: both maps in the same colours, what is left of them subtracted, and where it is most."""

from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from model.analysis import checks
from model.analysis.differences import NONE, difference, largest
from viz.figures.attention import attention_heatmap, cells_pooled, is_clickable
from viz.figures.differences import difference_heatmap, merged_labels
from viz.figures.numbers import decimals, how_far
from viz.figures.scale import ColourScale, colour_scale
from viz.guard import handler
from viz.plain import plain
from viz.sections.comparison.sides import aligned_sides, partners
from viz.ui import cache, compared, controls, corners, heads, provenance, session
from viz.ui.cells import compared_cell
from viz.ui.compared import LESS, A, B, Compared, Side
from viz.ui.pictures import caption, picture, token_table
from viz.ui.prose import check, quoted

N_LARGEST = 8  # differences that are listed
HEIGHT = 400  # px


def difference_of(both: Compared) -> np.ndarray:
    """(Q, K) over the merged queries and keys."""
    return _difference(both.a, both.b)


@cache.kept()
def _difference(a: Side, b: Side) -> np.ndarray:
    return difference(a.map.weights, b.map.weights, *aligned_sides(a.run_key, b.run_key, a.spec.of))


def show(both: Compared) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header("Side by side, and subtracted", anchor=False, width="stretch")
        log, fitted = controls.colours()
    values = [both.a.map.weights.ravel(), both.b.map.weights.ravel()]
    colours = colour_scale(np.concatenate(values), log=log, fitted=fitted)  # one for both
    query, key = chosen(both)
    partners = both.partner(A, query, key)
    with st.container(key="roomy_compared"):
        places = st.columns(2, gap="medium")
    for place, side, name, selected in (
        (places[0], both.a, A, (query, key)),
        (places[1], both.b, B, None if None in partners else partners),
    ):
        with place:
            st.markdown(f"**{name}**: {plain(side.name)}")
            show_map(side, name, colours, selected)
    with st.container(key="roomy_difference"):
        left, right = st.columns([1.2, 1], gap="medium")
    with left:
        show_difference(both, query, key)
    with right:
        show_largest(both)
        show_pair(both, query, key)


def chosen(both: Compared) -> tuple[int, int]:
    """The outlined query and key, of A."""
    if not both.own:
        look = session.first_look_of(both.a.run_key)
        return look.query, look.key
    queries, keys = both.a.run.sides(both.a.spec.of)
    return controls.held("token", len(queries)), controls.held("key", len(keys))


def show_map(side: Side, name: str, colours: ColourScale, selected: tuple[int, int] | None) -> None:
    weights, (rows, columns) = side.map.weights, side.labels
    step = cells_pooled(max(weights.shape))
    pooled = f" So that no cell is smaller than a pixel, each is the largest of {step} × {step}." if step > 1 else ""
    clickable = is_clickable(max(weights.shape))
    query, key = np.unravel_index(weights.argmax(), weights.shape)
    fig = attention_heatmap(
        weights, rows, columns, selected=selected, scale=colours, height=HEIGHT, sink=side.map.shows_sink
    )
    with corners.about(f"{name}: {heads.in_words(side.spec, side.run)}", model=side.run.info, text=side.text):
        picture(
            fig,
            key=f"map_{name.lower()}",
            how=f"Each row adds up to 1.{pooled}" + " Click a cell to see how its weight was made." * clickable,
            alt=f"Heatmap of {name}, {len(rows)} by {len(columns)} tokens. The largest weight is "
            f"{weights[query, key]:.3f}, from “{rows[query]}” to “{columns[key]}”.",
            table=lambda: token_table(weights, rows, columns),
            on_pick=partial(pick, name) if clickable else None,
        )


def show_difference(both: Compared, query: int, key: int) -> None:
    values, (rows, columns) = difference_of(both), merged(both)
    if not len(both.queries.a) or not len(both.keys.a):
        st.info("No token of A is a token of B: nothing can be subtracted.", icon=":material/compare:")
        return
    at = [int(np.flatnonzero(each.merged[:, 0] == i)[0]) for each, i in ((both.queries, query), (both.keys, key))]
    clickable, step = is_clickable(max(values.shape)), cells_pooled(max(values.shape))
    hover = texts(both, values) if clickable else ()
    most = largest(values, 1)
    told = "Every difference is 0."
    if most:
        row, column = most[0]
        told = f"The largest difference is {values[row, column]:+.3f}, from “{rows[row]}” to “{columns[column]}”."
    with corners.about(
        f"B − A: {both.b.name} less {both.a.name}", model=both.a.run.info, text=f"{both.a.text} / {both.b.text}"
    ):
        picture(
            difference_heatmap(
                values, rows, columns, selected=tuple(at), texts=hover, height=HEIGHT, sink=both.b.map.shows_sink
            ),
            key="map_difference",
            how="**B − A**: blue where B looks more, orange where A does; see-through is 0. "
            + "Hatched: a token without a partner. " * (not both.queries.whole or not both.keys.whole)
            + (f"Each cell is the farthest from 0 of {step} × {step}. " if step > 1 else "")
            + "Click a cell for its arithmetic." * clickable,
            alt=f"Heatmap of B − A, {len(rows)} by {len(columns)} tokens of both. {told}",
            table=lambda: token_table(values, rows, columns),
            on_pick=partial(pick_difference, both) if clickable else None,
        )
    say_what_is_subtracted(both, values)


def say_what_is_subtracted(both: Compared, values: np.ndarray) -> None:
    """By what rule, and whether rows add up to what it says."""
    lost = [
        side.map.weights[rows].sum(1, dtype=np.float64)
        - side.map.weights[np.ix_(rows, columns)].sum(1, dtype=np.float64)
        for side, rows, columns in ((both.a, both.queries.a, both.keys.a), (both.b, both.queries.b, both.keys.b))
    ]
    if same(both):
        caption("A and B are the same: every difference is 0.")
    elif both.keys.whole:
        caption("Both have the same keys: what one gives a key more, it gives others less.")
    else:
        caption(
            f"{partners(both)} Tokens are aligned by a longest common subsequence of their ids: as many pairs as there "
            "can be, in the order of both texts. Subtracted are the weights as each run used them, where query and key "
            "both have a partner; nothing is shared out anew. On keys without a partner these rows have "
            f"{lost[0].mean():.3f} of their weight in A and {lost[1].mean():.3f} in B, in the mean."
        )
    there = np.nansum(values[(both.queries.merged != NONE).all(1)], axis=1, dtype=np.float64)
    made = checks.differences_add_up(there, lost[0] - lost[1])
    said = "0" if both.keys.whole else "what A has on such keys less what B has"
    check(made, f"these rows add up to {said}; the largest difference is {how_far(made.difference)}.")


def same(both: Compared) -> bool:
    """Whether A and B are one."""
    return (both.a.run_key, both.a.spec) == (both.b.run_key, both.b.spec)


def merged(both: Compared) -> tuple[list[str], list[str]]:
    """What stands at the rows and the columns of the difference."""
    (rows_a, columns_a), (rows_b, columns_b) = both.a.labels, both.b.labels
    return merged_labels(both.queries, rows_a, rows_b), merged_labels(both.keys, columns_a, columns_b)


def texts(both: Compared, values: np.ndarray) -> list[str]:
    """What the hover says of each cell."""
    rows, columns = merged(both)
    a, b = both.a.map.weights, both.b.map.weights

    def of(q: int, k: int) -> str:
        (i, j), (s, t) = both.queries.merged[q], both.keys.merged[k]
        if np.isnan(values[q, k]):
            return f"“{rows[q]}” looks at “{columns[k]}”\nno partner: nothing to subtract"
        return f"“{rows[q]}” looks at “{columns[k]}”\nA {a[i, s]:.4f}, B {b[j, t]:.4f}\nB − A {values[q, k]:+.4f}"

    return [of(q, k) for q in range(len(rows)) for k in range(len(columns))]


def show_largest(both: Compared) -> None:
    """The differences that are largest, each with a way to its card."""
    st.markdown("**The largest differences**")
    table = largest_table(both)
    if table.empty:
        caption("There are none: A and B look alike wherever both have a query and a key.")
        return
    key = "largest_differences"

    def picked() -> None:
        if rows := st.session_state[key].selection.rows:
            pick(B, *map(int, table.attrs["places"][rows[0]]), show=LESS)

    digits = {
        name: st.column_config.NumberColumn(format=f"%{sign}.{table.attrs['decimals']}f")
        for name, sign in (("A", ""), ("B", ""), ("B − A", "+"))
    }
    st.dataframe(
        table,
        key=key,
        hide_index=True,
        column_config=digits,
        on_select=handler(picked),
        selection_mode="single-row",
    )
    caption(
        "The box before a row opens the card of its difference, which leads to both weights."
        + " Positions are those in B." * (not both.queries.whole or not both.keys.whole)
    )


def largest_table(both: Compared) -> pd.DataFrame:
    """A row for each that its decimals tell from 0; `attrs`: their `decimals`, and `places`, query and key in B."""
    values, (rows, columns) = difference_of(both), merged(both)
    a, b = both.a.map.weights, both.b.map.weights
    found, places, most = [], [], largest(values, N_LARGEST)
    n = decimals(values[most[0]]) if most else 3
    for q, k in most:
        if abs(values[q, k]) < 0.5 * 10.0**-n:
            break
        (i, j), (s, t) = both.queries.merged[q].tolist(), both.keys.merged[k].tolist()
        places.append((j, t))
        found.append(
            {"query": f"{j} {rows[q]}", "key": f"{t} {columns[k]}", "A": a[i, s], "B": b[j, t], "B − A": values[q, k]}
        )
    table = pd.DataFrame(found)
    table.attrs |= {"places": places, "decimals": n}
    return table


def show_pair(both: Compared, query: int, key: int) -> None:
    """The outlined query and key, with their numbers: for keyboards, and texts too long to click into."""
    if both.own:
        with st.container(horizontal=True, gap="medium", key="compared_pair"):
            heads.choose_pair(both.a.run, both.a.spec.of)
    (rows, columns), of_b = both.a.labels, both.partner(A, query, key)
    st.markdown(f"{quoted(rows[query])} looks at {quoted(columns[key])}:")
    weight = both.a.map.weights[query, key]
    cells = [(f"A: {weight:.4f}", A, (query, key))]
    if None not in of_b:
        other = both.b.map.weights[of_b]
        cells += [(f"B: {other:.4f}", B, of_b), (f"B − A: {other - weight:+.4f}", LESS, of_b)]
    with st.container(horizontal=True):
        for label, side, place in cells:
            st.button(
                label,
                key=f"pair_{side}",
                icon=":material/calculate:",
                on_click=handler(open_cell),
                args=(side, *place),
            )
    if None in of_b:
        caption(f"The {'query' if of_b[0] is None else 'key'} has no partner in B: nothing is subtracted.")


def pick(side: str, query: int, key: int, show: str = "") -> None:
    """A cell of A's map, or of B's, was clicked: outline it, and open the card of its weight, or of what it `show`s."""
    both = compared.now()
    of_a = (query, key) if side == A else both.partner(B, query, key)
    if both.own and None not in of_a:
        controls.select("token", of_a[0])
        controls.select("key", of_a[1])
    open_cell(show or side, query, key)


def pick_difference(both: Compared, row: int, column: int) -> None:
    (i, j), (s, t) = both.queries.merged[row].tolist(), both.keys.merged[column].tolist()
    if NONE in (i, j, s, t):
        st.toast("This query or key has no partner: nothing is subtracted here.")
        return
    pick(B, j, t, LESS)


def open_cell(side: str, query: int, key: int) -> None:
    provenance.open_cell(compared_cell(side, query, key), also=["comparison"])
