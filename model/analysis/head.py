"""One head, step by step: from the residual stream before a layer to what the head writes back, in NumPy.

The steps are made again from the hidden vectors and the layer's parameters alone, not read off the run's record; the
record is only compared with. Vaswani et al. 2017, §3.2, in the pre-norm order of Radford et al. 2019. Letters in shape
comments as in `model.run`.
"""

from dataclasses import dataclass

import numpy as np

from model.analysis.attention import attention_weights
from model.intervention import UNCHANGED
from model.run import LayerParameters, ModelRun


@dataclass(frozen=True)
class HeadSteps:
    """The path of one query token through one head, in float32 as the model computes it."""

    layer: int
    head: int
    query: int
    hidden: np.ndarray  # (D,) x, the residual stream before the layer
    mean: float  # of x
    deviation: float  # of x: √(variance + epsilon)
    gain: np.ndarray  # (D,) the layer norm's own factor …
    shift: np.ndarray  # (D,) … and summand
    normed: np.ndarray  # (D,) x̂ = (x - mean) / deviation · gain + shift
    q: np.ndarray  # (K,) = W_q x̂ + q_bias
    q_bias: np.ndarray  # (K,)
    keys: np.ndarray  # (S, K) of every token, the same way from its own x̂
    key_bias: np.ndarray  # (K,)
    values: np.ndarray  # (S, K)
    value_bias: np.ndarray  # (K,)
    dots: np.ndarray  # (S,) q · k
    scale: float
    scaled: np.ndarray  # (S,) dots · scale
    visible: np.ndarray  # (S,) bool: the mask lets the query look there
    scores: np.ndarray  # (S,) scaled, or -inf where it may not look
    exponentials: np.ndarray  # (S,) e^(score - largest score)
    denominator: float  # the sum of those
    weights: np.ndarray  # (S,) exponentials / denominator
    mixed: np.ndarray  # (K,) z, the sum of weight · value
    written: np.ndarray  # (D,) W_o z: this head's share of what the layer adds to the stream
    others: np.ndarray  # (D,) the other heads' shares, together
    output_bias: np.ndarray  # (D,)
    after: np.ndarray  # (D,) x + written + others + output_bias
    vector_difference: float  # the largest between q, keys and values here and in the run's record
    weight_difference: float  # the largest between the weights here and those of `model.analysis.attention`


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
    record = run.attention[layer]
    group = run.info.n_head // len(parameters.key_weight)  # so many heads share a key head
    key_head = head // group

    x = run.stream[layer]  # (T, D)
    mean = x.mean(-1, keepdims=True)  # (T, 1)
    deviation = np.sqrt(x.var(-1, keepdims=True) + np.float32(parameters.norm_epsilon))  # (T, 1)
    normed = (x - mean) / deviation * parameters.norm_weight + parameters.norm_bias  # (T, D)

    q = parameters.query_weight @ normed[query] + parameters.query_bias  # (H, K)
    keys = normed @ parameters.key_weight.transpose(0, 2, 1) + parameters.key_bias[:, None]  # (G, T, K)
    values = normed @ parameters.value_weight.transpose(0, 2, 1) + parameters.value_bias[:, None]  # (G, T, K)

    dots = np.einsum("hk,hsk->hs", q, keys.repeat(group, 0))  # (H, S)
    scaled = dots * np.float32(record.scale)  # (H, S)
    visible = np.arange(len(x)) <= query if record.causal else np.ones(len(x), bool)  # (S,)
    scores = np.where(visible, scaled, np.float32(-np.inf))  # (H, S)
    exponentials = np.exp(scores - scores.max(-1, keepdims=True))  # (H, S)
    denominator = exponentials.sum(-1, keepdims=True)  # (H, 1)
    weights = exponentials / denominator  # (H, S)

    mixed = np.einsum("hs,hsk->hk", weights, values.repeat(group, 0))  # (H, K)
    written = np.einsum("hdk,hk->hd", parameters.output_weight, mixed)  # (H, D)
    others = np.delete(written, head, axis=0).sum(0)  # (D,)
    return HeadSteps(
        layer=layer,
        head=head,
        query=query,
        hidden=x[query],
        mean=float(mean[query, 0]),
        deviation=float(deviation[query, 0]),
        gain=parameters.norm_weight,
        shift=parameters.norm_bias,
        normed=normed[query],
        q=q[head],
        q_bias=parameters.query_bias[head],
        keys=keys[key_head],
        key_bias=parameters.key_bias[key_head],
        values=values[key_head],
        value_bias=parameters.value_bias[key_head],
        dots=dots[head],
        scale=record.scale,
        scaled=scaled[head],
        visible=visible,
        scores=scores[head],
        exponentials=exponentials[head],
        denominator=float(denominator[head, 0]),
        weights=weights[head],
        mixed=mixed[head],
        written=written[head],
        others=others,
        output_bias=parameters.output_bias,
        after=x[query] + written[head] + others + parameters.output_bias,
        vector_difference=max(
            _largest(q[head] - record.query[head, query]),
            _largest(keys[key_head] - record.key[head * len(record.key) // record.n_head]),
            _largest(values[key_head] - record.value[head * len(record.value) // record.n_head]),
        ),
        weight_difference=_largest(weights[head] - attention_weights(record, head, slice(query, query + 1))[0]),
    )


def _largest(difference: np.ndarray) -> float:
    return float(np.abs(difference).max())
