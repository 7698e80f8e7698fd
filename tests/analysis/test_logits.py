"""Probabilities, entropy and rank out of logits, against torch in double precision and by hand."""

import numpy as np
import pytest
import torch

from model.analysis.logits import entropy, log_probabilities, log_sums, rank, softmax

LOGITS = np.random.default_rng(0).normal(0, 8, (5, 300)).astype(np.float32)


def test_a_softmax_of_each_row():
    expected = torch.from_numpy(LOGITS).double().softmax(-1).numpy()
    found = softmax(LOGITS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    given = LOGITS.copy()
    assert softmax(given, out=given) is given
    np.testing.assert_array_equal(given, found)


def test_what_is_forbidden_weighs_nothing():
    assert softmax(np.array([0.0, -np.inf, 0.0])).tolist() == [0.5, 0, 0.5]
    with np.errstate(invalid="ignore"):
        assert np.isnan(softmax(np.full(3, -np.inf))).all()


def test_log_probabilities_stay_finite_where_a_softmax_is_zero():
    expected = torch.from_numpy(LOGITS[0]).double().log_softmax(-1).numpy()
    np.testing.assert_allclose(log_probabilities(LOGITS[0]), expected, atol=1e-12)
    assert log_probabilities(np.array([0, -3e4], np.float32)).tolist() == [0, -3e4]


def test_entropy_in_nats():
    assert entropy(np.full(8, 1 / 8)) == pytest.approx(np.log(8))
    assert entropy(np.array([0.5, 0, 0.5])) == pytest.approx(np.log(2))
    assert entropy(np.array([[0.0, 1], [0.5, 0.5]])) == pytest.approx([0, np.log(2)])
    assert not np.signbit(entropy(np.array([0.0, 1])))


def test_a_rank_counts_what_is_better():
    assert [rank(np.array([0.1, 0.4, 0.1, 0.3]), i) for i in range(4)] == [2, 0, 2, 1]


def test_sums_over_the_vocabulary_make_a_softmax_exact():
    logits = np.random.default_rng(0).normal(0, 8, 3000).astype(np.float32)
    at = np.array([0.05, 0.5, 1, 2])
    expected = np.stack([softmax(logits.astype(np.float64) / each) for each in at])
    np.testing.assert_allclose(
        np.exp(logits / at[:, None] - log_sums(logits, at)[:, None]), expected, rtol=1e-9, atol=1e-300
    )
    assert np.isfinite(log_sums(1000 * logits, np.array([0.05]))).all()
