"""After a lost connection, asks for a run again: what was said on a connection already dead has reached nobody."""

from viz.components import register
from viz.guard import handler

_reconnect = register("reconnect", html="<span hidden></span>", picture=False)


def reconnect() -> None:
    """Streamlit takes the old session up again, but does not repeat what the browser has sent in vain: a text that was
    typed then would stand in its box, above the numbers of the text before it.
    """
    _reconnect(key="reconnect", on_again_change=handler(lambda: None))
