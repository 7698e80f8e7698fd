"""What a model says without each edge of a head: estimated for all of them, exactly for the keys of one query."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import streamlit as st

from model.analysis import edge_effects
from model.analysis.edge_effects import Asked, Estimate, HeadAt
from model.intervention import UNCHANGED
from model.language_model import LanguageModel, Said
from model.text.prompt import RunKey, speaking
from viz.ui import cache, session, waiting
from viz.ui.loads import language_model

_AT_ONCE = 64  # keys: of more, some at a time, with a way out between
_STOPPED = "stopped_edge_effects"  # in the session's state: which was stopped


@dataclass(frozen=True)
class Subject:
    """Which head, and on what an effect is asked for."""

    run_key: RunKey
    at: HeadAt
    said: Said | None  # None: all that comes next in the text


@dataclass(frozen=True)
class Row:
    """Without each key of one query in turn, exactly."""

    trained: float  # the loss with all of them
    rise: np.ndarray  # (C,) NaN where it was not taken away
    complete: bool


@cache.kept()
def asked_of(run_key: RunKey, said: Said | None) -> Asked:
    """Raises `PromptError` for a text that is too long, or has nothing to foresee."""
    run = session.run_of(run_key)
    return edge_effects.all_next(run) if said is None else edge_effects.one(run, said)


@cache.kept()
def loss_of(run_key: RunKey, said: Said | None, off: HeadAt | None) -> float:
    """As trained, or without a whole head. Raises `VisitorError` where the model predicts no tokens, or as above."""
    change = UNCHANGED if off is None else off.off()
    return next(edge_effects.losses(_lm(run_key), asked_of(run_key, said), [change]))


@cache.kept(spinner="Taking a gradient …")
def _gradient(run_key: RunKey, said: Said | None, kind: str, layer: int) -> np.ndarray:
    return edge_effects.head_gradient(_lm(run_key), asked_of(run_key, said), kind, layer)


@cache.kept()
def estimate_of(of: Subject) -> Estimate:
    """Of all edges of the head. Raises `VisitorError` where there are no gradients, or no values."""
    layer = session.run_of(of.run_key).layers(of.at.kind)[of.at.layer]
    return edge_effects.estimate(layer, of.at.head, _gradient(of.run_key, of.said, of.at.kind, of.at.layer)[of.at.head])


def row_of(of: Subject, query: int) -> Row:
    """Take away what was not yet, with the progress where this is called. Raises `VisitorError` where no edge can be
    taken away alone.
    """
    keys = keys_of(of, query)
    jobs = [(of, query, tuple(keys[i : i + _AT_ONCE])) for i in range(0, len(keys), _AT_ONCE)]
    left = [job for job in jobs if not _part.has(*job)]
    if left and not is_stopped(of, query):
        stop = partial(st.session_state.__setitem__, _STOPPED, (of, query))
        for job in waiting.each(left, len(jobs), lambda done: f"Without key {jobs[done][2][0]} …", stop, key="edges"):
            _part(*job)
    rise, trained = np.full(_removable(of)[query].shape, np.nan), float("nan")
    there = [job for job in jobs if _part.has(*job)]
    for job in there:
        trained, rises = _part(*job)
        rise[list(job[2])] = rises
    return Row(trained, rise, len(there) == len(jobs))


def keys_of(of: Subject, query: int) -> list[int]:
    """Those that can be taken away from a query."""
    return np.flatnonzero(_removable(of)[query]).tolist()


def _removable(of: Subject) -> np.ndarray:
    return edge_effects.removable(session.run_of(of.run_key).layers(of.at.kind)[of.at.layer], of.at.head)


def is_stopped(of: Subject, query: int) -> bool:
    return st.session_state.get(_STOPPED) == (of, query)


def go_on() -> None:
    """Take up again what was stopped."""
    st.session_state.pop(_STOPPED, None)


@cache.kept()
def _part(of: Subject, query: int, keys: tuple[int, ...]) -> tuple[float, tuple[float, ...]]:
    asked = asked_of(of.run_key, of.said)
    trained, rises = edge_effects.key_rises(_lm(of.run_key), asked, of.at, query, keys)
    return trained, tuple(rises)


def _lm(run_key: RunKey) -> LanguageModel:
    return speaking(language_model(run_key.model), run_key.prompt.languages)
