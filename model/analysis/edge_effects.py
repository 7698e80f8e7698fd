"""Weight beside effect: how what a model says changes without one edge of a head, exactly, and of all edges estimated.

An edge is a query that looks at a key. Without it its score is -inf (`model.intervention.Ablation.edges_off`), and the
other weights of its row share what it had: each is divided by 1 - a. Letters as in `model.run`; C columns, S or, with
a learned sink, S + 1.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from model.analysis.attention import attention_weights, key_head, visible
from model.analysis.knock_out import cross_entropy, rank_correlation
from model.intervention import UNCHANGED, Ablation, Intervention
from model.language_model import Differentiable, LanguageModel, Said
from model.run import Layer, ModelRun, PromptError, Token, VisitorError

MOST_TOKENS = 255  # of a text: with a learned sink beside them, each edge has still a cell of its own


@dataclass(frozen=True)
class Asked:
    """Of which text it is asked how probable which entries of the vocabulary are: one, or each that comes next in it.

    What is said of them together is their loss: the mean of -ln p, in nats.
    """

    tokens: tuple[Token, ...]
    source: tuple[Token, ...]  # of an encoder-decoder
    said: tuple[Said, ...]

    def __post_init__(self):
        if not self.said:
            raise PromptError("A text of one token has no next token to foresee: type more.")
        n = max(len(self.tokens), len(self.source))
        if n > MOST_TOKENS:
            raise PromptError(
                f"There are {n:,} tokens here, and of {MOST_TOKENS} at most the edges are taken away: shorten the text."
            )


def one(run: ModelRun, said: Said) -> Asked:
    """One entry at one position of a run's text. Raises `PromptError` for a text that is too long."""
    return Asked(run.tokens, run.source, (said,))


def all_next(run: ModelRun) -> Asked:
    """All that comes next in it. Raises `PromptError`, for a single token too."""
    said = [Said(token.id, t) for t, token in enumerate(run.tokens[1:])]
    return Asked(run.tokens, run.source, tuple(said))


@dataclass(frozen=True)
class HeadAt:
    """One head of one kind of attention."""

    kind: str
    layer: int
    head: int

    def off(self) -> Intervention:
        """It writes nothing."""
        return self._changed(heads_off=frozenset({(self.layer, self.head)}))

    def without(self, query: int, key: int) -> Intervention:
        """This query does not see this key; behind the last key is the sink."""
        return self._changed(edges_off=frozenset({(self.layer, self.head, query, key)}))

    def _changed(self, **places: frozenset) -> Intervention:
        return Intervention(**places) if self.kind == "self" else Intervention(**{self.kind: Ablation(**places)})


def losses(lm: LanguageModel, asked: Asked, changes: Sequence[Intervention]) -> Iterator[float]:
    """The loss of what is asked, once for each change. Raises as `LanguageModel.logits` does."""
    rows, ids = [each.position for each in asked.said], [each.id for each in asked.said]
    for logits in lm.logits(asked.tokens, changes, asked.source, positions=rows):  # (P, V)
        yield cross_entropy(logits, ids)


def removable(attention: Layer, head: int) -> np.ndarray:
    """(T, C) of bool: which edges can be taken away. What a mask hides is none, and a query has to see something."""
    seen = visible(attention, head)
    return seen & (seen.sum(-1, keepdims=True) > 1)


def key_rises(
    lm: LanguageModel, asked: Asked, at: HeadAt, query: int, keys: Sequence[int]
) -> tuple[float, list[float]]:
    """The loss as trained, and by how much it rises without each of some keys of a query in turn. Exact.

    Raises as `LanguageModel.logits` does.
    """
    trained, *others = losses(lm, asked, [UNCHANGED, *(at.without(query, key) for key in keys)])
    return trained, [loss - trained for loss in others]


def head_gradient(lm: LanguageModel, asked: Asked, kind: str, layer: int) -> np.ndarray:
    """(H, T, K) how the loss grows with what each head of a layer gives to the output projection.

    Raises `VisitorError` where the model gives no gradients.
    """
    if not isinstance(lm, Differentiable):
        raise VisitorError(f"{lm.info.title} gives no gradients, so nothing is estimated.")
    return -lm.head_gradients(asked.tokens, asked.said, layer, kind, asked.source)[1]


@dataclass(frozen=True)
class Estimate:
    """By how much the loss rises without each edge of a head, to first order; NaN where an edge cannot be taken away.

    What a head writes is o = Σ_r a_r v_r. Without key s it is o' = Σ_(r≠s) a_r v_r / (1 - a_s), so

        o' - o = a_s · (m_s - v_s),    m_s = Σ_(r≠s) a_r v_r / Σ_(r≠s) a_r

    exactly: the query takes the others' mean in place of v_s. Only what comes behind the head is taken to be linear:
    with g = ∂loss/∂o, one gradient for all edges of all heads of a layer,

        loss(o') - loss(o) ≈ g·(o' - o) = a_s · (g·m_s - g·v_s) = -(∂loss/∂z_s) / (1 - a_s)

    where z_s is the score, as the softmax's derivative is ∂loss/∂z_s = a_s (g·v_s - g·o). So it is attribution patching
    (Nanda 2023; of edges: Syed, Rager & Conmy 2023), with the softmax done again as in AtP* (Kramár et al. 2024),
    without which a weight near 1, whose score has almost no gradient, would seem to be without effect. A learned sink
    gives v = 0.
    """

    weights: np.ndarray  # (T, C)
    worth: np.ndarray  # (T, C) g·v_s: how the loss grows with the weight itself, other weights as they are
    others: np.ndarray  # (T, C) g·m_s
    rise: np.ndarray  # (T, C)

    @property
    def counts(self) -> np.ndarray:
        """(T,) of bool: the queries on which what is said depends at all, in this head."""
        return np.nan_to_num(self.worth).any(-1)


def estimate(attention: Layer, head: int, gradient: np.ndarray) -> Estimate:
    """From a layer as it ran, and the gradient of the loss with respect to what one head of it writes, (T, K).

    Raises `VisitorError` where a run keeps no values.
    """
    values = getattr(attention, "value", None)
    if values is None:
        raise VisitorError("Of so long a text, or by this model, no values are kept, so no effect is estimated.")
    worth = gradient.astype(np.float64) @ values[key_head(attention, head)].T.astype(np.float64)  # (T, S)
    weights = attention_weights(attention, head).astype(np.float64)  # (T, C)
    worth = np.pad(worth, ((0, 0), (0, weights.shape[1] - worth.shape[1])))
    there = removable(attention, head)
    with np.errstate(divide="ignore", invalid="ignore"):
        others = _without_each(weights * worth, weights) / _without_each(weights, weights)
    rise = np.where(there, weights * (others - worth), np.nan)
    return Estimate(weights, worth, others, rise)


def _without_each(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(T, C) the sum of a row without each of its entries in turn; added up anew without the one of the largest weight,
    which may leave too little to be told from rounding.
    """
    sums = values.sum(-1, keepdims=True) - values
    largest = weights.argmax(-1)[:, None]
    rest = values.copy()
    np.put_along_axis(rest, largest, 0, axis=-1)
    np.put_along_axis(sums, largest, rest.sum(-1, keepdims=True), axis=-1)
    return sums


@dataclass(frozen=True)
class Agreement:
    """Spearman's rank correlations of two numbers of the same edges."""

    n: int  # of edges
    size: float  # of the sizes, whatever the sign
    signed: float


def agreement(one: np.ndarray, other: np.ndarray) -> Agreement:
    """Of any shape; edges without either number are left out. NaN where there are fewer than three."""
    there = ~(np.isnan(one) | np.isnan(other))
    return Agreement(int(there.sum()), rank_correlation(np.abs(one), np.abs(other)), rank_correlation(one, other))
