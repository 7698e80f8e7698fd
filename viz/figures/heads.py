"""Heads in words: the same ones in every heading, sentence and card."""

from collections.abc import Sequence

from model.analysis.attention_map import write_heads
from model.grid import Grid

COMBINED = {"mean": "the mean", "max": "the maximum"}


def head_name(layer: int, head: int) -> str:
    return f"layer {layer}, head {head}"


def heads_name(heads: Sequence[tuple[int, int]], there: Grid, combine: str = "mean") -> str:
    """What is read of (layer, head) pairs of a model: "layer 4, head 1", "the mean of all 36 heads"."""
    layers, columns, n = {layer for layer, _ in heads}, {head for _, head in heads}, len(heads)
    if n == 1:
        return head_name(*heads[0])
    by = COMBINED[combine]
    if n == there.n_total:
        return f"{by} of all {n} heads"
    if n == there.n_head and len(layers) == 1:
        return f"{by} of the {n} heads of layer {heads[0][0]}"
    if n == len(there.layers) and len(columns) == 1:
        return f"{by} of head {heads[0][1]} of all {n} layers" + " with attention" * bool(there.others)
    return f"{by} of {n} heads: {write_heads(heads, there)}"


def layers_and_heads(there: Grid, mark: str = "") -> str:
    """How many there are, each number between two marks: "12 layers × 12 heads"."""
    n_layer, n_attending, n_head = (f"{mark}{n}{mark}" for n in (there.n_layer, len(there.layers), there.n_head))
    if there.others:
        return f"{n_layer} layers, {n_attending} of them with attention: {n_head} heads each"
    return f"{n_layer} layers × {n_head} heads"


def others_in_words(there: Grid) -> str:
    """Which layers of a hybrid have attention, and what the others work by."""
    kinds = {what: [layer for layer, its in there.others if its == what] for _, what in there.others}
    others = "; ".join(f"{in_ranges(layers)}: {what}" for what, layers in kinds.items())
    return f"With softmax attention: {in_ranges(there.layers)}. Without: {others}."


def in_ranges(layers: Sequence[int]) -> str:
    """0, 1, 2, 4 as 0–2, 4."""
    runs: list[list[int]] = []
    for layer in layers:
        if runs and layer == runs[-1][-1] + 1:
            runs[-1][1:] = [layer]
        else:
            runs.append([layer])
    return ", ".join("–".join(map(str, each)) for each in runs)
