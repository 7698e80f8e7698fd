"""The picture of a difference, by arrays made by hand."""

import numpy as np

from model.analysis.differences import aligned
from viz.figures import theme
from viz.figures.differences import difference_heatmap, merged_labels

NAN = np.nan
CATS = aligned([1, 2, 3], [1, 2, 9, 3])


def test_tokens_without_a_partner_say_whose_they_are():
    assert merged_labels(CATS, ["The", "cat", "sat"], ["The", "cat", "s", "sat"]) == ["The", "cat", "B: s", "sat"]
    assert merged_labels(aligned([1], [2]), ["a"], ["b"]) == ["A: a", "B: b"]


def test_colours_diverge_around_zero_and_both_ends_are_named():
    values = np.float32([[0.25, NAN], [-0.5, NAN]])
    fig = difference_heatmap(values, ["a", "<b>"], ["c", "B: d"], texts=["1", "2", "<3>\n4", "5"])
    drawn, hatched, clicks = fig.data
    assert (drawn.zmin, drawn.zmax) == (-0.5, 0.5)
    assert drawn.colorscale == tuple(tuple(stop) for stop in theme.DIVERGING)
    assert list(drawn.colorbar.ticktext) == ["−0.5<br>A more", "0", "+0.5<br>B more"]
    assert "B − A %{z:+.4f}" in drawn.hovertemplate
    assert list(clicks.text) == ["1", "2", "&lt;3&gt;<br>4", "5"] and clicks.customdata[2].tolist() == [1, 0]
    # the second column, from top to bottom
    assert hatched.x == (0.5, 1.5, 1.5, 0.5, None) and hatched.y == (-0.5, -0.5, 1.5, 1.5, None)
    assert hatched.fillpattern.shape == "/"


def test_where_nothing_differs_there_is_a_scale_all_the_same():
    fig = difference_heatmap(np.zeros((2, 2)), ["a", "b"], ["a", "b"])
    assert (fig.data[0].zmin, fig.data[0].zmax) == (-1, 1) and len(fig.data) == 2


def test_of_a_long_text_each_cell_is_the_farthest_from_zero():
    values = np.zeros((300, 300), np.float32)
    values[0, 0], values[1, 1], values[4, 5], values[6, 7] = 0.25, -0.75, 0.5, -0.125
    values[298:] = NAN
    names = [str(i) for i in range(300)]
    drawn = difference_heatmap(values, names, names).data[0].z
    assert drawn.shape == (150, 150)
    assert (drawn[0, 0], drawn[2, 2], drawn[3, 3], drawn[5, 5]) == (-0.75, 0.5, -0.125, 0)
    assert np.isnan(drawn[149]).all()
