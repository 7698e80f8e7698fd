"""Choosing the next token, one decoding step at a time, over any `LanguageModel`.

Temperature divides the logits; top-k keeps the k most probable tokens (Fan et al. 2018); top-p keeps the smallest set of
most probable tokens that holds at least the mass p (Holtzman et al. 2020). They are applied in this order, as
transformers' ``generate`` does.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from model.run import LanguageModel, ModelRun, Token


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn. temperature 0: always the most probable token (greedy)."""

    temperature: float = 1.0
    top_k: int = 0  # 0: no limit
    top_p: float = 1.0  # 1: no limit


@dataclass(frozen=True)
class NextToken:
    """The distribution of the next token: what the model says, and what sampling makes of it."""

    probability: np.ndarray  # (V,) softmax of the logits
    chance: np.ndarray  # (V,) after temperature, top-k and top-p; what is drawn from

    def best(self, n: int) -> np.ndarray:
        """The ids of the n most probable tokens, best first."""
        return np.argsort(-self.probability, kind="stable")[:n]


@dataclass(frozen=True)
class Step:
    """One token generated."""

    run: ModelRun  # of the text before it; its last position chose the token
    next: NextToken
    token: Token

    @property
    def probability(self) -> float:
        """What the model itself gave the token."""
        return float(self.next.probability[self.token.id])

    @property
    def chance(self) -> float:
        """With what chance the token was drawn."""
        return float(self.next.chance[self.token.id])


def next_token(logits: np.ndarray, sampling: Sampling) -> NextToken:
    """From logits (V,)."""
    logits = logits.astype(np.float64)
    probability = _softmax(logits)
    if sampling.temperature == 0:
        chance = np.zeros_like(probability)
        chance[logits.argmax()] = 1
        return NextToken(probability, chance)
    cooled = logits / sampling.temperature
    if sampling.top_k:
        cooled[cooled < np.sort(cooled)[-min(sampling.top_k, len(cooled))]] = -np.inf
    if sampling.top_p < 1:
        order = np.argsort(-cooled, kind="stable")
        mass_before = np.concatenate([[0], _softmax(cooled)[order].cumsum()[:-1]])
        cooled[order[mass_before >= sampling.top_p]] = -np.inf
    return NextToken(probability, _softmax(cooled))


def read_on(lm: LanguageModel, tokens: Sequence[Token], sampling: Sampling) -> tuple[ModelRun, NextToken]:
    """Run the text so far and look at what may come next."""
    run = lm.run(tokens)
    return run, next_token(lm.unembed(run.hidden[-1, -1]), sampling)


def generate(
    lm: LanguageModel, tokens: Sequence[Token], n: int, sampling: Sampling, rng: np.random.Generator
) -> Iterator[Step]:
    """Yield up to `n` steps; ends early at the end of the text or of the model's context."""
    tokens = list(tokens)
    while n > 0 and len(tokens) < lm.info.n_context:
        run, following = read_on(lm, tokens, sampling)
        token = lm.token(int(rng.choice(len(following.chance), p=following.chance)))
        yield Step(run, following, token)
        if token.special:
            return
        tokens.append(placed(token, tokens))
        n -= 1


def placed(token: Token, before: Sequence[Token]) -> Token:
    """A generated token with its offsets in the text that `before` and it make."""
    raw = b"".join(t.piece for t in before)
    start = len(raw.decode(errors="ignore"))
    end = len((raw + token.piece).decode(errors="replace"))
    return Token(token.id, token.piece, start, max(end, start), token.special)


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max())
    return exponentials / exponentials.sum()
