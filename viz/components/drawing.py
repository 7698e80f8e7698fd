"""A drawing made in Python as SVG or HTML, within the page: in its font and its colours, which st.html would strip."""

from collections.abc import Callable

from viz.components import register

_drawing = register("drawing", html='<div class="drawing"></div>', picture=True)


def drawing(svg: str, *, key: str, called: str, numbers: Callable[[], object], light: str = "") -> None:
    """Show an element of SVG, or of HTML. What it says must have been escaped by the figure that made it.

    `light`: the same in the colours of paper, for its corner, where the colours of `svg` are not those of any theme;
    `called`: what it shows; `numbers`: those it stands for.
    """
    _drawing(key=key, called=called, numbers=numbers, data={"svg": svg, "light": light})
