"""Which names of points can be written beside them so that no name lies on another, or on a point that has one."""

from collections.abc import Sequence
from unicodedata import east_asian_width

import numpy as np

_BEYOND = np.array([40.0, 30.0])  # px, across and up
_WIDE, _TALL = 0.61, 1.35  # of the size of a monospaced font: the width of a letter, the height of a line
# where a name may stand, the best place first: plotly's word, and how far its middle is moved, in halves of its size
_PLACES = (("top center", 0, 1), ("bottom center", 0, -1), ("middle right", 1, 0), ("middle left", -1, 0))


def name_size(name: str, font: float) -> tuple[float, float]:
    """Width and height of a monospaced name, in pixels; an ideograph is two letters wide."""
    letters = sum(2 if east_asian_width(letter) in "WF" else 1 for letter in name)
    return _WIDE * font * letters, _TALL * font


def place_names(
    points: np.ndarray,
    sizes: Sequence[tuple[float, float]],
    radii: Sequence[float],
    bold: Sequence[bool],
    wanted: Sequence[str] | None = None,
) -> list[str]:
    """For each point (N, 2), in pixels with y upwards: where plotly shall write its name, or "" for nowhere.

    The first points come first; the very first is named whatever lies there. `sizes` are those of the names, `radii`
    those of the marks; no other name lies on the mark of a `bold` point, or far beyond the outer points. `wanted`: a
    place that is tried before the others.
    """
    half_mark, marked = np.array(radii, float), np.flatnonzero(bold)
    own = {int(i): row for row, i in enumerate(marked)}
    around = half_mark[marked, None]
    taken = np.hstack([points[marked] - around, points[marked] + around])  # left, bottom, right, top; later names too
    low, high = points.min(axis=0) - _BEYOND, points.max(axis=0) + _BEYOND
    chosen = []
    for i, (middle, size) in enumerate(zip(points, sizes, strict=True)):
        half, place = np.array(size) / 2, ""
        others = np.delete(taken, own[i], axis=0) if i in own else taken
        for name, right, up in sorted(_PLACES, key=lambda each: bool(wanted) and each[0] != wanted[i]):
            centre = middle + np.array([right, up]) * (half + half_mark[i])
            box = np.concatenate([centre - half, centre + half])
            free = (box[2:] <= others[:, :2]).any(axis=1) | (others[:, 2:] <= box[:2]).any(axis=1)
            inside = (box[:2] >= low).all() and (box[2:] <= high).all()
            if i == 0 or (free.all() and inside):
                taken, place = np.vstack([taken, box]), name
                break
        chosen.append(place)
    return chosen
