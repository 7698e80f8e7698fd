"""Checks as values: each passes where both ways agree and fails where one is off by more than it may be."""

import numpy as np
import pytest

from model.analysis import checks
from model.analysis.similarity import compare
from model.run import Predictions

NAN = float("nan")


@pytest.mark.parametrize("difference", [NAN, np.inf, 1.1e-3])
def test_more_than_the_tolerance_fails_and_so_does_what_is_no_number(difference):
    assert not checks.layer_again(difference, exact=True).passed
    assert checks.layer_again(1e-3, exact=True).passed
    assert checks.layer_again(0.02, exact=False).passed


def test_a_value_is_compared_relative_to_a_sum_and_nothing_with_nothing():
    assert checks.value_again(0.25, 0.2500005).passed and not checks.value_again(0.25, 0.250002).passed
    assert checks.value_again(5.000004, 5.0).passed
    assert checks.value_again(NAN, NAN).passed and not checks.value_again(NAN, 0.1).passed


def test_rows_that_do_not_add_up_are_seen():
    weights = np.full((3, 4), 0.25, np.float32)
    assert checks.rows_sum_to_one(weights) == checks.Check("sums of rows, and 1", 0, 1e-5, checks.SINGLE)
    weights[1, 2] += 0.001
    assert checks.rows_sum_to_one(weights).difference == pytest.approx(0.001, rel=1e-3)
    assert not checks.rows_sum_to_one(weights).passed


def test_a_blank_s_probabilities_add_up_and_are_the_run_s():
    log_prob = np.log(np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]]))
    top = np.argsort(-log_prob, axis=1)[:, :2]
    kept = np.take_along_axis(log_prob, top, axis=1).astype(np.float32)
    run = Predictions(top, kept, kept[:, 0], np.zeros(2, int), np.zeros(2, np.float32), of_next=False)
    assert [check.passed for check in checks.blanks_again({1: log_prob[1]}, run)] == [True, True]
    assert [check.passed for check in checks.blanks_again({1: log_prob[1] + 0.01}, run)] == [False, False]
    assert [check.passed for check in checks.blanks_again({0: log_prob[1]}, run)] == [True, False]


def test_a_search_s_sum_and_the_mean_of_products():
    assert checks.search_again([-1.0, -2.0], -3.0004).passed and not checks.search_again([-1.0, -2.0], -3.01).passed
    found = compare(*np.random.default_rng(0).normal(size=(2, 5, 8)))
    assert checks.mean_of_products(float(found.token_dots.mean()), found.dot).passed
    assert not checks.mean_of_products(float(found.token_dots.mean()), found.dot + 1e-6).passed


def test_what_must_be_equal():
    assert checks.same("pieces", True).passed and not checks.same("pieces", False).passed
