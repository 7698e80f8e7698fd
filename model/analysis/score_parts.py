"""Why a query looks at a key: the score of one cell as a sum of pairs, with nothing left over (Elhage et al. 2021).

The vector of a token is a sum of what was written into it: its embedding, its position's, what each earlier head and
MLP added. The norm before a layer divides that sum by its size; with the size frozen, at what it is for this very
vector, everything from there to the query is linear: the projection, a norm of queries with its size frozen too, the
rotation to the token's position. So is everything to the key. The product of two sums is the sum of the products of
all pairs. What a layer adds whatever it reads, the shift of its norm and its biases, is one part more on each side.
Letters as in `model.run`; N parts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from model.analysis.attention import attention_weights, cell_arithmetic
from model.analysis.attribution import written
from model.analysis.head import entering
from model.language_model import LanguageModel
from model.layer import LayerParameters, Norm
from model.run import ModelRun, VisitorError

# what a part may be: of the token, of its position, of both or whatever else enters the first layer; what one head
# wrote, the bias of a layer's heads, what else a layer added; a layer as a whole; what the reading layer adds itself
TOKEN, POSITION, INPUT, HEAD, BIAS, MLP, LAYER, OWN = (
    *("token", "position", "input", "head", "bias", "MLP", "layer", "own"),
)


@dataclass(frozen=True)
class Part:
    """One term of the sum that a token's vector is."""

    kind: str
    layer: int = -1  # -1: of none
    head: int = -1


@dataclass(frozen=True)
class StreamParts:
    """What the vectors of some tokens are made of where a layer reads them; of each, the parts add up to the vector."""

    parts: tuple[Part, ...]
    vectors: np.ndarray  # (P, N, D) float64, of P tokens
    why: tuple[str, ...]  # there are layers that are one part, a sentence for each reason


@dataclass(frozen=True)
class ScoreParts:
    """One score as a sum of pairs: of a part of the query's vector and a part of the key's, the scale included."""

    layer: int
    head: int
    query: int
    key: int
    parts: tuple[Part, ...]  # N of them, the same for both; the last is the layer's own
    pairs: np.ndarray  # (N, N) float64: query x key
    scaled: float  # q · k · scale as the model has it
    size: float  # of the products that this is the sum of, without their signs
    exact: bool  # whether the run's queries and keys are in single precision
    soft_cap: float  # 0: none
    bias: float  # what is added for the two positions
    masked: bool  # the query may not look there
    score: float  # capped and with the bias; also where masked
    weight: float
    why: tuple[str, ...]
    same_for_all: bool  # keys: the part that is the layer's own

    @property
    def total(self) -> float:
        return float(self.pairs.sum())


def score_parts(
    lm: LanguageModel, run: ModelRun, layer: int, head: int, query: int, key: int, made: StreamParts | None = None
) -> ScoreParts:
    """Of one cell of a text's attention to itself; `made`: what query and key are made of, where that is known.

    Raises `VisitorError` where the layer's parameters or the stream are not known, or the key is a sink; IndexError if
    there is no such cell.
    """
    record = run.layer(layer)
    if key == len(run.tokens) and run.has_sink():
        raise VisitorError("The sink is no token: its score is one number that was learned, and is made of no parts.")
    parameters = lm.layer_parameters(layer)
    cell = cell_arithmetic(record, head, query, key)
    made = made or stream_parts(lm, run, layer, (query, key))
    q, k = (
        through(parameters, of, head, vectors, run.stream[layer][position], position)
        for of, vectors, position in zip(("query", "key"), made.vectors, (query, key), strict=True)
    )
    if (gain := run.intervention.query_gain(layer, run.info.n_head)) is not None:
        q *= gain[head]
    scaled = cell.dot * cell.scale
    capped = cell.soft_cap * np.tanh(scaled / cell.soft_cap) if cell.soft_cap else scaled
    return ScoreParts(
        *(layer, head, query, key),
        parts=(*made.parts, Part(OWN, layer)),
        pairs=record.whole_scale * q @ k.T,
        scaled=scaled,
        size=float(np.abs(cell.product).sum()) * cell.scale,
        exact=record.exact,
        soft_cap=cell.soft_cap,
        bias=cell.bias,
        masked=cell.masked,
        score=float(capped + cell.bias),
        weight=float(attention_weights(record, head, slice(query, query + 1))[0, key]),
        why=made.why,
        same_for_all=parameters.rotary is None and parameters.key_norm is None,
    )


def stream_parts(lm: LanguageModel, run: ModelRun, layer: int, positions: Sequence[int]) -> StreamParts:
    """What the vectors of these tokens are made of before a layer, all from the same parts. Raises `VisitorError`."""
    at = list(positions)
    stream = run.stream[: layer + 1, at].astype(np.float64)  # (l + 1, P, D)
    parts, vectors, whys = *_entering(lm, run, at, stream[0]), {}
    for each in range(layer):
        moved = stream[each + 1] - stream[each]  # (P, D)
        try:
            found = None if run.info.grid.instead(each) else _of_layer(lm, run, each, at)
        except VisitorError as error:
            found, whys[str(error)] = None, None
        if found is None:
            parts.append(Part(LAYER, each))
            vectors.append(moved)
            continue
        writes, shared, alone = found  # (P, H, D), (P, D)
        parts += [Part(HEAD, each, head) for head in range(run.info.n_head)]
        vectors += list(writes.transpose(1, 0, 2))
        if shared.any():
            parts.append(Part(BIAS, each))
            vectors.append(shared)
        if not alone:
            parts.append(Part(MLP, each))
            vectors.append(moved - writes.sum(1) - shared)
    return StreamParts(tuple(parts), np.stack(vectors, 1), tuple(whys))


def through(
    parameters: LayerParameters,
    of: Literal["query", "key", "value"],
    head: int,
    parts: np.ndarray,
    x: np.ndarray,
    position: int,
) -> np.ndarray:
    """What a head makes of each part (N, D) of a vector x (D,) on the way to its query, key or value; and, as the last
    row, what the layer adds itself: (N + 1, K) float64. They add up to what the head makes of x.
    """
    weight, bias = (getattr(parameters, f"{of}_{what}") for what in ("weight", "bias"))  # (H, K, D), (H, K)
    if of != "query":
        head //= len(parameters.query_weight) // len(weight)
    head_norm = None if of == "value" else getattr(parameters, f"{of}_norm")
    # where all heads are divided by one size, that has to be known
    among = slice(None) if head_norm and head_norm.together else slice(head, head + 1)
    weight = weight[among].astype(np.float64)
    own = np.zeros(parts.shape[1])
    if (norm := parameters.norm) is not None:
        parts = _normed(norm, parts, x.astype(np.float64))
        own = own if norm.shift is None else norm.shift
    rows = np.einsum("hkd,nd->nhk", weight, np.concatenate([parts, own[None]]), optimize=True)  # (N + 1, H', K)
    if bias is not None:
        rows[-1] += bias[among]
    if head_norm is not None:
        rows = _normed_heads(head_norm, rows, among)
    rows = rows[:, head if rows.shape[1] > 1 else 0]  # (N + 1, K)
    if of != "value" and parameters.rotary is not None:
        rows = parameters.rotary(rows, np.full(len(rows), position))
    return rows


def grouped(parts: Sequence[Part], opened: int | None) -> tuple[tuple[Part, ...], np.ndarray]:
    """Layer by layer, all but one that is opened: the groups, G of them, and (N,) in which each part is."""
    own = [part if part.layer == opened or part.kind == OWN else _layer_of(part) for part in parts]
    groups = tuple(dict.fromkeys(own))
    return groups, np.array([groups.index(each) for each in own])


def added_up(pairs: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Pairs (N, N) between groups: (G, G')."""
    found = np.zeros((rows.max() + 1, columns.max() + 1))
    np.add.at(found, (rows[:, None], columns[None]), pairs)
    return found


def largest(values: np.ndarray, n: int) -> list[tuple[int, ...]]:
    """Where the n values of the largest size are, the largest first; zeros are none of them."""
    order = np.argsort(-np.abs(values), axis=None, kind="stable")[:n]
    places = [tuple(map(int, np.unravel_index(i, values.shape))) for i in order]
    return [place for place in places if values[place]]


def _layer_of(part: Part) -> Part:
    return part if part.layer < 0 else Part(LAYER, part.layer)


def _entering(lm: LanguageModel, run: ModelRun, at: list[int], x: np.ndarray) -> tuple[list[Part], list[np.ndarray]]:
    """Token and position, where what enters the first layer (P, D) is their sum, or the token's vector times a number;
    else one part.
    """
    table, positions = lm.embeddings()
    kinds = [entering(run, table, positions, each)[0] for each in at]
    if any(kind == "other" for kind in kinds):
        return [Part(INPUT)], [x]
    if all(kind == "token" for kind in kinds):
        return [Part(TOKEN)], [x]
    tokens = np.stack([table[run.tokens[each].id] for each in at]).astype(np.float64)
    return [Part(TOKEN), Part(POSITION)], [tokens, x - tokens]


def _of_layer(lm: LanguageModel, run: ModelRun, layer: int, at: list[int]) -> tuple[np.ndarray, np.ndarray, bool]:
    """What each head wrote at some tokens, (P, H, D), and what is none's, (P, D); and whether that is all."""
    record, parameters = run.layer(layer), lm.layer_parameters(layer)
    gain = run.intervention.output_gain(layer, run.info.n_head, range(len(run.tokens)))
    writes, shared = zip(*(written(record, parameters, each, gain) for each in at), strict=True)
    return np.stack(writes), np.stack(shared), parameters.alone


def _normed(norm: Norm, parts: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Parts (N, D) of x through a norm that divides by the size of x; without its shift."""
    _, deviation = norm.sizes(x)
    if norm.centred:
        parts = parts - parts.mean(-1, keepdims=True)
    return parts / deviation * norm.gain


def _normed_heads(norm: Norm, rows: np.ndarray, among: slice) -> np.ndarray:
    """The same for parts of heads (N, H', K), the last of them the layer's own, to which the shift belongs."""
    axis = (-2, -1) if norm.together else -1
    _, deviation = norm.sizes(rows.sum(0), axis)
    if norm.centred:
        rows = rows - rows.mean(axis, keepdims=True)
    gain, shift = (
        None if each is None else each if len(each) == 1 else each[among] for each in (norm.gain, norm.shift)
    )
    rows = rows / deviation * gain
    if shift is not None:
        rows[-1] += shift
    return rows
