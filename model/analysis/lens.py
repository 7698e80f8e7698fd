"""The logit lens: what each layer would say if it were the last (nostalgebraist 2020).

The residual stream after each block is read as the last one is: the final norm, with the size of that very vector, and
the unembedding. Middle layers were never trained to be read so. Letters as in `model.run`; N positions are read.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.language_model import LanguageModel
from model.layer import seal
from model.run import ModelRun, Predictions, VisitorError

PROBABILITY, RANK, ENTROPY = READINGS = ("probability", "rank", "entropy")
TOP_K = 5
_AT_ONCE = 4 * 10**6  # logits that are there together


@dataclass(frozen=True)
class Lens:
    """Natural logarithms throughout; row 0 is what enters the first block, row L what the model itself says."""

    positions: np.ndarray  # (N,) of the tokens, each read for what comes after it
    top_id: np.ndarray  # (L + 1, N, k) the most probable tokens, best first
    top_log_prob: np.ndarray  # (L + 1, N, k)
    answer_log_prob: np.ndarray  # (L + 1, N) of the most probable token of the last row
    answer_rank: np.ndarray  # (L + 1, N) its place among all, 0 is the best
    entropy: np.ndarray  # (L + 1, N) in nats

    def __post_init__(self):
        seal(self.top_log_prob, self.answer_log_prob, self.entropy)
        seal(self.positions, self.top_id, self.answer_rank, dtype=np.dtype(np.int64))

    @property
    def answer(self) -> np.ndarray:
        """(N,) the ids of what the model says in the end."""
        return self.top_id[-1, :, 0]

    @property
    def settled(self) -> np.ndarray:
        """(N,) the first row from which on the answer stays the most probable token."""
        wrong = self.answer_rank > 0  # (L + 1, N); never in the last row
        return np.where(wrong.any(0), len(wrong) - wrong[::-1].argmax(0), 0)

    def apart(self, predictions: Predictions) -> float:
        """The largest difference between the probabilities of the last row and those of the run."""
        theirs = predictions.top_log_prob[self.positions, : self.top_id.shape[-1]]
        return float(np.abs(np.exp(self.top_log_prob[-1]) - np.exp(theirs)).max())


def logit_lens(lm: LanguageModel, run: ModelRun, positions: Sequence[int]) -> Lens:
    """Of some positions of a run, in every layer; a few rows of logits stand at a time, never an (L, N, V) table.

    Raises `VisitorError` where hidden vectors are not known, or cannot be read as tokens; IndexError for a position
    that is not there.
    """
    if run.predictions is None:
        raise VisitorError(f"{run.info.title} has no head that predicts tokens, so no layer can be read as tokens.")
    at = np.array(positions, np.int64)
    hidden = run.stream[:, at]  # (L + 1, N, D)
    n_row, n, k = *hidden.shape[:2], min(TOP_K, run.info.n_vocab)
    top_id, top_log_prob = np.empty((n_row, n, k), np.int64), np.empty((n_row, n, k), np.float32)
    answer_log_prob, entropies = np.empty((2, n_row, n), np.float32)
    answer_rank = np.empty((n_row, n), np.int64)
    answer = np.full(n, -1)
    step = max(1, _AT_ONCE // run.info.n_vocab)
    # the last layer first: it says what the answer is
    places = [(row, i) for row in reversed(range(n_row)) for i in range(n)]
    for first in range(0, len(places), step):
        rows, columns = np.transpose(places[first : first + step])
        logits = lm.unembed(hidden[rows, columns])  # (R, V)
        z = logits - logits.max(-1, keepdims=True)
        p = np.exp(z)
        total = p.sum(-1)  # (R,)
        entropies[rows, columns] = np.log(total) - np.einsum("rv,rv->r", p, z) / total  # one exp for everything
        best = np.argpartition(-z, k - 1)[:, :k]
        by = np.take_along_axis(z, best, -1)
        order = np.lexsort((best, -by))  # of equal ones the first entry of the vocabulary, as argmax has it
        best, by = np.take_along_axis(best, order, -1), np.take_along_axis(by, order, -1)
        top_id[rows, columns], top_log_prob[rows, columns] = best, by - np.log(total)[:, None]
        last = rows == n_row - 1
        answer[columns[last]] = best[last, 0]
        own = np.take_along_axis(z, answer[columns, None], -1)  # (R, 1)
        answer_log_prob[rows, columns] = own[:, 0] - np.log(total)
        answer_rank[rows, columns] = (z > own).sum(-1)
    return Lens(at, top_id, top_log_prob, answer_log_prob, answer_rank, entropies)
