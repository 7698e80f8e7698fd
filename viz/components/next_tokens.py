"""What may come next as bars, and a slider of temperature that moves them in the browser, exactly."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st

from model.analysis.logits import log_sums
from viz.components import register
from viz.guard import handler

_bars = register(
    "next_tokens",
    shared=["percent"],
    html="""<div class="next"><div class="rows" role="list"></div>
<label class="heat"><span>Temperature</span><input type="range" min="0" step="1"><output></output></label>
<p class="how"></p></div>""",
    picture=True,
)


@dataclass(frozen=True)
class Candidates:
    """The most probable tokens of one position, and what makes their softmax exact at some temperatures."""

    labels: Sequence[str]
    logits: np.ndarray  # (k,) float64, best first, less the largest of all
    temperatures: np.ndarray  # (n,) ascending; 0: always the first
    log_sums: np.ndarray  # (n,) ln Σ over the whole vocabulary at each of them; 0 at temperature 0
    n_other: int  # entries of the vocabulary that are not among them

    @classmethod
    def of(cls, logits: np.ndarray, label: Callable[[int], str], k: int, temperatures: Sequence[float]) -> "Candidates":
        """From logits (V,)."""
        exact = logits.astype(np.float64) - float(logits.max())
        best = np.argsort(-exact, kind="stable")[:k]
        at = np.array(sorted(temperatures), np.float64)
        sums = np.where(at > 0, log_sums(exact, np.where(at > 0, at, 1)), 0.0)
        return cls([label(int(i)) for i in best], exact[best], at, sums, len(exact) - len(best))


def next_tokens(
    candidates: Candidates, temperature: float, *, key: str, name: str, on_set: Callable[[float], None] | None = None
) -> None:
    """Draw their bars at a temperature, and the slider if `on_set` is told of what it was set to.

    Nothing is sent while the slider moves: once it is let go, `on_set(temperature)`.
    """
    at = candidates.temperatures.tolist()

    def was_set() -> None:
        match st.session_state[key].set:
            case int(i) if on_set and 0 <= i < len(at):
                on_set(at[i])

    def numbers() -> dict:
        log_sum = candidates.log_sums[at.index(temperature)]
        p = np.exp(candidates.logits / temperature - log_sum) if temperature else candidates.logits == 0
        return {"token": candidates.labels, "logit, less the largest": candidates.logits, "probability": np.float64(p)}

    _bars(
        key=key,
        called=name,
        numbers=numbers,
        on_set_change=handler(was_set),
        data={
            "name": name,
            "labels": list(candidates.labels),
            "logits": candidates.logits.tolist(),
            "temperatures": at,
            "log_sums": candidates.log_sums.tolist(),
            "others": candidates.n_other,
            "now": at.index(temperature),
            "moves": on_set is not None,
        },
    )
