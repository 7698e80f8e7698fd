"""A drawing made in Python as SVG, within the page: in its font and its colours, which st.html would strip."""

from viz.components import register

_drawing = register("drawing", html='<div class="drawing"></div>')


def drawing(svg: str, *, key: str) -> None:
    """Show an SVG element. What it says must have been escaped by the figure that made it."""
    _drawing(key=key, data={"svg": svg})
