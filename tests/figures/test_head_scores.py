"""All heads by a number and by what they are called, by the data of the pictures."""

import numpy as np

from viz.figures.head_scores import label_map, score_map

TEXTS = [[f"head {layer}.{head}\nmore <b>" for head in range(3)] for layer in range(2)]


def test_each_cell_of_a_score_hears_clicks_and_nothing_is_left_blank():
    values = np.array([[0.1, np.nan, 0.3], [0.4, 0.5, 0.6]])
    heatmap, points = score_map(values, TEXTS, title="induction").data
    np.testing.assert_array_equal(heatmap.z, values)
    assert (heatmap.zmin, heatmap.zmax) == (0, 1)
    assert points.customdata.tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
    assert points.text[5] == "head 1.2<br>more &lt;b&gt;"
    assert score_map(values, TEXTS, title="distance", most=None).data[0].zmax == 0.6
    effects = score_map(-values, TEXTS, title="nats", signed=True).data[0]
    assert (effects.zmin, effects.zmax) == (-0.6, 0.6)


def test_heads_that_are_called_alike_have_one_colour_whatever_others_there_are():
    labels = np.array([["induction", "mixed", ""], ["mixed", "broad", "induction"]])
    order = ("induction", "duplicate", "broad", "mixed")
    both = label_map(labels, TEXTS, order, "mixed", "light").data
    assert [trace.name for trace in both] == ["induction (2)", "broad (1)", "mixed (2)"]
    assert both[0].customdata.tolist() == [[0, 0], [1, 2]] and both[2].marker.size < both[0].marker.size
    alone = label_map(np.where(labels == "broad", "broad", ""), TEXTS, order, "mixed", "light").data
    assert alone[0].marker.color == both[1].marker.color


def test_squares_of_many_heads_do_not_overlap():
    labels = np.full((30, 32), "broad")
    texts = [["x"] * 32] * 30
    assert label_map(labels, texts, ("broad",), "mixed", "dark").data[0].marker.size < 300 / 32
