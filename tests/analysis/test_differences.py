"""Two texts aligned and two maps subtracted: by hand, and what holds for any."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from model.analysis import differences
from model.analysis.attention import attention_weights
from model.analysis.differences import NONE, aligned, difference, divergence, largest, moved
from model.intervention import Intervention
from model.run import NoAttention, PromptError
from tests.conftest import REPEATED

IDS = st.lists(st.integers(0, 3), max_size=9)
# The cat sat, The cats sat: "s" has no partner
CATS = aligned([1, 2, 3], [1, 2, 9, 3])


def test_a_word_that_was_put_in_has_no_partner():
    assert CATS.a.tolist() == [0, 1, 2] and CATS.b.tolist() == [0, 1, 3]
    assert CATS.merged.tolist() == [[0, 0], [1, 1], [NONE, 2], [2, 3]]
    assert [each.tolist() for each in CATS.alone] == [[], [2]] and not CATS.whole
    assert [CATS.partner(i) for i in range(3)] == [0, 1, 3]
    assert [CATS.partner(i, of_b=True) for i in range(4)] == [0, 1, None, 2]


def test_what_only_a_has_comes_before_what_only_b_has():
    assert aligned([1, 2, 3], [1, 7, 8, 3]).merged.tolist() == [[0, 0], [1, NONE], [NONE, 1], [NONE, 2], [2, 3]]


def test_nothing_in_common_and_nothing_at_all():
    assert aligned([1, 2], [3]).merged.tolist() == [[0, NONE], [1, NONE], [NONE, 0]]
    assert aligned([], []).merged.shape == (0, 2) and aligned([], []).whole


def is_within(some: tuple[int, ...], ids: list[int]) -> bool:
    rest = iter(ids)
    return all(id in rest for id in some)


@given(IDS, IDS)
def test_as_many_pairs_as_there_can_be_in_order_whichever_is_called_a(a, b):
    found = aligned(a, b)
    assert [a[i] for i in found.a] == [b[j] for j in found.b]
    assert (np.diff(found.a) > 0).all() and (np.diff(found.b) > 0).all()
    longest = next(n for n in range(len(a), -1, -1) if any(is_within(some, b) for some in combinations(a, n)))
    assert len(found.a) == longest
    back = aligned(b, a)
    assert back.a.tolist() == found.b.tolist() and back.b.tolist() == found.a.tolist()
    merged = found.merged
    for side, n in ((0, len(a)), (1, len(b))):
        assert merged[merged[:, side] != NONE, side].tolist() == list(range(n))


@given(IDS)
def test_equal_texts_are_aligned_as_a_whole_and_differ_nowhere(ids):
    found = aligned(ids, ids)
    assert found.whole and found.a.tolist() == list(range(len(ids)))
    weights = np.random.default_rng(0).random((len(ids), len(ids)))
    assert not difference(weights, weights, found, found).any()


def test_texts_that_differ_over_too_many_tokens_are_refused(monkeypatch):
    monkeypatch.setattr(differences, "MOST_CELLS", 12)
    with pytest.raises(PromptError, match="differ over 3 and 5 tokens: to align so many takes too long"):
        aligned([0, 1, 2, 3, 4], [0, 5, 6, 7, 8, 9, 4])  # what both begin and end with costs nothing
    assert len(aligned([0, 1, 2, 3, 4], [0, 5, 6, 7, 8, 4]).a) == 2


def test_maps_are_subtracted_where_both_have_query_and_key():
    a = np.array([[1, 0, 0], [0.5, 0.5, 0], [0.2, 0.3, 0.5]])
    b = np.array([[1, 0, 0, 0], [0.25, 0.75, 0, 0], [0, 0.5, 0.5, 0], [0.1, 0.4, 0.2, 0.3]])
    nan = np.nan
    expected = [[0, 0, nan, 0], [-0.25, 0.25, nan, 0], [nan, nan, nan, nan], [-0.1, 0.1, nan, -0.2]]
    found = difference(a, b, CATS, CATS)
    np.testing.assert_allclose(found, np.float32(expected), atol=1e-7)
    assert largest(found, 3) == [(1, 0), (1, 1), (3, 3)] and len(largest(found, 99)) == 5
    assert largest(np.zeros((2, 2)), 3) == [] == largest(np.full((0, 0), nan), 3)


@given(IDS.filter(bool), IDS.filter(bool), st.integers(0, 9))
def test_with_a_and_b_exchanged_every_difference_has_the_other_sign(ids, others, seed):
    random = np.random.default_rng(seed)
    a, b = random.random((len(ids), len(ids))), random.random((len(others), len(others)))
    to, back = aligned(ids, others), aligned(others, ids)
    one, other = difference(a, b, to, to), difference(b, a, back, back)
    pairs = np.ix_(*[np.flatnonzero((to.merged != NONE).all(1))] * 2)
    turned = np.ix_(*[np.flatnonzero((back.merged != NONE).all(1))] * 2)
    np.testing.assert_array_equal(one[pairs], -other[turned])
    assert np.isnan(one).sum() == np.isnan(other).sum()


def test_what_moved_is_half_of_the_change_of_a_row_and_the_largest_of_a_weight(tiny, tiny_run):
    other = tiny.run(tiny_run.tokens, Intervention(heads_uniform=((1, 2),)))
    same = aligned(range(len(tiny_run.tokens)), range(len(tiny_run.tokens)))
    share, most, rows = moved(tiny_run.attention, other.attention, same, same)
    before, after = (attention_weights(run.attention[1], 2) for run in (tiny_run, other))
    halves = [sum(abs(a - b) for a, b in zip(*each, strict=True)) / 2 for each in zip(before, after, strict=True)]
    assert share[1, 2] == pytest.approx(np.mean(halves), abs=1e-6) and 0 < share[1, 2] < 1
    assert most[1, 2] == pytest.approx(np.abs(after - before).max()) and rows.tolist() == list(same.a)
    untouched = np.ones_like(share, bool)
    untouched[1, 2], untouched[2] = False, False  # what comes after it has other inputs
    assert not share[untouched].any() and not most[untouched].any()


def test_of_two_texts_a_key_without_a_partner_is_one_that_the_other_row_has_nothing_on(tiny):
    runs = [tiny.run(tiny.encode(text)) for text in (REPEATED, REPEATED.replace("dog", "mat", 1))]
    found = aligned(*([token.id for token in run.tokens] for run in runs))
    assert not found.whole
    share, _, rows = moved(runs[0].attention, runs[1].attention, found, found)
    one, other = (attention_weights(run.attention[2], 3) for run in runs)
    halves = []
    for i, j in zip(found.a, found.b, strict=True):
        row = np.zeros(len(found.merged))
        for k, (a, b) in enumerate(found.merged):
            row[k] = (other[j, b] if b != NONE else 0) - (one[i, a] if a != NONE else 0)
        halves.append(np.abs(row).sum() / 2)
    assert share[2, 3] == pytest.approx(np.mean(halves), abs=1e-6) and len(rows) == len(found.a)
    back = aligned(found.b, found.a)  # the other way round as much moved
    exchanged = aligned(*([token.id for token in run.tokens] for run in runs[::-1]))
    np.testing.assert_allclose(moved(runs[1].attention, runs[0].attention, exchanged, exchanged)[0], share, atol=1e-6)
    assert back.n_a == len(found.b)
    few = moved(runs[0].attention, runs[1].attention, found, found, most=3 * 4 * found.n_b * 2)
    assert few[2].tolist() == [0, len(found.a) - 1]  # two rows, as far apart as may be


def test_a_layer_without_attention_has_not_moved_and_no_common_token_is_said(tiny_run):
    layers = [NoAttention("a state space"), tiny_run.attention[1]]
    same = aligned(range(len(tiny_run.tokens)), range(len(tiny_run.tokens)))
    share, most, _ = moved(layers, layers, same, same)
    assert np.isnan(share[0]).all() and np.isnan(most[0]).all() and not share[1].any()
    nothing = aligned([1], [2])
    with pytest.raises(PromptError, match="no rows can be compared"):
        moved(layers, layers, nothing, nothing)


def test_divergence_by_hand_and_by_scipy():
    p, q = np.array([1.0, 0, 0]), np.array([0, 0.5, 0.5])
    assert divergence(p, q).jensen_shannon == pytest.approx(np.log(2)) and divergence(p, q).share == 1
    assert divergence(p, p).jensen_shannon == 0 == divergence(p, p).share
    p, q = np.random.default_rng(0).dirichlet(np.ones(50), 2)
    assert divergence(p, q).jensen_shannon == pytest.approx(jensenshannon(p, q) ** 2)
    assert divergence(p, q).jensen_shannon == pytest.approx(divergence(q, p).jensen_shannon)
    with pytest.raises(ValueError, match="over"):
        divergence(p, q[1:])
