"""One chooser of heads, for every page: one, a layer's, all, or some; of which attention; and how they make one map.

How many are read is said by a choice of the address that each page has for itself (`show`, `across`, `maps`); which, by
`layer`, `head` and `heads`, which belong to a model. `spec` makes of them what `model.analysis.attention_map` follows.
"""

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import streamlit as st

from model.analysis.attention_map import MapSpec, heads_at, parse_heads, write_heads
from model.analysis.head_survey import Survey
from model.grid import Grid
from model.run import ModelRun, NoAttentionHere, VisitorError
from viz.figures.heads import heads_name, others_in_words
from viz.guard import handler
from viz.plain import plain
from viz.ui import controls, links, surveys
from viz.ui.choices import ALL, CHOICES, CHOSEN, LAYER, MEAN, ONE

KINDS = {
    "self": "the text looks at itself",
    "encoder": "the source looks at itself",
    "cross": "the text looks at the source",
}
_CALLED = "heads_called"  # the key of the select of a label
MEANINGS = {
    ONE: "head: one head",
    LAYER: "layer: all heads of one layer",
    ALL: "all: all heads of all layers",
    CHOSEN: "chosen: those you write or click together, or all that the page Heads calls alike",
}


def attention_read(run: ModelRun) -> str:
    """Which attention: an encoder-decoder has three kinds, and not every page lets one be chosen."""
    chosen = st.session_state.get("kind")
    return chosen if chosen in run.kinds else "self"


def choose_attention(run: ModelRun, **more: Any) -> str:
    if len(run.kinds) > 1:
        described = " · ".join(f"{kind}: {KINDS[kind]}" for kind in run.kinds)
        controls.choose("Attention", "kind", run.kinds, help=described, **more)
    return attention_read(run)


def choose(name: str, run: ModelRun, of: str = "self", *, of_one: Mapping[str, Any] | None = None, **more: Any) -> None:
    """Whose weights, by the choice called `name`; then which layer and head; and, where some can be, which and how.

    `more` is for each control; `of_one`, before that, for layer and head.
    """
    options = CHOICES[name].options
    described = " · ".join(MEANINGS[option] for option in options)
    of_all = {option: value for option, value in more.items() if option != "width"}
    show = controls.choose("Read", name, help=described, **of_all)
    choose_one(run, of, disabled=(show in (ALL, CHOSEN), show != ONE), **(more | dict(of_one or {})))
    if CHOSEN in options:
        st.text_input(
            "Heads read together",
            key=links.key("heads"),
            placeholder="2.3, 4.*, *.1",
            disabled=show != CHOSEN,
            help="layer.head, with * for every one: 4.* is all of layer 4, *.1 is head 1 of every layer.",
            **more,
        )
        controls.choose("Combine them by", "combine", disabled=show == ONE, help="cell by cell", **more)
        if show == CHOSEN and (made := scored(run, of)):
            _choose_called(made, run.grid(of), **more)


def scored(run: ModelRun, of: str) -> Survey | None:
    """What the page Heads found of these heads over its own passages, if it was there; nothing is computed for it."""
    made = surveys.known(surveys.subject(kind=of))
    there = run.grid(of)
    return made if made and made.labels.shape == (there.n_layer, there.n_head) else None


def _choose_called(made: Survey, there: Grid, *, on_change: Callable[[], object] | None = None, **more: Any) -> None:
    """All heads that are called alike."""
    state, counts = st.session_state, made.count()
    by_heads = {write_heads(made.heads(label), there): label for label in counts}
    state[_CALLED] = by_heads.get(state.heads) if state.show == CHOSEN else None

    def called() -> None:
        if label := state[_CALLED]:
            state.show, state.heads = CHOSEN, write_heads(made.heads(label), there)
            if on_change:
                on_change()

    st.selectbox(
        "or all that are called",
        list(counts),
        key=_CALLED,
        format_func=lambda label: f"{label} ({counts[label]})",
        placeholder="a label",
        on_change=handler(called),
        help="What each head does over many texts: the page Heads.",
        **more,
    )


def choose_one(
    run: ModelRun,
    of: str = "self",
    *,
    places: tuple[Any, Any] = (st, st),
    before: str = "",
    first: tuple[int | None, int | None] = (None, None),
    named: tuple[str, str] = ("Layer", "Head"),
    disabled: tuple[bool, bool] = (False, False),
    **more: Any,
) -> tuple[int, int]:
    """Layer and head, each in its place; the names of both begin with `before`; at first `first`, see `controls`."""
    there = run.grid(of)
    told = {"help": others_in_words(there)} if there.others else {}
    layer = controls.position(
        named[0], f"{before}layer", there.n_layer, places[0], first=first[0], disabled=disabled[0], **(more | told)
    )
    return layer, controls.position(
        named[1], f"{before}head", there.n_head, places[1], first=first[1], disabled=disabled[1], **more
    )


def has_attention(run: ModelRun, *, before: str = "", key: str) -> bool:
    """Whether the chosen layer has attention; where it has none, that is said, with the way to the nearest that has.

    `key`: of the button.
    """
    try:
        run.info.check_attention(st.session_state[f"{before}layer"])
    except NoAttentionHere as error:
        lead_on(error, before=before, key=key)
        return False
    return True


def lead_on(error: NoAttentionHere, *, before: str = "", key: str) -> None:
    """Say that a layer has no attention, and offer the nearest that has."""
    st.info(plain(error), icon=":material/layers:")
    name, icon = f"Show layer {error.nearest}", ":material/arrow_forward:"
    st.button(name, key=key, icon=icon, on_click=handler(_show_layer), args=(before, error.nearest))


def _show_layer(before: str, layer: int) -> NoReturn:
    controls.select(f"{before}layer", layer)
    st.rerun()  # the sliders, the grid and all that is read of it


def shown_layer(run: ModelRun, of: str) -> int:
    """The chosen layer where nothing but one with attention can stand: itself, or the nearest."""
    there = run.grid(of)
    return there.nearest(controls.held("layer", there.n_layer))


def choose_pair(run: ModelRun, of: str = "self", *, places: tuple[Any, Any] = (st, st), **more: Any) -> tuple[int, int]:
    """Query and key, each in its place; a learned sink is the last key."""
    queries, keys = run.sides(of)
    told = "The token looked at" + (f"; {len(keys) - 1} is the sink." if run.has_sink(of) else ".")
    query = controls.position("Query", "token", len(queries), places[0], help="The token that looks.", **more)
    return query, controls.position("Key", "key", len(keys), places[1], help=told, **more)


def spec(show: str, run: ModelRun, of: str = "self", *, before: str = "", **rules: str) -> MapSpec:
    """What is chosen, read by these rules. Raises `HeadsError` if the heads as written do not exist, `NoAttentionHere`
    if the layer has none.
    """
    state, there = st.session_state, run.grid(of)
    if show == CHOSEN:
        return MapSpec(parse_heads(state.heads, there), of=of, **rules)
    layer = None if show in (ALL, MEAN) else state[f"{before}layer"]
    if layer is not None and of == "self":
        run.info.check_attention(layer)
    return MapSpec(heads_at(there, layer, state[f"{before}head"] if show == ONE else None), of=of, **rules)


def in_words(spec: MapSpec, run: ModelRun) -> str:
    """Which heads are read, and how they make one map."""
    return heads_name(spec.heads, run.grid(spec.of), spec.combine)


def choose_on_grid(
    name: str, run: ModelRun, of: str, layer: int | None, head: int | None, *, add: bool = False
) -> None:
    """What a click on the grid chose (no layer: a column, no head: a row); `add`: to or from what is read already.

    A choice `name` that has no `chosen` knows neither columns nor additions.
    """
    state, there = st.session_state, run.grid(of)
    if CHOSEN in CHOICES[name].options and (add or layer is None):
        if layer is not None and there.instead(layer):  # nothing to add
            run.info.check_attention(layer)
        clicked = set(heads_at(there, layer, head))
        if add:
            try:
                before = set(spec(state[name], run, of).heads)
            except VisitorError:
                before = set()
            clicked = before - clicked if clicked <= before and before != clicked else before | clicked
        state[name], state.heads = CHOSEN, write_heads(clicked, there)
    elif layer is not None:
        state[name], state.layer = LAYER if head is None else ONE, layer
        state.head = state.head if head is None else head
