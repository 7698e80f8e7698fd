"""On the page Comparison: what A and B are, two texts, heads, layers or models, and which tokens have a partner."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from model.analysis.attention_map import MapSpec, heads_at
from model.analysis.differences import Aligned, aligned
from model.run import ModelRun
from model.text.minimal_pair import minimal_pair
from model.text.prompt import RunKey
from viz.figures.corner import printable
from viz.figures.heads import head_name
from viz.sections.comparison import models
from viz.ui import cache, controls, heads, links, session
from viz.ui.choices import OF_HEADS, OF_LAYERS, OF_MODELS, OF_TEXTS
from viz.ui.compared import Compared, Side
from viz.ui.prose import quoted

MOST_CHARACTERS = 2000  # of the other text, which stands in the address
_LONGEST = 80  # characters of a text that are shown
_NAMED = 6  # tokens without a partner


def choose(run: ModelRun) -> Compared | None:
    """The controls, and what they say; None where there is nothing to compare, which is said."""
    first = st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="compare_what")
    with first:
        what = controls.choose(
            "Compare",
            "compare",
            help="texts: one head on two texts · heads: two heads of one model · layers: the mean of all heads of two "
            "layers · models: one head of two models that cut the text into the same tokens",
        )
        of = heads.choose_attention(run)
    row = st.container(horizontal=True, gap="medium", key="compare_other")
    with first:
        specs = choose_heads(run, of, what, row)
    there = here = session.current_key()
    if what in (OF_TEXTS, OF_MODELS):
        there = other_text() if what == OF_TEXTS else models.choose(here)
    if there is None and not st.session_state.other_model:
        return example()
    if there is None or specs is None:
        return None
    other = session.run_of(there)
    if what == OF_MODELS and not models.has_head(other, specs[1]):
        return None
    names = {
        OF_TEXTS: tuple(f"“{printable(key.prompt.text, _LONGEST)}”" for key in (here, there)),
        OF_HEADS: tuple(head_name(*spec.heads[0]) for spec in specs),
        OF_LAYERS: tuple(f"layer {spec.heads[0][0]}" for spec in specs),
        OF_MODELS: tuple(session.titles().get(key.model, its.info.title) for key, its in ((here, run), (there, other))),
    }[what]
    a, b = (Side(*each) for each in zip((here, there), specs, names, strict=True))
    return Compared(what, a, b, *aligned_sides(here, there, of))


def example() -> Compared:
    """Two checkpoints of the copier, on a text of its own, whichever model reads the page."""
    keys, titles = models.example()
    look = session.first_look_of(keys[0])
    spec = MapSpec(((look.layer, look.head),))
    a, b = (Side(key, spec, title) for key, title in zip(keys, titles, strict=True))
    return Compared(OF_MODELS, a, b, *aligned_sides(*keys, spec.of), own=False)


@cache.kept()
def aligned_sides(a: RunKey, b: RunKey, of: str) -> tuple[Aligned, Aligned]:
    """The queries of both runs, and their keys. Raises `PromptError`."""
    return tuple(
        aligned(*([token.id for token in tokens] for tokens in both))
        for both in zip(*(session.run_of(key).sides(of) for key in (a, b)), strict=True)
    )


def other_text() -> RunKey:
    """The key of the same model on B's text, which the visitor types, or which is theirs with one word changed."""
    changed = minimal_pair(st.session_state.text)
    typed = st.text_area(
        "Text B",
        key=links.key("other_text"),
        height=68,
        max_chars=MOST_CHARACTERS,
        placeholder=changed if len(changed) <= MOST_CHARACTERS else f"{changed[:MOST_CHARACTERS]} …",
        help="The same model reads it. Text A is the one in the sidebar. Empty: A with one word changed, as it stands "
        "there in grey. Ctrl + Enter (⌘ + Enter on a Mac) reads it.",
    )
    return session.current_key(text=typed or changed)


def choose_heads(run: ModelRun, of: str, what: str, row: DeltaGenerator) -> tuple[MapSpec, MapSpec] | None:
    """Of A and B, that of B in a row of its own; None where a layer has no heads, which is said, with a way on."""
    n, there = run.info.n_head, run.grid(of)
    first = session.first_look()
    if what == OF_LAYERS:
        last = there.layers[-1] if there.layers[-1] != first.layer else there.layers[0]
        one = controls.position("Layer A", "layer", there.n_layer), None
        other = controls.position("Layer B", "other_layer", there.n_layer, first=last), None
    else:
        one = heads.choose_one(run, of, named=("Layer A", "Head A") if what == OF_HEADS else ("Layer", "Head"))
        other = one
    if what == OF_HEADS:
        beside = (first.layer, (first.head + 1) % n) if n > 1 else (there.layers[0], 0)
        named = ("Layer B", "Head B")
        other = heads.choose_one(run, of, places=(row, row), before="other_", first=beside, named=named)
    if of == "self":
        for before in ("", "other_")[: 2 if what in (OF_HEADS, OF_LAYERS) else 1]:
            if not heads.has_attention(run, before=before, key=f"nearest_{before}layer"):
                return None
    return tuple(MapSpec(heads_at(there, *each), of=of) for each in (one, other))


def partners(both: Compared) -> str:
    """How many tokens have a partner, and which have none, as Markdown."""
    sides = [("", both.queries, 0)]
    if both.a.spec.of == "cross":
        sides = [("Of the text, ", both.queries, 0), ("Of the source, ", both.keys, 1)]
    said = []
    for name, its, which in sides:
        alone = [
            f"; without one in {side}: " + _named(labels[which], places)
            for side, labels, places in zip("AB", (both.a.labels, both.b.labels), its.alone, strict=True)
            if len(places)
        ]
        said.append(f"{name}{_counted(len(its.a))} a partner in the other{''.join(alone)}.")
    return " ".join(said)


def _counted(n: int) -> str:
    return "1 token has" if n == 1 else f"{n:,} tokens have"


def _named(labels: list[str], places) -> str:
    shown = ", ".join(f"{quoted(labels[i])} ({i})" for i in places[:_NAMED].tolist())
    return shown if len(places) <= _NAMED else f"{shown} and {len(places) - _NAMED:,} more"
