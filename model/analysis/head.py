"""One head, step by step: from the residual stream before a layer to what the head writes back, in NumPy.

The steps are made again from the hidden vectors and the layer's parameters alone, not read off the run's record; the
record is only compared with. What a layer does not do (a bias, a rotation, a norm of its queries) is None, and what it
does otherwise than GPT-2 (Radford et al. 2019) stands in its `LayerParameters`. Letters in shape comments as in
`model.run`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from model.analysis.attention import attention_weights, key_head, visible
from model.intervention import UNCHANGED
from model.layer import AttentionOutput, LayerParameters, Norm, Rotary
from model.run import Attention, ModelRun

SAME = 1e-5  # the largest difference to what the model used, as a part of the largest number compared
_HALF, _HALF_WEIGHTS = 1e-3, 5e-3  # the same where queries and keys are kept in 16 bits; and of the weights


@dataclass(frozen=True)
class Path:
    """How a query or keys came about: (…, K) each; of a value only `projected`."""

    projected: np.ndarray  # W x̂ + bias
    bias: np.ndarray | None  # (K,)
    normed: np.ndarray | None  # after the norm of queries or of keys
    turned: np.ndarray | None  # after the rotation

    @property
    def end(self) -> np.ndarray:
        stages = (self.turned, self.normed, self.projected)
        return next(stage for stage in stages if stage is not None)

    def of(self, token: int) -> "Path":
        """Of the keys of all tokens, those of one."""
        own = (None if each is None else each[token] for each in (self.normed, self.turned))
        return Path(self.projected[token], self.bias, *own)


@dataclass(frozen=True)
class Difference:
    """How far one step is from what the model itself has there, and the largest number compared."""

    step: str  # the title of the step
    compared: str
    largest: float
    size: float
    tolerance: float = SAME  # as a part of `size`
    halves: bool = False  # what it is compared with is kept in 16 bits

    @property
    def relative(self) -> float:
        return self.largest / self.size if self.size else self.largest

    @property
    def small(self) -> bool:  # NaN is not
        return self.relative <= self.tolerance


@dataclass(frozen=True)
class HeadSteps:
    """The path of one query token through one head, in float32 as the model computes it."""

    layer: int
    head: int
    query: int
    hidden: np.ndarray  # (D,) x, the residual stream before the layer
    norm: Norm | None  # None: the projections read x itself
    mean: float  # of x; 0 if it stays in it
    deviation: float  # what x - mean is divided by
    normed: np.ndarray  # (D,) x̂: x after the norm, or x
    q: Path
    keys: Path  # of every token (S, K), the same way from its own x̂
    values: Path  # (S, Kv)
    query_norm: Norm | None  # of this head alone: gain and shift (1, K)
    key_norm: Norm | None
    query_size: tuple[float, float]  # mean and deviation of the query's norm; (0, 1) without
    key_size: tuple[float, float]  # of the key of the query token
    rotary: Rotary | None
    angles: np.ndarray  # (R / 2,) by which each pair of the query is turned, in radians; empty without
    dots: np.ndarray  # (S,) q · k
    scale: float  # the whole of it, wherever the model multiplies by it
    scaled: np.ndarray  # (S,) dots · scale
    soft_cap: float  # 0: none
    capped: np.ndarray | None  # (S,) cap · tanh(scaled / cap)
    bias: np.ndarray | None  # (S,) what positions (or the mask) add to the scores of this query
    unmasked: np.ndarray  # (S,) scaled, capped, with the bias
    visible: np.ndarray  # (S,) bool: the mask lets the query look there
    window: int  # of keys that the mask lets be seen; 0: all
    scores: np.ndarray  # (S,) those, or -inf where it may not look
    exponentials: np.ndarray  # (S,) e^(score - largest score)
    sink_score: float  # of a learned sink, for this query; -inf: the layer has none, and then these two are 0
    sink_exponential: float
    sink_weight: float
    denominator: float  # the sum of all of those
    weights: np.ndarray  # (S,) exponentials / denominator
    mixed: np.ndarray  # (Kv,) z, the sum of weight · value
    projected: np.ndarray  # (D,) W_o z: this head's share of what the output projection gives
    others: np.ndarray  # (D,) the other heads' shares, together
    output_bias: np.ndarray | None  # (D,)
    together: np.ndarray  # (D,) all shares and the bias
    written_norm: Norm | None  # of those together, before they are added
    written_size: tuple[float, float]
    added: np.ndarray  # (D,) those, or what the norm makes of them
    multiplier: float  # of what is added
    after: np.ndarray  # (D,) x + what was added
    norm_behind: Norm | None
    after_size: tuple[float, float]
    behind: np.ndarray | None  # (D,) `after` normed: what the layer goes on from (BERT)
    parallel: bool
    alone: bool
    differences: tuple[Difference, ...]  # to the record of the run, step by step

    @property
    def has_sink(self) -> bool:
        return self.sink_score > -np.inf

    @property
    def largest(self) -> float:
        """The largest score of the row."""
        return max(float(self.scores.max()), self.sink_score)

    @property
    def wrong(self) -> Difference | None:
        """The first step that is not what the model did."""
        return next((each for each in self.differences if not each.small), None)

    def against(self, model: AttentionOutput) -> tuple[Difference, ...]:
        """How far what is written, and the stream behind, are from the model's own."""
        step, compared = (
            "Back to the width of the stream",
            "what a layer's heads write, and the sum, and the model's own",
        )
        own = [_difference(step, compared, self.together, model.written[self.query])]
        if model.after is not None:
            end = self.after if self.behind is None else self.behind
            own.append(_difference("Add to the residual stream", compared, end, model.after[self.query]))
        return tuple(own)


def head_steps(run: ModelRun, parameters: LayerParameters, layer: int, head: int, query: int) -> HeadSteps:
    """Every step of one query through one head.

    ValueError if something was changed in the run: these are the steps of the unchanged model.
    IndexError if there is no such layer, head or query.
    """
    if run.intervention != UNCHANGED:
        raise ValueError("the steps of a head are those of an unchanged run")
    for name, index, n in (
        ("layer", layer, run.info.n_layer),
        ("head", head, run.info.n_head),
        ("query", query, len(run.tokens)),
    ):
        if not 0 <= index < n:
            raise IndexError(f"no {name} {index} among {n}")
    record, its = run.layer(layer), parameters
    n_head, n_key_head = len(its.query_weight), len(its.key_weight)
    group = n_head // n_key_head  # so many heads share a key head
    shared = head // group
    positions = np.arange(len(run.tokens))

    x = run.stream[layer]  # (T, D)
    normed = x if its.norm is None else its.norm(x)  # (T, D)
    queries = _path(normed[[query]], its.query_weight, its.query_bias, its.query_norm, its.rotary, positions[[query]])
    keys = _path(normed, its.key_weight, its.key_bias, its.key_norm, its.rotary, positions)  # of (G, T, K)
    values = _path(normed, its.value_weight, its.value_bias)  # of (G, T, Kv)

    q = queries.end[:, 0]  # (H, K)
    dots = np.einsum("hk,hsk->hs", q, keys.end.repeat(group, 0))  # (H, S)
    scale = record.scale if record.query_scale is None else record.whole_scale
    scaled = dots * np.float32(scale)  # (H, S)
    cap = np.float32(record.soft_cap)
    capped = cap * np.tanh(scaled / cap) if cap else None
    bias = None if record.bias is None else np.broadcast_to(record.bias[:, query], dots.shape)  # (H, S)
    row = slice(query, query + 1)
    seen = np.concatenate([visible(record, each, row)[:, : record.n_key] for each in range(n_head)])  # (H, S)
    unmasked = (scaled if capped is None else capped) + (0 if bias is None else bias)
    scores = np.where(seen, unmasked, np.float32(-np.inf))  # (H, S)
    sink = np.full((n_head, 1), -np.inf, np.float32)
    if record.sink_score is not None:
        sink = record.sink_score[:, [query % record.sink_score.shape[1]]]  # (H, 1): one for all queries, or one each
    largest = np.maximum(scores.max(-1, keepdims=True), sink)  # (H, 1)
    exponentials, sink_exponential = np.exp(scores - largest), np.exp(sink - largest)  # (H, S), (H, 1)
    denominator = exponentials.sum(-1, keepdims=True) + sink_exponential  # (H, 1)
    weights, sink_weight = exponentials / denominator, sink_exponential / denominator  # (H, S), (H, 1)

    mixed = np.einsum("hs,hsk->hk", weights, values.end.repeat(group, 0))  # (H, Kv)
    projected = np.einsum("hdk,hk->hd", its.output_weight, mixed)  # (H, D)
    others = np.delete(projected, head, axis=0).sum(0)  # (D,)
    together = projected[head] + others + (0 if its.output_bias is None else its.output_bias)  # (D,)
    added = together if its.written_norm is None else its.written_norm(together)
    after = x[query] + np.float32(its.multiplier) * added
    return HeadSteps(
        layer=layer,
        head=head,
        query=query,
        hidden=x[query],
        norm=its.norm,
        **dict(zip(("mean", "deviation"), _size(its.norm, x[query]), strict=True)),
        normed=normed[query],
        q=_of_head(queries, head).of(0),
        keys=_of_head(keys, shared),
        values=_of_head(values, shared),
        query_norm=_norm_of_head(its.query_norm, head),
        key_norm=_norm_of_head(its.key_norm, shared),
        query_size=_size_of_head(its.query_norm, queries.projected[:, 0], head),
        key_size=_size_of_head(its.key_norm, keys.projected[:, query], shared),
        rotary=its.rotary,
        angles=its.rotary.angles(positions[[query]])[0] if its.rotary else np.zeros(0, np.float32),
        dots=dots[head],
        scale=scale,
        scaled=scaled[head],
        soft_cap=record.soft_cap,
        capped=None if capped is None else capped[head],
        bias=None if bias is None else np.array(bias[head]),
        unmasked=unmasked[head],
        visible=seen[head],
        window=record.window,
        scores=scores[head],
        exponentials=exponentials[head],
        sink_score=float(sink[head, 0]),
        sink_exponential=float(sink_exponential[head, 0]),
        sink_weight=float(sink_weight[head, 0]),
        denominator=float(denominator[head, 0]),
        weights=weights[head],
        mixed=mixed[head],
        projected=projected[head],
        others=others,
        output_bias=its.output_bias,
        together=together,
        written_norm=its.written_norm,
        written_size=_size(its.written_norm, together),
        added=added,
        multiplier=its.multiplier,
        after=after,
        norm_behind=its.norm_behind,
        after_size=_size(its.norm_behind, after),
        behind=None if its.norm_behind is None else its.norm_behind(after),
        parallel=its.parallel,
        alone=its.alone,
        differences=tuple(
            _differences(
                *(record, head, query, queries, keys, values, unmasked[head]),
                np.append(weights[head], sink_weight[head])[: record.n_column],
            )
        ),
    )


def entering(
    run: ModelRun, table: np.ndarray, positions: np.ndarray | None, token: int
) -> tuple[Literal["sum", "token", "other"], float]:
    """What a token's vector is before the first layer: that of the vocabulary (V, D) plus that of the position, if
    there is a table (n_context, D); or that of the vocabulary times a number; or something else.
    """
    x, own = run.stream[0][token], table[run.tokens[token].id]
    if own.shape != x.shape:
        return "other", 1.0
    factor = float(x @ own / (own @ own))
    slack = SAME * float(np.abs(x).max())
    if np.abs(factor * own - x).max() <= slack:
        return "token", 1.0 if abs(factor - 1) < SAME else factor
    if positions is not None and np.abs(own + positions[token] - x).max() <= slack:
        return "sum", 1.0
    return "other", 1.0


def _path(
    x: np.ndarray,  # (T, D)
    weight: np.ndarray,  # (H, K, D)
    bias: np.ndarray | None,
    norm: Norm | None = None,
    rotary: Rotary | None = None,
    positions: np.ndarray | None = None,
) -> Path:
    """Of all heads: (H, T, K)."""
    projected = x @ weight.transpose(0, 2, 1)  # (H, T, K)
    if bias is not None:
        projected = projected + bias[:, None]
    normed = None if norm is None else norm.of_heads(projected)
    turned = None if rotary is None else rotary(projected if normed is None else normed, positions)
    return Path(projected, bias, normed, turned)


def _of_head(path: Path, head: int) -> Path:
    return Path(
        *(None if each is None else each[head] for each in (path.projected, path.bias, path.normed, path.turned))
    )


def _size(norm: Norm | None, x: np.ndarray) -> tuple[float, float]:
    """Mean and deviation of one vector, (N,); 0 and 1 without a norm."""
    return (0.0, 1.0) if norm is None else tuple(float(each[0]) for each in norm.sizes(x))


def _size_of_head(norm: Norm | None, x: np.ndarray, head: int) -> tuple[float, float]:
    """The same of one head's vector among those of all, (H, K)."""
    if norm is None or not norm.together:
        return _size(norm, x[head])
    return tuple(float(each.item()) for each in norm.sizes(x, (0, 1)))


def _norm_of_head(norm: Norm | None, head: int) -> Norm | None:
    if norm is None:
        return None
    gain, shift = (None if each is None else each[[head % len(each)]] for each in (norm.gain, norm.shift))
    return Norm(gain, shift, norm.epsilon, norm.centred, norm.together)


def _differences(
    record: Attention,
    head: int,
    query: int,
    queries: Path,
    keys: Path,
    values: Path,
    scores: np.ndarray,
    weights: np.ndarray,
) -> Iterator[Difference]:
    """To the record of the run; where that is in 16 bits, as near as those allow, and without values.

    What rounding takes from a score, softmax adds to the weight: a part of it if it is large.
    """
    halves, tolerance = not record.exact, SAME if record.exact else _HALF
    shared = key_head(record, head)
    step, compared = "Query, key and value", "query, keys and values, and those the model used"
    whole = record.query[head, query].astype(np.float32)
    yield _difference(
        step, compared, queries.end[head, 0] * np.float32(record.query_scale or 1), whole, tolerance, halves
    )
    yield _difference(step, compared, keys.end[shared], record.key[shared].astype(np.float32), tolerance, halves)
    if record.value is not None:
        yield _difference(step, compared, values.end[shared], record.value[shared])
    own = attention_weights(record, head, slice(query, query + 1))[0]
    sharp = SAME * max(1.0, float(np.abs(scores[np.isfinite(scores)]).max()))
    largest, compared = float(np.abs(weights - own).max()), "a head's weights, and those of the attention page"
    yield Difference("Softmax", compared, largest, 1.0, _HALF_WEIGHTS if halves else sharp, halves)


def _difference(step: str, compared: str, ours: np.ndarray, theirs: np.ndarray, *how: float) -> Difference:
    return Difference(step, compared, float(np.abs(ours - theirs).max()), float(np.abs(theirs).max()), *how)
