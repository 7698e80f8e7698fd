"""Heads in words: the same ones in every heading, sentence and card."""

from collections.abc import Sequence

from model.analysis.attention_map import write_heads

COMBINED = {"mean": "the mean", "max": "the maximum"}


def head_name(layer: int, head: int) -> str:
    return f"layer {layer}, head {head}"


def heads_name(heads: Sequence[tuple[int, int]], n_layer: int, n_head: int, combine: str = "mean") -> str:
    """What is read of (layer, head) pairs of a model: "layer 4, head 1", "the mean of all 36 heads"."""
    layers, columns, n = {layer for layer, _ in heads}, {head for _, head in heads}, len(heads)
    if n == 1:
        return head_name(*heads[0])
    by = COMBINED[combine]
    if n == n_layer * n_head:
        return f"{by} of all {n} heads"
    if n == n_head and len(layers) == 1:
        return f"{by} of the {n} heads of layer {heads[0][0]}"
    if n == n_layer and len(columns) == 1:
        return f"{by} of head {heads[0][1]} of all {n} layers"
    return f"{by} of {n} heads: {write_heads(heads, n_layer, n_head)}"
