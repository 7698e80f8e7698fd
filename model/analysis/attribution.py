"""Who made a prediction: one logit as a sum over the embedding, every head, every MLP (Elhage et al. 2021).

The residual stream is a sum of what was written into it. The final norm divides that sum by its size; with this size
frozen, at what it is for this very vector, a logit is a weighted sum of the stream, and each writer has its part in it.
What a part does by way of the layers behind it is theirs. Letters as in `model.run`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from model.analysis.attention import layer_weights
from model.language_model import LanguageModel
from model.layer import LayerParameters
from model.run import Attention, Layer, ModelRun, VisitorError

MOST_WORK = 6e11  # floating-point operations: some 20 s of one core
_AT_ONCE = 64  # directions of the stream that are read as logits together
_LARGE = 100.0  # so long is each of them that what a norm adds to the variance is nothing beside it
_TOGETHER = 1e-3  # how far the parts may be from the logit, of the largest part: else it is no weighted sum


@dataclass(frozen=True)
class LastNorm:
    """By what the norm before the unembedding divides; its gain is part of whatever reads behind it."""

    centred: bool
    epsilon: float | None  # added to the variance; None: there is no norm

    def size(self, x: np.ndarray) -> float:
        """What the norm divides a vector (D,) by."""
        if self.epsilon is None:
            return 1.0
        x = x.astype(np.float64)
        return float(np.sqrt(np.square(x - (x.mean() if self.centred else 0)).mean() + self.epsilon))


@dataclass(frozen=True)
class Reading(LastNorm):
    """How one logit is read off the residual stream: ``weight @ x / size(x) + constant``."""

    weight: np.ndarray  # (D,) float64; if the norm takes off the mean, its numbers add up to 0
    constant: float


@dataclass(frozen=True)
class Attribution:
    """The parts of one logit; they add up to it."""

    position: int
    id: int  # of the vocabulary, whose logit it is
    logit: float  # as the model computed it
    embedding: float  # of what enters the first layer
    heads: np.ndarray  # (L, H) NaN in a layer whose heads cannot be had
    bias: np.ndarray  # (L,) of the output projection, which is no head's own
    rest: np.ndarray  # (L,) the MLP; or the whole layer where its heads cannot be had
    constant: float  # the final norm's shift, the head's bias
    why: tuple[str, ...]  # heads cannot be had, a sentence for each reason

    @property
    def attention(self) -> np.ndarray:
        """(L,) of each layer's heads together, with the bias; NaN as `heads`."""
        return self.heads.sum(1) + self.bias

    @property
    def largest(self) -> float:
        """Of all parts, without sign."""
        return float(max(abs(self.embedding), *map(_largest, (self.heads, self.bias, self.rest))))

    @property
    def total(self) -> float:
        whole = np.isnan(self.heads[:, 0])
        return float(self.embedding + self.constant + self.attention[~whole].sum() + self.rest.sum())


def attribution(lm: LanguageModel, run: ModelRun, position: int, its: Reading, id: int) -> Attribution:
    """The parts of the logit of entry `id` at a position of an unchanged run; `its`: how that logit is read.

    Raises `VisitorError` where the stream is no sum, or the logit no weighted sum of it.
    """
    info, stream = run.info, run.stream[:, position]  # (L + 1, D)
    per = its.weight / its.size(stream[-1])  # (D,)
    heads = np.full((info.n_layer, info.n_head), np.nan)
    bias, rest, whys = np.zeros(info.n_layer), np.diff(stream.astype(np.float64), axis=0) @ per, {}
    for layer in info.grid.layers:
        try:
            writes, shared = written(run.layer(layer), lm.layer_parameters(layer), position)  # (H, D), (D,)
        except VisitorError as error:
            whys[str(error)] = None
            continue
        heads[layer], bias[layer] = writes @ per, shared @ per
        rest[layer] -= heads[layer].sum() + bias[layer]
    logit = float(lm.unembed(stream[-1:])[0, id])
    found = Attribution(position, id, logit, float(stream[0] @ per), heads, bias, rest, its.constant, tuple(whys))
    if not abs(found.total - logit) <= _TOGETHER * max(1.0, found.largest):
        raise VisitorError(
            f"Between the last layer of {info.title} and its logits there is more than a norm and one matrix: a logit "
            "is no sum of parts there."
        )
    return found


def written(
    record: Layer, parameters: LayerParameters, position: int, gain: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """What each head of a layer adds to the stream at a position, (H, D), and what is none's, (D,); both float64.

    `gain`: (H, T) what an intervention multiplies the heads' outputs with. Raises `VisitorError` where a norm stands
    behind the sum, or values are not known.
    """
    if parameters.norm_behind is not None:
        raise VisitorError("Here a norm stands behind each sum, so the stream is no sum of what heads wrote.")
    writes, shared = written_before_norm(record, parameters, position, gain)
    if (norm := parameters.written_norm) is not None:  # its size frozen like that of the last
        _, deviation = norm.sizes(writes.sum(0) + shared)
        writes, shared = (
            (each - (each.mean(-1, keepdims=True) if norm.centred else 0)) / deviation * norm.gain
            for each in (writes, shared)
        )
        shared = shared if norm.shift is None else shared + norm.shift
    return parameters.multiplier * writes, parameters.multiplier * shared


def written_before_norm(
    record: Layer, parameters: LayerParameters, position: int, gain: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The same as the output projection gives it. Raises `VisitorError` where values are not known."""
    if not isinstance(record, Attention) or record.value is None:
        raise VisitorError("Of a text as long as this one no values are kept, so what a head writes is not known.")
    weights = layer_weights(record, slice(position, position + 1))[:, 0, : record.n_key]  # (H, S)
    n_shared = len(weights) // len(record.value)  # so many heads share their values
    mixed = np.einsum("hs,hsk->hk", weights, record.value.repeat(n_shared, 0))  # (H, Kv)
    if gain is not None:
        mixed = mixed * gain[:, position, None]
    writes = np.einsum("hdk,hk->hd", parameters.output_weight, mixed).astype(np.float64)  # (H, D)
    shared = np.zeros(writes.shape[1]) if parameters.output_bias is None else parameters.output_bias.astype(np.float64)
    return writes, shared


def reading(lm: LanguageModel, id: int) -> Reading:
    """How the logit of one entry of the vocabulary is read off the stream, found by reading the stream's directions.

    No model needs to say what its norm is. Raises `VisitorError` where there is more than a norm and one matrix, or it
    would take too long.
    """
    info, d = lm.info, lm.info.d_model
    if (work := 2.0 * info.n_vocab * d**2) > MOST_WORK:
        raise VisitorError(
            f"To take a logit of {info.title} apart would take {work:.0e} operations, and {MOST_WORK:.0e} is the most "
            "that is done here. A smaller model can be read so."
        )
    constant = float(lm.unembed(np.zeros((1, d), np.float32))[0, id])
    read = np.concatenate([lm.unembed(_LARGE * each)[:, id] for each in _directions(d)]) - constant  # (D,)
    read = read.astype(np.float64)
    norm = last_norm(lm)
    if norm.epsilon is None:
        return Reading(norm.centred, None, read / _LARGE, constant)
    variance = 1 / d - (1 / d**2 if norm.centred else 0)  # of a direction of length 1
    return Reading(norm.centred, norm.epsilon, read * np.sqrt(variance + norm.epsilon / _LARGE**2), constant)


def last_norm(lm: LanguageModel) -> LastNorm:
    """Found by reading multiples of one direction, and one of equal numbers, which a norm that centres brings to 0."""
    d = lm.info.d_model
    small = 0.3  # of which what a norm adds is some part, so that this part can be told
    one = np.random.default_rng(0).normal(size=d)
    one = (one / np.linalg.norm(one)).astype(np.float32)
    probes = np.stack([0 * one, _LARGE * one, 2 * _LARGE * one, small * one, np.full(d, _LARGE, np.float32)])
    nothing, *logits = lm.unembed(probes).astype(np.float64)  # (V,) each
    large, twice, little, level = (each - nothing for each in logits)
    strongest = int(np.abs(large).argmax())
    if abs(twice[strongest] / large[strongest] - 2) < 1e-3:
        return LastNorm(False, None)
    centred = bool(np.abs(level).max() < 1e-3 * np.abs(large).max())
    variance = float(np.square(one - (one.mean() if centred else 0)).mean())
    return LastNorm(centred, small**2 * variance * max(0.0, (large[strongest] / little[strongest]) ** 2 - 1))


def _largest(parts: np.ndarray) -> float:
    return float(np.nanmax(np.abs(parts), initial=0))


def _directions(d: int) -> Iterator[np.ndarray]:
    for first in range(0, d, _AT_ONCE):
        yield np.eye(min(_AT_ONCE, d - first), d, first, dtype=np.float32)
