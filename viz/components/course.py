"""The course of a training over one time axis: losses, scores of heads, and where each head looks at each checkpoint.

All of it is in the browser: to scrub and to play asks nothing of the server, which is told where one came to rest.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st

from viz.components import columns, css_variables, register
from viz.guard import handler

_course = register(
    "course",
    shared=["palette", "watch", "tip", "player"],
    html='<div class="course"><div class="time"><div class="controls"><button class="play"></button>'
    '<div class="now"></div></div><div class="legend" data-of="loss"></div><svg class="loss" role="img"></svg>'
    '<div class="legend" data-of="score"></div><svg class="score" role="img"></svg>'
    '<input type="range" min="0" step="1" aria-label="Step of the training">'
    '<div class="heads" role="group" aria-label="Which head stands large"></div></div>'
    '<div class="look"><div class="large"><div class="across" aria-hidden="true"></div>'
    '<div class="down" aria-hidden="true"></div><canvas tabindex="0" role="application"></canvas>'
    '<div class="row"></div></div></div>'
    '<div class="text" aria-hidden="true"></div><div class="spoken" role="status"></div><div class="tip" hidden></div>'
    "</div>",
    picture=True,
)
_FULL = 65535  # what a weight of 1 is sent as
_DIGITS = 4


@dataclass(frozen=True)
class Course:
    """What there is to see of C checkpoints of L layers of H heads, on one text of T tokens."""

    steps: Sequence[int]  # C of them, rising
    losses: Mapping[str, np.ndarray]  # (C,) each, by their names; the first is what it is about
    guess: float  # the loss of a guess
    previous: np.ndarray  # (C, L, H) scores
    induction: np.ndarray  # (C, L, H)
    maps: np.ndarray  # (C, L, H, T, T), causal
    labels: Sequence[str]  # of the tokens
    marked: Sequence[bool]  # which of them can be known
    locked: int | None = None  # index of the checkpoint from which both heads stay
    beside: "Course | None" = None  # another one, to compare with
    until: int = 0  # the last step that there will be

    @property
    def data(self) -> dict:
        n_layer, n_head = self.previous.shape[1:]
        return {
            "steps": list(self.steps),
            "until": max(self.until, self.steps[-1]),
            "losses": [{"name": name, "values": _numbers(values)} for name, values in self.losses.items()],
            "guess": round(self.guess, _DIGITS),
            "previous": _numbers(self.previous.reshape(len(self.steps), -1)),
            "induction": _numbers(self.induction.reshape(len(self.steps), -1)),
            "names": [f"layer {layer}, head {head}" for layer in range(n_layer) for head in range(n_head)],
            "labels": list(self.labels),
            "marked": [bool(each) for each in self.marked],
            "locked": self.locked,
            "beside": self.beside
            and {
                "steps": list(self.beside.steps),
                "loss": _numbers(next(iter(self.beside.losses.values()))),
                "induction": _numbers(self.beside.induction.reshape(len(self.beside.steps), -1).max(1)),
            },
        }


@dataclass(frozen=True)
class Rest:
    """Where one came to rest: a checkpoint, by its index, and the head that stands large."""

    at: int
    head: int  # of all L x H

    @classmethod
    def parse(cls, sent: object, n: int, n_head: int) -> "Rest | None":
        """From what the browser sent; None unless there is such a checkpoint, and such a head."""
        match sent:
            case {"at": int(at), "head": int(head)} if 0 <= at < n and 0 <= head < n_head:
                return cls(at, head)
        return None


def course(shown: Course, *, key: str, rest: Rest, alt: str, on_rest: Callable[[Rest], None]) -> None:
    """`rest`: where it stands until the visitor moves it; `on_rest` is called where they leave it. `alt`: what the
    curves show, for those who cannot see them.
    """
    n, n_head = len(shown.steps), int(np.prod(shown.previous.shape[1:]))

    def rested() -> None:
        if found := Rest.parse(st.session_state[key].rest, n, n_head):
            on_rest(found)

    lower = np.tril_indices(len(shown.labels))
    css_variables(key, at=rest.at, head=rest.head)
    _course(
        key=key,
        called=alt,
        numbers=lambda: _table(shown),
        data={"view": shown.data | {"alt": alt}, "maps": columns(w=_packed(shown.maps[..., *lower]))},
        on_rest_change=handler(rested),
    )


def _table(shown: Course) -> dict:
    """The curves: losses, and each head's scores."""
    heads = list(np.ndindex(shown.previous.shape[1:]))
    scores = {"previous token": shown.previous, "induction": shown.induction}
    return {
        "step": shown.steps,
        **{f"loss, {name}": values for name, values in shown.losses.items()},
        **{f"{name}, {layer}.{head}": of[:, layer, head] for name, of in scores.items() for layer, head in heads},
    }


def _packed(weights: np.ndarray) -> np.ndarray:
    """In 16 bits, where 8 would show a wrong third digit."""
    return np.round(weights * _FULL).astype(np.uint16).ravel()


def _numbers(values: np.ndarray) -> list:
    return np.round(np.float64(values), _DIGITS).tolist()
