"""Names beside points: none lies on another, whatever the points."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from viz.figures.labels import name_size, place_names

SHIFT = {"top center": (0, 1), "bottom center": (0, -1), "middle right": (1, 0), "middle left": (-1, 0)}


def boxes(points, sizes, radii, places) -> dict[int, tuple]:
    """Left, bottom, right, top of each name that is written, in plotly's meaning of its words."""
    found = {}
    for i, place in enumerate(places):
        if place:
            (x, y), (wide, tall), (right, up) = points[i], sizes[i], SHIFT[place]
            x, y = x + right * (wide / 2 + radii[i]), y + up * (tall / 2 + radii[i])
            found[i] = (x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2)
    return found


def overlap(one, other) -> bool:
    wide, tall = min(one[2], other[2]) - max(one[0], other[0]), min(one[3], other[3]) - max(one[1], other[1])
    return wide > 1e-6 and tall > 1e-6


@given(arrays(np.float64, (25, 2), elements=st.floats(0, 200)), st.lists(st.booleans(), min_size=25, max_size=25))
def test_no_name_lies_on_another_or_on_a_bold_mark(points, bold):
    sizes = [name_size("␣word"[: 1 + i % 5], 14 if strong else 11) for i, strong in enumerate(bold)]
    radii = [7.0 if strong else 4.0 for strong in bold]
    places = place_names(points, sizes, radii, bold)
    written = boxes(points, sizes, radii, places)
    for i, box in written.items():
        assert not any(overlap(box, other) for j, other in written.items() if j != i)
        for j in np.flatnonzero(bold):
            mark = (*(points[j] - radii[j]), *(points[j] + radii[j]))
            assert i == 0 or j == i or not overlap(box, mark)


def test_the_first_points_come_first_and_others_step_aside():
    points = np.array([[0.0, 0.0], [10.0, 0.0], [500.0, 0.0]])
    sizes = [name_size(name, 10) for name in ("cat", "dog", "far away")]
    places = place_names(points, sizes, [3, 3, 3], [True, True, True])
    assert places == ["top center", "bottom center", "top center"]
    around = place_names(np.zeros((6, 2)), [name_size("cat", 10)] * 6, [3] * 6, [True] * 6)
    assert around == ["top center", "bottom center", "", "", "", ""]  # beside the mark, a line is too tall for both


def test_an_ideograph_is_two_letters_wide():
    assert name_size("猫坐", 10) == name_size("four", 10)
