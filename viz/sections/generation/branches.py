"""On the page Generation: every way that was written from this text, as a tree, to go back and forth between them."""

import numpy as np
import pandas as pd
import streamlit as st

from model.analysis.generation import Draw
from model.text.prompt import RunKey, written_text
from viz.components.beam_tree import beam_tree as draw_tree
from viz.figures.branches import Branch, branch_tree, mean_log_prob, shared
from viz.guard import handler
from viz.sections.generation import continuation
from viz.ui import cache, session
from viz.ui.loads import language_model
from viz.ui.pictures import caption, twin


def show() -> None:
    others = continuation.branches()
    if not others:
        return
    st.subheader("Branches", anchor=False)
    here = continuation.ids(st.session_state.generated)
    every = [branch_of(session.current_key(each)) for each in (here, *map(ids_of, others))]
    nodes, ends = branch_tree(every, joined=True)
    rows = rows_of(every)
    draw_tree(
        nodes,
        ends,
        rows,
        key="branches_tree",
        what="branches",
        search=False,
        click="Click to go on from this branch",
        chosen=0,
        on_pick=lambda i: continuation.take(others[i - 1]) if i else None,
    )
    st.button(
        "Back to what was written before",
        key="go_back",
        icon=":material/undo:",
        on_click=handler(continuation.take),
        args=(others[0],),
    )
    caption(
        f"What was written from this text: {len(others)} besides the present one, which is the thick path and stands "
        "first. A box is all that is written up to where texts part, with the log-probability so far, by the model. "
        f"Click a branch to see its film and to write on there; the last {continuation.MOST_BRANCHES} are kept, and "
        "stand in the link."
    )
    twin(lambda: pd.DataFrame(rows), key="branches")


def ids_of(draws: list[Draw]) -> tuple[int, ...]:
    return tuple(draw.id for draw in draws)


@cache.kept(spinner="Reading the branches …")
def branch_of(run_key: RunKey) -> Branch:
    """What was written behind a text, as the model reads it. Raises `VisitorError`."""
    lm, ids = language_model(run_key.model), run_key.prompt.continuation
    tokens = [lm.token(id) for id in ids]
    log_probs = session.run_of(run_key).predictions.next_log_prob[-len(ids) - 1 : -1]
    return Branch(ids, tuple(token.label for token in tokens), np.float64(log_probs), tokens[-1].special)


def rows_of(branches: list[Branch]) -> list[dict[str, object]]:
    """Of each branch: its text, its probability, and with how many tokens it begins as the first does."""
    token = session.current_model().token
    return [
        {
            "rank": i,
            "text": written_text(map(token, each.ids)),
            "score": mean_log_prob(each),
            "log-probability": float(each.log_probs.sum()),
            "tokens": len(each.ids),
            "as the first": shared(branches[0].ids, each.ids),
        }
        for i, each in enumerate(branches)
    ]
