"""Checks as values: the same numbers made in two ways, how far apart they came out, how far they may be, and why.

A page shows each with a sentence of its own (`viz.ui.prose.check`); the arithmetic and the tolerances are here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from model.analysis.comparison import Comparison
from model.analysis.head import Difference
from model.run import Predictions

SINGLE = "sums of single precision, in another order"
DOUBLE = "sums of double precision, in another order"


@dataclass(frozen=True)
class Check:
    """What is compared, and the largest difference, in its own unit; NaN never passes."""

    compared: str
    difference: float
    tolerance: float  # in the same unit
    why: str  # the tolerance is what it is

    @property
    def passed(self) -> bool:
        return self.difference <= self.tolerance


def value_again(shown: float, again: float) -> Check:
    """A value on screen, and the same made again in double precision; NaN, nothing, is the same as NaN."""
    difference = 0.0 if np.isnan(shown) and np.isnan(again) else abs(shown - again)
    why = "a weight up to 1 in single precision; of a sum, relative to it"
    return Check("a value and the same in double precision", difference, 1e-6 * max(1.0, abs(again)), why)


def rows_sum_to_one(weights: np.ndarray) -> Check:
    """Rows of weights (T, S), each a distribution over the keys."""
    return Check("sums of rows, and 1", float(np.abs(weights.sum(axis=1) - 1).max()), 1e-5, SINGLE)


def differences_add_up(rows: np.ndarray, expected: np.ndarray) -> Check:
    """Rows of differences of weights, added up (R,), and what of both rows was not subtracted."""
    difference = float(np.abs(rows - expected).max(initial=0))
    return Check("rows of differences, and what was not subtracted", difference, 1e-5, SINGLE)


def shares_again(total: float) -> Check:
    """Shares of what a token is made of, added up over all tokens."""
    return Check("shares of all tokens, added up, and 1", abs(total - 1), 1e-4, f"{SINGLE}, layer after layer")


def layer_again(difference: float, *, exact: bool) -> Check:
    """A layer done again from its weights, as `recomputed` measures it; `exact`: its record is in single precision."""
    why = f"{SINGLE}, through the output projection and the MLP" if exact else "queries and keys kept in 16 bits"
    return Check("a layer's output, and the model's own", difference, 1e-3 if exact else 0.03, why)


def head_again(found: Sequence[Difference]) -> list[Check]:
    """Steps of a head, and what the model has there, as parts of the largest number: the worst of each kind."""
    worst: dict[str, Difference] = {}
    for each in found:
        held = worst.setdefault(each.compared, each)
        if not each.relative <= held.relative:  # so is NaN
            worst[each.compared] = each
    halves = "queries and keys kept in 16 bits"
    return [
        Check(each.compared, each.relative, each.tolerance, halves if each.halves else SINGLE)
        for each in worst.values()
    ]


def embeddings_summed(difference: float) -> Check:
    """Token vector + position vector, against what entered block 0: one addition a number."""
    return Check("token + position, and what enters block 0", difference, 1e-5, "one addition in single precision")


def blanks_again(made: Mapping[int, np.ndarray], predictions: Predictions) -> tuple[Check, Check]:
    """Log-probabilities (V,) of each blank's position, made from its vector: that they add up, and are the run's."""
    total = max(abs(float(np.exp(log_prob).sum()) - 1) for log_prob in made.values())
    largest = max(
        float(np.abs(np.exp(log_prob[predictions.top_id[i]]) - np.exp(predictions.top_log_prob[i])).max())
        for i, log_prob in made.items()
    )
    return (
        Check("the sum of all probabilities of a blank, and 1", total, 1e-6, DOUBLE),
        Check("probabilities of a blank, and the run's", largest, 1e-4, SINGLE),
    )


def search_again(log_prob: Sequence[float], found: float) -> Check:
    """The log-probabilities of a target read in one go, against what a search with a cache summed up on its way."""
    difference = abs(float(np.sum(log_prob)) - found)
    return Check("a target's log-probability, and the search's", difference, 1e-3, f"{SINGLE}, over all its steps")


def foreseen_again(shown: float, again: float) -> Check:
    """−ln p of one token of a run, and made again from logits alone, read with nothing kept."""
    return Check("−ln p of one token, from a run and from its logits", abs(shown - again), 1e-3, SINGLE)


def written_again(difference: float, largest: float) -> Check:
    """Logits kept while a text was written, and of the same text read in one go; `largest`: of these logits."""
    why = f"{SINGLE}, relative to the largest logit"
    return Check("logits of a step, written and read", difference, 1e-3 * max(1.0, largest), why)


def lens_again(difference: float) -> Check:
    """Probabilities of the last layer, read as every other layer is, and the run's own."""
    return Check("the last row of a logit lens, and the run's predictions", difference, 1e-4, SINGLE)


def logit_again(again: float, logit: float, size: float) -> Check:
    """A logit, and the terms of its product added up; `size`: of these, added up without sign."""
    why = f"{SINGLE}, relative to the terms without sign"
    return Check("a logit, and the terms of its product", abs(again - logit), 1e-5 * max(1.0, size), why)


def parts_again(total: float, logit: float, largest: float) -> Check:
    """The parts of a logit, `largest` the largest of them, added up; and the logit."""
    why = f"{SINGLE}, relative to the largest part"
    return Check("the parts of a logit, and the logit", abs(total - logit), 1e-4 * max(1.0, largest), why)


def pairs_again(total: float, scaled: float, exact: bool) -> Check:
    """The pairs of a score added up, and q·k times the scale; `exact`: queries and keys are in single precision."""
    most = 1e-4 if exact else 0.01
    why = f"{SINGLE}, relative to the score" if exact else "queries and keys kept in 16 bits"
    return Check("the pairs of a score, and the score", abs(total - scaled), most * max(1.0, abs(scaled)), why)


def carried_again(difference: float, size: float) -> Check:
    """A value added up from its parts, and the model's own, whose largest number is `size`."""
    return Check("a value from its parts, and the model's own", difference, 1e-4 * max(1.0, size), SINGLE)


def scores_by_hand(found: Comparison) -> Check:
    """BLEU and chrF, made again from their counts."""
    difference = max(abs(found.bleu - found.bleu_by_hand), abs(found.chrf - found.chrf_by_hand))
    return Check("BLEU and chrF by hand, and sacrebleu's", difference, 1e-6, "scores up to 100 in double precision")


def occlusion_again(difference: float) -> Check:
    return Check("a token's occlusion, and one more run", difference, 1e-4, f"{SINGLE}: one text at a time, or many")


def mean_of_products(mean: float, dot: float) -> Check:
    """The mean of the products of all pairs of vectors, against the product of their means."""
    return Check("the mean of all products, and a·b", abs(mean - dot), 1e-9 * max(1.0, abs(dot)), DOUBLE)


def training_again(compared: str, difference: float, size: float = 1.0) -> Check:
    """A step of training by hand, against PyTorch's own in double precision; `size`: of the largest number."""
    return Check(compared, difference, 1e-12 * max(1.0, size), DOUBLE)


def gradient_nudged(gradient: float, quotient: float) -> Check:
    """A gradient, against what the loss does when the weight is moved a little up and a little down."""
    why = "the loss is no straight line, and its last digits are rounded"
    return Check("a gradient, and the difference quotient", abs(gradient - quotient), 1e-7, why)


def same(compared: str, passed: bool) -> Check:
    """What must be equal, for it is counted or is text: then the difference is 0, else 1."""
    return Check(compared, float(not passed), 0, "counts and pieces of text are equal, or they are not")
