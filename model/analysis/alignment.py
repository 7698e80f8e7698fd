"""Which words of a source each word of a translation goes with, read off cross-attention: a reading, not a truth.

While the decoder looks from token t it chooses token t + 1, so what it looked at to write a token is the row of the
token before it. All here uses that row, the one that predicts the word, and none looks from the last token.
Letters: Q units of what was written, K units of the source.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.analysis.attention_map import between_units, combined_weights
from model.run import ModelRun
from model.text.units import Units

# the four beside a point, then the diagonal ones: the order of Koehn et al.'s own program
_NEIGHBOURS = ((-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))


@dataclass(frozen=True)
class Crossing:
    """Where the source was looked at while each unit was written."""

    weights: np.ndarray  # (Q, K) float32; rows add up to 1
    written: Units  # of the target without its start token
    source: Units

    def queries(self, unit: int) -> tuple[int, ...]:
        """The positions that looked while this unit was written: one before each of its tokens."""
        return tuple(self.written.tokens(unit))  # its token i is token i + 1 of the target, which query i predicts

    def keys(self, unit: int) -> tuple[int, ...]:
        """The positions of a unit of the source."""
        return tuple(self.source.tokens(unit))


def crossing(run: ModelRun, heads: Sequence[tuple[int, int]], written: Units, source: Units) -> Crossing:
    """The mean of some heads' cross-attention, between units: the sum over a unit's keys, the mean over its queries.

    `written` groups ``run.tokens[1:]``, `source` groups ``run.source``. ValueError if they group something else.
    """
    if (written.n_token, source.n_token) != (len(run.tokens) - 1, len(run.source)):
        raise ValueError(
            f"units of {written.n_token} and {source.n_token} tokens for {len(run.tokens) - 1} and {len(run.source)}"
        )
    # a learned sink goes with no word
    weights = combined_weights(run.cross, heads, "mean")[:-1, : source.n_token]  # (T - 1, S)
    return Crossing(between_units(weights, written, source) if len(written) else weights, written, source)


@dataclass(frozen=True)
class Alignment:
    """Pairs of what was written and the source, in both directions and put together; all (Q, K) of bool."""

    row_best: np.ndarray  # each row's largest weight: what the word written looked at most
    column_best: np.ndarray  # each column's largest: the word written that looked at this one most
    grown: np.ndarray  # grow-diag of the two

    @property
    def both(self) -> np.ndarray:
        """On what the two directions agree."""
        return self.row_best & self.column_best


def align(weights: np.ndarray) -> Alignment:
    """Read an alignment off weights (Q, K), in both directions (Och and Ney 2003). NaN: no such weight.

    Of equal weights the first is taken; a row or column without any weight above 0 goes with nothing.
    """
    weights = np.nan_to_num(weights, nan=0.0)
    row_best, column_best = _largest(weights), _largest(weights.T).T
    return Alignment(row_best, column_best, grow_diag(row_best, column_best))


def grow_diag(forward: np.ndarray, backward: np.ndarray) -> np.ndarray:
    """Put two directions (Q, K) of bool together (Koehn, Och and Marcu 2003, “Statistical phrase-based translation”).

    Begin with the pairs that both have. A pair beside one that is in, also diagonally, joins if one direction has it
    and its row or its column has none yet. Row by row, again until nothing joins. Without their "final" step, which
    would also take pairs that touch nothing.
    """
    aligned, union = forward & backward, forward | backward
    while True:
        before = aligned.sum()
        for q, k in np.ndindex(aligned.shape):
            if not aligned[q, k]:
                continue
            for down, right in _NEIGHBOURS:
                near = q + down, k + right
                inside = 0 <= near[0] < aligned.shape[0] and 0 <= near[1] < aligned.shape[1]
                if inside and union[near] and not (aligned[near[0]].any() and aligned[:, near[1]].any()):
                    aligned[near] = True
        if aligned.sum() == before:
            return aligned


def _largest(weights: np.ndarray) -> np.ndarray:
    """(Q, K) of bool: where each row's first largest value stands, if it is above 0."""
    chosen = np.zeros(weights.shape, bool)
    if weights.size:
        chosen[np.arange(len(weights)), weights.argmax(axis=1)] = True
    return chosen & (weights > 0)
