"""What makes a container a card: a name, the focus, Escape, and a side on which it hides nothing that it speaks of."""

from collections.abc import Callable

from viz.components import register
from viz.guard import handler

_frame = register("card_frame", html="<span hidden></span>", picture=False)


def card_frame(*, key: str, of: str, name: str, on_close: Callable[[], None]) -> None:
    """For within the container with the key `of`, a dialog called `name` that leaves the page in reach.

    It takes the focus when it is first drawn and gives it back when it goes; Escape calls `on_close`.
    """
    _frame(key=key, data={"of": of, "name": name}, on_close_change=handler(on_close))
