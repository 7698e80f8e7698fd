"""The keys of a presentation: one picture after the other, and out of it."""

from collections.abc import Callable

from viz.components import register
from viz.guard import handler

_presenter = register("presenter", html='<span role="status"></span>', picture=False)


def presenter(*, key: str, on_leave: Callable[[], None]) -> None:
    """While it is drawn, → and Page Down lead to the next picture, ← and Page Up to the one before, Esc out."""
    _presenter(key=key, on_leave_change=handler(on_leave))
