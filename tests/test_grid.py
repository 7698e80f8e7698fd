"""Layers keep their own numbers, with and without attention, wherever heads are counted, written and named."""

from dataclasses import replace

import pytest

from model.analysis.attention import attention_scores, attention_weights, visible
from model.analysis.attention_map import HeadsError, combined_weights, heads_at, parse_heads, write_heads
from model.grid import Grid
from model.run import NoAttention, NoAttentionHere, VisitorError
from viz.figures.heads import heads_name, in_ranges, layers_and_heads, others_in_words

MIXED = Grid(6, 2, ((0, "state space"), (1, "state space"), (3, "convolution"), (4, "state space")))  # 2 and 5 attend


def test_which_layers_have_heads():
    assert MIXED.layers == (2, 5) and MIXED.n_total == 4
    assert (MIXED.instead(3), MIXED.instead(2)) == ("convolution", "")
    assert [MIXED.nearest(layer) for layer in range(6)] == [2, 2, 2, 2, 5, 5]
    assert Grid(5, 1, ((1, "x"), (2, "x"), (3, "x"))).nearest(2) == 4  # of two as near the later one
    assert Grid(3, 2).layers == (0, 1, 2)
    for others in (((0, "x"), (1, "x")), ((2, "x"),)):
        with pytest.raises(ValueError, match="have no attention"):
            Grid(2, 1, others)


def test_every_head_is_one_of_a_layer_that_has_some():
    everything = [(2, 0), (2, 1), (5, 0), (5, 1)]
    assert list(heads_at(MIXED)) == everything == list(parse_heads("*.*", MIXED))
    assert list(heads_at(MIXED, head=1)) == [(2, 1), (5, 1)] == list(parse_heads("*.1", MIXED))
    assert write_heads(everything, MIXED) == "*.*" and write_heads([(2, 1), (5, 1)], MIXED) == "*.1"
    assert write_heads([(5, 0), (5, 1), (2, 0)], MIXED) == "*.0, 5.1"
    with pytest.raises(
        HeadsError,
        match=r"^There is no head 3\.\*: layer 3 has no softmax attention \(convolution\)\. Layers with heads: 2, 5\.$",
    ):
        parse_heads("2.0, 3.*", MIXED)


def test_what_is_said_of_them():
    assert heads_name(heads_at(MIXED), MIXED) == "the mean of all 4 heads"
    assert heads_name(heads_at(MIXED, head=1), MIXED, "max") == "the maximum of head 1 of all 2 layers with attention"
    assert heads_name(heads_at(MIXED, 5), MIXED) == "the mean of the 2 heads of layer 5"
    assert others_in_words(MIXED) == "With softmax attention: 2, 5. Without: 0–1, 4: state space; 3: convolution."
    assert layers_and_heads(MIXED) == "6 layers, 2 of them with attention: 2 heads each"
    assert layers_and_heads(Grid(3, 2), "**") == "**3** layers × **2** heads"
    assert in_ranges([0, 1, 2, 4, 6, 7]) == "0–2, 4, 6–7" and in_ranges([3]) == "3"


def test_a_run_says_of_each_layer_what_its_model_says(tiny_run):
    layers = NoAttention("state space"), *tiny_run.attention[1:]
    with pytest.raises(ValueError, match=r"layers without attention \(\(0, 'state space'\),\), expected \(\)"):
        replace(tiny_run, attention=layers)
    run = replace(tiny_run, info=replace(tiny_run.info, others=((0, "state space"),)), attention=layers)
    assert run.attending() == layers[1:] and run.layer(2) is layers[2] and run.grid().layers == (1, 2)
    with pytest.raises(NoAttentionHere, match=r"^Layer 0 of Tiny is of another kind \(state space\): .* layer 1\.$"):
        run.layer(0)
    for read in (attention_weights, attention_scores, visible):
        with pytest.raises(VisitorError, match="A layer that works by state space has no attention weights"):
            read(run.attention[0], 1)
    ours, all_of_them = (combined_weights(each.attention, heads_at(each.grid()), "max") for each in (run, tiny_run))
    assert (ours <= all_of_them).all() and (ours < all_of_them).any()
