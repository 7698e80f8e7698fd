"""Rollout and flow by hand, against networkx and all paths; what a weight carries against a loop over heads."""

from dataclasses import replace
from itertools import product

import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.analysis.attention import attention_weights, key_head
from model.analysis.attention_flow import (
    MOST_TOKENS,
    carried,
    flow,
    head_mean,
    mixed_layers,
    rollout,
    rounding,
    shares_of,
)
from model.run import Attention, DenseAttention, NoAttention, VisitorError
from tests.head_models import MODELS
from tests.huggingface.checkpoints import byte_level, load, save

FIRST = np.array([[1, 0, 0], [0.5, 0.5, 0], [0.2, 0.3, 0.5]], np.float32)
SECOND = np.array([[1, 0, 0], [0.4, 0.6, 0], [0.6, 0.2, 0.2]], np.float32)
LAST = np.array([0.0, 0.0, 1.0])


def layer(*heads: np.ndarray) -> DenseAttention:
    return DenseAttention(np.array(heads, np.float32))


def test_three_tokens_and_two_layers_by_hand():
    mixed = mixed_layers([layer(FIRST), layer(SECOND)])
    np.testing.assert_allclose(mixed[0], [[1, 0, 0], [0.25, 0.75, 0], [0.1, 0.15, 0.75]], atol=1e-7)
    np.testing.assert_allclose(mixed[1], [[1, 0, 0], [0.2, 0.8, 0], [0.3, 0.1, 0.6]], atol=1e-7)
    # 0.3 · 1 + 0.1 · 0.25 + 0.6 · 0.1; 0.1 · 0.75 + 0.6 · 0.15; 0.6 · 0.75
    np.testing.assert_allclose(rollout(mixed, LAST), [[0.385, 0.165, 0.45], [0.3, 0.1, 0.6], [0, 0, 1]], atol=1e-7)
    # min(0.3, 1) + min(0.1, 0.25) + min(0.6, 0.1); min(0.1, 0.75) + min(0.6, 0.15); min(0.6, 0.75)
    flows = flow(mixed, LAST, (0, 1, 2))
    np.testing.assert_allclose(flows, [[0.5, 0.25, 0.6], [0.3, 0.1, 0.6], [0, 0, 1]], atol=1e-7)


def test_heads_are_averaged_and_a_layer_without_attention_hands_everything_on():
    np.testing.assert_allclose(head_mean(layer(FIRST, SECOND)), (FIRST + SECOND) / 2, atol=1e-7)
    mixed = mixed_layers([NoAttention("state space"), layer(FIRST)])
    np.testing.assert_array_equal(mixed[0], np.eye(3))
    np.testing.assert_allclose(rollout(mixed, LAST)[0], mixed[1][2], atol=1e-7)


def test_what_goes_to_a_learned_sink_reaches_no_token():
    zeros = np.zeros((1, 2, 4), np.float32)
    sink = Attention(zeros, zeros, zeros, 1.0, causal=True, sink_score=np.zeros((1, 1), np.float32))
    # every score is 0: the first query shares with the sink alone, the second with a key more
    np.testing.assert_allclose(head_mean(sink), [[1 / 2, 0], [1 / 3, 1 / 3]], atol=1e-6)
    assert rollout(mixed_layers([sink]), np.array([0.0, 1.0]))[0].sum() == pytest.approx(0.5 + 0.5 * 2 / 3)


def random_layers(seed: int, n_layer: int, n_token: int, causal: bool) -> np.ndarray:
    weights = np.random.default_rng(seed).random((n_layer, n_token, n_token)).astype(np.float32)
    weights *= np.tri(n_token, dtype=np.float32) if causal else 1
    return mixed_layers([layer(each / each.sum(-1, keepdims=True)) for each in weights])


@given(st.integers(0, 99), st.integers(1, 3), st.integers(1, 5), st.booleans())
def test_rollout_is_the_sum_over_all_paths(seed, n_layer, n_token, causal):
    mixed, start = random_layers(seed, n_layer, n_token, causal), np.full(n_token, 1 / n_token)
    sums = np.zeros(n_token)
    for path in product(range(n_token), repeat=n_layer + 1):
        sums[path[0]] += start[path[-1]] * np.prod([mixed[i, path[i + 1], path[i]] for i in range(n_layer)])
    np.testing.assert_allclose(rollout(mixed, start)[0], sums, atol=1e-6)
    assert sums.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("start", [[0, 0, 0, 1, 0, 0], [1 / 6] * 6], ids=["one token", "all tokens"])
def test_flow_is_the_maximum_flow_of_networkx(causal, start):
    n, mixed = 6, random_layers(7, 3, 6, causal)
    graph = networkx.DiGraph()
    for i, query, key in product(range(3), range(n), range(n)):
        graph.add_edge((i + 1, query), (i, key), capacity=float(mixed[i, query, key]))
    for token in range(n):
        graph.add_edge("top", (3, token), capacity=float(start[token]))
    columns = (0, 1, 2)
    theirs = [[networkx.maximum_flow_value(graph, "top", (column, t)) for t in range(n)] for column in columns]
    ours = flow(mixed, np.array(start, float), columns)
    np.testing.assert_allclose(ours, theirs, atol=rounding(mixed))
    assert rounding(mixed) < 1e-6 and (ours <= np.array(theirs) + 1e-9).all()


def test_one_token_and_one_layer():
    mixed = mixed_layers([layer(np.ones((1, 1), np.float32))])
    assert rollout(mixed, np.ones(1))[0] == flow(mixed, np.ones(1))[0] == [1]


def test_a_long_text_is_refused_with_a_sentence():
    long = DenseAttention(np.ones((1, MOST_TOKENS + 1, 1), np.float32))
    with pytest.raises(VisitorError, match=f"has {MOST_TOKENS + 1} tokens.*{MOST_TOKENS} at most: shorten it"):
        mixed_layers([long])
    with pytest.raises(VisitorError, match="shorten the text, or take rollout"):
        flow(np.ones((4, 400, 400), np.float32), np.ones(400))


@pytest.mark.parametrize("kind", ["llama", "gpt2", "granite"])
def test_what_a_weight_carries_is_a_sum_over_heads_done_one_by_one(kind, tmp_path):
    cls, config, _ = MODELS[kind]
    lm = load(save(tmp_path / kind, cls, byte_level(), config))
    run = lm.run(lm.encode("the cat saw the dog"))
    for number, record in enumerate(run.attention):
        parameters = lm.layer_parameters(number)
        expected = np.zeros((record.n_query, record.n_key))
        for query, key in product(range(record.n_query), range(record.n_key)):
            written = np.zeros(run.info.d_model)
            for head in range(record.n_head):
                value = record.value[key_head(record, head), key]
                weight = attention_weights(record, head)[query, key]
                written += weight * parameters.multiplier * (parameters.output_weight[head] @ value)
            expected[query, key] = np.linalg.norm(written)
        np.testing.assert_allclose(carried(record, parameters), expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(carried(record, parameters, slice(2, 3)), expected[2:3], rtol=1e-4, atol=1e-5)


def test_without_values_nothing_is_said_of_what_is_carried(tiny, tiny_run):
    parameters = tiny.layer_parameters(0)
    exact = tiny_run.layer(0)
    halves = {name: getattr(exact, name).astype(np.float16) for name in ("query", "key")}
    for record in (layer(FIRST), replace(exact, value=None, **halves)):
        with pytest.raises(VisitorError, match="no values are kept"):
            carried(record, parameters)


def test_lengths_as_shares_of_their_row():
    np.testing.assert_allclose(shares_of(np.array([[1.0, 3], [0, 0]])), [[0.25, 0.75], [0, 0]])
