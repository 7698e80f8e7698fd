"""How a small model learns its texts: a curve, and at each checkpoint the loss of each token, and what is written.

To move among checkpoints, and to play them, needs no server; where one stops, Python is told.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from viz.components import pick_handler, register
from viz.guard import handler

_learning = register(
    "learning",
    shared=["renew", "watch", "player"],
    html="""<div class="learning">
      <div class="time">
        <button class="play" type="button"></button>
        <input type="range" min="0" step="1" aria-label="Checkpoint">
        <output></output>
      </div>
      <div class="names" aria-hidden="true"></div>
      <svg class="curve" aria-hidden="true"></svg>
      <div class="texts"></div>
    </div>""",
    picture=True,
)


@dataclass(frozen=True)
class WrittenLine:
    """A line that is written on at each of C checkpoints."""

    given: Sequence[str]  # labels of the tokens it begins with
    right: Sequence[str]  # those that go on in the text
    written: Sequence[Sequence[str]]  # C of those that are written


@dataclass(frozen=True)
class Course:
    """A text, and how it was learned, over C checkpoints."""

    name: str
    rows: Sequence[Sequence[str]]  # labels of its tokens; the first of each row is given
    losses: Sequence[Sequence[float]]  # (C, N): nats of the others, row after row
    lines: Sequence[WrittenLine]


def learning(
    steps: Sequence[int],
    courses: Sequence[Course],
    *,
    key: str,
    until: int,
    at: int | None,
    apart: bool,
    marks: Mapping[str, float],
    on_pick: Callable[[int], None],
) -> None:
    """Draw it, at checkpoint number `at`, or the last one. `until`: the step at which it ends, or will. `marks`: losses
    to compare with, by what they are called.
    `apart`: whether there is a space between tokens that are written, as between words.

    `on_pick(i)` is called with the checkpoint at which scrubbing ends.
    """
    _learning(
        key=key,
        called="The loss while a small model learns: " + ", ".join(course.name for course in courses),
        numbers=lambda: {
            "step": steps,
            **{f"loss, {course.name}": [float(np.mean(each)) for each in course.losses] for course in courses},
        },
        on_pick_change=handler(pick_handler(key, range(len(steps)), on_pick)),
        data={
            "steps": list(steps),
            "courses": [asdict(course) for course in courses],
            "until": max(until, *steps),
            "at": at,
            "apart": apart,
            "marks": list(marks.items()),
        },
    )
