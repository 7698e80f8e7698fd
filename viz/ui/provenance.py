"""The card that says where a weight on screen comes from: one for all pages, drawn by viz/frame.py in a corner.

Any picture that shows a weight calls `open_card` when it is clicked, and one that shows weights put together by a spec
calls `open_value`. The card is not modal: the picture stays in reach, and the next click refills it.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np
import streamlit as st

from model.analysis.attention import cell_arithmetic
from model.analysis.attention_map import MapSpec
from model.analysis.explanation import Explained, explain
from model.analysis.logits import rank
from model.intervention import UNCHANGED, Intervention
from model.run import LEARNED_SINK, Attention, DenseAttention, ModelRun, VisitorError
from viz.components.card_frame import card_frame
from viz.figures.heads import head_name
from viz.figures.provenance import Changes, Check, dense_card, difference_card, sum_card, weight_card
from viz.guard import handler, section
from viz.ui import compared, controls, links, session
from viz.ui.cells import Cell, compared_cell, keep_cell, present_cell
from viz.ui.choices import HEAD
from viz.ui.prose import to_read

MOST_PARTS = 5  # weights of a sum that can be opened from its card


def open_card(layer: int, head: int, query: int, key: int, **more: Any) -> NoReturn:
    """Open the card on one weight and redraw it. Only in a callback; `more` as in `open_value`."""
    open_value(MapSpec(((layer, head),)), (query,), (key,), **more)


def open_value(
    spec: MapSpec,
    queries: tuple[int, ...],
    keys: tuple[int, ...],
    *,
    over: str = "mean",
    continuation: tuple[int, ...] = (),
    intervention: Intervention = UNCHANGED,
    also: Sequence[str] = (),
) -> NoReturn:
    """The same for a value that a spec makes, between units: the `over` of several queries, the sum of several keys.

    `also` names keyed fragments to redraw with the card.
    """
    open_cell(Cell(session.current_key(continuation, intervention), spec, queries, keys, over), also)


def open_cell(cell: Cell, also: Sequence[str] = ()) -> NoReturn:
    """The same for a value of any run."""
    point_at(cell)
    if cell.plain and not cell.side and cell.run_key == session.current_key():
        # chosen for all pages too, so that the card's link opens the inside of that head
        (layer, head), state = cell.spec.heads[0], st.session_state
        elsewhere = (layer, head) != (state.layer, state.head)
        for name, value in (("layer", layer), ("head", head), ("token", cell.queries[0]), ("key", cell.keys[0])):
            controls.select(name, value)
        if elsewhere:
            st.rerun()  # the sliders must show it
    st.rerun(["card", *also])


def point_at(cell: Cell | None) -> None:
    """What the card shows when it is next drawn; None closes it."""
    keep_cell(cell)


def pointed_at() -> Cell | None:
    try:
        return present_cell()
    except VisitorError:  # what a link asked for and is not there is said where the card is drawn
        return None


@section("card")
def card() -> None:
    """Draw the card, if one is open; a change of page closes it."""
    cell = present_cell()
    cell = cell and _still_there(cell)
    if cell is None:
        return
    st.html(f"<style>{_CSS}</style>")
    with st.container(key="card", border=True):
        card_frame(key="card_frame", of="card", name="How this number was made", on_close=_close)
        st.button("✕", key="card_close", help="Close (Esc)", on_click=handler(_close), type="tertiary")
        run = session.run_of(cell.run_key)
        if cell.less:
            _difference(cell, run)
        elif cell.plain:
            _one_weight(cell, run)
        else:
            _several_weights(cell, run)


def _close() -> None:
    point_at(None)


def _one_weight(cell: Cell, run: ModelRun) -> None:
    (layer, head), query, key = cell.spec.heads[0], cell.queries[0], cell.keys[0]
    attention, check = run.layer(layer, cell.spec.of), _check(cell, run, _explained(cell, run))
    queries, keys = run.sides(cell.spec.of)
    labels = queries[query].label, keys[key].label
    looked_at = "the sink" if keys[key] == LEARNED_SINK else f"key {key}"
    place = f"{_side(cell)}query {query}, {looked_at} · {head_name(layer, head)}{_changed(cell)}"
    if isinstance(attention, DenseAttention):
        row = attention.weights[head, query]
        to_read(dense_card(row[key], rank(row, key), len(row), check, *labels, place))
        return
    arithmetic = cell_arithmetic(attention, head, query, key)
    change = cell.run_key.intervention if cell.spec.of == "self" else UNCHANGED
    changes = Changes((layer, head, query, key) in change.edges_off, (layer, head) in change.heads_uniform)
    to_read(weight_card(arithmetic, check, *labels, place, mask_in_words(attention), changes))
    there = cell.run_key == session.current_key() and cell.run_key.model == st.session_state.model
    there = there and cell.side != compared.B  # whose head is not the one that is chosen for all pages
    if there and cell.spec.of == "self" and session.current_model().unfollowed(layer) is None:
        links.link(HEAD, "How this head works, step by step", "zoom_in")
        if st.button("Why does it look there?", key="card_why", icon=":material/help:", type="tertiary"):
            links.go(HEAD, why=True, layer=layer, head=head, token=query, key=key)


def mask_in_words(attention: Attention) -> str:
    """Which mask a layer has, in words; nothing for none."""
    window = f"a window of {attention.window:,}" if attention.window else ""
    return " and ".join(part for part in ("causal" if attention.causal else "", window) if part)


def _several_weights(cell: Cell, run: ModelRun) -> None:
    explained, read_now = _explained(cell, run), session.map_of(cell.run_key, cell.spec)
    query = _named([read_now.units.labels[unit] for unit in cell.queries])
    key = _named([read_now.key_units.labels[unit] for unit in cell.keys])
    heads = cell.spec.heads
    place = head_name(*heads[0]) if len(heads) == 1 else f"{len(heads)} heads"
    place = f"{_side(cell)}{place} · {cell.spec.kind}{_changed(cell)}"
    check = _check(cell, run, explained)
    to_read(sum_card(explained, check, f"{query} looks", key, place, cell.spec, cell.over, len(cell.queries)))
    largest = np.argsort(-explained.weight, kind="stable")[:MOST_PARTS].tolist()
    queries, keys = run.sides(cell.spec.of)
    names = {
        i: f"{explained.weight[i]:.4f} · {head_name(explained.layer[i], explained.head[i])} · "
        f"{queries[explained.query[i]].label} → {keys[explained.key[i]].label}"
        for i in largest
    }
    st.selectbox(
        "Open one of its weights, the largest first",
        largest,
        index=None,
        format_func=names.get,
        placeholder="choose …",
        key="card_part",
        on_change=handler(_open_part),
        args=(cell, explained),
    )


def _open_part(cell: Cell, explained: Explained) -> None:
    if (i := st.session_state.card_part) is None:
        return
    st.session_state.card_part = None
    spec = MapSpec(((int(explained.layer[i]), int(explained.head[i])),), of=cell.spec.of)
    queries, keys = (int(explained.query[i]),), (int(explained.key[i]),)
    open_cell(replace(cell, spec=spec, queries=queries, keys=keys, over="mean", side=""))


def _difference(cell: Cell, run: ModelRun) -> None:
    """What B's value is more than A's, and the way to both."""
    a, b = cell.less, replace(cell, less=None, side=compared.B)
    made = [_check(each, its, _explained(each, its)) for each, its in ((a, session.run_of(a.run_key)), (b, run))]
    queries, keys = run.sides(cell.spec.of)
    both = compared.now()
    place = f"A: {both.a.name} · B: {both.b.name}" if both else ""
    to_read(difference_card(*made, queries[cell.queries[0]].label, keys[cell.keys[0]].label, place))
    with st.container(horizontal=True):
        for each, check in zip((a, b), made, strict=True):
            label = f"{each.side}: {check.shown:.4f}"
            st.button(label, key=f"card_{each.side}", on_click=handler(open_cell), args=(each,), type="tertiary")


def _side(cell: Cell) -> str:
    return f"{cell.side}: " if cell.side else ""


def _explained(cell: Cell, run: ModelRun) -> Explained:
    read_now, of = session.map_of(cell.run_key, cell.spec), cell.spec.of
    queries = [read_now.units.tokens(unit) for unit in cell.queries]
    keys = [read_now.key_units.tokens(unit) for unit in cell.keys]
    return explain(run.layers(of), run.sides(of)[1], cell.spec, queries, keys, over=cell.over)


def _check(cell: Cell, run: ModelRun, explained: Explained) -> Check:
    dense = isinstance(run.attending(cell.spec.of)[0], DenseAttention)
    return Check(_shown(cell), explained.value, dense)


def _shown(cell: Cell) -> float:
    """The value as the pictures draw it: read off the same map."""
    reading = session.map_of(cell.run_key, replace(cell.spec, segment="all"))
    block = reading.weights[np.ix_(cell.queries, cell.keys)].astype(np.float64)  # (Q', K')
    rows = [np.nansum(row) for row in block if not np.isnan(row).all()]
    if not rows:
        return float("nan")
    return float(np.sum(rows) if cell.over == "sum" else np.mean(rows))


def _still_there(cell: Cell) -> Cell | None:
    """The same place in the present text; None, with a word, if the text or the model changed and it is gone."""
    if cell.side:
        return _still_compared(cell)
    now = session.current_key()
    if cell.beside:
        now = replace(now, model=cell.run_key.model, prompt=now.prompt.without_target)
    if (now.model, now.prompt.text) == (cell.run_key.model, cell.run_key.prompt.text):
        return cell
    run = session.run_of(now)
    moved = replace(cell, run_key=now)
    queries, keys = run.sides(cell.spec.of) if cell.spec.of in run.kinds else ((), ())
    exists = (
        cell.plain
        and cell.run_key.prompt.continuation == ()
        and cell.run_key.intervention == UNCHANGED
        and cell.spec.heads[0][0] < run.info.n_layer
        and cell.spec.heads[0][1] < run.info.n_head
        and cell.queries[0] < len(queries)
        and cell.keys[0] < len(keys)
    )
    point_at(moved if exists else None)
    if not exists:
        st.toast("The weight whose card was open is not in this text: the card was closed.")
    return pointed_at()


def _still_compared(cell: Cell) -> Cell | None:
    """The same place of what is compared now."""
    again = None
    with suppress(LookupError, VisitorError):
        again = compared_cell(cell.side, cell.queries[0], cell.keys[0])
    if again != cell:
        point_at(again)
    if again is None:
        st.toast("The number whose card was open is not compared any more: the card was closed.")
    return again


def _changed(cell: Cell) -> str:
    return "" if cell.run_key.intervention == UNCHANGED else " · in the changed model"


def _named(labels: Sequence[str]) -> str:
    shown = ", ".join(f"“{label if len(label) < 24 else label[:23] + '…'}”" for label in labels[:3])
    return shown if len(labels) <= 3 else f"{shown} and {len(labels) - 3} more"


_CSS = """
.st-key-card { position: fixed; right: 1rem; bottom: 1rem; width: min(370px, calc(100vw - 2rem)); z-index: 999;
  max-height: 82vh; overflow-y: auto; background: Canvas; box-shadow: 0 6px 24px rgb(0 0 0 / .25);
  border-radius: .6rem; gap: .5rem; }
.st-key-card[data-left] { right: auto; left: calc(var(--main-left) + 1rem); }
.st-key-card:focus { outline: 2px solid color-mix(in srgb, currentcolor 25%, transparent); }
.st-key-card_frame { position: absolute; width: 0 !important; height: 0; min-width: 0 !important; }
.st-key-card_close { position: absolute; right: .2rem; top: .1rem; z-index: 1; width: auto; }
.st-key-card_close button { min-width: 2.75rem; min-height: 2.75rem; }
@media (max-width: 640px) { .st-key-card { right: .5rem; bottom: .5rem; width: calc(100vw - 1rem); } }
"""
