"""Learned sinks: an entry of each softmax that stands for no token. Against a plain computation inside transformers."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
import transformers
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

from model.analysis.attention import cell_arithmetic, layer_weights, pooled_overview, strongest_in_cell, visible
from model.analysis.attention_map import SINK, MapSpec, attention_map, heads_at
from model.analysis.explanation import exact_rows, explain
from model.analysis.telling import head_information, telling_weight
from model.huggingface.capture import attend
from model.huggingface.language_model import HuggingFaceModel
from model.intervention import UNCHANGED, Intervention
from model.run import LEARNED_SINK, ModelRun
from model.text.units import Units, and_sink
from tests.zoo import N_TOKEN, builder, tokens

OSS, MIMO = "GptOssForCausalLM", "MiMoV2FlashForCausalLM"
SINK_KEY = N_TOKEN  # behind the last token


def opened(name: str) -> HuggingFaceModel:
    return HuggingFaceModel(builder(name), None, name=name, title="Tiny", fingerprint="")


@pytest.fixture(scope="module")
def lm() -> HuggingFaceModel:
    return opened(OSS)


@pytest.fixture(scope="module")
def run(lm) -> ModelRun:
    return lm.run(tokens(N_TOKEN))


def plainly(change: Intervention):
    """Attention with a sink as one would write it down, and what a change is to do to it; and the weights it made."""
    made = []

    def attend_plainly(module, query, key, value, mask, scaling, s_aux, **_):
        layer, n_head, shared = len(made), query.shape[1], query.shape[1] // key.shape[1]
        weights = torch.zeros(n_head, N_TOKEN, N_TOKEN + 1)
        output = torch.zeros(N_TOKEN, n_head, value.shape[-1])
        for head, t in product(range(n_head), range(N_TOKEN)):
            q = query[0, head, t] * ((layer, head) not in change.heads_uniform)
            window = module.sliding_window or N_TOKEN
            seen = [s for s in range(N_TOKEN) if t - s < window and (s <= t or not change.causal_mask)]
            seen = [s for s in seen if (layer, head, t, s) not in change.edges_off]
            z = [float(q @ key[0, head // shared, s]) * (scaling if change.scale else 1) for s in seen]
            if (layer, head, t, SINK_KEY) not in change.edges_off:
                z, seen = [*z, float(s_aux[head])], [*seen, SINK_KEY]
            weights[head, t, seen] = (torch.tensor(z, dtype=torch.float64) / change.temperature).softmax(-1).float()
            if (layer, head) not in change.heads_off and (layer, head, t) not in change.rows_off:
                output[t, head] = weights[head, t, :N_TOKEN] @ value[0, head // shared]
        made.append(weights)
        return output[None], None

    AttentionInterface.register("plain", attend_plainly)
    AttentionMaskInterface.register("plain", eager_mask)
    transformer = builder(OSS)("plain")
    with torch.inference_mode():
        said = transformer(torch.tensor([[token.id for token in tokens(N_TOKEN)]]))
    return [weights.numpy() for weights in made], said.logits[0].numpy()


CHANGES = {
    "as trained": UNCHANGED,
    "head off": Intervention(heads_off={(0, 1)}),
    "row off": Intervention(rows_off={(0, 2, 7)}),
    "uniform": Intervention(heads_uniform={(0, 1), (1, 3)}),
    "keys away": Intervention(edges_off={(0, 1, 5, 4), (0, 1, 5, 3), (1, 0, 3, 3)}),
    "sink away": Intervention(edges_off={(0, 1, 5, SINK_KEY), (1, 2, 12, SINK_KEY)}),
    "only the sink is left": Intervention(edges_off={(0, 0, 0, 0)}),
    "temperature": Intervention(temperature=2.5),
    "no scale": Intervention(scale=False, edges_off={(0, 3, 6, SINK_KEY)}),
    "no mask": Intervention(causal_mask=False, edges_off={(1, 1, 4, SINK_KEY), (1, 1, 4, 9)}, temperature=0.5),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_each_change_is_that_of_a_plain_computation(lm, run, change):
    """In a layer with a window and in one without; rows share what is taken away with the sink."""
    weights, logits = plainly(change)
    changed = lm.run(run.tokens, change)
    for ours, theirs in zip(changed.attention, weights, strict=True):
        np.testing.assert_allclose(layer_weights(ours), theirs, atol=1e-5)
        np.testing.assert_allclose(layer_weights(ours).sum(-1), 1, atol=1e-5)
    np.testing.assert_allclose(lm.unembed(changed.hidden[-1]), logits, atol=1e-5 * np.abs(logits).max())
    (alone,) = lm.logits(run.tokens, [change])
    np.testing.assert_allclose(alone, logits, atol=1e-5 * np.abs(logits).max())
    if change != UNCHANGED:
        assert np.abs(logits - lm.unembed(run.hidden[-1])).max() > 1e-3


def test_a_query_must_see_something(lm, run):
    with pytest.raises(ValueError, match="would see no key any more"):
        lm.run(run.tokens, Intervention(edges_off={(0, 0, 0, 0), (0, 0, 0, SINK_KEY)}))
    with pytest.raises(ValueError, match="no tokens"):
        lm.run(run.tokens, Intervention(edges_off={(0, 0, 0, SINK_KEY + 1)}))


def test_a_layer_without_a_sink_has_an_empty_column():
    """MiMo's heads have one in their windows alone."""
    if not hasattr(transformers, MIMO):
        pytest.skip(f"transformers {transformers.__version__} has no {MIMO}")
    mimo = opened(MIMO)
    changed = mimo.run(tokens(N_TOKEN), Intervention(edges_off={(0, 1, 5, SINK_KEY), (1, 1, 5, SINK_KEY)}))
    without, with_sink = mimo.run(tokens(N_TOKEN)).attention
    assert not layer_weights(without)[..., -1].any() and not visible(without, 0)[:, -1].any()
    assert layer_weights(with_sink)[..., -1].min() > 0 and visible(with_sink, 0)[:, -1].all()
    np.testing.assert_array_equal(layer_weights(changed.attention[0]), layer_weights(without))
    np.testing.assert_allclose(layer_weights(without).sum(-1), 1, atol=1e-5)
    cell = cell_arithmetic(without, 0, 4, SINK_KEY)
    assert cell.sink and cell.masked and cell.weight == 0


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("masked", [None, "bool", "float"])
@pytest.mark.parametrize("more", [{}, {"softcap": 0.7}, {"position_bias": True}], ids=["plain", "cap", "bias"])
def test_a_sink_of_each_query_goes_the_fast_way(causal, masked, more):
    """As Inkling's heads have it; beside each kind of mask, a cap, a bias; two texts."""
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, n, 6, 8, generator=generator) for n in (4, 2, 2))
    value, sinks = value[..., :5], torch.randn(2, 4, 6, 1, generator=generator)
    if "position_bias" in more:
        more = {"position_bias": torch.randn(1, 4, 6, 6, generator=generator)}
    allowed, mask = torch.ones(6, 6, dtype=torch.bool), None
    if causal:
        allowed = allowed.tril()
    if masked:
        allowed = allowed & (torch.arange(6) != 2)[:, None].logical_or(torch.arange(6) < 2)
        mask = allowed[None, None]
        mask = mask if masked == "bool" else torch.where(mask, 0.0, torch.finfo(torch.float32).min)
    module = nn.Module().eval()
    module.num_key_value_groups, module.is_causal = 2, causal and mask is None
    ours, _ = attend(module, query, key, value, mask, scaling=0.4, sinks=sinks, is_causal=module.is_causal, **more)
    scores = query @ key.repeat_interleave(2, 1).transpose(-1, -2) * 0.4
    if "softcap" in more:
        scores = 0.7 * torch.tanh(scores / 0.7)
    scores = scores + more.get("position_bias", 0)
    scores = torch.cat([scores.masked_fill(~allowed, -torch.inf), sinks], -1)
    theirs = scores.softmax(-1)[..., :-1] @ value.repeat_interleave(2, 1)
    np.testing.assert_allclose(ours.numpy(), theirs.transpose(1, 2).numpy(), atol=1e-5)


def test_of_a_long_text_the_sink_stays_exact(run):
    lm = opened(OSS)
    lm.opened.exact_bytes = 0
    half = lm.run(run.tokens)
    assert not any(layer.exact for layer in half.attention)
    for ours, exact in zip(half.attention, run.attention, strict=True):
        np.testing.assert_array_equal(ours.sink_score, exact.sink_score)
        np.testing.assert_allclose(layer_weights(ours), layer_weights(exact), atol=2e-3)


def test_the_overview_has_a_column_for_the_sink(run):
    """Of its own, however many keys a cell holds."""
    overview, n = pooled_overview(run.attention, 4), 4
    assert overview.maximum.shape == (2, 4, n, n + 1) and overview.pooled
    whole = np.array([layer_weights(layer) for layer in run.attention])
    for pooled, by in ((overview.maximum, np.max), (overview.mean, np.mean)):
        rows = [slice(*overview.query_edges[i : i + 2]) for i in range(n)]
        columns = [slice(*overview.key_edges[i : i + 2]) for i in range(n + 1)]
        wanted = [[by(whole[..., row, column], axis=(-1, -2)) for column in columns] for row in rows]
        np.testing.assert_allclose(pooled, np.moveaxis(wanted, (0, 1), (2, 3)), atol=1e-6)
    query, key = strongest_in_cell(run.attention[1], 2, overview, (3, n))
    assert key == SINK_KEY and whole[1, 2, query, key] == pytest.approx(overview.maximum[1, 2, 3, n], abs=1e-6)


def units(run: ModelRun, starts: list[int], kind: str) -> Units:
    return Units(kind, tuple(map(str, starts)), np.array(starts), len(run.tokens), "")


@pytest.mark.parametrize("sink", SINK)
@pytest.mark.parametrize("combine", ["mean", "max"])
@pytest.mark.parametrize("kind", ["tokens", "words"])
def test_every_reading_rule_knows_the_sink_and_both_ways_agree(run, sink, combine, kind):
    spec = MapSpec(heads_at(run.grid()), combine, sink, kind)
    queries = units(run, list(range(N_TOKEN)) if kind == "tokens" else [0, 3, 4, 9], kind)
    keys = and_sink(queries)
    layers, looked_at = run.attention, run.sides()[1]
    assert looked_at[-1] == LEARNED_SINK and keys.labels[-1] == run.key_labels()[-1] == "sink"
    read_now = attention_map(layers, looked_at, queries, spec, None, keys)
    assert read_now.weights.shape == (len(queries), len(queries) + 1) and read_now.shows_sink
    whole = np.array([layer_weights(layer) for layer in layers])
    combined = whole.mean((0, 1)) if combine == "mean" else whole.max((0, 1))
    taken = (combined[:, 0] + combined[:, SINK_KEY]) / combined.sum(-1)
    ends = [*queries.starts[1:], N_TOKEN]
    wanted = [taken[a:b].mean() for a, b in zip(queries.starts, ends, strict=True)]
    np.testing.assert_allclose(read_now.removed, wanted, atol=1e-6)
    assert np.isnan(read_now.weights[:, -1]).all() == (sink != "as is")
    if combine == "mean" and sink == "as is":
        np.testing.assert_allclose(read_now.weights.sum(-1), 1, atol=1e-5)
    if sink == "renormalise":
        np.testing.assert_allclose(np.nansum(read_now.weights[1:], -1), 1, atol=1e-5)
    for query, key in product((1, 2, len(queries) - 1), (1, len(keys) - 1)):
        again = explain(layers, looked_at, spec, [queries.tokens(query)], [keys.tokens(key)]).value
        np.testing.assert_allclose(read_now.weights[query, key], again, atol=1e-6)


def test_a_sink_belongs_to_neither_of_two_texts(run):
    queries = units(run, list(range(N_TOKEN)), "tokens")
    spec, second = MapSpec(((1, 2),)), 6
    whole = layer_weights(run.attention[1])[2]
    for segment, rows, columns in (("A → B", slice(0, 6), slice(6, 13)), ("B → B", slice(6, 13), slice(6, 13))):
        part = replace(spec, segment=segment)
        read_now = attention_map(run.attention, run.sides()[1], queries, part, second, and_sink(queries))
        np.testing.assert_allclose(read_now.weights, whole[rows, columns], atol=1e-6)
        assert read_now.has_sink and not read_now.shows_sink
        assert read_now.shares[segment] == pytest.approx(whole[rows, columns].sum(-1).mean(), abs=1e-6)


def test_the_card_of_a_sink_is_its_arithmetic(run):
    attention = run.attention[0]
    for query in (0, 9):
        cell = cell_arithmetic(attention, 3, query, SINK_KEY)
        score = float(attention.sink_score[3, 0])
        assert cell.sink and not cell.masked and cell.score == score and len(cell.row_scores) == N_TOKEN + 1
        others = np.exp(cell.row_scores[:-1].astype(np.float64)).sum()
        assert cell.weight == pytest.approx(np.exp(score) / (others + np.exp(score)), abs=1e-6)
        assert exact_rows(attention, 3, np.array([query]))[0, -1] == pytest.approx(cell.weight, abs=1e-6)
    with pytest.raises(IndexError):
        cell_arithmetic(attention, 3, 0, SINK_KEY + 1)


def test_a_look_at_the_sink_tells_nothing(run):
    """As one at the first token: a head that feeds the sink alone has no information."""
    feeding = replace(run.attention[0], sink_score=np.full((4, 1), 40, np.float32))
    fed = replace(run, attention=(feeding, run.attention[1]))
    assert head_information(fed)[0] == pytest.approx(0, abs=1e-6) and head_information(fed)[1].max() > 0.01
    assert telling_weight(fed, 0, 1)[1] != SINK_KEY
