"""Alignment read off attention, against pairs found by hand, and its properties over random weights."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from model.analysis.alignment import align, crossing, grow_diag
from model.analysis.attention import attention_weights
from model.intervention import UNCHANGED
from model.run import Attention, ModelInfo, ModelRun, Token
from model.text.units import units_of

# le chat noir dort <- the black cat sleeps, in words
SWAPPED = np.array(
    [
        [0.7, 0.1, 0.1, 0.1],
        [0.1, 0.2, 0.6, 0.1],
        [0.1, 0.5, 0.3, 0.1],
        [0.0, 0.1, 0.3, 0.6],
    ],
    np.float32,
)


def grid(*rows: str) -> np.ndarray:
    return np.array([[sign == "x" for sign in row] for row in rows])


def test_adjective_and_noun_change_places():
    alignment = align(SWAPPED)
    expected = grid("x...", "..x.", ".x..", "...x")
    assert np.array_equal(alignment.row_best, expected)
    assert np.array_equal(alignment.column_best, expected)
    assert np.array_equal(alignment.both, expected) and np.array_equal(alignment.grown, expected)


def test_the_two_directions_differ():
    weights = np.array([[0.5, 0.3, 0.2], [0.6, 0.3, 0.1]], np.float32)
    alignment = align(weights)
    assert np.array_equal(alignment.row_best, grid("x..", "x.."))
    assert np.array_equal(alignment.column_best, grid(".xx", "x.."))  # of the two 0.3 the first
    assert np.array_equal(alignment.both, grid("...", "x.."))


def test_grow_diag_worked_by_hand():
    # both have (0, 0) and (3, 3). From (0, 0): (0, 1) joins, column 1 is empty; then (1, 1), row 1 is empty. From
    # (0, 1): (1, 2), column 2 is empty. From (1, 1): (2, 0), row 2 is empty. (3, 3) has no neighbour in either.
    forward = grid("xx..", ".x..", "x...", "...x")
    backward = grid("x...", "..x.", "....", "...x")
    assert np.array_equal(grow_diag(forward, backward), grid("xx..", ".xx.", "x...", "...x"))


def test_what_touches_nothing_stays_out():
    forward, backward = grid("x...", "....", "....", "...x"), grid("x...", "....", "....", ".x..")
    assert np.array_equal(grow_diag(forward, backward), grid("x...", "....", "....", "...."))


def test_a_taken_row_and_column_take_no_more():
    forward, backward = grid("x.", "xx"), grid("x.", ".x")  # (1, 0): row 1 and column 0 both have a pair
    assert np.array_equal(grow_diag(forward, backward), grid("x.", ".x"))


def test_nothing_to_look_at_goes_with_nothing():
    weights = np.array([[np.nan, 0.0], [np.nan, 0.4]], np.float32)
    assert np.array_equal(align(weights).row_best, grid("..", ".x"))
    assert align(np.zeros((0, 3), np.float32)).grown.shape == (0, 3)
    assert not align(np.full((2, 2), np.nan, np.float32)).grown.any()


weights = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=7), elements=st.sampled_from([0, 0.25, 0.5]))
flags = st.tuples(st.integers(1, 6), st.integers(1, 6)).flatmap(
    lambda shape: st.tuples(arrays(bool, shape), arrays(bool, shape))
)


@given(flags)
def test_grow_diag_lies_between_the_two(both):
    forward, backward = both
    grown = grow_diag(forward, backward)
    assert not (forward & backward & ~grown).any()
    assert not (grown & ~(forward | backward)).any()
    # nothing more could join: it is finished
    rows, columns = np.nonzero(grown)
    for q, k in zip(*np.nonzero((forward | backward) & ~grown), strict=True):
        touches = (np.maximum(abs(rows - q), abs(columns - k)) == 1).any()
        assert not touches or (grown[q].any() and grown[:, k].any())
    # what joined touches something that is in
    for q, k in zip(*np.nonzero(grown & ~(forward & backward)), strict=True):
        assert (np.maximum(abs(rows - q), abs(columns - k)) == 1).any()


@given(weights)
def test_each_row_and_column_has_at_most_one_best(weights):
    alignment = align(weights)
    assert np.array_equal(alignment.row_best.sum(axis=1), (weights > 0).any(axis=1))
    assert np.array_equal(alignment.column_best.sum(axis=0), (weights > 0).any(axis=0))
    for q, k in zip(*np.nonzero(alignment.row_best), strict=True):
        assert weights[q, k] == weights[q].max()


# --- which row belongs to which word ----------------------------------------------------------------------------------


def tokens_of(*pieces: str) -> tuple[Token, ...]:
    tokens, end = [], 0
    for piece in pieces:
        tokens.append(Token(len(tokens), piece.encode(), end, end := end + len(piece)))
    return tuple(tokens)


@pytest.fixture
def run() -> ModelRun:
    """Two layers of two heads; the target “<start> le ch at” over the source “the cat <end>”."""
    rng = np.random.default_rng(0)

    def layer(n_query: int, n_key: int, causal: bool = False) -> Attention:
        query, key, value = (rng.normal(size=(2, n, 3)).astype(np.float32) for n in (n_query, n_key, n_key))
        return Attention(query, key, value, 1.0, causal)

    info = ModelInfo("tiny", "Tiny", 2, 2, 2, 6, 3, 9, 9, 1, True, "", "encoder-decoder")
    start, end = Token(8, b"<start>", 0, 0, special=True), Token(8, b"<end>", 7, 7, special=True)
    target = (start, *tokens_of("le", " ch", "at"))
    source = (*tokens_of("the", " cat"), end)
    hidden = rng.normal(size=(3, 4, 6)).astype(np.float32)
    own, encoder, cross = ([layer(*shape) for _ in range(2)] for shape in [(4, 4, True), (3, 3), (4, 3)])
    return ModelRun(info, target, tuple(own), hidden, None, UNCHANGED, source, tuple(encoder), tuple(cross))


def test_a_word_belongs_to_the_rows_that_predict_it(run):
    written, source = units_of(run.tokens[1:], "le chat", "words"), units_of(run.source, "the cat", "words")
    assert written.labels == ("le", "chat") and source.labels == ("the", "cat", "<end>")
    read = crossing(run, [(1, 0)], written, source)
    weights = attention_weights(run.cross[1], 0)  # rows: <start>, le, ch, at
    assert read.weights[0] == pytest.approx(weights[0])  # “le” was chosen while looking from <start>
    assert read.weights[1] == pytest.approx((weights[1] + weights[2]) / 2)  # “ch” from “le”, “at” from “ch”
    assert (read.queries(0), read.queries(1), read.keys(1)) == ((0,), (1, 2), (1,))
    assert read.weights.sum(axis=1) == pytest.approx(1)


def test_heads_are_averaged(run):
    written, source = units_of(run.tokens[1:], "le chat", "tokens"), units_of(run.source, "the cat", "tokens")
    every = [(layer, head) for layer in range(2) for head in range(2)]
    expected = np.mean([attention_weights(run.cross[layer], head)[:3] for layer, head in every], axis=0)
    assert crossing(run, every, written, source).weights == pytest.approx(expected, abs=1e-6)


def test_units_of_another_text_are_refused(run):
    whole, source = units_of(run.tokens, "le chat", "tokens"), units_of(run.source, "the cat", "tokens")
    with pytest.raises(ValueError, match="units of 4 and 3 tokens for 3 and 3"):
        crossing(run, [(0, 0)], whole, source)


def test_an_empty_target_has_no_rows(run):
    short = replace(
        run,
        tokens=run.tokens[:1],
        hidden=run.hidden[:, :1].copy(),
        attention=tuple(
            replace(a, query=a.query[:, :1], key=a.key[:, :1], value=a.value[:, :1]) for a in run.attention
        ),
        cross=tuple(replace(a, query=a.query[:, :1]) for a in run.cross),
    )
    read = crossing(short, [(0, 0)], units_of((), "", "tokens"), units_of(run.source, "the cat", "words"))
    assert read.weights.shape == (0, 3) and align(read.weights).grown.shape == (0, 3)
