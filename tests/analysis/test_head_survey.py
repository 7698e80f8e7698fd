"""Every score of a head on attention made by hand, whose answer is known; and what many texts make of them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.analysis.attention import layer_weights
from model.analysis.head_patterns import (
    FAR,
    MEASURES,
    MIXED,
    ROWS_AT_ONCE,
    SCORES,
    Sides,
    score_text,
    sides_of,
    strongest_key,
)
from model.analysis.head_scores import behind_copies, induction, previous_token
from model.analysis.head_survey import labels_that_hold, survey
from model.run import Attention, DenseAttention, NoAttention, Token
from tests.analysis.test_head_scores import looking_at, uniform

# a b , a b . c d e f g h: the letters are words, the rest separators
TEXT = [Token(ord(c), c.encode(), i, i + 1) for i, c in enumerate("ab,ab.cdefgh")]
N = len(TEXT)
SIDES = sides_of(TEXT, TEXT)


def dense(*maps: np.ndarray) -> DenseAttention:
    """A layer of these heads, and of one more that looks alike at all that the first token's row allows: what no head
    looks at counts as masked in a model that gives only weights.
    """
    alike = uniform(N) if maps[0][0, -1] == 0 and maps[0].shape == (N, N) else np.full(maps[0].shape, 1 / N)
    return DenseAttention(np.stack([*maps, alike]).astype(np.float32))


def read(*maps: np.ndarray, sides: Sides = SIDES) -> dict[str, np.ndarray]:
    """The measures of each map (T, S), a head of one layer."""
    scores = score_text([dense(*maps)], sides)
    return {name: scores.value[m, 0, :-1] for m, name in enumerate(MEASURES)}


def back(n: int) -> np.ndarray:
    """Each row looks `n` tokens back, or at the first."""
    return looking_at([max(0, t - n) for t in range(N)])


def test_a_perfect_head_has_1_and_no_other_has():
    previous, own, first, far = back(1), back(0), back(N), back(3)
    found = read(previous, own, first, far)
    np.testing.assert_allclose(found["previous token"], [1, 0, 1 / (N - 1), 1 / (N - 1)], atol=1e-6)
    np.testing.assert_allclose(found["current token"], [0, 1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(found["first token"], [1 / (N - 1), 0, 1, 3 / (N - 1)], atol=1e-6)
    np.testing.assert_allclose(found["-3"], [0, 0, 1 / (N - 3), 1], atol=1e-6)


def test_copies_separators_and_what_is_far():
    # the copies stand at 3 (of 0) and 4 (of 1); behind them lie 1 and 2; only these two rows count
    copier = looking_at([0, 0, 0, 1, 2, 2, 5, 5, 5, 5, 5, 5])
    same = looking_at([0, 1, 2, 0, 1, 0, 0, 0, 0, 0, 2, 2])
    found = read(copier, same)
    np.testing.assert_allclose(found["induction"], [1, 0], atol=1e-6)
    np.testing.assert_allclose(found["duplicate"], [0, 1], atol=1e-6)
    # from row 3 on a separator can be seen that is not the row itself; the rows 10 and 11 are far from 1 and 2
    np.testing.assert_allclose(found["separators"], [8 / 9, 2 / 9], atol=1e-6)
    np.testing.assert_allclose(found["long range"], [0, 1 / 2 if FAR == 8 else np.nan], atol=1e-6)


def test_attention_alike_on_all_has_what_the_formulas_say():
    found, chance = read(uniform(N)), score_text([dense(uniform(N))], SIDES).chance
    rows = np.arange(1, N)
    assert found["previous token"] == pytest.approx(np.mean(1 / (rows + 1)))
    assert found["induction"] == pytest.approx(np.mean([1 / 4, 1 / 5]))
    assert found["spread"] == pytest.approx(1)
    distances = [sum(abs(t - s) for s in range(1, t + 1)) / (t + 1) for t in rows]
    assert found["mean distance"] == pytest.approx(sum(distances) / sum(t / (t + 1) for t in rows), rel=1e-5)
    for m, name in enumerate(MEASURES):
        np.testing.assert_allclose(chance[m], found[name], atol=1e-6)


def test_the_rows_of_special_tokens_do_not_count():
    marked = [replace(TEXT[0], special=True), *TEXT[1:-1], replace(TEXT[-1], special=True)]
    wrong_there = back(1)
    wrong_there[-1] = back(5)[-1]
    assert read(wrong_there, sides=sides_of(marked, marked))["previous token"] == pytest.approx(1)
    assert read(wrong_there)["previous token"] < 1


def test_an_encoder_sees_copies_on_both_sides():
    all_see = np.full((N, N), 1 / N)
    assert read(all_see)["duplicate"] == pytest.approx(1 / N)  # each of the four letters that come twice sees one
    assert read(looking_at([3, 4, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]) * 0.999 + 0.001 / N)["duplicate"] > 0.99


def test_of_two_texts_only_what_needs_no_place_is_there():
    other = [Token(1, b"le", 0, 2), Token(2, b",", 2, 3), Token(3, b"chat", 3, 7)]
    found = read(np.full((N, 3), 1 / 3), sides=sides_of(TEXT, other, own=False))
    there = {name for name, value in found.items() if not np.isnan(value).all()}
    assert there == {"first token", "separators", "spread"} == {score.name for score in SCORES if score.across}
    assert found["separators"] == pytest.approx(1 / 3)


def test_a_learned_sink_counts_as_the_first_token_and_as_none_besides():
    zeros = np.zeros((1, N, 2), np.float32)
    layer = Attention(zeros, zeros, zeros, 1.0, True, sink_score=np.full((1, 1), 30, np.float32))
    scores = score_text([layer], SIDES)
    assert scores.value[MEASURES.index("first token"), 0, 0] == pytest.approx(1)
    assert scores.value[MEASURES.index("previous token"), 0, 0] == pytest.approx(0, abs=1e-6)


def test_a_window_counts_only_rows_that_can_see_the_pattern():
    zeros = np.zeros((1, N, 2), np.float32)
    scores = score_text([Attention(zeros, zeros, zeros, 1.0, True, window=3)], SIDES)
    assert np.isnan(scores.value[MEASURES.index("-4"), 0, 0])  # nobody sees so far
    assert scores.value[MEASURES.index("-2"), 0, 0] == pytest.approx(1 / 3, abs=1e-6)


def long_record(seed: int = 0) -> tuple[Attention, Sides]:
    rng, n = np.random.default_rng(seed), ROWS_AT_ONCE + 40
    query, key = (rng.normal(size=(2, n, 4)).astype(np.float32) for _ in range(2))
    tokens = [Token(int(id), b"x", i, i + 1) for i, id in enumerate(rng.integers(0, 30, n))]
    return Attention(query, key, key, 0.5, True), sides_of(tokens, tokens)


def test_in_blocks_of_rows_it_is_what_the_whole_table_says():
    layer, sides = long_record()
    scores, weights = score_text([layer], sides), layer_weights(layer)
    np.testing.assert_allclose(scores.value[MEASURES.index("previous token"), 0], previous_token(weights), atol=1e-5)
    np.testing.assert_allclose(
        scores.value[MEASURES.index("induction"), 0], induction(weights, sides.query_ids), atol=1e-5
    )
    m, behind = MEASURES.index("induction"), behind_copies(sides.query_ids)
    for head in range(2):
        at = scores.row[m, 0, head]
        assert at == (weights[head] * behind).sum(-1).argmax()
        key = strongest_key(weights[head, at], "induction", sides, at)
        assert behind[at, key] and weights[head, at, key] == weights[head, at][behind[at]].max()


@given(st.integers(0, 10**6))
def test_a_score_is_a_share(seed):
    layer, sides = long_record(seed)
    value = score_text([layer], sides).value
    shares = np.array([name != "mean distance" for name in MEASURES])
    there = value[shares][~np.isnan(value[shares])]
    assert ((there >= 0) & (there <= 1 + 1e-5)).all()


def text_of(*maps: np.ndarray):
    return score_text([DenseAttention(np.stack([*maps, uniform(N)]).astype(np.float32))], SIDES)


COPIER = looking_at([0, 0, 0, 1, 2, 2, 5, 5, 5, 5, 5, 5])


def test_over_texts_a_head_has_the_mean_the_spread_and_where_it_is_strongest():
    made = survey([text_of(uniform(N), back(1)), text_of(back(1), back(1))], [text_of(COPIER, uniform(N))])
    found = made.found["previous token"]
    alike = read(uniform(N))["previous token"][0]
    np.testing.assert_allclose(found.mean, [[(1 + alike) / 2, 1, alike]], atol=1e-6)
    np.testing.assert_allclose(found.spread, [[(1 - alike) / 2, 0, 0]], atol=1e-6)
    assert found.text.tolist() == [[1, 0, 0]] and found.n_text == 2 and found.chance[0] == pytest.approx(alike)
    # what random tokens say counts for induction, and where it is strongest is looked for in the texts
    assert made.found["induction"].mean[0, 0] == pytest.approx(1)
    assert made.found["induction"].text[0, 0] == 0
    assert made.labels.tolist() == [["induction", "previous token", "broad"]]
    assert made.all_labels(0, 0) == ["induction", "previous token"] and made.heads("induction") == [(0, 0)]
    assert made.count() == {"induction": 1, "previous token": 1, "broad": 1}


def test_the_fixed_offset_is_the_one_where_the_head_looks():
    made = survey([text_of(back(4), back(2))], [])
    assert made.offset[0, :2].tolist() == [-4, -2]
    np.testing.assert_allclose(made.found["fixed offset"].mean[0, :2], 1, atol=1e-6)
    assert made.measure("fixed offset", 0, 0) == "-4" and made.measure("spread", 0, 0) == "spread"
    assert made.labels[0].tolist() == ["fixed offset", "fixed offset", "broad"]


def test_what_everything_far_gets_by_chance_is_no_label():
    made = survey([text_of()], [])
    assert made.found["long range"].mean[0, 0] == pytest.approx(made.found["long range"].chance[0])
    assert not made.found["long range"].reached.any()


def test_layers_without_attention_have_neither_score_nor_label():
    scores = score_text([NoAttention("state space"), dense(back(1))], SIDES)
    made = survey([scores], [])
    assert np.isnan(made.found["previous token"].mean[0, 0])
    assert made.labels.tolist() == [
        ["", ""],
        ["previous token", "broad"],
    ]
    assert not made.found["induction"].there and made.found["previous token"].strongest() == (1, 0)


def test_labels_that_hold_are_counted_without_the_mixed():
    mixed = 0.35 * back(1) + 0.35 * back(N) + 0.3 * back(0)
    near, far = survey([text_of(back(1), back(1), mixed)], []), survey([text_of(back(1), back(N), mixed)], [])
    assert near.labels[0].tolist() == ["previous token", "previous token", MIXED, "broad"]
    assert labels_that_hold(near, far) == (2, 3)
