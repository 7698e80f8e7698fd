"""Makes plotly's pictures fit on paper when the page is printed: they are as wide as the window was."""

from viz.components import register

_paper = register("paper", html="<span></span>", picture=False)


def paper() -> None:
    """Draws nothing."""
    _paper(key="paper")
