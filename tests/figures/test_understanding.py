"""The pictures of the page Understanding, by their data."""

import numpy as np

from viz.figures.scale import ColourScale
from viz.figures.understanding import cosine_strip, seen_heatmap, token_cosines


def test_what_has_no_weight_is_left_blank_and_one_row_is_outlined():
    weights = np.array([[1, 0], [0.25, 0.75]], np.float32)
    fig = seen_heatmap(weights, ["a", "a"], 1, scale=ColourScale())
    assert np.isnan(fig.data[0].z[0, 1]) and fig.data[0].z[1].tolist() == [0.25, 0.75]
    (row,) = fig.layout.shapes
    assert (row.x0, row.x1, row.y0, row.y1) == (-0.5, 1.5, 0.5, 1.5)


def test_figures_of_two_texts_carry_their_data():
    cosines = np.array([[1.0, -0.5, 0.25]])
    fig = token_cosines(cosines, ["<b>"], ["x", "y", "x"], selected=(0, 2))
    heatmap, clicks = fig.data
    assert heatmap.z.tolist() == cosines.tolist() and (heatmap.zmin, heatmap.zmax) == (-1, 1)
    assert clicks.customdata.tolist() == [[0, 0], [0, 1], [0, 2]] and "<b>" not in clicks.text[0].replace("<br>", "")
    assert (fig.layout.shapes[0].x0, fig.layout.shapes[0].y0) == (1.5, -0.5)
    assert len(token_cosines(np.zeros((1, 65)), ["a"], ["x"] * 65, selected=(0, 2)).data) == 1  # too many to click
    strip = cosine_strip(np.array([0.9]), np.array([0.1, 0.2]), 0.5, pairs=[["a · b"], ["c · d", "e · f"]], mode="dark")
    assert [list(trace.x) for trace in strip.data] == [[0.9], [0.1, 0.2]]
    assert strip.layout.annotations[0].text == "<b>yours 0.500</b>"
