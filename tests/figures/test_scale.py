"""Weights as colours."""

import numpy as np
import pytest

from viz.figures.scale import LEAST, NOTHING, ColourScale, colour_scale, weights_as_bytes, weights_in_steps

WEIGHTS = np.array([[1, 0], [0.25, 0.002]], np.float32)


def test_the_fixed_scales():
    assert colour_scale(WEIGHTS) == ColourScale(0, 1, False)
    assert colour_scale(WEIGHTS, log=True) == ColourScale(LEAST, 1, True)


def test_the_fitted_scales_leave_the_masks_zeros_out():
    low = float(np.float32(0.002))
    assert colour_scale(WEIGHTS[1:], fitted=True) == ColourScale(low, 0.25, False)
    assert colour_scale(WEIGHTS[1:], fitted=True, log=True) == ColourScale(low, 0.25, True)


def test_more_than_one_stretches_the_fixed_range():
    assert colour_scale(np.array([0.5, 1.5])).high == 1.5


@pytest.mark.parametrize("weights", [np.zeros((2, 2)), np.ones((1, 1)), np.full((3, 3), np.nan), np.full((2, 2), 0.5)])
@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("fitted", [False, True])
def test_any_weights_have_a_scale(weights, log, fitted):
    scale = colour_scale(weights, log=log, fitted=fitted)
    low, high = scale.ends
    places, texts = scale.ticks
    assert low < high and len(places) == len(texts) >= 2
    assert places[0] == pytest.approx(low) and places[-1] == pytest.approx(high)


def test_places_and_ticks_of_a_logarithmic_scale():
    scale = colour_scale(WEIGHTS, log=True)
    assert scale.place(np.array([1, 0.01, 0])) == pytest.approx([0, -2, np.nan], nan_ok=True)
    assert scale.ticks == (pytest.approx([-4, -3, -2, -1, 0]), ["0.0001", "0.001", "0.01", "0.1", "1"])


def test_a_scale_must_span_something():
    with pytest.raises(ValueError, match="no scale from 1 to 1"):
        ColourScale(1, 1)
    with pytest.raises(ValueError, match="no logarithmic scale from 0"):
        ColourScale(0, 1, log=True)


def test_bytes_are_square_roots():
    assert list(weights_as_bytes(np.array([0, 0.01, 0.25, 1], np.float32))) == [0, 26, 128, 255]


def test_steps_hold_the_three_digits_that_python_writes():
    rng = np.random.default_rng(0)
    weights = np.concatenate([rng.random(5000), rng.random(5000) ** 4, np.arange(1001) / 1000, np.arange(17) / 16])
    steps = weights_in_steps(weights := weights.astype(np.float32))
    assert [f"{step // 64 / 1000:.3f}" for step in steps.tolist()] == [f"{weight:.3f}" for weight in weights.tolist()]
    again = (steps // 64 - 0.5 + (steps % 64 + 0.5) / 64) / 1000
    assert np.abs(again - weights).max() <= 1 / 128_000 + 1e-9
    assert weights_in_steps(np.array([np.nan, 0, 1])).tolist() == [NOTHING, 32, 64_032]
