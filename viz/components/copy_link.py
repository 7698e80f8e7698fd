"""A button that copies the address of what is seen."""

from viz.components import register

_copy_link = register(
    "copy_link",
    shared=["copy_text"],
    html='<button type="button">Copy link</button><span class="done" role="status"></span>',
    picture=False,
)


def copy_link(*, key: str) -> None:
    """Where a browser lets no page copy, the address stands there to be copied by hand."""
    _copy_link(key=key)
