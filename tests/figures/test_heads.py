"""Heads in words."""

import pytest

from model.analysis.attention_map import heads_at
from model.grid import Grid
from viz.figures.heads import heads_name


@pytest.mark.parametrize(
    ("heads", "combine", "words"),
    [
        ([(4, 1)], "mean", "layer 4, head 1"),
        ([(4, 1)], "max", "layer 4, head 1"),
        (heads_at(Grid(6, 8)), "mean", "the mean of all 48 heads"),
        (heads_at(Grid(6, 8), layer=2), "mean", "the mean of the 8 heads of layer 2"),
        (heads_at(Grid(6, 8), head=3), "max", "the maximum of head 3 of all 6 layers"),
        ([(1, 2), (4, 0)], "mean", "the mean of 2 heads: 1.2, 4.0"),
        ([*heads_at(Grid(6, 8), layer=2), (4, 0)], "max", "the maximum of 9 heads: 2.*, 4.0"),
        ([(n, n) for n in range(6)], "mean", "the mean of 6 heads: 0.0, 1.1, 2.2, 3.3, 4.4, 5.5"),
    ],
)
def test_heads_are_named_as_people_say_it(heads, combine, words):
    assert heads_name(heads, Grid(6, 8), combine) == words


def test_a_layer_of_one_head_is_that_head():
    assert heads_name(heads_at(Grid(6, 1), layer=2), Grid(6, 1)) == "layer 2, head 0"
    assert heads_name(heads_at(Grid(1, 8)), Grid(1, 8)) == "the mean of all 8 heads"
