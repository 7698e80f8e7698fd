"""On the page Training: two decoders side by side, such as a model before and after its fine-tuning."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from model import catalog
from model.analysis.differences import aligned, moved
from model.analysis.generation import Sampling, generate
from model.analysis.perplexity import Foreseen, foreseen
from model.run import PromptError, VisitorError
from model.sources.places import Entry
from model.text.prompt import Prompt, RunKey, written_text
from viz.figures.head_scores import score_map
from viz.figures.heads import head_name
from viz.figures.numbers import in_full, percent
from viz.figures.training import Table, training_table
from viz.guard import handler, part
from viz.plain import plain, visible
from viz.ui import cache, controls, links, session
from viz.ui.choices import ATTENTION, ONE, SHARE
from viz.ui.loads import cost_of, find
from viz.ui.pictures import caption, picture
from viz.ui.prose import quoted, to_read

N_WRITTEN = 30  # tokens
N_BEGINNING = 3  # words of the first line that both write on from, unless told
MEASURES = {"perplexity": lambda each: each.perplexity, "bits a character": lambda each: each.bits_per_character}
OPENED = "opened_after_tuning"  # in the session's state: what was clicked, until the next run can go there


@cache.kept()
def foreseen_by(model: str, texts: tuple[str, ...]) -> Foreseen:
    """Raises `VisitorError`."""
    return foreseen(session.language_model(model), texts)


@cache.kept()
def written_by(model: str, beginning: str, drawn: bool, seed: int) -> str:
    """What a decoder writes on. Raises `VisitorError`."""
    lm = session.language_model(model)
    tokens = lm.encode(beginning)
    if not tokens:
        raise PromptError("There is no beginning to write on from: type a word.")
    steps = generate(lm, tokens, N_WRITTEN, Sampling(1.0 if drawn else 0.0), seed)
    return written_text(step.token for step in steps if not step.token.special)


@cache.kept()
def moved_between(before: RunKey, after: RunKey) -> tuple[np.ndarray, np.ndarray]:
    """(L, H) each: see `model.analysis.differences.moved`. Raises `VisitorError` where there is no such thing."""
    runs = [session.run_of(key) for key in (before, after)]
    if len({(run.info.n_layer, run.info.n_head, run.info.others) for run in runs}) > 1:
        raise PromptError("The two models have other layers and heads, so no head of one is a head of the other.")
    if len({tuple(token.id for token in run.tokens) for run in runs}) > 1:
        raise PromptError("The two models cut this text in different ways, so their heads looked at different tokens.")
    same = aligned(*([token.id for token in run.tokens] for run in runs))
    return moved(*(run.layers() for run in runs), same, same)[:2]


def go_if_picked() -> None:
    if opened := st.session_state.pop(OPENED, None):
        links.go(opened.pop("page"), **opened)


def show(tuned: str | None, lines: tuple[str, ...]) -> None:
    """`tuned`: the model that is the later one unless told; `lines`: what both are judged by, besides stories."""
    from model.lab.held_out import STORIES

    st.subheader("Before and after", anchor=False)
    before, after, titles = choose(tuned)
    models = {"before": before} | ({"after": after} if after else {})
    for name in models.values():
        if session.family_of(name) != "decoder":
            raise PromptError(
                f"{titles.get(name, name)} is no decoder: it does not write, and predicts no next token. "
                "Choose another one."
            )
    if not after:
        caption("Shown is the model as it is. Fine-tune it above, or choose a second model as “After”.")
    with part():
        show_foreseen(models, ({"your lines": lines} if lines else {}) | {"held-out stories": STORIES})
    with part():
        show_written(models, lines, titles)
    if after:
        with part():
            show_moved(before, after)


def choose(tuned: str | None) -> tuple[str, str | None, dict[str, str]]:
    """The two models, by their names, and what all are called. What a link names is looked for, and where it is not to
    be had, that is said.
    """
    state, entries = st.session_state, session.models_offered()
    for key, instead in (("tuned_before", catalog.DEFAULT), ("tuned_after", "")):
        name = state[links.key(key)]
        if name == instead:
            continue
        try:
            entry = find(name)
            cost_of(name).check(entry.title)
            if not may_write(entry):
                raise PromptError(f"{entry.title} is no decoder, and predicts no next token. Choose another model.")
            entries += [entry] * (name not in {entry.name for entry in entries})
        except VisitorError as error:
            state[key] = instead
            st.info(plain(error), icon=":material/info:")
    titles = {name: visible(title) for name, title in catalog.titles(entries).items()}
    names = [entry.name for entry in entries if may_write(entry)]
    left, right = st.columns(2, gap="large")
    left.selectbox(
        "Before",
        names,
        key="tuned_before",
        format_func=lambda name: titles.get(name, name),
        help="Decoders of the sidebar's list: there you can add your own.",
    )
    right.selectbox(
        "After",
        ["", *names],
        key="tuned_after",
        format_func=lambda name: titles.get(name, name) if name else "what was tuned above",
    )
    return state.tuned_before, state.tuned_after or tuned, titles


def may_write(entry: Entry) -> bool:
    """Whether it is a decoder, or only loading it tells."""
    return catalog.architecture_of(entry) in (None, "decoder")


def show_foreseen(models: dict[str, str], texts: dict[str, Sequence[str]]) -> None:
    """How well each foresees each of the texts."""
    found: dict[str, list[Foreseen | PromptError]] = {}
    for name, some in texts.items():
        found[name] = []
        for model in models.values():
            try:
                found[name].append(foreseen_by(model, tuple(some)))
            except PromptError as error:  # longer than what it reads
                found[name].append(error)
    rows = [
        (f"{name}: {measure}", tuple(_shown(value_of(each)) if isinstance(each, Foreseen) else "–" for each in both))
        for name, both in found.items()
        for measure, value_of in MEASURES.items()
    ]
    note = (
        "Perplexity: e to the mean loss of all tokens but the first of each text, read from its beginning. The stories "
        "were written for Regard: no model that it carries was trained on them."
    )
    if any(len({each.cut for each in both if isinstance(each, Foreseen)}) > 1 for both in found.values()):
        note += (
            " The two models cut these texts in different ways, so their perplexities are of different tokens: compare "
            "the bits."
        )
    to_read(training_table(Table(tuple(models), tuple(rows), "")))
    caption(note)
    for sentence in dict.fromkeys(
        str(each) for both in found.values() for each in both if isinstance(each, PromptError)
    ):
        caption(f"Not read (–): {plain(sentence)}")


def _shown(value: float) -> str:
    if np.isnan(value):
        return "–"
    return f"{value:,.2f}" if value < 100 else f"{value:,.0f}" if value < 1e7 else in_full(value)


def show_written(models: dict[str, str], lines: Sequence[str], titles: dict[str, str]) -> None:
    """What both write on from the same beginning."""
    st.markdown("**What they write**")
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        st.text_input(
            "Beginning",
            key=links.key("tuned_beginning"),
            placeholder=beginning_of(lines),
            max_chars=200,
            help="What both write on from. Empty: the first words of your first line.",
            width=360,
        )
        st.toggle(
            "Drawn by the seed",
            key=links.key("tuned_drawn"),
            help="Each token is drawn by its probability, with the same random numbers for both. Else always the most "
            "probable one.",
        )
    state = st.session_state
    beginning = state.tuned_beginning.strip() or beginning_of(lines)
    for place, (when, model) in zip(st.columns(2, gap="large"), models.items(), strict=False):
        written = written_by(model, beginning, bool(state.tuned_drawn), int(state.tuned_seed))
        with place.container(border=True):
            st.markdown(
                f":small[{when.capitalize()}: {plain(titles.get(model, model))}]\n\n{plain(beginning)}{bold(written)}"
            )
    caption(f"At most {N_WRITTEN} tokens, or until the text ends. Bold is what the model wrote.")


def bold(written: str) -> str:
    """As Markdown: a space at its beginning stands outside of the marks."""
    words = " ".join(written.split())
    return f"{' ' * written[:1].isspace()}**{plain(words)}**" if words else " …"


def beginning_of(lines: Sequence[str]) -> str:
    return " ".join(lines[0].split()[:N_BEGINNING]) if lines else "Once upon a time"


def show_moved(before: str, after: str) -> None:
    """Which heads look elsewhere, on the text of the sidebar."""
    st.markdown("**Which heads moved**")
    text = st.session_state.text
    if not text:
        raise PromptError("There is no text to compare their heads on: type one in the sidebar.")
    keys = [RunKey(model, Prompt(text)) for model in (before, after)]
    share, largest = moved_between(*keys)
    shown = controls.choose(
        "Show",
        "tuned_moved",
        help="share: of each query's weight, how much went to other keys, the mean over all queries. largest: the "
        "largest change of any one weight.",
    )
    values = share if shown == SHARE else largest
    layer, head = (int(i) for i in np.unravel_index(np.nanargmax(values), values.shape))
    words = [
        [
            f"{head_name(a, b)}: {percent(share[a, b])} of the weight moved; the largest change is {largest[a, b]:.3f}"
            for b in range(values.shape[1])
        ]
        for a in range(values.shape[0])
    ]
    left, right = st.columns([1.3, 1], gap="large")
    with left:
        picture(
            score_map(values, words, title="moved" if shown == SHARE else "change", most=None),
            key="tuned_heads",
            how="Each cell is a head, and its colour how much of its attention went elsewhere. Click one to see it on "
            "Attention, in the model after.",
            alt=f"{values.shape[0]} layers of {values.shape[1]} heads; {head_name(layer, head)} moved most, "
            f"{values[layer, head]:.3f}.",
            table=lambda: pd.DataFrame(values, columns=[f"head {b}" for b in range(values.shape[1])]).rename_axis(
                "layer"
            ),
            on_pick=lambda a, b: st.session_state.update({OPENED: _at(after, a, b)}),
        )
    with right:
        by_layer = values.mean(1)
        st.markdown(
            f"On {quoted(text if len(text) <= 60 else text[:59] + '…')}, the text of the sidebar, "
            f"**{head_name(layer, head)}** moved most: {percent(share[layer, head])} of its weight goes elsewhere, and "
            f"one weight changed by {largest[layer, head]:.3f}. Over all heads {percent(np.nanmean(share))} moved; "
            f"most in layer {int(np.nanargmax(by_layer))}, least in layer {int(np.nanargmin(by_layer))}."
        )
        for name, label in ((before, "before"), (after, "after")):
            st.button(
                f"This head, {label}",
                key=f"moved_{label}",
                icon=":material/visibility:",
                on_click=handler(st.session_state.update),
                args=({OPENED: _at(name, layer, head)},),
            )


def _at(model: str, layer: int, head: int) -> dict:
    return {"page": ATTENTION, "model": model, "layer": layer, "head": head, "show": ONE, "kind": "self"}
