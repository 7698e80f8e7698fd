"""A menu in the corner of every picture of the page: to save it as SVG or PNG, its numbers as CSV, or to copy it.

All is made in the browser, of what it has: the picture, and what `viz.ui.corners` told of it. Only numbers that are too
many to travel with every picture are asked for, of Python.
"""

from collections.abc import Callable

from viz.components import register
from viz.guard import handler

PARTS = ("numbers", "colours", "pen", "dom", "plotly", "sheet", "collect")
_corners = register(
    "corners",
    shared=["copy_text", *(f"corner_{part}" for part in PARTS)],
    html="<span></span>",
    picture=False,
)


def corners(data: dict, *, key: str, on_ask: Callable[[], None]) -> None:
    """`data`: the `light` colours that pictures are saved in, and the `answer` to what was asked for, {key, numbers}.

    `on_ask` is called when the numbers of a picture are asked for; whose, stands in the state as `ask`.
    """
    _corners(key=key, data=data, on_ask_change=handler(on_ask))
