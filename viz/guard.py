"""The one guard: what a page, a part of it, a fragment or a callback raises becomes a sentence where it happened.

A `VisitorError` is its own sentence. Anything else is an error of the program: its traceback goes to the log, and the
visitor gets one sentence. Streamlit raises in four places, and each goes through here: `part` for what a page draws,
`section` for fragments (what one raises on a rerun never reaches app.py), `handler` for callbacks, which run before
anything is drawn. A test holds all of the app's code to that.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import wraps

import streamlit as st

from model.run import VisitorError
from viz.plain import plain

_AROUND: list[Callable[[str], AbstractContextManager]] = []  # each section, by its key
_AROUND_CALLS: list[Callable[[], AbstractContextManager]] = []  # each callback
_UNTOLD = "untold"  # in the session's state: what callbacks raised, until something is drawn
_LOG = logging.getLogger("regard")


@contextmanager
def part() -> Iterator[None]:
    """`with part():` around what is drawn; what comes after it is drawn all the same."""
    try:
        yield
    except Exception as error:  # Streamlit's own st.rerun and st.stop are no Exception, and pass
        _tell(error)


def section(key: str, **options) -> Callable[[Callable], Callable]:
    """Make a fragment of a function, under this key; `options` as in `st.fragment`.

    It returns what the function does, or None where that raised.
    """

    def decorate(show: Callable) -> Callable:
        @wraps(show)  # Streamlit tells fragments apart by their names
        def guarded(*args, **kwargs) -> object:
            tell_untold()
            with ExitStack() as around:
                for each in _AROUND:
                    around.enter_context(each(key))
                with part():
                    return show(*args, **kwargs)

        return st.fragment(guarded, key=key, **options)

    return decorate


def around_sections(each: Callable[[str], AbstractContextManager]) -> None:
    """Have each section drawn within such a context, made with its key."""
    _AROUND.append(each)


def around_handlers(each: Callable[[], AbstractContextManager]) -> None:
    """Have each callback called within such a context."""
    _AROUND_CALLS.append(each)


def handler(called: Callable) -> Callable:
    """For everything that Streamlit calls back: ``on_click=handler(undo)``.

    What it raises is told at the top of what is drawn next: of the fragment that it belongs to, or of the page.
    """

    @wraps(called)
    def guarded(*args, **kwargs) -> None:
        with ExitStack() as around:
            for each in _AROUND_CALLS:
                around.enter_context(each())
            try:
                called(*args, **kwargs)
            except Exception as error:
                st.session_state.setdefault(_UNTOLD, []).append(error)

    return guarded


def tell_untold() -> None:
    """Say what callbacks raised before this run."""
    for error in st.session_state.pop(_UNTOLD, []):
        _tell(error)


def _tell(error: Exception) -> None:
    if isinstance(error, VisitorError):
        st.warning(plain(error), icon=":material/info:")
        return
    _LOG.error("an error of the program, told to the visitor in one sentence", exc_info=error)
    st.error(
        f"This part cannot be shown: an error in Regard itself ({type(error).__name__}). The rest of the page works; "
        "the log of the server says where it happened. Please report it.",
        icon=":material/bug_report:",
    )
