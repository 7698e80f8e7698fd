"""A text as it was written: each token among what could have stood in its place, and what its position looked at.

All of it is in the browser: to play and to pull asks nothing of the server.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st

from viz.components import columns, register
from viz.guard import handler

_film = register(
    "film",
    shared=["tip", "rove", "player"],
    html='<div class="film"><div class="controls"><button class="play"></button>'
    '<input type="range" min="0" step="1" aria-label="Which of the written tokens"><div class="now"></div></div>'
    '<ul class="text" role="list" aria-label="The text so far"></ul>'
    '<div class="choice"><div class="head" aria-hidden="true"><span>token</span><span></span><span>the model</span>'
    '<span>the draw</span></div><div class="candidates" role="group" aria-label="What could stand here"></div></div>'
    '<div class="side"><p class="told"></p><p class="kept"></p><button class="open">Look behind this choice</button>'
    '</div><div class="tip" aria-hidden="true" hidden></div></div>',
)
_FULL = 65535  # what a weight of 1 is sent as


@dataclass(frozen=True)
class Film:
    """N tokens written behind others, T in all; K candidates of each step, the most probable first.

    Of a long text, the first tokens may be left out.
    """

    labels: Sequence[str]  # (T,)
    written: str  # what tells this text from another: the film of the same begins where it was
    probability: np.ndarray  # (N,) what the model gave to what was written
    entropy: np.ndarray  # (N,) of the model's choice, in nats
    candidates: Sequence[Sequence[str]]  # (N, K)
    model: np.ndarray  # (N, K) the model's probability
    chance: np.ndarray  # (N, K) after all that sampling does
    cut_by: Sequence[Sequence[str | None]]  # (N, K) what took each out
    drawn: Sequence[int]  # (N,) which candidate was written; -1: none of these
    n_vocab: int
    weights: np.ndarray  # (N, T) the row of the position that chose each token; nothing at and behind that token
    who: str  # whose rows these are
    n_byte: int  # kept of each token while it writes
    n_layer: int
    first: int  # where the first of the labels stands in the text
    at: int  # the step that is shown at first

    @property
    def data(self) -> dict:
        reasons = [None, *dict.fromkeys(reason for row in self.cut_by for reason in row if reason)]
        n = len(self.candidates[0])
        return {
            "view": {
                "labels": list(self.labels),
                "written": self.written,
                "n_before": len(self.labels) - len(self.probability),
                "probability": self.probability.tolist(),
                "entropy": self.entropy.tolist(),
                "candidates": [list(row) for row in self.candidates],
                "n_candidate": n,
                "reasons": reasons,
                "drawn": list(self.drawn),
                "rest": np.clip(1 - self.model.sum(1), 0, 1).tolist(),
                "n_other": self.n_vocab - n,
                "who": self.who,
                "n_byte": self.n_byte,
                "n_layer": self.n_layer,
                "first": self.first,
                "at": self.at,
            },
            "numbers": columns(
                probability=np.float32(self.model).ravel(),
                chance=np.float32(self.chance).ravel(),
                cut=np.array([reasons.index(reason) for row in self.cut_by for reason in row], np.uint8),
            ),
            "rows": columns(weight=np.round(self.weights * _FULL).astype(np.uint16).ravel()),
        }


def film(shown: Film, *, key: str, on_open: Callable[[int], None], on_branch: Callable[[int, int], None]) -> None:
    """`on_open(step)`: to look behind a choice. `on_branch(step, candidate)`: to write on with that one instead."""
    n, n_candidate = len(shown.probability), len(shown.candidates[0])

    def opened() -> None:
        match st.session_state[key].open:
            case int(step) if 0 <= step < n:
                on_open(step)

    def branched() -> None:
        match st.session_state[key].branch:
            case {"step": int(step), "candidate": int(i)} if 0 <= step < n and 0 <= i < n_candidate:
                on_branch(step, i)

    _film(key=key, data=shown.data, on_open_change=handler(opened), on_branch_change=handler(branched))
