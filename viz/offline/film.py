"""A text as it was written, token by token: what the film shows, for a page with a server and one without."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from model.analysis.attention import layer_weights
from model.analysis.attention_map import MapSpec
from model.analysis.generation import Step
from model.run import Attention, ModelRun
from viz.offline.source import Columns, Source

FILM = Source(
    "film",
    '<div class="film"><div class="controls"><button class="play"></button>'
    '<input type="range" min="0" step="1" aria-label="Which of the written tokens"><div class="now"></div></div>'
    '<ul class="text" role="list" aria-label="The text so far"></ul>'
    '<div class="choice"><div class="head" aria-hidden="true"><span>token</span><span></span><span>the model</span>'
    '<span>the draw</span></div><div class="candidates" role="group" aria-label="What could stand here"></div></div>'
    '<div class="side"><p class="told"></p><p class="kept"></p><button class="open">Look behind this choice</button>'
    '</div><div class="tip" aria-hidden="true" hidden></div></div>',
    ("percent", "tip", "rove", "player", "candidates"),
)
MOST_BEFORE, N_CANDIDATES = 200, 8  # tokens drawn before what was written; candidates of each step
MOST_WRITTEN = 500  # steps that are played: the weights of more are megabytes, for each look
NAMES = {  # of what sampling does, besides its temperature
    "top_k": "top-k",
    "top_p": "top-p",
    "min_p": "min-p",
    "typical_p": "typical-p",
    "repetition_penalty": "repetition penalty",
    "no_repeat_ngram": "no sequence twice, of",
}
# what took a candidate out of the choice
CUT = NAMES | {"no_repeat_ngram": "repeats", "greedy": "greedy", "temperature": "temperature", "model": "the model"}
_FULL = 65535  # what a weight of 1 is sent as


@dataclass(frozen=True)
class Film:
    """N tokens written behind others, T in all; K candidates of each step, the most probable first.

    Of a long text, the first tokens may be left out, and so may the first steps.
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
    skipped: int = 0  # steps before those N

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
                "skipped": self.skipped,
            },
            "numbers": Columns(
                probability=np.float32(self.model).ravel(),
                chance=np.float32(self.chance).ravel(),
                cut=np.array([reasons.index(reason) for row in self.cut_by for reason in row], np.uint8),
            ),
            "rows": Columns(weight=np.round(self.weights * _FULL).astype(np.uint16).ravel()),
        }


def film_of(
    run: ModelRun,
    spec: MapSpec,
    steps: Sequence[Step],
    *,
    who: str,
    label: Callable[[int], str],
    at: int,
    written: str = "",
) -> Film:
    """Of a run whose last tokens were written by these steps; `who`: the heads of the spec in words. `label`: of a
    token by its id; `at`: which step is shown at first.
    """
    skipped = max(0, len(steps) - MOST_WRITTEN)
    steps, at = steps[skipped:], max(0, at - skipped)
    first = max(0, len(run.tokens) - len(steps) - MOST_BEFORE)
    found = [step.candidates for step in steps]
    n = min(N_CANDIDATES, len(found[0].ids))
    return Film(
        labels=[token.label for token in run.tokens[first:]],
        written=written,
        probability=np.array([step.probability for step in steps]),
        entropy=np.array([each.entropy for each in found]),
        candidates=[[label(int(id)) for id in each.ids[:n]] for each in found],
        model=np.array([each.probability[:n] for each in found]),
        chance=np.array([each.chance[:n] for each in found]),
        cut_by=[[each.cut_by[i] and CUT[each.cut_by[i]] for i in range(n)] for each in found],
        drawn=[_place(step, n) for step in steps],
        n_vocab=run.info.n_vocab,
        weights=rows(run, spec, len(steps))[:, first:],
        who=who,
        n_byte=kept_bytes(run),
        n_layer=len(run.attention),
        first=first,
        at=at,
        skipped=skipped,
    )


def _place(step: Step, n: int) -> int:
    """Which of the first n candidates was written; -1: none of these."""
    found = np.flatnonzero(step.candidates.ids[:n] == step.token.id)
    return int(found[0]) if len(found) else -1


def rows(run: ModelRun, spec: MapSpec, n: int) -> np.ndarray:
    """(n, T) the weights of the positions that chose the last n tokens, of the heads of a spec, by their mean."""
    first = len(run.tokens) - n - 1  # the last token has chosen nothing yet
    chose = slice(first, first + n)
    each = [layer_weights(run.attention[layer], chose, [head])[0] for layer, head in spec.heads]
    return np.mean(each, axis=0)[:, : len(run.tokens)]


def kept_bytes(run: ModelRun) -> int:
    """Of the keys and values of one token, in all layers."""
    layers = [layer for layer in run.attention if isinstance(layer, Attention)]
    # of a long text, a run keeps no values: they are of the size of the keys
    kept = [each for layer in layers for each in (layer.key, layer.key if layer.value is None else layer.value)]
    return sum(4 * each.shape[0] * each.shape[2] for each in kept)
