"""On the page Generation: several ways to go on, as one tree: drawn with different seeds or settings, or by a beam."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import streamlit as st

from model.analysis.beam import Beam, Candidate, beam_search
from model.analysis.generation import Draw, Step, samples
from model.analysis.sampling import Sampling
from model.language_model import LanguageModel
from model.text.prompt import RunKey, tokens_of, written_text
from model.text.writing import decoding_of
from viz.components.beam_tree import beam_tree as draw_tree
from viz.figures.branches import Branch, branch_tree, shared
from viz.figures.numbers import percent
from viz.figures.translation import beam_tree, ranked
from viz.sections.generation import continuation
from viz.sections.generation.branches import rows_of
from viz.ui import cache, controls, session
from viz.ui.chapters import chapter
from viz.ui.choices import DRAWN, NONE, SETTINGS
from viz.ui.loads import language_model
from viz.ui.pictures import caption, twin
from viz.ui.prose import quoted

LONGEST = 30  # tokens of each way: a tree of more is none to look at
END = "end"
CLICK = "Click to look into it above"


@chapter("several", "Several ways to go on", of=("ways",), part="ways")
def show() -> None:
    run = session.current_run()
    row = st.container(horizontal=True, gap="large", vertical_alignment="bottom", key="ways_on")  # all four in sight
    with row:
        ways = controls.choose(
            "Go on",
            "ways",
            help="drawn: by the settings above, each with a seed of its own · settings: by these settings and by "
            "others, with the same seed · beam: the most probable texts that a search finds, which keeps the best few "
            "at each token",
        )
    if ways == NONE:
        st.markdown("One text is one way through many that were possible. Draw some side by side, or search them.")
        return
    n_token = min(st.session_state.n_generate, LONGEST, run.info.n_context - len(run.tokens))
    if n_token < 1:
        st.info("The context is full: nothing can be written behind this text.", icon=":material/info:")
        return
    if ways == DRAWN:
        with row:
            n = controls.slider("Texts", 2, 8, "n_samples", help="How many are drawn at once.")
        drawn(n, n_token)
        return
    if ways == SETTINGS:
        compared(n_token)
        return
    searched(*controls.beam((row, row), "text"), n_token)


def drawn(n: int, n_token: int) -> None:
    seed, sampling = st.session_state.seed, continuation.chosen()
    seeds = [(seed + i) % 2**31 for i in range(n)]
    texts = samples_of(session.current_key(), n_token, sampling, tuple(seeds))
    seeds, texts = zip(*sorted(zip(seeds, texts, strict=True), key=lambda pair: -mean_log_prob(pair[1])), strict=True)
    every = [branch_of(text) for text in texts]
    rows = [row | {"seed": seed} for row, seed in zip(rows_of(every), seeds, strict=True)]
    draw(every, rows, lambda i: keep(texts[i], seeds[i]))
    apart = min(shared(every[0].ids, each.ids) for each in every)
    none = " At temperature 0 all are the same: nothing is drawn." if sampling.temperature == 0 else ""
    caption(
        f"{n} texts, drawn at {continuation.in_words(sampling)}, with the seeds {min(seeds)} to {max(seeds)}. Left to "
        f"right, one token a step, with the log-probability so far, by the model. They part {where(apart)}. Score: the "
        f"mean log-probability of a token; the highest stands first. Click one to look into it above.{none}"
    )
    twin(lambda: pd.DataFrame(rows), key="ways")


def compared(n_token: int) -> None:
    """The same seed under two settings."""
    state, seed, mine = st.session_state, st.session_state.seed, continuation.chosen()
    columns = st.columns(3, gap="large")
    with columns[0]:
        controls.slider("Other temperature", 0.0, 2.0, "other_temperature", step=0.05)
    with columns[1]:
        controls.slider("Other top-k", 0, 100, "other_top_k", disabled=state.other_temperature == 0)
    with columns[2]:
        controls.slider("Other top-p", 0.05, 1.0, "other_top_p", step=0.05, disabled=state.other_temperature == 0)
    other = replace(mine, temperature=state.other_temperature, top_k=state.other_top_k, top_p=state.other_top_p)
    texts = [samples_of(session.current_key(), n_token, each, (seed,))[0] for each in (mine, other)]
    every, said = [branch_of(text) for text in texts], [continuation.in_words(each) for each in (mine, other)]
    rows = [row | {"settings": words} for row, words in zip(rows_of(every), said, strict=True)]
    draw(every, rows, lambda i: keep(texts[i], seed))
    apart = shared(every[0].ids, every[1].ids)
    here = ""
    if apart < min(len(text) for text in texts) and texts[0][apart].number is not None:
        first, second = (text[apart] for text in texts)
        here = (
            f" There, the number {first.number:.4f} draws {quoted(first.token.label)} (chance {percent(first.chance)}) "
            f"by the settings above, and {quoted(second.token.label)} (chance {percent(second.chance)}) by the others."
        )
    caption(
        f"The same random numbers (seed {seed}) under two settings. First, and thick: {said[0]}. Second: {said[1]}. "
        + (f"They part {where(apart)}.{here}" if every[0].ids != every[1].ids else "Both write the same.")
        + " Click one to look into it above."
    )
    twin(lambda: pd.DataFrame(rows), key="ways")


def draw(every: list[Branch], rows: list[dict[str, object]], pick: Callable[[int], None]) -> None:
    nodes, ends = branch_tree(every)
    draw_tree(
        nodes,
        ends,
        rows,
        key="ways_tree",
        what="texts",
        search=False,
        click=CLICK,
        on_pick=pick,
    )


def mean_log_prob(text: list[Step]) -> float:
    return sum(math.log(step.probability) for step in text) / max(1, len(text))


def branch_of(text: list[Step]) -> Branch:
    tokens = [step.token for step in text]
    log_probs = np.log([step.probability for step in text])
    return Branch(continuation.ids(text), tuple(token.label for token in tokens), log_probs, tokens[-1].special)


def where(apart: int) -> str:
    return "at the first token" if apart == 0 else f"after {apart} token{'s' * (apart != 1)}"


def searched(width: int, penalty: float, n_token: int) -> None:
    beam: Beam = beam_of(session.current_key(), n_token, width, penalty)
    token = session.current_model().token
    nodes, ends = beam_tree(beam, lambda id: token(id).label, END)

    def text_of(candidate: Candidate) -> str:
        return written_text(map(token, candidate.ids))

    rows = ranked(beam, penalty, text_of)
    draw_tree(
        nodes,
        ends,
        rows,
        key="ways_tree",
        what="texts",
        click=CLICK,
        on_pick=lambda i: keep_ids(beam.finished[i].ids),
    )
    best = beam.finished[0]
    caption(
        f"Of all ways to go on, the {width} best are kept at each token; below them, those that were looked at and "
        f"dropped. Pale: nothing that grew from it was kept. Most probable: {quoted(text_of(best))}, "
        f"{best.log_prob:.3f} in all. Such texts tend to repeat themselves: what is most probable is not what people "
        "write. Click one to look into it above."
    )
    twin(lambda: pd.DataFrame(rows), key="ways")


@cache.kept(spinner="Drawing …")
def samples_of(run_key: RunKey, n: int, sampling: Sampling, seeds: tuple[int, ...]) -> list[list[Step]]:
    """At most n steps behind a text, for each seed. Raises `VisitorError`."""
    lm = language_model(run_key.model)
    together = list(samples(lm, tokens_of(lm, run_key.prompt)[0], n, sampling, seeds))
    return [[steps[i] for steps in together if steps[i]] for i in range(len(seeds))]


@cache.kept(spinner="Searching …")
def beam_of(run_key: RunKey, n: int, width: int, penalty: float) -> Beam:
    """What a search makes of at most n tokens behind a text. Raises `VisitorError`."""
    lm = language_model(run_key.model)
    return beam_search(decoding_of(lm, tokens_of(lm, run_key.prompt)[0]), Special(lm), n, width, penalty)


@dataclass(frozen=True)
class Special:
    """The entries of a vocabulary that end a text."""

    lm: LanguageModel

    def __contains__(self, id: int) -> bool:
        return self.lm.token(id).special


def keep(text: list[Step], seed: int) -> None:
    """Let one of them be what was written."""
    continuation.take([Draw(step.token.id, step.sampling, seed) for step in text])


def keep_ids(ids: tuple[int, ...]) -> None:
    continuation.take([Draw(id, Sampling(), None) for id in ids])
