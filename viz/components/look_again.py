"""Draws the part of the page that it stands in again after a while, once; whoever still waits draws it again."""

import time

from viz.components import register
from viz.guard import handler

_look_again = register("look_again", html="<span></span>", picture=False)


def look_again(key: str, seconds: float) -> None:
    """In place of `run_every` of a fragment, which only a run of the whole page can end."""
    _look_again(key=key, data={"seconds": seconds, "drawn": time.time()}, on_look_change=handler(lambda: None))
