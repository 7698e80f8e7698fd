"""Combining heads, the sink, units and segments: hand-worked cases, properties, and one value explained."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.analysis.attention import attention_weights, layer_weights
from model.analysis.attention_map import (
    COMBINE,
    SEGMENTS,
    SINK,
    MapSpec,
    attention_map,
    between_units,
    combined_weights,
    parse_heads,
    sink_keys,
    without_sink,
    write_heads,
)
from model.analysis.explanation import explain
from model.analysis.measures import attention_entropy, attention_received
from model.grid import Grid
from model.run import Attention, DenseAttention, Token, VisitorError
from model.text.units import KINDS, Units, units_of

ROWS = np.array([[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.5, 0.25, 0.25, 0], [0.4, 0.1, 0.2, 0.3]], np.float32)


def grouped(*sizes: int) -> Units:
    """Units of so many tokens each."""
    starts = np.cumsum([0, *sizes])[:-1]
    return Units("words", tuple(f"u{i}" for i in range(len(sizes))), starts, sum(sizes), "by hand")


def tokens_of(n: int, special: tuple[int, ...] = ()) -> list[Token]:
    return [Token(i, b"x", i, i + 1, i in special) for i in range(n)]


def test_units_sum_over_keys_and_average_over_queries():
    words = grouped(1, 2, 1)
    assert between_units(ROWS, words, words) == pytest.approx(
        np.array([[1, 0, 0], [0.5, 0.5, 0], [0.4, 0.3, 0.3]], np.float32)
    )


def test_what_is_not_there_is_left_out_of_units():
    nan = np.nan
    weights = np.array([[nan, nan, nan], [nan, 1, 0], [nan, 0.5, 0.5]], np.float32)
    words = grouped(2, 1)
    # the first word: only its second query is there, and only its second key; the whole row sums to 1
    assert between_units(weights, words, words) == pytest.approx(np.array([[1, 0], [0.5, 0.5]], np.float32))
    alone = between_units(weights, grouped(1, 2), grouped(1, 2))
    assert alone == pytest.approx(np.array([[nan, nan], [nan, 1]], np.float32), nan_ok=True)


def test_the_sink_is_the_first_token_and_every_special_token():
    assert sink_keys(tokens_of(4, special=(2,))).tolist() == [True, False, True, False]


def test_the_sink_as_is_changes_nothing_and_states_the_mass():
    left, removed = without_sink(ROWS, np.array([True, False, False, False]), "as is")
    assert np.array_equal(left, ROWS)
    assert removed == pytest.approx([1, 0.5, 0.5, 0.4])


def test_hiding_the_sink_leaves_the_other_weights_alone():
    left, removed = without_sink(ROWS, np.array([True, False, False, False]), "hide")
    assert np.isnan(left[:, 0]).all() and np.array_equal(left[:, 1:], ROWS[:, 1:])
    assert removed == pytest.approx([1, 0.5, 0.5, 0.4])


def test_renormalising_divides_by_what_is_left_and_empty_rows_are_not_there():
    left, removed = without_sink(ROWS, np.array([True, False, False, False]), "renormalise")
    nan = np.nan
    assert left == pytest.approx(
        np.array([[nan] * 4, [nan, 1, 0, 0], [nan, 0.5, 0.5, 0], [nan, 1 / 6, 1 / 3, 0.5]]), nan_ok=True
    )
    assert removed == pytest.approx([1, 0.5, 0.5, 0.4])


def test_heads_combine_by_mean_and_by_maximum(tiny_run):
    heads = [(0, 1), (2, 3), (1, 0)]
    stack = np.stack([attention_weights(tiny_run.attention[layer], head) for layer, head in heads])
    assert combined_weights(tiny_run.attention, heads, "mean") == pytest.approx(stack.mean(0), abs=1e-7)
    assert np.array_equal(combined_weights(tiny_run.attention, heads, "max"), stack.max(0))
    assert np.array_equal(combined_weights(tiny_run.attention, heads[:1], "mean"), stack[0])


def test_the_mean_of_a_layer_is_the_mean_of_its_heads(tiny_run):
    heads = [(1, head) for head in range(4)]
    expected = layer_weights(tiny_run.attention[1]).mean(0)
    assert combined_weights(tiny_run.attention, heads, "mean") == pytest.approx(expected, abs=1e-7)


def test_segments_are_the_four_blocks_and_what_each_gives(tiny_run):
    tokens, n = tiny_run.tokens, len(tiny_run.tokens)
    units = units_of(tokens, "", "tokens")
    whole = attention_weights(tiny_run.attention[0], 2)
    blocks = {"A → A": (0, 4, 0, 4), "A → B": (0, 4, 4, n), "B → A": (4, n, 0, 4), "B → B": (4, n, 4, n)}
    for segment, (q0, q1, k0, k1) in blocks.items():
        reading = attention_map(tiny_run.attention, tokens, units, MapSpec(((0, 2),), segment=segment), second=4)
        assert np.array_equal(reading.weights, whole[q0:q1, k0:k1])
        assert reading.queries.tolist() == list(range(q0, q1)) and reading.keys.tolist() == list(range(k0, k1))
        assert reading.shares[segment] == pytest.approx(whole[q0:q1, k0:k1].sum() / (q1 - q0), abs=1e-6)
    assert reading.shares["A → A"] + reading.shares["A → B"] == pytest.approx(1, abs=1e-6)
    assert reading.shares["A → B"] == 0  # a decoder never looks ahead
    assert reading.shares["B → A"] + reading.shares["B → B"] == pytest.approx(1, abs=1e-6)


def test_one_text_has_no_segments(tiny_run):
    units = units_of(tiny_run.tokens, "", "tokens")
    reading = attention_map(
        tiny_run.attention, tiny_run.tokens, units, MapSpec(((0, 0),), segment="A → B"), second=None
    )
    assert reading.shares == {} and len(reading.queries) == len(tiny_run.tokens)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"heads": ()}, "a map of no heads"),
        ({"combine": "sum"}, "'sum' is none of mean, max"),
        ({"sink": "gone"}, "'gone' is none of as is, hide, renormalise"),
        ({"kind": "letters"}, "'letters' is none of"),
        ({"segment": "C"}, "'C' is none of"),
    ],
)
def test_a_rule_that_says_nothing_is_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        MapSpec(**{"heads": ((0, 0),), **wrong})


def test_entropy_and_received():
    assert attention_received(ROWS) == pytest.approx(ROWS.sum(0) / 4)
    assert attention_entropy(ROWS)[:2] == pytest.approx([0, np.log(2)])
    nan = np.nan
    assert attention_received(np.array([[nan, nan], [nan, 1]])) == pytest.approx([nan, 1], nan_ok=True)
    assert attention_entropy(np.array([[nan, nan], [nan, 1]])) == pytest.approx([nan, 0], nan_ok=True)


@st.composite
def a_case(draw):
    """Random attention of some layers, special tokens, and a random cut into units."""
    n, layers, heads = draw(st.integers(1, 9)), draw(st.integers(1, 2)), draw(st.sampled_from([1, 2, 4]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    records = []
    for _ in range(layers):
        query = (3 * rng.standard_normal((heads, n, 4))).astype(np.float32)
        key, value = rng.standard_normal((2, draw(st.sampled_from([1, heads])), n, 4)).astype(np.float32)
        causal, window, cap = draw(st.booleans()), draw(st.integers(0, n)), draw(st.sampled_from([0.0, 0.5]))
        bias = rng.standard_normal((draw(st.sampled_from([1, heads])), n, n)).astype(np.float32)
        bias = bias if draw(st.booleans()) else None
        records.append(Attention(query, key, value, 0.5, causal, window, cap, bias))
    sizes = []
    while sum(sizes) < n:
        sizes.append(draw(st.integers(1, n - sum(sizes))))
    tokens = tokens_of(n, special=tuple(draw(st.sets(st.integers(0, n - 1), max_size=2))))
    chosen = draw(st.lists(st.tuples(st.integers(0, layers - 1), st.integers(0, heads - 1)), min_size=1, unique=True))
    return records, tokens, grouped(*sizes), tuple(chosen)


@settings(max_examples=150)
@given(a_case(), st.sampled_from(["tokens", "words"]), st.sampled_from(["as is", "renormalise"]))
def test_rows_keep_summing_to_one(case, kind, sink):
    records, tokens, words, heads = case
    units = words if kind == "words" else units_of(tokens, "", "tokens")
    reading = attention_map(records, tokens, units, MapSpec(heads, "mean", sink, kind))
    sums = np.nansum(reading.weights, axis=1)
    gone = np.isnan(reading.weights).all(axis=1)
    assert sums[~gone] == pytest.approx(np.ones((~gone).sum()), abs=1e-5)
    assert sink == "renormalise" or not gone.any()
    assert ((reading.removed > -1e-6) & (reading.removed < 1 + 1e-6)).all()


@settings(max_examples=150)
@given(a_case(), st.sampled_from(COMBINE), st.sampled_from(SINK), st.sampled_from(["tokens", "words"]), st.data())
def test_every_value_of_a_reading_is_explained_by_another_way(case, combine, sink, kind, data):
    records, tokens, words, heads = case
    units = words if kind == "words" else units_of(tokens, "", "tokens")
    spec = MapSpec(heads, combine, sink, kind)
    reading = attention_map(records, tokens, units, spec)
    query, key = (data.draw(st.integers(0, len(units) - 1)) for _ in "qk")
    told = explain(records, tokens, spec, [units.tokens(query)], [units.tokens(key)])
    assert told.value == pytest.approx(float(reading.weights[query, key]), abs=1e-5, nan_ok=True)
    assert len(told.weight) == len(heads) * len(units.tokens(query)) * len(units.tokens(key))
    for layer, head, q, k, weight in zip(told.layer, told.head, told.query, told.key, told.weight, strict=True):
        assert weight == pytest.approx(attention_weights(records[layer], head)[q, k], abs=1e-6)


def test_sums_over_several_queries_are_explained(tiny_run):
    spec, weights = MapSpec(((1, 2),)), attention_weights(tiny_run.attention[1], 2)
    queries, keys = [range(3, 4), range(6, 7)], [range(1, 2), range(2, 3)]
    summed = explain(tiny_run.attention, tiny_run.tokens, spec, queries, keys, over="sum")
    assert summed.value == pytest.approx(weights[[3, 6]][:, [1, 2]].sum(), abs=1e-6)
    mean = explain(tiny_run.attention, tiny_run.tokens, spec, queries, keys)
    assert mean.value == pytest.approx(summed.value / 2)


@pytest.mark.parametrize(
    ("text", "heads"),
    [
        ("1.2", [(1, 2)]),
        (" 2.3, 0.1 ;0.1", [(0, 1), (2, 3)]),
        ("1.*", [(1, 0), (1, 1), (1, 2), (1, 3)]),
        ("*.3", [(0, 3), (1, 3), (2, 3)]),
    ],
)
def test_heads_are_written_and_read(text, heads):
    parsed = parse_heads(text, Grid(3, 4))
    assert parsed == tuple(heads)
    assert parse_heads(write_heads(parsed, Grid(3, 4)), Grid(3, 4)) == parsed


def test_heads_are_written_short():
    everything = [(layer, head) for layer in range(3) for head in range(4)]
    assert write_heads(everything, Grid(3, 4)) == "*.*"
    assert write_heads([(1, 0), (1, 1), (1, 2), (1, 3), (2, 2)], Grid(3, 4)) == "1.*, 2.2"
    assert write_heads([(0, 3), (1, 3), (2, 3), (1, 1)], Grid(3, 4)) == "*.3, 1.1"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "No head is chosen. Hold shift and click tiles, or write some, such as 2.3, 4.*"),
        ("7", "“7” is not a head. Write layer.head, such as 2.3; 2.* is all of layer 2, *.3 is head 3 of every layer."),
        ("3.0", "There is no head 3.0: layers go from 0 to 2, heads from 0 to 3."),
        ("0.4", "There is no head 0.4: layers go from 0 to 2, heads from 0 to 3."),
        (
            "-1.0",
            "“-1.0” is not a head. Write layer.head, such as 2.3; 2.* is all of layer 2, *.3 is head 3 of every layer.",
        ),
    ],
)
def test_what_names_no_head_gets_a_sentence(text, sentence):
    with pytest.raises(VisitorError) as refused:
        parse_heads(text, Grid(3, 4))
    assert str(refused.value) == sentence


def test_all_words_of_the_rule_are_known():
    for segment in SEGMENTS:
        for kind in KINDS:
            assert MapSpec(((0, 0),), kind=kind, segment=segment).kind == kind
    assert MapSpec(((0, 0),)).plain and MapSpec(((0, 0),), sink="hide").plain
    assert not MapSpec(((0, 0), (0, 1))).plain and not MapSpec(((0, 0),), kind="words").plain
    assert not MapSpec(((0, 0),), sink="renormalise").plain


def test_cross_attention_has_units_of_its_own_on_each_side():
    weights = np.array([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]], np.float32)[None]  # two tokens look at three
    source, words, source_words = tokens_of(3, special=(2,)), grouped(2), grouped(1, 2)
    spec = MapSpec(((0, 0),), kind="words", of="cross")
    reading = attention_map([DenseAttention(weights)], source, words, spec, key_units=source_words)
    assert reading.weights == pytest.approx(np.array([[0.3, 0.7]]))
    assert reading.removed == pytest.approx([(0.75 + 0.8) / 2])  # the first and the special token of the source
    hidden = attention_map([DenseAttention(weights)], source, words, replace(spec, sink="hide"), None, source_words)
    assert hidden.weights == pytest.approx(np.array([[np.nan, (0.25 + 0.2) / 2]]), nan_ok=True)
    told = explain([DenseAttention(weights)], source, replace(spec, sink="hide"), [range(2)], [range(1, 3)])
    assert told.value == pytest.approx(0.225)
