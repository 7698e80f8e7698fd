"""What a model expects in the place of a hidden token, and how well each token of a text is guessed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.analysis.logits import log_probabilities, rank
from model.language_model import LanguageModel
from model.run import ModelRun, Token
from model.text.masking import masked


def expectation(lm: LanguageModel, run: ModelRun, position: int) -> np.ndarray:
    """The log-probability, in nats, of every vocabulary entry (V,) at one position of a run.

    Raises `VisitorError` if the model cannot tell that of a single vector.
    """
    return log_probabilities(lm.unembed(run.stream[-1, position]))


@dataclass(frozen=True)
class PseudoLogLikelihood:
    """How well each token of a text is guessed when it alone is masked; NaN, -1 for what was not masked."""

    probability: np.ndarray  # (T,) of the token that stands there
    rank: np.ndarray  # (T,) its place among all entries, 0 is the best
    best: np.ndarray  # (T,) the id that is expected most

    @property
    def mean(self) -> float:
        """The geometric mean of the probabilities; its inverse is the pseudo-perplexity of Salazar et al. 2020."""
        return float(np.exp(np.nanmean(np.log(self.probability))))


def pseudo_log_likelihood(lm: LanguageModel, tokens: Sequence[Token], mask: Token) -> PseudoLogLikelihood:
    """Mask each token that is no special one, alone, and guess it: one run for each (Salazar et al. 2020).

    Raises `VisitorError` as `expectation` does.
    """
    n = len(tokens)
    probability, ranks, best = np.full(n, np.nan), np.full(n, -1), np.full(n, -1)
    for i, token in enumerate(tokens):
        if token.special:
            continue
        log_prob = expectation(lm, lm.run(masked(tokens, i, mask)), i)
        probability[i], ranks[i] = np.exp(log_prob[token.id]), rank(log_prob, token.id)
        best[i] = log_prob.argmax()
    return PseudoLogLikelihood(probability, ranks, best)
