"""From logits to the chance of each next token: what is done to them, in transformers' order, one thing after another.

First what the text so far says, which greedy decoding heeds too: a penalty of repetition divides the logits of tokens
that are there already where they are positive, and multiplies them where they are negative (Keskar et al. 2019); no
sequence of n tokens may come twice (Paulus et al. 2017). Then, where a token is drawn: temperature divides the logits;
top-k keeps the k most probable (Fan et al. 2018); top-p the fewest that together hold p (Holtzman et al. 2020); min-p
those at least p times as probable as the best (Nguyen et al. 2024); typical those nearest to the entropy that
together hold at least p (Meister et al. 2023). Tokens that tie with the k-th stay, as in transformers.

All in double precision. V vocabulary entries.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from model.analysis.logits import log_probabilities, rank, softmax

_MOSTLY_ENOUGH = 256  # tokens among which most draws fall: to sort a whole vocabulary costs more than to read a token


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn. temperature 0: always the most probable token (greedy)."""

    temperature: float = 1.0
    top_k: int = 0  # 0: no limit
    top_p: float = 1.0  # 1: no limit
    min_p: float = 0.0  # 0: no limit
    typical_p: float = 1.0  # 1: no limit
    repetition_penalty: float = 1.0  # 1: none
    no_repeat_ngram: int = 0  # tokens of a sequence that may not come twice; 0: all may

    def __post_init__(self):
        whole = self.top_k >= 0 and self.no_repeat_ngram >= 0
        shares = 0 < self.top_p <= 1 and 0 <= self.min_p <= 1 and 0 < self.typical_p <= 1
        if not (self.temperature >= 0 and self.repetition_penalty > 0 and whole and shares):  # NaN neither
            raise ValueError(f"no way to draw a token: {self}")
        if not all(np.isfinite(getattr(self, field.name)) for field in fields(self)):
            raise ValueError(f"no way to draw a token: {self}")


@dataclass(frozen=True)
class NextToken:
    """The distribution of the next token: what the model says, and what sampling makes of it."""

    stages: tuple[tuple[str, np.ndarray], ...]  # what was done, by its name in `Sampling`, and the logits (V,) after it
    probability: np.ndarray  # (V,) softmax of the model's own logits
    chance: np.ndarray  # (V,) after all that was done; what is drawn from

    @cached_property
    def kept(self) -> np.ndarray:
        """(V,) whether the token may be drawn."""
        return np.isfinite(self.stages[-1][1])

    def cut_by(self, ids: np.ndarray) -> tuple[str | None, ...]:
        """What took each of these tokens out of the choice; None if it is in it."""
        names = (None, *(name for name, _ in self.stages))
        cut = np.array([logits[ids] == -np.inf for _, logits in self.stages])  # (stages, N)
        return tuple(names[i] for i in np.where(cut.any(0), cut.argmax(0) + 1, 0).tolist())

    def best(self, n: int) -> np.ndarray:
        """The ids of the n most probable tokens, best first."""
        return self._first[:n] if n <= _MOSTLY_ENOUGH else _best(self.probability, n)

    def rank(self, id: int) -> int:
        """How many tokens are more probable: 0 is the best."""
        return rank(self.probability, id)

    @property
    def mass_kept(self) -> float:
        """How much of the model's own probability lies on the tokens that were kept."""
        return float(self.probability[self.kept].sum())

    def pick(self, number: float) -> int:
        """The token that a number in [0, 1) draws: the one whose `stretch` it falls in."""
        if self.stages and self.stages[-1][0] == "greedy":
            return int(self.chance.argmax())  # it has all
        total = float(self.chance.sum())
        # rounding may leave the last end just below 1, so the number is scaled to it
        at = min(number * total, np.nextafter(total, 0))
        order = self.best(_MOSTLY_ENOUGH)
        ends = self.chance[order].cumsum()
        if at >= ends[-1]:
            order = self._order
            ends = self.chance[order].cumsum()
        # the tokens that were cut off have no length, and "right" steps over them
        last = np.flatnonzero(self.chance[order])[-1]  # beyond it is nothing but rounding
        return int(order[min(np.searchsorted(ends, at, side="right"), last)])

    def stretch(self, id: int) -> tuple[float, float]:
        """From where to where a token's chance lies, if all chances are laid end to end, the most probable first."""
        end = float(self.chance[self._order].cumsum()[np.flatnonzero(self._order == id)[0]])
        return end - float(self.chance[id]), end

    @cached_property
    def _first(self) -> np.ndarray:
        return _best(self.probability, _MOSTLY_ENOUGH)

    @cached_property
    def _order(self) -> np.ndarray:
        return np.argsort(-self.probability, kind="stable")


def next_token(logits: np.ndarray, sampling: Sampling, before: Sequence[int] = ()) -> NextToken:
    """From logits (V,), and the ids of the text so far."""
    logits = logits.astype(np.float64)
    probability, stages = softmax(logits), (("model", logits), *_stages(logits, sampling, before))
    last = stages[-1][1]
    if sampling.temperature == 0:
        chance = np.isfinite(last).astype(np.float64)
    else:
        chance = softmax(last) if len(stages) > 1 else probability
    return NextToken(stages, probability, chance)


def _stages(logits: np.ndarray, sampling: Sampling, before: Sequence[int]) -> Iterator[tuple[str, np.ndarray]]:
    for name, do in _HEEDED_ALWAYS.items():
        if (value := getattr(sampling, name)) != _USUAL[name]:
            logits = do(logits.copy(), value, np.asarray(before, int))
            yield name, logits
    if sampling.temperature == 0:
        best = np.full_like(logits, -np.inf)
        best[logits.argmax()] = 0.0
        yield "greedy", best
        return
    for name, do in _WHERE_DRAWN.items():
        if (value := getattr(sampling, name)) != _USUAL[name]:
            logits = do(logits.copy(), value)
            yield name, logits


def _repetition_penalty(logits: np.ndarray, penalty: float, before: np.ndarray) -> np.ndarray:
    there = np.unique(before)
    logits[there] *= np.where(logits[there] < 0, penalty, 1 / penalty)
    return logits


def _no_repeat_ngram(logits: np.ndarray, n: int, before: np.ndarray) -> np.ndarray:
    logits[repeats(before, n)] = -np.inf
    return logits


def repeats(before: np.ndarray, n: int) -> np.ndarray:
    """Of a text's ids (T,), those that would complete a sequence of n > 0 tokens which is there already."""
    if len(before) < n:
        return before[:0]
    seen = np.lib.stride_tricks.sliding_window_view(before, n)  # (T - n + 1, n)
    last = before[len(before) - n + 1 :]  # the n - 1 that the next token would complete
    return np.unique(seen[(seen[:, :-1] == last).all(1), -1])


def _temperature(logits: np.ndarray, temperature: float) -> np.ndarray:
    return logits / temperature


def _top_k(logits: np.ndarray, k: int) -> np.ndarray:
    if k < len(logits):
        logits[logits < np.partition(logits, -k)[-k]] = -np.inf
    return logits


def _top_p(logits: np.ndarray, p: float) -> np.ndarray:
    there = np.flatnonzero(logits > -np.inf)  # what is cut already need not be sorted
    order = there[np.argsort(-logits[there], kind="stable")]
    mass_before = np.concatenate([[0], softmax(logits)[order].cumsum()[:-1]])
    logits[order[mass_before >= p]] = -np.inf
    return logits


def _min_p(logits: np.ndarray, p: float) -> np.ndarray:
    probability = softmax(logits)
    logits[probability < p * probability.max()] = -np.inf
    return logits


def _typical_p(logits: np.ndarray, p: float) -> np.ndarray:
    surprise = -log_probabilities(logits)  # nats; ∞ of what is cut already
    probability = np.exp(-surprise)
    open_by = (probability * np.where(probability > 0, surprise, 0)).sum()  # the entropy
    from_typical = np.abs(surprise - open_by)
    order = np.argsort(from_typical, kind="stable")
    n_before = min(int((probability[order].cumsum() < p).sum()), len(order) - 1)
    logits[from_typical > from_typical[order[n_before]]] = -np.inf
    return logits


_USUAL = {field.name: field.default for field in fields(Sampling)}
_HEEDED_ALWAYS = {"repetition_penalty": _repetition_penalty, "no_repeat_ngram": _no_repeat_ngram}
_WHERE_DRAWN = {
    "temperature": _temperature,
    "top_k": _top_k,
    "top_p": _top_p,
    "min_p": _min_p,
    "typical_p": _typical_p,
}


def _best(values: np.ndarray, n: int) -> np.ndarray:
    """Where the n largest of values (V,) are, the largest first, of equal ones the first."""
    n = min(n, len(values))
    if n == 0:
        return np.zeros(0, int)
    among = np.flatnonzero(values >= np.partition(values, -n)[-n])
    return among[np.argsort(-values[among], kind="stable")][:n]
