"""What `model.analysis.attention` reads off a record: hand-worked two-token arrays, and naive maps of random ones."""

import math
import tracemalloc
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from model.analysis import attention as reading
from model.run import Attention, DenseAttention

LN3 = math.log(3)


def array(*rows) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def two_tokens(causal: bool) -> Attention:
    """One head, d_head 2, scale 1/2: query 1 scores (0, ln 3), so it gives (1/4, 3/4); query 0 scores (1, 2)."""
    return Attention(
        query=array([[2, 0.4 - 0.2 * LN3], [2, 0]]),
        key=array([[0, 5], [LN3, 0]]),
        value=array([[1, 0], [0, 1]]),
        scale=0.5,
        causal=causal,
    )


def random_attention(n_query=13, n_key=13, *, n_head=4, n_key_head=4, causal=True, seed=0) -> Attention:
    rng = np.random.default_rng(seed)
    query = rng.normal(size=(n_head, n_query, 8)).astype(np.float32) * 2
    key, value = rng.normal(size=(2, n_key_head, n_key, 8)).astype(np.float32)
    return Attention(query, key, value, 8**-0.5, causal)


def naive_weights(attention: Attention) -> np.ndarray:
    """(H, T, S) in float64, one cell at a time."""
    shared = attention.n_head // attention.key.shape[0]
    weights = np.zeros((attention.n_head, attention.n_query, attention.n_key))
    for head in range(attention.n_head):
        for t in range(attention.n_query):
            for s in range(t + 1 if attention.causal else attention.n_key):
                dot = attention.query[head, t].astype(float) @ attention.key[head // shared, s].astype(float)
                weights[head, t, s] = math.exp(dot * attention.scale)
    return weights / weights.sum(-1, keepdims=True)


def test_scores_by_hand():
    scores = reading.attention_scores(two_tokens(causal=False), 0)
    # query 0: 5 (0.4 - 0.2 ln 3) / 2 = 1 - ln 3 / 2, and 2 ln 3 / 2 = ln 3; query 1: 0 and ln 3
    np.testing.assert_allclose(scores, [[1 - LN3 / 2, LN3], [0, LN3]], rtol=1e-6)
    causal = reading.attention_scores(two_tokens(causal=True), 0)
    np.testing.assert_allclose(causal, [[1 - LN3 / 2, -np.inf], [0, LN3]], rtol=1e-6)


def test_a_bias_and_a_soft_cap_by_hand():
    plain = two_tokens(causal=False)
    biased = replace(plain, bias=array([[0, 1], [LN3, 0]]))
    np.testing.assert_allclose(reading.attention_scores(biased, 0), [[1 - LN3 / 2, LN3 + 1], [LN3, LN3]], rtol=1e-6)
    np.testing.assert_allclose(reading.attention_weights(biased, 0)[1], [0.5, 0.5], rtol=1e-6)
    cell = reading.cell_arithmetic(biased, 0, 0, 1)
    assert (cell.bias, cell.soft_cap) == (1, 0) and cell.score == pytest.approx(LN3 + 1)
    capped = replace(plain, soft_cap=0.5)
    np.testing.assert_allclose(reading.attention_scores(capped, 0)[1], [0, 0.5 * math.tanh(2 * LN3)], rtol=1e-6)
    assert reading.cell_arithmetic(capped, 0, 1, 1).soft_cap == 0.5


@pytest.mark.parametrize("causal", [True, False])
def test_a_sliding_window_hides_what_is_far(causal):
    attention = replace(random_attention(causal=causal), window=3)
    weights = reading.layer_weights(attention)
    distance = np.arange(13)[:, None] - np.arange(13)
    visible = (np.abs(distance) < 3) & ((distance >= 0) | (not causal))
    assert ((weights > 0) == visible).all()
    expected = np.where(visible, naive_weights(random_attention(causal=causal)), 0)
    np.testing.assert_allclose(weights, expected / expected.sum(-1, keepdims=True), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(reading.attention_weights(attention, 1, slice(7, 8))[0], weights[1, 7], rtol=1e-6)


def test_weights_alone_are_read_the_same_way():
    known = random_attention()
    weights = reading.layer_weights(known)
    dense = DenseAttention(weights.copy())
    assert np.array_equal(reading.attention_weights(dense, 2, slice(3, 5)), weights[2, 3:5])
    assert np.array_equal(reading.layer_weights(dense, heads=[1, 3]), weights[[1, 3]])
    whole, same = reading.pooled_overview([known], 4), reading.pooled_overview([dense], 4)
    np.testing.assert_allclose(whole.maximum, same.maximum, atol=1e-6)
    np.testing.assert_allclose(whole.mean, same.mean, atol=1e-6)
    with pytest.raises(IndexError, match="no head 4 among 4"):
        reading.attention_weights(dense, 4)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"window": -1}, "a window of -1 keys"),
        ({"bias": np.zeros((1, 2, 3), np.float32)}, r"a bias \(1, 2, 3\) for 1 heads, 2 queries, 2 keys"),
        ({"bias": np.zeros((1, 2, 2))}, "kept in float32"),
    ],
)
def test_what_does_not_fit_is_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        replace(two_tokens(causal=True), **wrong)


def test_weights_by_hand():
    np.testing.assert_allclose(reading.attention_weights(two_tokens(causal=True), 0), [[1, 0], [0.25, 0.75]], rtol=1e-6)
    both = reading.attention_weights(two_tokens(causal=False), 0)
    np.testing.assert_allclose(both[1], [0.25, 0.75], rtol=1e-6)
    # e^(1 - ln 3 / 2) = e / √3, e^(ln 3) = 3
    np.testing.assert_allclose(both[0, 0], (math.e / 3**0.5) / (math.e / 3**0.5 + 3), rtol=1e-6)


def test_cell_arithmetic_by_hand():
    cell = reading.cell_arithmetic(two_tokens(causal=True), 0, query=1, key=0)
    np.testing.assert_array_equal(cell.query, [2, 0])
    np.testing.assert_array_equal(cell.key, [0, 5])
    np.testing.assert_array_equal(cell.product, [0, 0])
    np.testing.assert_allclose(cell.row_scores, [0, LN3], rtol=1e-6)
    assert (cell.dot, cell.scale, cell.masked, cell.score) == (0, 0.5, False, 0)
    assert cell.exponential == pytest.approx(1 / 3)  # e^(0 - ln 3)
    assert cell.denominator == pytest.approx(4 / 3)
    assert cell.weight == pytest.approx(1 / 4)
    assert cell.rank == 1
    other = reading.cell_arithmetic(two_tokens(causal=True), 0, query=1, key=1)
    np.testing.assert_allclose(other.product, [2 * LN3, 0], rtol=1e-6)
    assert (other.dot, other.score) == (pytest.approx(2 * LN3), pytest.approx(LN3))
    assert (other.exponential, other.weight, other.rank) == (1, pytest.approx(3 / 4), 0)


def test_a_masked_cell_shows_its_product_and_gets_nothing():
    cell = reading.cell_arithmetic(two_tokens(causal=True), 0, query=0, key=1)
    assert cell.masked
    assert cell.dot == pytest.approx(2 * LN3)
    assert (cell.score, cell.exponential, cell.weight, cell.rank) == (-math.inf, 0, 0, 1)
    assert cell.denominator == 1


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("n_key_head", [4, 2, 1])
def test_weights_agree_with_one_cell_at_a_time(causal, n_key_head):
    attention = random_attention(causal=causal, n_key_head=n_key_head)
    naive = naive_weights(attention)
    for head in range(4):
        weights = reading.attention_weights(attention, head)
        assert weights.dtype == np.float32
        np.testing.assert_allclose(weights, naive[head], atol=1e-6)
        cell = reading.cell_arithmetic(attention, head, query=9, key=4)
        assert cell.weight == pytest.approx(naive[head, 9, 4], abs=1e-6)
        assert cell.score == pytest.approx(float(cell.product.sum()) * attention.scale, rel=1e-5)
        assert cell.rank == (naive[head, 9] > naive[head, 9, 4]).sum()
    np.testing.assert_allclose(reading.layer_weights(attention), naive, atol=1e-6)


def test_shared_keys_are_repeated_keys():
    grouped = random_attention(n_head=6, n_key_head=2)
    repeated = Attention(grouped.query, grouped.key.repeat(3, axis=0), grouped.value.repeat(3, axis=0), 8**-0.5, True)
    np.testing.assert_array_equal(reading.layer_weights(grouped), reading.layer_weights(repeated))


@pytest.mark.parametrize("rows", [slice(0, 1), slice(3, 9), slice(12, None), slice(1, None, 4), slice(4, 4)])
@pytest.mark.parametrize("causal", [True, False])
def test_some_rows_are_rows_of_the_whole(rows, causal):
    attention = random_attention(causal=causal)
    for function in (reading.attention_scores, reading.attention_weights):
        np.testing.assert_allclose(function(attention, 2, rows), function(attention, 2)[rows], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(
        reading.layer_weights(attention, rows), reading.layer_weights(attention)[:, rows], rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize("row", [0, 5, 12])
def test_a_row_of_more_queries_than_keys_sees_all_keys(row):
    """Cross-attention: a long target, a short source."""
    attention = random_attention(n_query=13, n_key=4, causal=False)
    found = reading.attention_weights(attention, 1, slice(row, row + 1))
    assert found == pytest.approx(naive_weights(attention)[1, row : row + 1], abs=1e-6)


def test_huge_scores_do_not_overflow():
    attention = Attention(
        array([[1000, 0], [1000, 0]]), array([[1000, 0], [999, 0]]), array([[1, 0], [0, 1]]), 1.0, False
    )
    np.testing.assert_array_equal(reading.attention_weights(attention, 0), [[1, 0], [1, 0]])


@pytest.mark.parametrize(
    ("n_query", "n_key", "causal"), [(13, 13, True), (13, 13, False), (1, 1, True), (130, 130, True), (7, 20, False)]
)
@pytest.mark.parametrize("n", [1, 4, 13, 64])
def test_overview_agrees_with_pooling_full_maps(n_query, n_key, causal, n):
    layers = [random_attention(n_query, n_key, n_key_head=2, causal=causal, seed=seed) for seed in (0, 1)]
    overview = reading.pooled_overview(layers, n)
    rows, columns = min(n, n_query), min(n, n_key)
    assert overview.maximum.shape == overview.mean.shape == (2, 4, rows, columns)
    assert overview.pooled == (n < max(n_query, n_key))
    queries, keys = overview.query_edges, overview.key_edges
    for edges, length in ((queries, n_query), (keys, n_key)):
        assert (edges[0], edges[-1]) == (0, length)
        sizes = np.diff(edges)
        assert sizes.max() - sizes.min() <= 1  # as even as can be
    for layer, attention in enumerate(layers):
        for head in range(4):
            weights = reading.attention_weights(attention, head)
            cells = [[weights[a:b, c:d] for c, d in pairwise(keys)] for a, b in pairwise(queries)]
            largest = [[cell.max() for cell in row] for row in cells]
            mean = [[cell.mean() for cell in row] for row in cells]
            np.testing.assert_allclose(overview.maximum[layer, head], largest, atol=1e-6)
            np.testing.assert_allclose(overview.mean[layer, head], mean, atol=1e-6)
    n_cell = np.diff(queries)[:, None] * np.diff(keys)
    np.testing.assert_allclose((overview.mean * n_cell).sum(-1), np.tile(np.diff(queries), (2, 4, 1)), rtol=1e-5)


def test_overview_of_a_short_text_is_exact():
    attention = random_attention()
    overview = reading.pooled_overview([attention], 64)
    np.testing.assert_array_equal(overview.maximum[0], overview.mean[0])
    np.testing.assert_allclose(overview.maximum[0], reading.layer_weights(attention), atol=1e-6)


@pytest.mark.parametrize("changes", [{"window": 5}, {"window": 40}, {"soft_cap": 2.0}, {"bias": True}])
@pytest.mark.parametrize("causal", [True, False])
def test_overview_of_other_rules_agrees_with_pooling_full_maps(changes, causal):
    """A number of keys that cells cannot share evenly, so that some have one more."""
    attention = random_attention(150, 150, n_key_head=2, causal=causal)
    if "bias" in changes:
        changes = {"bias": np.random.default_rng(1).normal(size=(4, 150, 150)).astype(np.float32)}
    attention = replace(attention, **changes)
    overview, dense = (
        reading.pooled_overview([layer], 64) for layer in (attention, DenseAttention(reading.layer_weights(attention)))
    )
    np.testing.assert_allclose(overview.maximum, dense.maximum, atol=1e-6)
    np.testing.assert_allclose(overview.mean, dense.mean, atol=1e-6)


def test_a_query_that_sees_nothing_has_no_weights():
    bias = np.zeros((1, 6, 6), np.float32)
    bias[0, 2] = -np.inf
    attention = replace(random_attention(6, 6, causal=False), bias=bias)
    with np.errstate(invalid="ignore"):
        weights, overview = reading.layer_weights(attention), reading.pooled_overview([attention], 3)
    assert np.isnan(weights[:, 2]).all() and not np.isnan(weights[:, [0, 1, 3, 4, 5]]).any()
    assert np.isnan(overview.maximum[0, :, 1]).all() and not np.isnan(overview.maximum[0, :, [0, 2]]).any()


def half_precision(attention: Attention) -> Attention:
    query, key = attention.query.astype(np.float16), attention.key.astype(np.float16)
    return replace(attention, query=query, key=key, value=None)


@pytest.mark.parametrize("sharpness", [0.3, 1, 3])
@pytest.mark.parametrize("n_key_head", [4, 2])
def test_half_precision_moves_a_weight_by_a_thousandth_or_two(sharpness, n_key_head):
    rng = np.random.default_rng(0)
    query = rng.normal(size=(4, 200, 64)).astype(np.float32) * np.float32(sharpness)
    key, value = rng.normal(size=(2, n_key_head, 200, 64)).astype(np.float32)
    exact = Attention(query, key, value, 64**-0.5, causal=True)
    half = half_precision(exact)
    assert exact.exact and not half.exact
    assert half.n_byte == (4 + n_key_head) * 200 * 64 * 2 and exact.n_byte == (4 + 2 * n_key_head) * 200 * 64 * 4
    weights = reading.layer_weights(half)
    assert weights.dtype == np.float32 and np.abs(weights - naive_weights(exact)).max() < 2e-3
    # never float16 arithmetic: what is read off is what these very float16 numbers give in float64
    np.testing.assert_allclose(weights, naive_weights(half), atol=2e-6)
    overview = reading.pooled_overview([half], 16)
    dense = reading.pooled_overview([DenseAttention(weights)], 16)
    np.testing.assert_allclose(overview.maximum, dense.maximum, atol=1e-6)
    np.testing.assert_allclose(overview.mean, dense.mean, atol=1e-6)
    scores = reading.attention_scores(half, 1, slice(9, 10))
    cell = reading.cell_arithmetic(half, 1, 9, 4)
    assert {each.dtype.name for each in (scores, cell.query, cell.key, cell.product, cell.row_scores)} == {"float32"}
    assert cell.weight == pytest.approx(float(weights[1, 9, 4]), rel=1e-5)
    assert cell.dot == pytest.approx(float(cell.product.sum()), rel=1e-4)


def test_what_heads_take_from_values():
    attention = random_attention(n_head=6, n_key_head=2)
    expected = reading.layer_weights(attention) @ attention.value.repeat(3, axis=0)
    np.testing.assert_allclose(reading.attended(attention, attention.value), expected, atol=1e-6)
    dense = DenseAttention(reading.layer_weights(attention))
    np.testing.assert_allclose(reading.attended(dense, attention.value), expected, atol=1e-6)


def test_overview_never_holds_a_whole_layer():
    layers = [random_attention(800, 800, seed=seed) for seed in (0, 1)]
    one_layer = 4 * 800 * 800 * 4  # bytes of float32
    tracemalloc.start()
    reading.pooled_overview(layers, 64)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < one_layer / 2


def test_overview_of_a_long_text_takes_little_memory():
    """A layer of 12 heads and 4,096 tokens, whose maps would take 768 MiB; 12 layers' pictures are 4.3 MiB more."""
    query, key = np.random.default_rng(0).normal(size=(2, 12, 4096, 64)).astype(np.float16)
    tracemalloc.start()
    reading.pooled_overview([Attention(query, key, None, 0.125, causal=False)])
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most / 2**20 + 4.3 < 64


@pytest.mark.parametrize(("query", "key"), [(-1, 0), (2, 0), (0, -1), (0, 2)])
def test_no_such_cell(query, key):
    with pytest.raises(IndexError, match=rf"no cell \({query}, {key}\) in 2 x 2"):
        reading.cell_arithmetic(two_tokens(causal=True), 0, query, key)


@pytest.mark.parametrize("head", [-1, 4])
def test_no_such_head(head):
    attention = random_attention()
    for read in (reading.attention_scores, reading.attention_weights):
        with pytest.raises(IndexError, match=f"no head {head} among 4"):
            read(attention, head)
    with pytest.raises(IndexError, match=f"no head {head} among 4"):
        reading.cell_arithmetic(attention, head, 0, 0)


def test_reading_changes_nothing():
    attention = random_attention()
    copies = [a.copy() for a in (attention.query, attention.key, attention.value)]
    reading.pooled_overview([attention], 4)
    reading.attention_weights(attention, 0)
    reading.cell_arithmetic(attention, 0, 3, 2)
    for before, now in zip(copies, (attention.query, attention.key, attention.value), strict=True):
        np.testing.assert_array_equal(before, now)
