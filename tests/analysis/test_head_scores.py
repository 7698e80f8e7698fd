"""Scores of heads on attention made by hand, whose answer is known."""

import numpy as np
import pytest

from model.analysis import head_scores

IDS = np.array([5, 7, 9, 5, 7, 7])


def looking_at(keys: list[int]) -> np.ndarray:
    """(T, T): each row looks at one key."""
    weights = np.zeros((len(keys), len(keys)))
    weights[np.arange(len(keys)), keys] = 1
    return weights


def uniform(n: int) -> np.ndarray:
    return np.tril(np.ones((n, n))) / np.arange(1, n + 1)[:, None]


def test_a_head_that_looks_at_the_token_before():
    assert head_scores.previous_token(looking_at([0, 0, 1, 2, 3, 4])) == 1
    assert head_scores.previous_token(looking_at([0, 1, 2, 3, 4, 5])) == 0
    assert head_scores.previous_token(uniform(4)) == pytest.approx(np.mean([1 / 2, 1 / 3, 1 / 4]))


def test_a_head_that_looks_behind_the_earlier_copy():
    # the 5 at 3 was at 0, the 7 at 4 at 1, the 7 at 5 at 1 and 4: only these rows count
    assert head_scores.induction(looking_at([0, 0, 0, 1, 2, 2]), IDS) == 1
    assert head_scores.induction(looking_at([0, 0, 0, 1, 2, 5]), IDS) == 1
    assert head_scores.induction(looking_at([0, 1, 2, 3, 4, 0]), IDS) == 0
    assert head_scores.induction(uniform(6), IDS) == pytest.approx(np.mean([1 / 4, 1 / 5, 2 / 6]))


def test_where_nothing_was_there_before_there_is_no_score():
    assert np.isnan(head_scores.induction(uniform(3), np.array([1, 2, 3])))


def test_of_many_heads_at_once():
    many = np.stack([looking_at([0, 0, 1, 2, 3, 4]), uniform(6)])[None]
    assert head_scores.previous_token(many).shape == head_scores.induction(many, IDS).shape == (1, 2)
    assert head_scores.induction(many, IDS)[0, 1] == head_scores.induction(uniform(6), IDS)
