"""What each token counts for one thing that a model says, asked in every way: how far that is, a way out, and what is
kept of it.
"""

from dataclasses import dataclass, field
from functools import partial

import numpy as np
import streamlit as st

from model.analysis import attention_flow as paths
from model.analysis import saliency
from model.analysis.saliency import Answer, Integrated, Question
from model.language_model import LanguageModel, Said
from model.run import VisitorError
from model.text.prompt import RunKey, speaking
from viz.ui import cache, session, waiting
from viz.ui.loads import language_model

LAST, MEAN = "attention, last layer", "attention, all layers"
ROLLOUT, FLOW, CARRIED = "rollout", "attention flow", "value-weighted"
GRADIENT, INTEGRATED, LEFT_OUT = "gradient × input", "integrated gradients", "leave-one-out"
METHODS = (LAST, MEAN, ROLLOUT, FLOW, CARRIED, GRADIENT, INTEGRATED, LEFT_OUT)
SIGNED = (GRADIENT, INTEGRATED, LEFT_OUT)  # for, or against; attention has no sign
_STOPPED = "stopped_saliency"  # in the session's state: which was stopped

Job = tuple[str, int]  # a method, and the number of its part: of steps, or of the token that is left out


@dataclass(frozen=True)
class Subject:
    """What is explained."""

    run_key: RunKey
    said: Said
    n_step: int  # of integrated gradients


@dataclass(frozen=True)
class Found:
    """What each way says, or as much of it as there is."""

    asked: Question
    whole: Answer  # what is said with all tokens
    values: dict[str, np.ndarray]  # (T,) by each method that has an answer, in the order of `METHODS`
    untold: dict[str, str]  # why another has none
    without: tuple[Answer, ...]  # what is said without each token
    integrated: Integrated | None
    complete: bool
    n_step: int = field(default=0)

    @property
    def labels(self) -> list[str]:
        return [token.label for token in self.asked.tokens]


def found(of: Subject) -> Found:
    """Ask what was not asked yet, with the progress where this is called. Raises `VisitorError` for a text that is too
    short or too long.
    """
    asked = asked_of(of.run_key, of.said)
    jobs = _jobs(of, asked)
    left = [job for job in jobs if not _has(of, job)]
    if left and not is_stopped(of):
        stop = partial(st.session_state.__setitem__, _STOPPED, of)
        for job in waiting.each(left, len(jobs), lambda done: _words(jobs[done]), stop, key="saliency"):
            _ask(of, job)
    return _together(of, tuple(job for job in jobs if _has(of, job)))


def is_stopped(of: Subject) -> bool:
    return st.session_state.get(_STOPPED) == of


def go_on() -> None:
    """Take up again what was stopped."""
    st.session_state.pop(_STOPPED, None)


def _jobs(of: Subject, asked: Question) -> list[Job]:
    """What costs least comes first."""
    parts = [(INTEGRATED, i) for i in range(len(saliency.steps(of.n_step)))]
    return [*((name, 0) for name in METHODS[:-2]), *((LEFT_OUT, i) for i in range(len(asked.tokens))), *parts]


def _words(job: Job) -> str:
    return f"without token {job[1]}" if job[0] == LEFT_OUT else job[0]


def _steps(of: Subject, name: str) -> int:
    return of.n_step if name == INTEGRATED else 0


def _has(of: Subject, job: Job) -> bool:
    return _part.has(of.run_key, of.said, *job, _steps(of, job[0]))


def _ask(of: Subject, job: Job) -> np.ndarray | Answer | str:
    return _part(of.run_key, of.said, *job, _steps(of, job[0]))


@cache.kept()
def asked_of(run_key: RunKey, said: Said) -> Question:
    """Raises `VisitorError`."""
    run = session.run_of(run_key)
    if run.source:
        raise VisitorError(f"{run.info.title} reads one text and writes another: only single texts are explained here.")
    return saliency.question(_lm(run_key), run.tokens, said)


def _lm(run_key: RunKey) -> LanguageModel:
    return speaking(language_model(run_key.model), run_key.prompt.languages)


@cache.kept()
def _baseline(run_key: RunKey, said: Said) -> np.ndarray:
    return saliency.mean_vector(_lm(run_key), asked_of(run_key, said))


@cache.kept()
def _whole(run_key: RunKey, said: Said) -> Answer:
    return saliency.answer(_lm(run_key), asked_of(run_key, said).tokens, said)


@cache.kept()
def _part(run_key: RunKey, said: Said, name: str, number: int, n_step: int) -> np.ndarray | Answer | str:
    """(T,) of a method, or of a part of it; the answer without a token; or why there is none."""
    try:
        return _asked(run_key, said, name, number, n_step)
    except VisitorError as error:
        return str(error)


def _asked(run_key: RunKey, said: Said, name: str, number: int, n_step: int) -> np.ndarray | Answer:
    lm, run, asked = _lm(run_key), session.run_of(run_key), asked_of(run_key, said)
    start, layers = saliency.start_of(asked), run.info.grid.layers
    if name in (LAST, MEAN):
        return saliency.attention_of(run, start, layers[-1:] if name == LAST else layers)
    if name in (ROLLOUT, FLOW):
        n = len(start)
        mixed = paths.mixed_layers(run.attention)[:, :n, :n]
        return paths.rollout(mixed, start)[0] if name == ROLLOUT else paths.flow(mixed, start)[0]
    if name == CARRIED:
        return saliency.carried_of(lm, run, start)
    if name == GRADIENT:
        return saliency.gradient_x_input(lm, asked)
    if name == INTEGRATED:
        return saliency.integrated_part(lm, asked, _baseline(run_key, said), *saliency.steps(n_step)[number])
    return saliency.left_out(lm, asked, number)


@cache.kept()
def _together(of: Subject, there: tuple[Job, ...]) -> Found:
    asked, whole = asked_of(of.run_key, of.said), _whole(of.run_key, of.said)
    answers = {job: _ask(of, job) for job in there}
    values, untold = {}, {name: each for (name, _), each in answers.items() if isinstance(each, str)}
    by_name = {name: [each for job, each in answers.items() if job[0] == name] for name in METHODS}
    without, integrated = (), None
    for name, parts in by_name.items():
        if not parts or name in untold:
            continue
        if name == INTEGRATED and len(parts) == len(saliency.steps(of.n_step)):
            baseline = _baseline(of.run_key, of.said)
            integrated = saliency.integrated_gradients(_lm(of.run_key), asked, baseline, of.n_step, parts)
            values[name] = integrated.values
        elif name == LEFT_OUT and len(parts) == len(asked.tokens):
            without = tuple(parts)
            values[name] = np.array([whole.value - each.value for each in parts])
        elif name not in (INTEGRATED, LEFT_OUT):
            values[name] = parts[0]
    complete = len(there) == len(_jobs(of, asked))
    return Found(asked, whole, values, untold, without, integrated, complete, of.n_step)
