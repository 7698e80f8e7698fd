"""The attention weights that a transformers model returns itself (``attn_implementation="eager"``).

They are looked at closely before anybody sees them: some classes return scores, some a row of keys for fewer tokens
than the text has, and some only the neighbourhood that a token looks at. The last are unrolled to a key a column; all
else that is not a weight for each query and key is refused with what it is.
Letters as in `model.run`; B blocks of a text.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model.analysis.attention import layer_weights
from model.huggingface.capture import ROUNDING, NotCaptured
from model.run import Layer

_FIELDS = {"self": "decoder_attentions", "encoder": "encoder_attentions", "cross": "cross_attentions"}


def eager_weights(
    output: Any,
    config: Any,
    class_name: str,
    n_token: int,
    n_source: int = 0,
    *,
    sinks: bool = False,
    only: Sequence[int] = (),
) -> dict[str, list[np.ndarray]]:
    """What the model says its weights were, (H, T, S) a layer, for the kinds "self", "encoder" and "cross".

    n_source: tokens that the encoder of an encoder-decoder read; 0 for other models. `sinks`: it is known to have
    learned sinks, which classes leave out of what they return, so that rows sum to less than 1. `only`: the layers of a
    hybrid that have attention; what some classes (MiniMax) return of the others too is left out. Raises `NotCaptured`
    if what it returns is no distribution over the tokens.
    """
    fields = _FIELDS if n_source else {"self": "attentions"}
    sizes = {"self": (n_token, n_token), "encoder": (n_source, n_source), "cross": (n_token, n_source)}
    weights: dict[str, list[np.ndarray]] = {"self": [], "encoder": [], "cross": []}
    for role, name in fields.items():
        layers = getattr(output, name, None)
        if only and layers and len(layers) > len(only):
            layers = [layers[layer] for layer in only]
        if not layers or any(layer is None for layer in layers):
            raise NotCaptured(f"{class_name} returns no {name}")
        unroll = _UNROLLED.get((getattr(config, "model_type", ""), role))
        for number, layer in enumerate(layers):
            what = f"the {name} that {class_name} returns"
            if unroll and isinstance(layer, Tensor):
                layer = unroll(layer, sizes[role][0], what)
            _check(layer, sizes[role], what, number, sinks)
            weights[role].append(layer[0].float().contiguous().numpy())
    return weights


def check_same(ours: Sequence[Layer], theirs: Sequence[np.ndarray]) -> None:
    """Raises `NotCaptured` unless the weights of one kind's layers are those that the class returns, (H, T, S) each."""
    if len(theirs) != len(ours):
        raise NotCaptured(f"it gives {len(theirs)} layers of weights for {len(ours)} of queries and keys")
    for layer, (kept, weights) in enumerate(zip(ours, theirs, strict=True)):
        if (difference := difference_of(kept, weights)) > ROUNDING:
            raise NotCaptured(
                f"the weights of layer {layer} from queries and keys differ from its own by {difference:.2g}"
            )


def difference_of(ours: Layer, theirs: np.ndarray) -> float:
    """The largest between a layer's weights and those that a class returns (H, T, S), which leaves out a learned sink:
    then ours are as they are without it, or, where its rows sum to 1, divided by what the sink leaves (Granite's, which
    takes the sink's part off what its heads give).
    """
    weights, n_key = layer_weights(ours), theirs.shape[-1]
    left = 1 - weights[..., n_key:].sum(-1, keepdims=True)
    if ours.n_column > n_key and left.min() > 0 and np.allclose(theirs.sum(-1), 1, atol=ROUNDING):
        weights = weights / left
    return float(np.abs(weights[..., :n_key] - theirs).max())


def _check(layer: Any, size: tuple[int, int], what: str, number: int, sinks: bool) -> None:
    """(1, H, T, S), nothing negative, rows that sum to 1, or to less with `sinks`; else `NotCaptured`."""
    if not isinstance(layer, Tensor) or layer.ndim != 4 or len(layer) != 1:
        form = tuple(layer.shape) if isinstance(layer, Tensor) else type(layer).__name__
        raise NotCaptured(f"{what} are no (1, heads, queries, keys) but {form}")
    if tuple(layer.shape[2:]) != size:
        queries, keys = layer.shape[2:]
        tokens = " and ".join(map(str, dict.fromkeys(size)))
        raise NotCaptured(
            f"{what} are of {queries} queries and {keys} keys in layer {number}, for {tokens} tokens: it does not look "
            "from token to token there"
        )
    sums = layer.sum(-1)
    if sums.isnan().any():
        raise NotCaptured(f"{what} are not numbers (NaN) in layer {number}")
    if (layer < 0).any():
        raise NotCaptured(
            f"{what} are scores and no weights: some are negative, and the rows of layer {number} sum to "
            f"{float(sums.min()):.3g} … {float(sums.max()):.3g}"
        )
    over = sums - 1
    if (off := float((over.clamp(min=0) if sinks else over.abs()).max())) > ROUNDING:
        raise NotCaptured(
            f"{what} do not sum to 1: the rows of layer {number} sum to {float(sums.min()):.3g} … "
            f"{float(sums.max()):.3g} (off by {off:.2g})"
        )


def _from_band(layer: Tensor, n_token: int, what: str) -> Tensor:
    """Longformer's: of each query the keys from so many before it to as many after it, (1, H, T, 2 · reach + 1)."""
    if layer.ndim != 4 or layer.shape[-1] % 2 == 0 or layer.shape[2] != n_token:
        raise NotCaptured(f"{what} are of tokens that see all others, besides those that see a window")
    reach = layer.shape[-1] // 2
    query = torch.arange(n_token)[:, None]
    return _laid_out(layer[0], query, query + torch.arange(-reach, reach + 1), n_token)


def _from_blocks(layer: Tensor, n_token: int, what: str) -> Tensor:
    """LongT5's: queries by blocks, and of each block the keys of it and its two neighbours, (1, B, H, b, 3 b)."""
    n_block, n_head, block, n_key = layer.shape[1:] if layer.ndim == 5 else (0,) * 4
    if not n_block or n_key != 3 * block:
        raise NotCaptured(f"{what} are also of sums over blocks of tokens, which are no tokens of the text")
    by_query = layer[0].transpose(0, 1).reshape(n_head, n_block * block, n_key)[:, :n_token]
    query = torch.arange(n_token)[:, None]
    return _laid_out(by_query, query, (query // block - 1) * block + torch.arange(n_key), n_token)


def _laid_out(weights: Tensor, query: Tensor, key: Tensor, n_token: int) -> Tensor:
    """weights (H, T, N), of which entry n of a row is that of `key` (T, N), where there is such a key: (1, H, T, T)."""
    there = (key >= 0) & (key < n_token)
    square = torch.zeros(len(weights), n_token, n_token)
    square[:, query.expand_as(key)[there], key[there]] = weights[:, there].float()
    return square[None]


# by model_type and kind
_UNROLLED: dict[tuple[str, str], Callable[[Tensor, int, str], Tensor]] = {
    ("longformer", "self"): _from_band,
    ("led", "encoder"): _from_band,
    ("longt5", "encoder"): _from_blocks,
}
