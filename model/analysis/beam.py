"""Beam search, over any model that writes, and what it did, as plain data. Scores are natural log-probabilities.

The rules are those of transformers' ``generate(num_beams=…)`` with its default ``early_stopping=False``.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from model.analysis.logits import log_probabilities
from model.language_model import Decoding

WIDTH, PENALTY = 4, 1.0  # how many targets are kept, and what long ones cost, unless told otherwise


@dataclass(frozen=True)
class Candidate:
    """One node of the beam: a target so far."""

    ids: tuple[int, ...]  # without the start token
    log_prob: float  # the sum over them
    parent: int  # which of the step before it grew from
    finished: bool

    @property
    def length(self) -> int:
        """How many tokens the sum is over: the end counts, where it was written."""
        return len(self.ids) + self.finished

    def score(self, length_penalty: float) -> float:
        """What candidates are ranked by: the sum over length ** penalty (Wu et al. 2016, simplified)."""
        return self.log_prob / max(1, self.length) ** length_penalty


@dataclass(frozen=True)
class Beam:
    """What a beam search did."""

    steps: tuple[tuple[Candidate, ...], ...]  # the candidates kept after each step, those that ended among them
    dropped: tuple[tuple[Candidate, ...], ...]  # the next best at each step: looked at, and not kept
    finished: tuple[Candidate, ...]  # all that ended, the best score first; without any, what was being written


def beam_search(
    decoding: Decoding,
    ends: Collection[int],
    most: int,
    width: int,
    length_penalty: float = 1.0,
    *,
    forced: tuple[int, ...] = (),
    never: Collection[int] = (),
) -> Beam:
    """Keep the `width` best targets at each step; those that end leave the beam. Width 1 is the greedy search.

    It stops when `width` have ended and none that goes on scores better, or after `most` tokens. `forced` are written
    first, whatever their probability, at the cost of nothing; `never` is not written.
    """
    alive, finished, steps, left = [Candidate((), 0.0, -1, False)], [], [], []
    never = np.array(sorted(never), int)
    for n_written in range(most):
        if n_written:
            decoding.write([each.ids[-1] for each in alive], [each.parent for each in alive])
        if n_written < len(forced):
            log_prob = np.full(decoding.logits.shape, -np.inf)
            log_prob[:, forced[n_written]] = 0.0
        else:
            log_prob = np.stack([log_probabilities(row) for row in decoding.logits])  # (W, V)
            log_prob[:, never] = -np.inf
        log_prob += np.array([[each.log_prob] for each in alive])
        kept, dropped = [], []
        for place in _best(log_prob.ravel(), 2 * width):
            parent, id = divmod(place, log_prob.shape[1])
            ended = id in ends
            ids = alive[parent].ids + (() if ended else (id,))
            full = sum(not each.finished for each in kept) == width
            late = ended and len(kept) >= width  # only what is among the best of its step may end
            (dropped if full or late else kept).append(Candidate(ids, float(log_prob.flat[place]), parent, ended))
        steps.append(tuple(kept))
        left.append(tuple(dropped))
        finished += [each for each in kept if each.finished]
        # `decoding` numbers its texts as they go on: those that ended are no longer among them
        alive = [each for each in kept if not each.finished]
        if not alive:
            break
        ranked = sorted((each.score(length_penalty) for each in finished), reverse=True)
        if len(ranked) >= width and alive[0].score(length_penalty) <= ranked[width - 1]:
            break
    finished = finished or alive
    ranked = sorted(finished, key=lambda each: -each.score(length_penalty))
    return Beam(tuple(steps), tuple(left), tuple(ranked))


def _best(values: np.ndarray, n: int) -> list[int]:
    """Where the n largest of values (N,) are, the largest first, of equal ones the first; none of -inf."""
    n = min(n, len(values))
    among = np.flatnonzero(values >= np.partition(values, -n)[-n])
    order = among[np.argsort(-values[among], kind="stable")][:n]
    return [int(place) for place in order if values[place] > -np.inf]
