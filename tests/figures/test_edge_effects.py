"""The map of what each edge does, beside that of the weights."""

import numpy as np
import pytest

from viz.figures.attention import attention_heatmap
from viz.figures.edge_effects import effect_heatmap, rise_in_words

LABELS = ["<b>", "the", "cat"]


def test_colours_have_zero_in_the_middle_and_a_click_carries_the_edge():
    rise = np.array([[np.nan, np.nan, np.nan], [0.25, -0.5, np.nan], [0.0, 0.125, 1e-5]])
    fig = effect_heatmap(rise, LABELS, LABELS, selected=(1, 0))
    drawn, overlay = fig.data
    np.testing.assert_array_equal(drawn.z, rise)
    assert (drawn.zmin, drawn.zmax) == (-0.5, 0.5) and drawn.colorbar.tickvals is None
    assert overlay.customdata[3].tolist() == [1, 0] and overlay.text[3].endswith("the loss rises by 0.25 nats")
    assert overlay.text[4].endswith("the loss falls by 0.5 nats") and "<b>" not in overlay.text[3]
    assert overlay.text[0].endswith("no edge that could be taken away")
    beside = attention_heatmap(np.eye(3), LABELS, selected=(1, 0))
    assert (fig.layout.margin, fig.layout.shapes) == (beside.layout.margin, beside.layout.shapes)


@pytest.mark.parametrize(("rise", "words"), [(1.23e-7, "rises by 1.23e-07"), (-2.0, "falls by 2 nats")])
def test_small_numbers_keep_their_digits(rise, words):
    assert words in rise_in_words(rise)
