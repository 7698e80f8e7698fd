"""Two texts compared by their mean vectors, by hand."""

import numpy as np
import pytest

from model.analysis.similarity import compare, share_above


def test_two_texts_compared_by_hand():
    found = compare(np.array([[1, 0], [3, 4]]), np.array([[0, 2], [2, 0], [4, 4]]))  # means (2, 2) and (2, 2)
    assert found.dot == 8 and found.lengths == pytest.approx((8**0.5, 8**0.5)) and found.cosine == pytest.approx(1)
    assert found.token_dots.tolist() == [[0, 2, 4], [8, 6, 28]]
    assert found.token_dots.mean() == found.dot
    assert found.token_lengths[0].tolist() == [1, 5]
    assert compare(np.zeros((1, 2)), np.ones((1, 2))).cosine == 0


def test_how_often_one_is_above_the_other():
    assert share_above(np.array([0.9, 0.5]), np.array([0.1, 0.5])) == (1 + 1 + 1 + 0.5) / 4
    assert share_above(np.array([0.0]), np.array([1.0, 2.0])) == 0
