"""How much each token of a text counts for one thing that a model says of it, asked in several ways.

What is said is a `model.language_model.Said`: the log-probability of a token, or how far a label is ahead. Attention,
for which the model is not asked, is followed in `model.analysis.attention_flow`. Here the model is asked: by its
gradient (Simonyan et al. 2013), by its gradients on the way from nothing in particular to this text (Sundararajan et
al. 2017), and by leaving each token out (Zeiler & Fergus 2014). Letters as in `model.run`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.analysis.attention import layer_weights
from model.analysis.attention_flow import carried, shares_of
from model.analysis.knock_out import rank_correlation
from model.analysis.logits import log_probabilities
from model.language_model import Differentiable, LanguageModel, Said
from model.run import ModelRun, PromptError, Token, VisitorError
from model.text.masking import masked

MOST_TOKENS = 256  # each of them is left out once
AT_ONCE = 8  # steps of integrated gradients that are read together
_SAME = 1e-3  # between what is said of tokens and of the vectors that stand for them, relative to 1 + its size
SPEARMAN, KENDALL = AGREEMENTS = ("spearman", "kendall")


@dataclass(frozen=True)
class Question:
    """What is explained, of which tokens: those that it could depend on."""

    tokens: tuple[Token, ...]
    said: Said
    mask: Token | None  # what hides a token; None: it is taken out of the text

    def __post_init__(self):
        n = len(self.tokens)
        if n < 2:
            raise PromptError("A text of one token has nothing to compare: type more.")
        if n > MOST_TOKENS:
            raise PromptError(
                f"There are {n:,} tokens here, and of {MOST_TOKENS} at most each is left out in turn: shorten the "
                "text, or choose a token nearer to its beginning."
            )


def question(lm: LanguageModel, tokens: Sequence[Token], said: Said) -> Question:
    """Of a decoder nothing behind the position counts; an encoder hides tokens behind its mask. Raises `PromptError`
    for a text that is too short or too long.
    """
    if lm.info.causal and said.position is not None:
        return Question(tuple(tokens[: said.position + 1]), said, None)
    return Question(tuple(tokens), said, lm.mask_token())


@dataclass(frozen=True)
class Answer:
    """What is said of a text."""

    value: float  # as `Said`
    best: int | None  # the most probable entry at the position; None of a label
    best_log_prob: float


def answer(lm: Any, tokens: Sequence[Token], said: Said) -> Answer:
    """Raises as `LanguageModel.run` does; IndexError if there is no such entry, label or position."""
    if said.position is None:
        log_prob = lm.classify(tokens).log_prob
        others = np.delete(log_prob, said.id)
        return Answer(float(log_prob[said.id] - others.mean()), None, float("nan"))
    log_prob = log_probabilities(next(iter(lm.logits(tokens, positions=[said.position])))[0])
    best = int(log_prob.argmax())
    return Answer(float(log_prob[said.id]), best, float(log_prob[best]))


def left_out(lm: LanguageModel, asked: Question, i: int) -> Answer:
    """What is said without token i, by reading that text: it is hidden behind the mask, or else taken out, and what
    stood behind it moves up. Of the last token taken out, what is said behind the one before.
    """
    tokens, said = asked.tokens, asked.said
    if asked.mask is not None:
        return answer(lm, masked(tokens, i, asked.mask), said)
    rest = (*tokens[:i], *tokens[i + 1 :])
    position = said.position if said.position is None else max(0, said.position - (i <= said.position))
    return answer(lm, rest, Said(said.id, position))


def gradient_x_input(lm: LanguageModel, asked: Question) -> np.ndarray:
    """(T,) by how much what is said would grow, to first order, if a token's vector did, in parts of itself.

    Raises `VisitorError` where the model gives no gradients, or says of vectors what it does not of their tokens.
    """
    lm = _differentiable(lm)
    vectors = lm.token_vectors(asked.tokens)  # (T, D)
    (value,), (gradient,) = lm.gradients(asked.tokens, asked.said, vectors[None])
    plain = answer(lm, asked.tokens, asked.said).value
    if not abs(value - plain) <= _SAME * (1 + abs(plain)):
        raise VisitorError(
            f"{lm.info.title} reads the vectors of this text otherwise than its tokens, so their gradients say nothing "
            "about it."
        )
    return (gradient.astype(np.float64) * vectors).sum(-1)


@dataclass(frozen=True)
class Integrated:
    """Integrated gradients, and whether they are complete: their sum is what the text adds, but for too few steps."""

    values: np.ndarray  # (T,)
    at_text: float  # what is said of the text
    at_baseline: float  # and of the baseline

    @property
    def difference(self) -> float:
        return self.at_text - self.at_baseline

    @property
    def gap(self) -> float:
        """How far the sum is from that; 0 with enough steps."""
        return float(self.values.sum()) - self.difference


def steps(n_step: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Where between the baseline, 0, and the text, 1, gradients are taken, and with which weight each counts; some at a
    time. Gauss-Legendre's nodes, by which N steps integrate any polynomial of degree 2 N - 1 exactly.
    """
    x, weights = np.polynomial.legendre.leggauss(n_step)
    return [((x[i : i + AT_ONCE] + 1) / 2, weights[i : i + AT_ONCE] / 2) for i in range(0, n_step, AT_ONCE)]


def mean_vector(lm: LanguageModel, asked: Question) -> np.ndarray:
    """(D,) the mean of all token vectors: a token that is none in particular. Raises as `gradient_x_input`."""
    table, _ = lm.embeddings()
    vectors, rows = _differentiable(lm).token_vectors(asked.tokens), table[[token.id for token in asked.tokens]]
    scale = np.linalg.norm(vectors) / np.linalg.norm(rows)  # some tables multiply what they give (Gemma 3)
    return (scale * table.mean(0, dtype=np.float64)).astype(np.float32)


def integrated_part(
    lm: LanguageModel, asked: Question, baseline: np.ndarray, at: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """(T,) what some of the `steps` from a baseline (D,) to the text add. Raises as `gradient_x_input`."""
    lm = _differentiable(lm)
    way = lm.token_vectors(asked.tokens) - baseline  # (T, D)
    texts = baseline + at.astype(np.float32)[:, None, None] * way  # (N, T, D)
    _, gradients = lm.gradients(asked.tokens, asked.said, texts)
    return np.einsum("n,ntd,td->t", weights, gradients.astype(np.float64), way.astype(np.float64))


def integrated_gradients(
    lm: LanguageModel, asked: Question, baseline: np.ndarray, n_step: int, parts: Sequence[np.ndarray] = ()
) -> Integrated:
    """The gradients on the straight way from a baseline (D,) in each token's place to the text, integrated, times that
    way. `parts`: what `integrated_part` made of each of the `steps`, if they are there. Raises as `gradient_x_input`.
    """
    parts = parts or [integrated_part(lm, asked, baseline, *each) for each in steps(n_step)]
    vectors = _differentiable(lm).token_vectors(asked.tokens)
    both = np.stack([vectors, np.broadcast_to(baseline, vectors.shape)])
    (at_text, at_baseline), _ = lm.gradients(asked.tokens, asked.said, both)
    return Integrated(np.sum(parts, axis=0), float(at_text), float(at_baseline))


def _differentiable(lm: Any) -> Any:
    if not isinstance(lm, Differentiable):
        raise VisitorError(f"{lm.info.title} gives no gradients, so only ways without them are shown.")
    return lm


def start_of(asked: Question) -> np.ndarray:
    """(T,) whose vectors what is said is read off: that of the position, or all alike where a label is."""
    n = len(asked.tokens)
    return np.full(n, 1 / n) if asked.said.position is None else np.eye(n)[asked.said.position]


def attention_of(run: ModelRun, start: np.ndarray, layers: Sequence[int]) -> np.ndarray:
    """(T,) the weight on each token in rows that count as `start` says, mean over all heads of some layers."""
    return np.mean([_of_rows(layer_weights(run.layer(i)).mean(0), start) for i in layers], axis=0)


def carried_of(lm: LanguageModel, run: ModelRun, start: np.ndarray) -> np.ndarray:
    """(T,) the same of what the weights carry: of each layer the lengths as shares of their row, mean over all layers.

    Raises `VisitorError` where the parameters of a layer, or its values, cannot be had.
    """
    layers = run.info.grid.layers
    shares = [shares_of(carried(run.layer(i), lm.layer_parameters(i))) for i in layers]
    return np.mean([_of_rows(each, start) for each in shares], axis=0)


def _of_rows(weights: np.ndarray, start: np.ndarray) -> np.ndarray:
    return start @ weights[: len(start), : len(start)]


def agreement(one: np.ndarray, other: np.ndarray, by: str) -> float:
    """Of two ways to order tokens by the size of what counts, whatever its sign: 1 the same order, -1 the opposite; NaN
    where all count alike. By Spearman's ρ, or Kendall's τ-b.
    """
    one, other = np.abs(one), np.abs(other)
    if by == SPEARMAN:
        return rank_correlation(one, other)
    first, second = (np.sign(each[:, None] - each) for each in (one, other))
    norm = np.sqrt(np.square(first).sum() * np.square(second).sum())
    return float((first * second).sum() / norm) if norm else float("nan")
