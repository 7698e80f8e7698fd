"""Attention maps, made as a `MapSpec` says: which heads, with or without the sink, between which units.

The steps, always in this order, each on the weights of all tokens:
1. combine the chosen heads, cell by cell, by their mean or their maximum;
2. the sink: leave it, hide the keys that belong to it, or take them out and divide each row by what is left; a sink
   that heads have learned (`model.run.LEARNED_SINK`, the last column) belongs to it;
3. units: sum over the keys of a unit, mean over its queries; so a row that summed to 1 still does;
4. segments: keep the rows of one text and the columns of one text, to neither of which a learned sink belongs.
NaN marks what is not there: a key taken out, or a row of which nothing is left. Letters: Q rows, K columns, T tokens.
`model.analysis.explanation` makes one value a second time, by arithmetic of its own.
"""

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from model.analysis.attention import ROWS_AT_ONCE, layer_weights
from model.grid import Grid
from model.run import LEARNED_SINK, Layer, NoAttention, Token, VisitorError
from model.text.units import KINDS, Units

COMBINE = ("mean", "max")
SINK = ("as is", "hide", "renormalise")
SEGMENTS = ("all", "A → A", "A → B", "B → A", "B → B")


class HeadsError(VisitorError):
    """What a visitor wrote does not name heads of this model."""


@dataclass(frozen=True)
class MapSpec:
    """How attention is read; small and hashable. ValueError if there are no heads, or for a word that is not listed."""

    heads: tuple[tuple[int, int], ...]  # (layer, head) pairs
    combine: str = "mean"
    sink: str = "as is"
    kind: str = "tokens"
    segment: str = "all"
    of: str = "self"  # which attention of an encoder-decoder: see `ModelRun.kinds`

    def __post_init__(self):
        if not self.heads:
            raise ValueError("a map of no heads")
        for word, words in (
            (self.combine, COMBINE),
            (self.sink, SINK),
            (self.kind, KINDS),
            (self.segment, SEGMENTS),
        ):
            if word not in words:
                raise ValueError(f"{word!r} is none of {', '.join(words)}")

    @property
    def plain(self) -> bool:
        """Whether each value is one weight of one head, as the model used it."""
        return len(self.heads) == 1 and self.sink != "renormalise" and self.kind == "tokens"


def heads_at(there: Grid, layer: int | None = None, head: int | None = None) -> tuple[tuple[int, int], ...]:
    """(layer, head) pairs: of one layer or of every one that has heads (None), one head or every one; sorted."""
    layers = there.layers if layer is None else [layer]
    return tuple((one, other) for one in layers for other in (range(there.n_head) if head is None else [head]))


def parse_heads(text: str, there: Grid) -> tuple[tuple[int, int], ...]:
    """Heads written as "2.3, 4.*": layer.head, with * for every one. Sorted, each once.

    Raises `HeadsError` if the text says nothing, or names what is not there.
    """
    chosen = set()
    for word in re.split(r"[,;\s]+", text.strip()) if text.strip() else []:
        match = re.fullmatch(r"(\d{1,4}|\*)\.(\d{1,4}|\*)", word)
        if match is None:
            raise HeadsError(
                f"“{word[:20]}” is not a head. Write layer.head, such as 2.3; 2.* is all of layer 2, *.3 is head 3 of "
                "every layer."
            )
        layer, head = (None if part == "*" else int(part) for part in match.groups())
        if (layer or 0) >= there.n_layer or (head or 0) >= there.n_head:
            raise HeadsError(
                f"There is no head {word}: layers go from 0 to {there.n_layer - 1}, heads from 0 to {there.n_head - 1}."
            )
        if layer is not None and (what := there.instead(layer)):
            with_heads = ", ".join(map(str, there.layers))
            raise HeadsError(
                f"There is no head {word}: layer {layer} has no softmax attention ({what}). Layers with heads: "
                f"{with_heads}."
            )
        chosen |= {*heads_at(there, layer, head)}
    if not chosen:
        raise HeadsError("No head is chosen. Hold shift and click tiles, or write some, such as 2.3, 4.*")
    return tuple(sorted(chosen))


def write_heads(heads: Iterable[tuple[int, int]], there: Grid) -> str:
    """The shortest such text: whole layers as 4.*, one head of every layer as *.3."""
    left, words, layers, n_head = set(heads), [], there.layers, there.n_head
    if len(left) == there.n_total:
        return "*.*"
    for head in range(n_head):
        if len(layers) > 1 and all((layer, head) in left for layer in layers):
            words.append(f"*.{head}")
            left -= {(layer, head) for layer in layers}
    for layer in layers:
        if n_head > 1 and all((layer, head) in left for head in range(n_head)):
            words.append(f"{layer}.*")
            left -= {(layer, head) for head in range(n_head)}
    return ", ".join(words + [f"{layer}.{head}" for layer, head in sorted(left)])


@dataclass(frozen=True)
class AttentionMap:
    """What a spec makes of a run's attention."""

    weights: np.ndarray  # (Q, K) float32; NaN where there is nothing
    queries: np.ndarray  # (Q,) the units that the rows stand for
    keys: np.ndarray  # (K,) and the columns
    units: Units  # of the queries
    key_units: Units  # the same, but for cross-attention
    removed: np.ndarray  # (Q,) the part of each row's weight that the sink had, whether or not it was taken out
    shares: dict[str, float]  # segment -> mean over its rows of the weight on its columns; empty for one text
    has_sink: bool  # whether heads have learned one: then it is the last of the key units

    @property
    def shows_sink(self) -> bool:
        """Whether the last column is that of a learned sink."""
        return self.has_sink and len(self.key_units) - 1 in self.keys


def combined_weights(layers: Sequence[Layer | NoAttention], heads: Iterable[tuple[int, int]], by: str) -> np.ndarray:
    """Step 1: (T, C), the mean or the maximum of each cell over (layer, head) pairs."""
    heads = sorted(heads)
    reduce = np.maximum if by == "max" else np.add
    combined = np.zeros((layers[heads[0][0]].n_query, layers[heads[0][0]].n_column), np.float32)
    for layer, chosen in itertools.groupby(heads, key=lambda pair: pair[0]):
        chosen = [head for _, head in chosen]
        for first in range(0, len(combined), ROWS_AT_ONCE):  # blocks that stay in the processor's cache
            rows = slice(first, first + ROWS_AT_ONCE)
            of_layer = reduce.reduce(layer_weights(layers[layer], rows, chosen))
            reduce(combined[rows], of_layer, out=combined[rows])
    return combined / np.float32(len(heads)) if by == "mean" and len(heads) > 1 else combined


def sink_keys(tokens: Sequence[Token]) -> np.ndarray:
    """(C,) which keys count as the sink: the first token and the special tokens (Xiao et al. 2024), as a learned sink
    is one.
    """
    return np.array([position == 0 or token.special for position, token in enumerate(tokens)])


def without_sink(weights: np.ndarray, sink: np.ndarray, how: str) -> tuple[np.ndarray, np.ndarray]:
    """Step 2 on weights (T, S), with `sink` (S,) marking its keys: what is left, and each row's part removed (T,)."""
    total = weights.sum(axis=1)
    removed = weights[:, sink].sum(axis=1) / total
    if how == "as is":
        return weights, removed
    left = np.where(sink, np.float32(np.nan), weights)
    if how == "renormalise":
        mass = np.nansum(left, axis=1, keepdims=True)
        left = np.divide(left, mass, out=np.full_like(left, np.nan), where=mass > 0)
    return left, removed


def between_units(weights: np.ndarray, queries: Units, keys: Units) -> np.ndarray:
    """Step 3: (T, S) -> (U, W), the sum over the keys of a unit, then the mean over its queries.

    What is NaN is left out; a unit of which nothing is left is NaN.
    """
    there = ~np.isnan(weights)
    sums = np.add.reduceat(np.where(there, weights, 0), keys.starts, axis=1)  # (T, W)
    some = np.add.reduceat(there, keys.starts, axis=1) > 0  # (T, W)
    total = np.add.reduceat(np.where(some, sums, 0), queries.starts, axis=0)  # (U, W)
    count = np.add.reduceat(some.astype(np.float32), queries.starts, axis=0)
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def attention_map(
    layers: Sequence[Layer | NoAttention],
    keys: Sequence[Token],
    units: Units,
    spec: MapSpec,
    second: int | None = None,
    key_units: Units | None = None,
) -> AttentionMap:
    """All steps. `keys`: what is looked at, as `ModelRun.sides` says; `units`: of `spec.kind`, of the queries and,
    unless told, of the keys.

    `second`: the first token of the second text, if one text is read and it has two parts.
    """
    key_units = units if key_units is None else key_units
    weights = combined_weights(layers, spec.heads, spec.combine)
    weights, removed = without_sink(weights, sink_keys(keys), spec.sink)
    if spec.kind != "tokens":
        weights = between_units(weights, units, key_units)
        removed = np.add.reduceat(removed, units.starts) / np.diff(np.append(units.starts, units.n_token))
    rows, columns, has_sink = np.arange(len(units)), np.arange(len(key_units)), keys[-1] == LEARNED_SINK
    if second is None or second >= units.n_token:
        return AttentionMap(weights, rows, columns, units, key_units, removed, {}, has_sink)
    split = units.of(second)
    parts = {"A": rows[:split], "B": rows[split:]}  # of one text's units, and so without a learned sink
    shares = {segment: _share(weights, *(parts[part] for part in segment.split(" → "))) for segment in SEGMENTS[1:]}
    if spec.segment != "all":
        rows, columns = (parts[part] for part in spec.segment.split(" → "))
    part = weights[np.ix_(rows, columns)]
    return AttentionMap(part, rows, columns, units, key_units, removed[rows], shares, has_sink)


def _share(weights: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> float:
    there = ~np.isnan(weights[rows]).all(axis=1)
    return float(np.nansum(weights[np.ix_(rows, columns)]) / max(1, there.sum()))
