"""The first stop of the keyboard on every page: a way past the navigation, to the content or to any picture."""

from viz.components import register

_skip = register(
    "skip",
    shared=["renew", "rove"],
    html='<div class="skip" role="toolbar" aria-label="Skip to"><button>Skip to the content</button></div>',
    picture=False,
)


def skip() -> None:
    """Seen only while it has the focus. One stop; the arrow keys go from target to target, Enter goes there."""
    _skip(key="skip")
