"""What puts the address of a view into the browser. See `viz.ui.links`, which says what it is."""

from viz.components import register

_address = register("address", html="<span></span>", picture=False)


def address(data: dict, *, key: str) -> None:
    """`data`: the page and its query, those of the other pages for the links to them, and when this was said."""
    _address(key=key, data=data)
