"""The translation page: a source and what is written from it, and cross-attention between the two."""

import contextlib

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from model.analysis import doubt
from model.analysis.alignment import Alignment, Crossing
from model.analysis.beam import PENALTY, WIDTH
from model.language_model import BeamSearcher
from model.run import ModelRun, VisitorError
from model.text.prompt import MOST_WRITTEN, RunKey, text_of
from viz.components.contents import contents
from viz.components.cross_lines import cross_lines
from viz.components.head_grid import head_grid, outline_head
from viz.figures.attention import is_clickable
from viz.figures.translation import crossing_heatmap
from viz.guard import handler, section
from viz.sections.translation import beam, comparison, crossing, decoding
from viz.ui import corners, glossary, heads, links, session
from viz.ui.choices import ARGMAX, ATTENTION, GROW
from viz.ui.pictures import caption, picture, token_table
from viz.ui.prose import quoted

EXAMPLES = (
    "I saw a black cat.",
    "I would like a glass of red wine.",
    "She gave him an old book.",
    "Where is the nearest station?",
)
FAINT = 0.3  # of an even share: lines of less are left out


def main() -> None:
    st.title("Translation")
    st.markdown(
        "An **encoder** reads the whole source at once. A **decoder** then writes the translation, one token after the "
        "other, and at each step looks at two things: at what it has written, and, by **cross-attention**, at the "
        "source. Here you see where it looked to write each word."
    )
    glossary.show()
    contents()
    type_both()
    run = session.current_run()
    if not run.cross:
        raise VisitorError(f"{run.info.title} has no cross-attention: it reads one text and no other.")
    st.header("What was looked at to write each word", anchor=False)
    show_crossing(run)
    st.header("Step by step", anchor=False)
    st.markdown(
        "A decoder writes by choosing one token at a time. A translation that you typed is read the same way: each of "
        "its tokens gets the probability with which the model would have written it there (*forced decoding*)."
    )
    decoding.show(run)
    st.header("Beam search", anchor=False)
    st.markdown(
        "The most probable token each time need not make the most probable text. A **beam** keeps several texts alive "
        "and lets them compete."
    )
    beam.show(run)
    st.header("Against a reference", anchor=False)
    comparison.show()
    show_other_kinds()


def type_both() -> None:
    """The source and the target, side by side; the sidebar holds the same two texts."""
    state = st.session_state
    for own, shared in (("own_source", "text"), ("own_target", "target")):
        if state.get(own) != state[shared]:  # said again, it would take back what is typed meanwhile
            state[own] = state[shared]
    left, right = st.columns(2, gap="medium")
    choose_languages(left, right)
    with left:
        st.text_area(
            "Source", key="own_source", height=90, on_change=handler(lambda: session.read_next(state.own_source))
        )
    with right:
        key, written = None, ""
        with contextlib.suppress(VisitorError):  # the page says below what is wrong
            key = session.current_key()
            written = "" if state.own_target else text_of(key.prompt, session.run_of(key))
        st.text_area(
            "Translation",
            key="own_target",
            height=90,
            placeholder=written,
            on_change=handler(lambda: session.read_target(state.own_target)),
            help=f"Empty: the model writes it itself, {how_it_writes()}. Type one of your own to see how probable the "
            "model finds it.",
        )
        if key and not key.prompt.writes_itself:
            st.button(
                "Let the model write it",
                key="let_it_write",
                icon=":material/restart_alt:",
                on_click=handler(session.read_target),
                args=("",),
            )
        elif key and session.run_of(key).predictions is None:
            caption("This model has no head that predicts tokens, so it writes nothing. Type a translation to be read.")
        elif key:
            caption(f"Written by the model: {how_it_writes()}. Type a translation of your own to have that one read.")
            show_doubts(key)
    st.pills("Try", EXAMPLES, key="try_source", label_visibility="collapsed", on_change=handler(try_example))


def choose_languages(left: DeltaGenerator, right: DeltaGenerator) -> None:
    """Of the two texts, above each, where the model has several to choose from."""
    with contextlib.suppress(VisitorError):  # the page says below what is wrong
        if (known := session.languages_known()) is None:
            return
        of_source, of_target = known.default
        for place, name, label, codes, own in (
            (left, "source_language", "Language of the source", known.source, of_source),
            (right, "target_language", "Language of the translation", known.target, of_target),
        ):
            if codes:
                place.selectbox(
                    label,
                    codes,
                    key=links.key(name, own),
                    help="By the codes that the model was trained with. The model is told by a token of its own"
                    + ("." if known.source else ", before the source, where none is typed there."),
                )


def show_doubts(key: RunKey) -> None:
    """A model writes its language whatever it is given: whether this is a translation, by what it says itself."""
    run, text, log_prob, unknown = session.run_of(key), key.prompt.text, None, None
    with contextlib.suppress(VisitorError):
        model = session.cutting_of(key.model).model
        unknown = model.unknown
    if isinstance(session.current_model(), BeamSearcher):
        best = session.beam_of(key, WIDTH, PENALTY).finished[0]
        finished, log_prob = best.finished, best.log_prob / best.length
    else:
        finished = len(run.tokens) <= min(MOST_WRITTEN, run.info.n_context - 1)
    reasons = doubt.doubts(text, run.source, finished=finished, log_prob=log_prob, unknown=unknown)
    if reasons:
        st.warning(
            f"Do not take this for a translation: {'; '.join(reasons)}. A model like this one writes something "
            "whatever it reads.",
            icon=":material/translate:",
        )


def how_it_writes() -> str:
    if isinstance(session.current_model(), BeamSearcher):
        return f"the best text that a beam of {WIDTH} finds (see “Beam search” below)"
    return "greedily, the most probable token each time"


def try_example() -> None:
    if st.session_state.try_source:
        session.read_next(st.session_state.try_source)
        session.read_target("")
        st.session_state.try_source = None


@section("crossing")
def show_crossing(run: ModelRun) -> None:
    crossing.choose(run)
    if len(run.tokens) < 2:
        st.info("Nothing was written: the target is empty.")
        return
    spec, read = crossing.spec(run), crossing.current(run)
    alignment = crossing.read_alignment(read, run)
    marks = crossing.marked(alignment)
    with corners.about(f"cross-attention, {heads.in_words(spec, run)}"):
        cross_lines(
            read.weights,
            read.written.labels,
            read.source.labels,
            key="cross_lines",
            aligned=marks,
            threshold=FAINT / len(read.source),
            pinned=followed(read),
            on_pick=follow,
            on_open=crossing.open_pair,
        )
    caption(
        f"Above the source, below what was written, by {heads.in_words(spec, run)}. Point at a word to see its lines "
        "alone; click a written one to keep them, click a line to see how its number was made. To write a word, the "
        "decoder looks from the token before it: a word's lines come from the rows that predict it."
    )
    show_alignment(read, alignment, marks)
    with st.container(key="roomy_crossing"):
        left, right = st.columns([1.1, 1], gap="medium")
    with left:
        show_map(read, alignment, marks)
    with right:
        with corners.about("cross-attention, all heads"):
            head_grid(session.current_overview("cross"), key="cross_grid", on_pick=crossing.choose_on_grid)
        outline_head("cross_grid", *spec.heads[0], spec.heads if len(spec.heads) > 1 else ())
        caption(
            "The cross-attention of every head, token by token: rows are the tokens that look, columns the source. "
            "Click a tile to read that head above, the name of a layer for the mean of its heads."
        )


def show_alignment(read: Crossing, alignment: Alignment, marks: np.ndarray | None) -> None:
    if marks is None:
        return
    pairs = [
        f"{quoted(word)} ← " + (", ".join(quoted(read.source.labels[k]) for k in np.flatnonzero(row)) or "nothing")
        for word, row in zip(read.written.labels, marks, strict=True)
    ]
    st.markdown(f"**Alignment:** {' · '.join(pairs)}")
    directions = (alignment.both, alignment.row_best, alignment.column_best)
    n_agreed, n_rows, n_columns = (int(part.sum()) for part in directions)
    how = {
        ARGMAX: "For each written word, the source word of its largest weight (argmax).",
        GROW: "The pairs on which both directions agree, each row's largest weight and each column's; then "
        "those of either that touch such a pair and fill an empty row or column (grow-diag, Koehn et al. 2003).",
    }
    caption(
        f"{how[st.session_state.aligned]} The two directions have {n_rows} and {n_columns} pairs and agree on "
        f"{n_agreed}; special tokens are left out. It is a reading of these weights, not a truth about the "
        "translation: a head may look at a word for other reasons."
    )


def show_map(read: Crossing, alignment: Alignment, marks: np.ndarray | None) -> None:
    weights, written, source = read.weights, read.written.labels, read.source.labels
    row, column = np.unravel_index(weights.argmax(), weights.shape)
    picture(
        crossing_heatmap(weights, written, source, marked=marks, agreed=alignment.both),
        key="crossing_map",
        which=f"cross-attention, {heads.in_words(crossing.spec(session.current_run()), session.current_run())}",
        how="Each row is what was looked at while its word was written; rows add up to 1. "
        + ("Filled marks: both directions agree; rings: only one. " if marks is not None else "")
        + ("Click a cell to see how it was made." if is_clickable(max(weights.shape)) else ""),
        alt=f"Heatmap of {len(written)} written by {len(source)} source {read.source.kind}. The largest weight is "
        f"{weights[row, column]:.3f}, writing “{written[row]}” and looking at “{source[column]}”.",
        table=lambda: token_table(weights, written, source),
        on_pick=crossing.open_pair,
    )


def show_other_kinds() -> None:
    st.header("The other two kinds of attention", anchor=False)
    st.markdown("With all the reading tools of the attention page, on these two texts.")
    kinds = {
        "encoder": "The source looks at itself",
        "self": "The translation looks at itself",
        "cross": "Cross-attention, by every rule",
    }
    with st.container(horizontal=True):
        for kind, label in kinds.items():
            if st.button(label, key=f"open_{kind}", icon=":material/visibility:"):
                links.go(ATTENTION, kind=kind, model=session.model_name())


def follow(row: int) -> None:
    """Keep a word's lines, and go to the step that wrote it; -1: let it go."""
    read = crossing.current(session.current_run())
    st.session_state.followed_word = row if row >= 0 else None
    if row >= 0:
        st.session_state.step = read.queries(row)[0]
    crossing.read_again()


def followed(read: Crossing) -> int | None:
    """The word whose lines are kept: a place in this translation, gone with it."""
    row = links.about("followed_word", (session.current_key(), read.written.kind))
    return row if row is not None and row < len(read.written) else None


main()
