"""What a beam search did, as plain data; `model.builtin.beam_search` does it. Scores are natural log-probabilities."""

from dataclasses import dataclass

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
