"""What a run takes besides tokens: parts of the mechanism switched off or changed. Plain data; the models honour it.

What it does to one attention call, in every model, stands in `model.attention_call`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

HeadSet = frozenset[tuple[int, int]]  # of (layer, head)
Size = tuple[int, int, int, int]  # of one kind of attention: layers, heads of each, queries, keys
KINDS = ("self", "encoder", "cross")  # of attention, as `model.run.ModelRun.kinds` tells them apart


PLACES = ("heads_off", "heads_uniform", "rows_off", "edges_off")  # of an ablation: all that it takes out


@dataclass(frozen=True, eq=False)
class HeadMeans:
    """What the heads of one kind of attention give to the output projection in the mean over the tokens of some texts.

    Each is equal to itself alone: the same means of the same texts are to be made once.
    """

    layers: tuple[np.ndarray | None, ...]  # (H, K of values) of each; None of a layer without heads
    n_text: int
    n_token: int  # of all texts together


@dataclass(frozen=True)
class Ablation:
    """What is taken out of one kind of attention. Layers, heads and tokens are counted from 0."""

    heads_off: HeadSet = frozenset()  # they write nothing to the residual stream
    heads_uniform: HeadSet = frozenset()  # their queries are zero, so all weights of a row are equal
    rows_off: frozenset[tuple[int, int, int]] = frozenset()  # (layer, head, query): the head writes nothing there
    # and (…, key): this query does not see this key; the number behind the last key is that of a learned sink
    edges_off: frozenset[tuple[int, int, int, int]] = frozenset()
    means: HeadMeans | None = None  # what heads, and rows, that are off write in place of nothing (mean ablation)

    def __post_init__(self):
        # one form, whatever collection the places came in: equal interventions are equal keys of the same run
        for name in PLACES:
            places = frozenset(tuple(map(int, place)) for place in getattr(self, name))
            object.__setattr__(self, name, places)

    @property
    def places(self) -> tuple[tuple[int, ...], ...]:
        """All that is taken out, as (layer, head, …)."""
        return (*self.heads_off, *self.heads_uniform, *self.rows_off, *self.edges_off)

    def query_gain(self, layer: int, n_head: int) -> np.ndarray | None:
        """(H,) what each head's queries are multiplied with: 0 makes it uniform; None if none is, in this layer."""
        return _gain((n_head,), [place[1:] for place in self.heads_uniform if place[0] == layer])

    def output_gain(self, layer: int, n_head: int, queries: Sequence[int]) -> np.ndarray | None:
        """(H, T) what each head's output is multiplied with, at these T tokens of the text: 0 where it is off; None if
        nothing is, in this layer.
        """
        off = (*self.heads_off, *self.rows_off)
        return _gain((n_head, len(queries)), _numbered([place[1:] for place in off if place[0] == layer], queries))

    def output_added(self, layer: int, n_head: int, queries: Sequence[int]) -> np.ndarray | None:
        """(H, T, K) what is then added to it: means where it is off; None if nothing is, in this layer."""
        gain = None if self.means is None else self.output_gain(layer, n_head, queries)
        return None if gain is None else (1 - gain)[..., None] * self.means.layers[layer][:, None]

    def written(self, layer: int, mixed: np.ndarray) -> np.ndarray:
        """What the heads write, (H, T, K), of what they took from the values."""
        queries = range(mixed.shape[1])
        if (gain := self.output_gain(layer, len(mixed), queries)) is not None:
            mixed = mixed * gain[..., None]
        added = self.output_added(layer, len(mixed), queries)
        return mixed if added is None else mixed + added

    def edge_bias(self, layer: int, n_head: int, queries: Sequence[int], n_key: int) -> np.ndarray | None:
        """(H, T, S) what is added to the scores of these T tokens: -inf at the edges that are off; None if none is, in
        this layer.

        `n_key`: of a layer with a learned sink, one more than keys; one without it has no such edge.
        """
        edges = [edge[1:] for edge in self.edges_off if edge[0] == layer and edge[3] < n_key]
        if not (edges := _numbered(edges, queries)):
            return None
        bias = np.zeros((n_head, len(queries), n_key), np.float32)
        bias[tuple(np.array(edges).T)] = -np.inf
        return bias

    def _check(self, kind: str, size: Size, causal: bool) -> None:
        n_layer, n_head, n_query, n_key = size
        where = "" if kind == "self" else f" of {kind} attention"
        for layer, head, *positions in self.places:
            if not (0 <= layer < n_layer and 0 <= head < n_head):
                raise ValueError(f"no head {head} in layer {layer}{where}: {n_layer} layers of {n_head} heads")
            if not all(0 <= position < n for position, n in zip(positions, (n_query, n_key), strict=False)):
                text = f"a text of {n_query}" if n_query == n_key else f"texts of {n_query} and {n_key}"
                raise ValueError(f"no tokens {positions} in {text}")
        n_sink = n_key - n_query if causal else 0  # a causal mask is of as many keys as queries, and hides no sink
        sees = {edge[:3]: edge[2] + 1 + n_sink if causal else n_key for edge in self.edges_off}
        for layer, head, query, key in self.edges_off:
            sees[layer, head, query] -= key <= query or key >= n_query or not causal
        for (layer, head, query), left in sees.items():
            if not left:
                raise ValueError(f"query {query} of layer {layer}, head {head}{where} would see no key any more")


def _numbered(places: list[tuple[int, ...]], queries: Sequence[int]) -> list[tuple[int, ...]]:
    """Places (head,), (head, query) or (head, query, key), the query as its number among some; without all others."""
    if all(len(place) == 1 for place in places):
        return places
    number = {query: i for i, query in enumerate(queries)}
    return [
        (head, *(number[query] for query in rest[:1]), *rest[1:])
        for head, *rest in places
        if not rest or rest[0] in number
    ]


def _gain(shape: tuple[int, ...], off: list[tuple[int, ...]]) -> np.ndarray | None:
    """Ones, and zeros at the places that are off; None if there are none."""
    if not off:
        return None
    gain = np.ones(shape, np.float32)
    for place in off:
        gain[place] = 0
    return gain


NOTHING = Ablation()


@dataclass(frozen=True)
class Intervention(Ablation):
    """What is changed in a run: its own places are of the kind "self" (the decoder's or the only stack's attention to
    itself), those of an encoder-decoder's other two are beside them.

    ValueError if the temperature is not a positive number. Which heads and tokens there are only a run knows: see
    `check`.
    """

    causal_mask: bool = True  # False: every token also sees what comes after it
    scale: bool = True  # False: the scores are q·k, not q·k / √d_head, or whatever scale a model has
    temperature: float = 1.0  # of the softmax: the scores are divided by it
    positions: bool = True  # False: no position vectors are added to the token vectors
    encoder: Ablation = NOTHING
    cross: Ablation = NOTHING

    def __post_init__(self):
        super().__post_init__()
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise ValueError(f"a softmax temperature must be a positive number, not {self.temperature}")

    def of(self, kind: str) -> Ablation:
        """What is taken out of one of `KINDS`. KeyError for another word."""
        return {"self": self, "encoder": self.encoder, "cross": self.cross}[kind]

    @cached_property
    def everywhere(self) -> "Intervention":
        """What it changes in all layers and heads alike: itself without what it takes out of single ones."""
        return replace(self, **dict.fromkeys(PLACES, ()), means=None, encoder=NOTHING, cross=NOTHING)

    @property
    def has_edges(self) -> bool:
        return any(self.of(kind).edges_off for kind in KINDS)

    @property
    def first_query(self) -> int | None:
        """The first token whose own row something is taken out of, in a single stack; None: a whole head, or nothing.

        Under a causal mask all before it stays as it was.
        """
        if self.heads_off or self.heads_uniform:
            return None
        return min((place[2] for place in (*self.rows_off, *self.edges_off)), default=None)

    @cached_property
    def beginning(self) -> tuple[int, int]:
        """(stack, layer) of the first layer that something is taken out of: the encoder is stack 0, the decoder 1."""
        stacks = {"encoder": 0, "self": 1, "cross": 1}
        return min(
            ((stack, place[0]) for kind, stack in stacks.items() for place in self.of(kind).places), default=(2, 0)
        )

    def check(self, sizes: Mapping[str, Size], causal: bool) -> None:
        """ValueError for a head or a token that does not exist, and for a query that would see nothing any more.

        sizes: of the kinds of attention that a run has. causal: whether the kind "self" is, as trained.
        """
        for kind in KINDS:
            ablation = self.of(kind)
            if kind in sizes:
                ablation._check(kind, sizes[kind], causal and self.causal_mask and kind == "self")
            elif ablation.places:
                raise ValueError(f"this model has no {kind} attention")


UNCHANGED = Intervention()


def sizes_of(
    n_layer: int, n_head: int, n_token: int, n_source: int = 0, n_encoder: int = 0, *, sink: bool = False
) -> dict[str, Size]:
    """Of each kind of attention in a run; with a source, of an encoder-decoder with `n_encoder` layers before it.

    `sink`: whether the heads of a single stack have learned one, which counts as a key.
    """
    sizes = {"self": (n_layer, n_head, n_token, n_token + sink)}
    if n_source:
        sizes["encoder"] = n_encoder, n_head, n_source, n_source
        sizes["cross"] = n_layer, n_head, n_token, n_source
    return sizes
