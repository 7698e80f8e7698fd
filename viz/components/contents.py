"""A line of what a long page holds; a click on a name leads there."""

from viz.components import register

_contents = register(
    "contents",
    shared=["renew"],
    html='<nav class="contents" aria-label="On this page"><span aria-hidden="true">On this page</span><ol></ol></nav>',
    picture=False,
)


def contents() -> None:
    """The page's headings of the second level as they are drawn, those inside components too. For below the title."""
    _contents(key="contents")
