"""Hybrids: which layers of a model have softmax attention, and what the others work by."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from torch import nn

from model.huggingface.capture import CallRecord, NotCaptured
from model.huggingface.hooks import Stream, stacks_of
from model.run import Layer, NoAttention

# by what the modules of a layer are called, and their classes; the first that fits
_KINDS = {
    "state space": r"(?i:mamba|ssm)",  # Gu and Dao 2023, Dao and Gu 2024
    "linear attention": r"linear_?attn|LinearAttention|DeltaNet|DeltaAttention|Lightning|Rwkv",
    "linear recurrence": r"rg_lru|RgLru|RecurrentBlock",  # De et al. 2024
    "convolution": r"ShortConv|\bconv|Conv1d",  # not Conv1D, which is a linear map
}
_ALONE = {"mlp": "MLP alone", "moe": "experts alone"}  # by the words of a configuration: tokens see none but themselves
_UNNAMED = "something else"


def hybrid_layers(
    stream: Stream | None, calls: Sequence[CallRecord], config: Any
) -> tuple[tuple[int, ...], tuple[tuple[int, str], ...]]:
    """Of each attention call of a text its layer; and the layers without, by number, with what each works by.

    By when calls are made, not by where modules are kept: Zamba's layers share one attention. Raises `NotCaptured`.
    """
    if stream is None:
        raise NotCaptured("only some of its layers have attention, and which of them was not found")
    layers = tuple(call.block for call in calls)
    if len(set(layers)) != len(layers) or min(layers) < 0:
        raise NotCaptured(f"its attention calls lie in the layers {', '.join(map(str, layers))}")
    words = getattr(config, "layer_types", None) or getattr(config, "layers_block_type", None)
    stated = dict(enumerate(words)) if isinstance(words, list | tuple) else {}
    others = sorted(set(range(len(stream.blocks))) - set(layers))
    kinds = {layer: _kind(stream.blocks[layer], stated.get(layer)) for layer in others}
    for layer, kind in kinds.items():
        if kind in ("convolution", _UNNAMED) and _attends(stream.blocks[layer]):  # softmax attention, for all one knows
            raise NotCaptured(f"layer {layer} has an attention of its own, which the interface is not asked for")
    return layers, tuple(kinds.items())


def _kind(block: nn.Module, stated: str | None) -> str:
    names = " ".join(f"{name} {type(part).__name__}" for name, part in block.named_modules() if name)
    found = (kind for kind, pattern in _KINDS.items() if re.search(pattern, names))
    return next(found, _ALONE.get(stated or "", _UNNAMED))


def _attends(block: nn.Module) -> bool:
    """Whether a module of the block is called attention."""
    return any("Attention" in type(part).__name__ for part in block.modules())


def in_order(layers: Iterable[Layer], others: Iterable[tuple[int, str]]) -> tuple[Layer | NoAttention, ...]:
    """The attention of those layers that have some, with the others in their places."""
    placed: list[Layer | NoAttention] = list(layers)
    for layer, what in others:
        placed.insert(layer, NoAttention(what))
    return tuple(placed)


def alone(transformer: nn.Module) -> str:
    """What all layers of a model work by that has nothing called attention in them; "" if any has, or is not known."""
    n_layer = getattr(transformer.config.get_text_config(), "num_hidden_layers", 0)
    for blocks in stacks_of(transformer, n_layer, False):
        parts = [type(part).__name__ for block in blocks for part in block.modules()]
        kinds = {_kind(block, None) for block in blocks}
        if len(kinds) == 1 and not any("Attention" in part and "Rwkv" not in part for part in parts):
            return next(iter(kinds - {_UNNAMED}), "")
    return ""
