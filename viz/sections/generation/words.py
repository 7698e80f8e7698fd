"""On the page Generation: how the last vector becomes the logit of a word, beside the words that it beat."""

import numpy as np
import pandas as pd
import streamlit as st

from model.analysis import checks
from model.analysis.logits import log_probabilities, rank
from model.run import ModelRun, VisitorError
from model.unembedding import Unembedding
from viz.figures.numbers import percent
from viz.figures.unembedding import largest, logit_card, term_bars
from viz.guard import handler
from viz.plain import plain
from viz.sections.generation import continuation
from viz.ui import controls, links, session
from viz.ui.chapters import chapter
from viz.ui.pictures import picture
from viz.ui.prose import quoted, to_read

_CHOOSER = "word_chooser"  # its options change with the position, so it does not hold the choice itself
N_RIVAL, N_BAR = 7, 10  # candidates to choose among; dimensions that have bars


def look_at(id: int, position: int) -> None:
    """For callbacks: work out the logit of an entry of the vocabulary, behind a token."""
    controls.select("word", id)
    controls.select("word_behind", position)
    controls.select("last_vector", True)
    st.rerun()  # the whole page: a bar of another part was clicked


@chapter("last_vector", "From the last vector to a word", of=("word", "word_behind"), part="words")
def show() -> None:
    run = continuation.run_after(st.session_state.generated)
    st.markdown(
        f"What {run.info.n_layer} layers have made of the last token is one vector. The output matrix keeps a row for "
        "each token of the vocabulary; the product of the two is that token’s **logit**, and the largest is the most "
        "probable. Click a bar above, or choose a token, to see one worked out."
    )
    left, right = st.columns(2, vertical_alignment="bottom")
    with left:
        n = len(run.tokens)
        position = controls.position("Behind token", "word_behind", n, first=n - 1)
    lm = session.current_model()
    try:
        logits = lm.unembed(run.stream[-1, position])
    except VisitorError as error:
        st.info(plain(error), icon=":material/info:")
        return
    best = np.argsort(-logits, kind="stable")[:N_RIVAL].tolist()
    with right:
        id = choose(best, len(logits))
    if id is None:
        return
    rivals = [each for each in best if each != id]
    try:
        its = lm.unembedding(run.stream[-1, position], [id, *rivals])
    except VisitorError as error:
        st.info(plain(error), icon=":material/info:")
        return
    draw(run, position, logits, its, [id, *rivals])


def choose(best: list[int], n_vocab: int) -> int | None:
    """Which entry is worked out; it need not be one of the best."""
    token, chosen = session.current_model().token, st.session_state[links.key("word")]
    if chosen is not None and chosen >= n_vocab:
        st.info(f"The link asks for token {chosen:,} of {n_vocab:,}: choose another.", icon=":material/info:")
        st.session_state.word = chosen = None
    options = [None, *best, *([chosen] if chosen is not None and chosen not in best else [])]
    if st.session_state.get(_CHOOSER) != chosen:  # by a click on a bar, or a link
        st.session_state[_CHOOSER] = chosen
    return st.selectbox(
        "Token",
        options,
        key=_CHOOSER,
        on_change=handler(take),
        format_func=lambda id: "choose one …" if id is None else token(id).label,
    )


def take() -> None:
    controls.select("word", st.session_state[_CHOOSER])


def draw(run: ModelRun, position: int, logits: np.ndarray, its: Unembedding, ids: list[int]) -> None:
    """The card of the first of `ids`, beside the others."""
    lm, logit = session.current_model(), float(logits[ids[0]])
    labels = [lm.token(id).label for id in ids]
    log_prob = log_probabilities(logits)
    made = checks.logit_again(float(its.logits[0]), logit, float(np.abs(its.terms[0]).sum()))
    place = rank(logits, ids[0])
    with st.container(key="word_worked_out"):
        left, right = st.columns([5, 6], gap="medium")
    with left, st.container(border=True):
        to_read(
            logit_card(
                its,
                0,
                labels[0],
                f"behind “{run.labels[position]}” ({position}), rank {place:,} of {len(logits):,} from 0",
                id=ids[0],
                logit=logit,
                log_sum=logit - float(log_prob[ids[0]]),
                check=made,
            )
        )
    with right:
        beside(its, ids, labels, logits, log_prob)


def beside(its: Unembedding, ids: list[int], labels: list[str], logits: np.ndarray, log_prob: np.ndarray) -> None:
    """The best rival, dimension by dimension, and all of them as numbers."""
    terms, both = its.terms, min(2, len(ids))
    apart = terms[0] - terms[1] if both == 2 else terms[0]
    shown = largest(apart, N_BAR)
    rest = [float(each.sum() - each[shown].sum()) for each in terms[:both]]
    parts = {f"{labels[i]} ({logits[ids[i]]:.3f})": np.append(terms[i][shown], rest[i]) for i in range(both)}
    ahead = float(logits[ids[0]] - logits[ids[1]]) if both == 2 else 0.0
    rivals = ", ".join(
        f"{quoted(label)} {logits[id]:.3f} ({percent(float(np.exp(log_prob[id])))})"
        for label, id in zip(labels[1:], ids[1:], strict=True)
    )
    lead = f"{'ahead' if ahead >= 0 else 'behind'} by {abs(ahead):.3f}" if both == 2 else "alone"
    picture(
        term_bars(shown.tolist(), parts),
        key="word_terms",
        how=f"The {len(shown)} dimensions in which {quoted(labels[0])} and its best rival differ most, and what all "
        f"others add: the bars of one colour sum to h·w. {quoted(labels[0])} is {lead}. Its rivals: {rivals}.",
        alt=f"Bars over {len(shown)} dimensions for {' and '.join(labels[:both])}; the logits are "
        + ", ".join(f"{label} {logits[id]:.3f}" for label, id in zip(labels, ids, strict=True)),
        table=lambda: pd.DataFrame(
            {
                "token": labels,
                "id": ids,
                "h·w": terms.sum(1),
                "logit": logits[ids],
                "probability": np.exp(log_prob[ids]),
                **{f"dim {d}": terms[:, d] for d in shown.tolist()},
            }
        ),
    )
