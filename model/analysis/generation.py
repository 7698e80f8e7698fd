"""Choosing the next token, one decoding step at a time, over any `LanguageModel`.

Temperature divides the logits; top-k keeps the k most probable tokens (Fan et al. 2018); top-p keeps the smallest set
of most probable tokens that holds at least the mass p (Holtzman et al. 2020). They are applied in this order, as
transformers' ``generate`` does; tokens that tie with the k-th stay, as they do there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from model.analysis.logits import rank, softmax
from model.language_model import LanguageModel
from model.run import ModelRun, Token
from model.text.prompt import placed


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn. temperature 0: always the most probable token (greedy)."""

    temperature: float = 1.0
    top_k: int = 0  # 0: no limit
    top_p: float = 1.0  # 1: no limit

    def __post_init__(self):
        if self.temperature < 0 or self.top_k < 0 or not 0 < self.top_p <= 1:
            raise ValueError(f"no way to draw a token: {self}")


@dataclass(frozen=True)
class NextToken:
    """The distribution of the next token: what the model says, and what sampling makes of it."""

    probability: np.ndarray  # (V,) softmax of the logits
    chance: np.ndarray  # (V,) after temperature, top-k and top-p; what is drawn from
    kept: np.ndarray  # (V,) whether top-k and top-p let the token through

    def best(self, n: int) -> np.ndarray:
        """The ids of the n most probable tokens, best first."""
        return np.argsort(-self.probability, kind="stable")[:n]

    def rank(self, id: int) -> int:
        """How many tokens are more probable: 0 is the best."""
        return rank(self.probability, id)

    @property
    def mass_kept(self) -> float:
        """How much of the model's own probability lies on the tokens that were kept."""
        return float(self.probability[self.kept].sum())

    def pick(self, number: float) -> int:
        """The token that a number in [0, 1) draws: the one whose `stretch` it falls in."""
        order, ends = self._laid_out()
        # the tokens that were cut off have no length, and "right" steps over them; rounding may leave the last end
        # just below 1, so the number is scaled to it
        reached = np.searchsorted(ends, min(number * ends[-1], np.nextafter(ends[-1], 0)), side="right")
        return int(order[reached])

    def stretch(self, id: int) -> tuple[float, float]:
        """From where to where a token's chance lies, if all chances are laid end to end, the most probable first."""
        order, ends = self._laid_out()
        end = float(ends[np.flatnonzero(order == id)[0]])
        return end - float(self.chance[id]), end

    def _laid_out(self) -> tuple[np.ndarray, np.ndarray]:
        order = self.best(len(self.chance))
        return order, self.chance[order].cumsum()


@dataclass(frozen=True)
class Step:
    """One token generated. The run it came from is `read_on` of the tokens before it: not kept, it is large."""

    token: Token
    sampling: Sampling
    probability: float  # what the model itself gave the token
    chance: float  # with what chance it was drawn
    rank: int  # how many tokens were more probable
    number: float  # the number in [0, 1) that drew it; see `NextToken.pick`


@dataclass(frozen=True)
class Draw:
    """How a token was drawn: with the text before it, enough to draw it again."""

    id: int
    sampling: Sampling
    seed: int


def write_draws(draws: Sequence[Draw]) -> str:
    """As one line without spaces, for an address: ids with points between, @, temperature, top-k, top-p and seed; with
    ~ where these change.
    """
    parts = []
    for (sampling, seed), some in groupby(draws, key=lambda draw: (draw.sampling, draw.seed)):
        ids = ".".join(str(draw.id) for draw in some)
        parts.append(f"{ids}@{sampling.temperature:g},{sampling.top_k},{sampling.top_p:g},{seed}")
    return "~".join(parts)


def read_draws(written: str) -> list[Draw]:
    """What `write_draws` wrote. ValueError if that cannot be."""
    found = []
    for part in written.split("~"):
        ids, _, settings = part.partition("@")
        temperature, top_k, top_p, seed = settings.split(",")
        sampling = Sampling(float(temperature), int(top_k), float(top_p))
        usual = 0 <= sampling.temperature <= 100 and sampling.top_k >= 0 and 0 < sampling.top_p <= 1
        if not usual or not 0 <= int(seed) < 2**31:
            raise ValueError(part)
        found += [Draw(int(id), sampling, int(seed)) for id in ids.split(".")]
    return found


def next_token(logits: np.ndarray, sampling: Sampling) -> NextToken:
    """From logits (V,)."""
    logits = logits.astype(np.float64)
    logits -= logits.max()
    probability = softmax(logits)
    if sampling.temperature == 0:
        kept = np.zeros(len(logits), bool)
        kept[logits.argmax()] = True
        return NextToken(probability, kept.astype(np.float64), kept)
    cooled = logits / sampling.temperature
    if 0 < sampling.top_k < len(cooled):
        cooled[cooled < np.partition(cooled, -sampling.top_k)[-sampling.top_k]] = -np.inf
    if sampling.top_p < 1:
        order = np.argsort(-cooled, kind="stable")
        mass_before = np.concatenate([[0], softmax(cooled)[order].cumsum()[:-1]])
        cooled[order[mass_before >= sampling.top_p]] = -np.inf
    return NextToken(probability, softmax(cooled), np.isfinite(cooled))


def read_on(lm: LanguageModel, tokens: Sequence[Token], sampling: Sampling) -> tuple[ModelRun, NextToken]:
    """Run the text so far and look at what may come next."""
    run = lm.run(tokens)
    return run, next_token(lm.unembed(run.stream[-1, -1]), sampling)


def generate(lm: LanguageModel, tokens: Sequence[Token], n: int, sampling: Sampling, seed: int) -> Iterator[Step]:
    """Yield up to `n` steps; ends early at the end of the text or of the model's context.

    The same text, sampling and seed give the same tokens, in one go or one by one: a token's random number depends on
    the seed and the position only.
    """
    tokens = list(tokens)
    for _ in range(min(n, lm.info.n_context - len(tokens))):
        _, following = read_on(lm, tokens, sampling)
        number = float(np.random.default_rng((seed, len(tokens))).random())
        token = placed(lm.token(following.pick(number)), tokens)
        yield Step(
            token=token,
            sampling=sampling,
            probability=float(following.probability[token.id]),
            chance=float(following.chance[token.id]),
            rank=following.rank(token.id),
            number=number,
        )
        if token.special:
            return
        tokens.append(token)
