"""The loss without each head in turn, some layers at a time: how far that is, a way out, and what is kept of it."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import streamlit as st

from model.analysis.head_means import head_means
from model.analysis.knock_out import Reading, losses, second_copy, whole
from model.grid import Grid
from model.intervention import HeadMeans
from model.language_model import LanguageModel
from model.text.prompt import RunKey, speaking
from viz.ui import cache, session, surveys, waiting
from viz.ui.choices import MEAN
from viz.ui.loads import language_model

MOST_TOKENS = 256  # of a text
N_MEAN = 16  # texts that a mean is taken over
N_RANDOM = 4  # texts of random tokens; of a large model one
_LARGE = 3e7  # parameters
_STOPPED = "stopped_knock_outs"  # in the session's state: which was stopped
_AT_ONCE = 48  # heads of a job: more together are hardly faster, and nobody waits long for a way out
TRAINED: tuple[int, ...] = ()  # in the place of layers: without none of the heads


@dataclass(frozen=True)
class Subject:
    """Whose heads, and what is read without them."""

    model: str
    kind: str  # of attention
    there: Grid  # its heads
    n_random: int  # texts of random tokens; 0: it is the text
    text: RunKey | None
    means_of: surveys.Subject | None  # over whose texts heads that are off write their mean; None: they write nothing

    @property
    def jobs(self) -> list[tuple[int, tuple[int, ...]]]:
        """The number of the text, and neighbouring layers: first as trained."""
        n, layers = max(1, _AT_ONCE // self.there.n_head), self.there.layers
        some = [layers[start : start + n] for start in range(0, len(layers), n)]
        return [(i, each) for i in range(self.n_random or 1) for each in (TRAINED, *some)]


@dataclass(frozen=True)
class Effects:
    """How much the loss rises without each head, in nats a token."""

    rise: np.ndarray  # (L, H) NaN where it was not taken out
    trained: float  # the loss with all of them
    complete: bool
    mean: bool  # whether heads then write their mean, not nothing


def on_random(of: surveys.Subject, lm: LanguageModel, there: Grid) -> Subject | None:
    """Random tokens that come twice; None where this attention, or this model, reads none."""
    if lm.info.family != "decoder" or not surveys.random_texts(of.model):
        return None
    n = N_RANDOM if lm.info.n_parameter < _LARGE else 1
    return Subject(of.model, of.kind, there, n, None, _means_of(of))


def on_text(of: surveys.Subject, there: Grid) -> Subject:
    """The visitor's own text. Raises `PromptError` if there is none."""
    return Subject(of.model, of.kind, there, 0, session.current_key(), _means_of(of))


def _means_of(of: surveys.Subject) -> surveys.Subject | None:
    return replace(of, texts=of.texts[:N_MEAN]) if st.session_state.ablation == MEAN else None


@cache.kept(spinner="What each head writes in the mean …")
def means(of: surveys.Subject) -> HeadMeans:
    """Over the first texts of a survey. Raises `VisitorError` where none can be read, or values are not kept."""
    return head_means(surveys.runs(of), of.kind)


def effects(of: Subject, what: str) -> Effects:
    """Take out what was not taken out yet, with the progress where this is called. `what` is read: for its words.

    Raises `VisitorError` where the model foresees no next token, or heads of it cannot be taken out.
    """
    jobs = of.jobs
    left = [job for job in jobs if not _losses.has(of, *job)]
    if left and not is_stopped(of):

        def words(done: int) -> str:
            return f"{what} without each head: layer {max((0, *jobs[done][1]))}"

        stop = partial(st.session_state.__setitem__, _STOPPED, of)
        for job in waiting.each(left, len(jobs), words, stop, key="random_out" if of.n_random else "text_out"):
            _losses(of, *job)
    return _effects(of)


def is_stopped(of: Subject) -> bool:
    return st.session_state.get(_STOPPED) == of


def go_on() -> None:
    """Take up again what was stopped."""
    st.session_state.pop(_STOPPED, None)


def _effects(of: Subject) -> Effects:
    shape = of.there.n_layer, of.there.n_head
    rise, trained, complete = np.full((of.n_random or 1, *shape), np.nan), [], True
    for number, layers in of.jobs:
        if not _losses.has(of, number, layers):
            complete = False
        elif layers == TRAINED:
            trained.append(_losses(of, number, layers)[0])
        else:
            rise[number, list(layers)] = np.reshape(_losses(of, number, layers), (len(layers), -1)) - trained[number]
    return Effects(
        rise.mean(0), float(np.mean(trained)) if trained else float("nan"), complete, of.means_of is not None
    )


@cache.kept()
def _losses(of: Subject, number: int, layers: tuple[int, ...]) -> tuple[float, ...]:
    """Without each head of some layers in turn, or as trained."""
    off = [frozenset({(layer, head)}) for layer in layers for head in range(of.there.n_head)] or [frozenset()]
    lm = language_model(of.model)
    if of.text:
        lm = speaking(lm, of.text.prompt.languages)
    return tuple(losses(lm, _reading(of, number), off, of.kind, of.means_of and means(of.means_of)))


def _reading(of: Subject, number: int) -> Reading:
    if of.n_random:
        return second_copy(surveys.random_texts(of.model)[number])
    run = session.run_of(of.text)
    return whole(run.tokens[:MOST_TOKENS], run.source)
