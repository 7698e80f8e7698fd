"""How well a decoder foresees some texts: the loss of each token but the first of its text, and the perplexity."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from model.analysis.logits import log_probabilities
from model.language_model import LanguageModel


@dataclass(frozen=True)
class Foreseen:
    """Some texts, each read alone from its beginning."""

    nats: float  # −ln of the probability of what really came, summed over all tokens but the first of each text
    n_token: int  # of these
    n_character: int  # that they are written with
    cut: tuple[tuple[int, ...], ...]  # the token ids of each text

    @property
    def loss(self) -> float:
        """Nats a token; NaN where there is none to foresee."""
        return self.nats / self.n_token if self.n_token else math.nan

    @property
    def perplexity(self) -> float:
        return math.exp(min(self.loss, 700.0))  # a double holds no more

    @property
    def bits_per_character(self) -> float:
        """Comparable between models that cut texts in different ways."""
        return self.nats / math.log(2) / self.n_character if self.n_character else math.nan


def foreseen(lm: LanguageModel, texts: Iterable[str]) -> Foreseen:
    """Raises `PromptError` for a text that the model cannot read."""
    nats, n_token, n_character, cut = 0.0, 0, 0, []
    for text in texts:
        tokens = lm.encode(text)
        cut.append(tuple(token.id for token in tokens))
        if len(tokens) < 2:
            continue
        (logits,) = lm.logits(tokens)  # (T, V)
        for row, token in zip(logits[:-1], tokens[1:], strict=True):
            nats -= float(log_probabilities(row)[token.id])
        n_token += len(tokens) - 1
        n_character += len(text) - tokens[0].end
    return Foreseen(nats, n_token, n_character, tuple(cut))
