"""What there is to see of a copier's training, that which ships or another: for `copier` and `copier_live`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from model import catalog, serving
from model.lab import copying
from viz.components.course import Course
from viz.ui import cache

if TYPE_CHECKING:  # torch is imported where it is needed, once its threads are set
    from model.lab.copier import Run

NAME = "copier"
GUESS = float(np.log(len(copying.SYMBOLS)))

OF_SPANS = {"Loss where a symbol can be known": "known", "where it cannot": "unknown"}
OF_A_PERIOD = {"Loss, rows with its period": "trained", "rows with pieces from random places": "known"}


@cache.kept()
def shipped() -> Run:
    """Raises `ModelNotAvailable`."""
    serving.load_torch()
    from model.lab.copier import read, readable

    with readable(folder()):
        return read(folder())


def folder() -> Path:
    return Path(catalog.find(NAME).where)


@cache.kept()
def shipped_maps() -> np.ndarray:
    """(C, L, H, T, T) of the shipped run on the lesson's text."""
    from model.lab.copier import maps

    return maps(shipped(), text())


def example() -> tuple[str, tuple[bool, ...]]:
    """A text of the kind that it learns from, and which of its symbols can be known."""
    from model.lab.copier import examples

    return examples()[0]


def text() -> str:
    return example()[0]


def rule() -> str:
    from model.lab.course import LOCKED

    return (
        f"the first checkpoint from which on, to the end, the best induction score is at least {LOCKED['induction']} "
        f"and the best previous-token score at least {LOCKED['previous']}"
    )


def course_of(run: Run, weights: np.ndarray, **more) -> Course:
    """What there is to see of a run; `weights` (C, L, H, T, T) on the lesson's text."""
    locked = run.locked
    steps = [each.step for each in run.checkpoints]
    losses = OF_SPANS if run.settings.spans else OF_A_PERIOD
    return Course(
        steps=steps,
        losses={name: np.array([getattr(each, of) for each in run.checkpoints]) for name, of in losses.items()},
        guess=GUESS,
        previous=np.array([each.previous for each in run.checkpoints]),
        induction=np.array([each.induction for each in run.checkpoints]),
        maps=weights,
        labels=list(text()),
        marked=example()[1],
        locked=steps.index(locked.step) if locked else None,
        **more,
    )


def in_words(run: Run) -> str:
    first, last, locked = run.checkpoints[0], run.checkpoints[-1], run.locked
    lock = f" From step {locked.step} on both heads stay." if locked else ""
    return (
        f"Curves over {last.step} steps. The loss where a symbol can be known goes from {first.known:.2f} to "
        f"{last.known:.2f}; to guess costs {GUESS:.2f}. The best induction score goes from {first.induction.max():.2f} "
        f"to {last.induction.max():.2f}, the best previous-token score from {first.previous.max():.2f} to "
        f"{last.previous.max():.2f}.{lock}"
    )


def numbers(run: Run) -> pd.DataFrame:
    """Of each checkpoint."""
    rows = []
    for each in run.checkpoints:
        row = {"step": each.step, "loss, known": each.known, "loss, unknown": each.unknown, "copied": each.copied}
        for layer, head in np.ndindex(each.induction.shape):
            row[f"induction {layer}.{head}"] = float(each.induction[layer, head])
            row[f"previous {layer}.{head}"] = float(each.previous[layer, head])
        rows.append(row)
    return pd.DataFrame(rows).set_index("step")
