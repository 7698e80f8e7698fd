"""Beam search: how wide, how long, the tree that grew, and the candidates that ended."""

from dataclasses import replace

import pandas as pd
import streamlit as st

from model.analysis import checks
from model.analysis.beam import PENALTY, WIDTH, Beam, Candidate
from model.language_model import BeamSearcher
from model.run import ModelRun
from model.text.prompt import written_text
from viz.components.beam_tree import beam_tree as draw_tree
from viz.figures.numbers import how_far
from viz.figures.translation import beam_tree, ranked
from viz.guard import section
from viz.plain import plain
from viz.sections.translation import decoding
from viz.ui import controls, session
from viz.ui.pictures import caption, twin
from viz.ui.prose import check, quoted

END = "end"


@section("beam")
def show(run: ModelRun) -> None:
    if not isinstance(session.current_model(), BeamSearcher):
        st.info(
            f"{plain(run.info.title)} cannot be searched step by step here, so it writes greedily, the most probable "
            "token each time. Choose “translator” in the sidebar to see a beam.",
            icon=":material/info:",
        )
        return
    width, penalty = controls.beam(st.columns(2, gap="large"), "target")
    # whatever target is read now: the search writes its own
    key = session.current_key()
    beam = session.beam_of(replace(key, prompt=key.prompt.without_target), width, penalty)
    nodes, ends = beam_tree(beam, lambda id: session.current_model().token(id).label, END)
    candidates = ranked(beam, penalty, text_of)
    written = tuple(token.id for token in run.tokens[1:])
    chosen = next((i for i, each in enumerate(beam.finished) if each.ids == written), None)
    draw_tree(nodes, ends, candidates, key="beam_tree", chosen=chosen, on_pick=lambda i: read(beam.finished[i]))
    n_dropped = sum(map(len, beam.dropped))
    caption(
        f"Left to right, one token a step, with the log-probability so far. Of all ways to go on, the {width} best are "
        f"kept{'' if width > 1 else ': greedy decoding'}; below, {n_dropped} that were looked at and dropped. Pale: "
        "nothing that grew from it was kept. The thick path leads to the best score, log-probability ÷ tokens ^ "
        "penalty, where the end is one of the tokens. Point at a node or a candidate to see its path; click a finished "
        "one to read it."
    )
    if not any(each.finished for each in beam.finished):
        st.warning(f"No candidate came to an end in {len(beam.steps)} tokens: these are what was being written.")
    twin(lambda: pd.DataFrame(candidates), key="beam")
    show_check(run, beam, chosen)


def show_check(run: ModelRun, beam: Beam, chosen: int | None) -> None:
    best = beam.finished[0]
    if chosen is None:
        by = (
            ""
            if not session.current_key().prompt.writes_itself
            else f", the best of a beam of {WIDTH} with penalty {PENALTY:g},"
        )
        caption(f"What is read above{by} is not among these candidates. The best of them: {quoted(text_of(best))}.")
        return
    candidate = beam.finished[chosen]
    if not candidate.finished:
        return
    _, log_prob, _ = decoding.chosen_tokens(run)
    n_forced = len(session.current_writing().forced)  # costs the search nothing
    again = checks.search_again(log_prob[n_forced:], candidate.log_prob)
    check(
        again,
        f"candidate {chosen} is what is read above. The search found its log-probability token by token, with a cache "
        f"of keys and values; read in one go, without it, it is the same; the difference is "
        f"**{how_far(again.difference)}**.",
    )


def read(candidate: Candidate) -> None:
    session.read_tokens(candidate.ids[len(session.current_writing().forced) :])
    st.rerun()


def text_of(candidate: Candidate) -> str:
    token = session.current_model().token
    return written_text(map(token, candidate.ids))
