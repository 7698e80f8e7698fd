"""Whether what a head writes makes the very token that it looks at more likely: copying, from its parameters alone.

What a head does to the logits when it looks at a token is one matrix, from the vocabulary to itself: token vectors,
value, output, unembedding (Elhage et al. 2021, the OV circuit). Copying is the sum of its eigenvalues by the sum of
their sizes: 1 where each token raises its own logit, -1 where it lowers it. It is V x V, but of rank K, and a K x K
product has the same eigenvalues but for zeros. Norms are folded in: gains are, their sizes are those of the token
vectors themselves, and the last norm's are one for all. What the layers between do is left out.
"""

from dataclasses import dataclass

import numpy as np

from model.language_model import LanguageModel
from model.layer import LayerParameters
from model.run import VisitorError

MOST_WORK = 6e11  # floating-point operations: some 20 s of one core
_AT_ONCE = 64  # directions of the stream that are read as logits together
_LARGE = 100.0  # so long is each of them, that what a norm adds to the variance is nothing beside it
_STRAIGHT = 1e-2  # of what is read of a random direction, how much may differ from the sum of its parts


@dataclass(frozen=True)
class Copying:
    """Of every head; NaN where a layer cannot be read so."""

    value: np.ndarray  # (L, H) between -1 and 1
    why: tuple[str, ...]  # it cannot, a sentence for each reason


def copying(lm: LanguageModel) -> Copying:
    """Of every head of a model that reads one text. Raises `VisitorError` where that cannot be said of the whole model.

    Reads its parameters alone, no text.
    """
    info, shape = lm.info, (lm.info.n_layer, lm.info.n_head)
    if info.family == "encoder-decoder":
        raise VisitorError("Copying is read off models with one stack of layers, and this one has an encoder besides.")
    work = 4.0 * info.n_vocab * info.d_model**2
    if work > MOST_WORK:
        raise VisitorError(
            f"Copying would take {work:.0e} operations for {info.n_vocab:,} tokens of {info.d_model:,} numbers, and "
            f"{MOST_WORK:.0e} is the most that is done here. A smaller model can be read so."
        )
    read, whys = {}, {}
    for layer in info.grid.layers:
        try:
            read[layer] = _suits(lm.layer_parameters(layer))
        except VisitorError as error:
            whys[str(error)] = None
    value = np.full(shape, np.nan, np.float32)
    if read:
        centred, normed = _norm_of(next(iter(read.values())))
        product = _through_vocabulary(lm, _unit(lm.embeddings()[0], centred, normed))  # (D, D)
        for layer, parameters in read.items():
            value[layer] = _of_layer(parameters, product)
    return Copying(value, tuple(whys))


def _suits(parameters: LayerParameters) -> LayerParameters:
    if parameters.norm_behind is not None:
        raise VisitorError(
            "Here a norm stands behind each sum, so what a head writes reaches the logits through all of them: the OV "
            "circuit alone does not say what is copied."
        )
    return parameters


def _norm_of(parameters: LayerParameters) -> tuple[bool, bool]:
    """Whether the stream is centred, and brought to one size, before it is read."""
    return bool(parameters.norm and parameters.norm.centred), parameters.norm is not None


def _unit(embedding: np.ndarray, centred: bool, normed: bool) -> np.ndarray:
    """The token vectors (V, D) as a norm without gain would give them."""
    if centred:
        embedding = embedding - embedding.mean(-1, keepdims=True)
    if normed:
        size = np.sqrt(np.square(embedding).mean(-1, keepdims=True))
        embedding = embedding / np.where(size == 0, 1, size)
    return embedding


def _through_vocabulary(lm: LanguageModel, embedding: np.ndarray) -> np.ndarray:
    """W_Uᵀ·W_E summed over the vocabulary, (D, D), from what `unembed` makes of each direction of the stream.

    Raises `VisitorError` where the logits are no weighted sum of the stream, but for its size.
    """
    d_model = lm.info.d_model
    if embedding.shape != (lm.info.n_vocab, d_model):
        raise VisitorError("Its token vectors are not as wide as its stream: copying cannot be read off them.")
    nothing = lm.unembed(np.zeros((1, d_model), np.float32))  # (1, V)
    some = np.random.default_rng(0).normal(size=d_model).astype(np.float32)
    product, summed = np.empty((d_model, d_model), np.float32), np.zeros(lm.info.n_vocab)
    for first in range(0, d_model, _AT_ONCE):
        directions = _LARGE * np.eye(min(_AT_ONCE, d_model - first), d_model, first, dtype=np.float32)
        logits = lm.unembed(directions) - nothing  # (n, V)
        product[first : first + len(directions)] = logits @ embedding
        summed += some[first : first + len(directions)] @ logits
    straight = (lm.unembed(_LARGE * some[None]) - nothing)[0]
    by = (straight @ summed) / (summed @ summed)
    if not (by > 0 and np.linalg.norm(straight - by * summed) <= _STRAIGHT * np.linalg.norm(straight)):
        raise VisitorError(
            "Between its last layer and the logits there is more than a norm and one matrix: copying cannot be read "
            "off the parameters."
        )
    return product


def _of_layer(parameters: LayerParameters, product: np.ndarray) -> np.ndarray:
    """(H,)"""
    value, output = parameters.value_weight, parameters.output_weight  # (G, K, D), (H, D, K)
    if parameters.norm is not None:
        value = value * parameters.norm.gain
    if parameters.written_norm is not None:
        output = output * parameters.written_norm.gain[:, None]
    read = value @ product.T  # (G, K, D)
    shared = len(output) // len(value)
    small = np.stack([read[head // shared] @ matrix for head, matrix in enumerate(output)])  # (H, K, K)
    eigenvalues = np.linalg.eigvals(small.astype(np.float64))
    return eigenvalues.sum(-1).real / np.abs(eigenvalues).sum(-1)
