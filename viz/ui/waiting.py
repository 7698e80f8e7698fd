"""While a long text is read for the first time, or many things one after another: how far that is, and a way out."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from typing import TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from model.progress import told
from model.run import ModelInfo, VisitorError
from viz.guard import around_sections, handler
from viz.plain import plain

T = TypeVar("T")

_UNSEEN = 0.4  # seconds that several things may take before their progress is shown
_STOPPED = "stopped_reading"  # in the session's state: what was stopped, until it is met again
_IN_PART = ContextVar("in_part", default=False)  # of the page, which is drawn again by itself
_NUMBERS = count()  # a page may read several texts, one after another, and no two of its elements have one key
UNSAID = 1e11  # floating-point operations that are not worth a word: a second or two of one core


@contextmanager
def reading(info: ModelInfo, n_token: int) -> Iterator[None]:
    """Around a model's run over so many tokens. A visitor who goes on to another text ends it between two layers.

    Raises `VisitorError` where it was stopped, and there is no other text to go back to.
    """
    context = get_script_run_ctx(suppress_warning=True)
    if context is None or 2.0 * info.n_parameter * n_token < UNSAID:
        yield
        return
    what = info.title, n_token
    if st.session_state.get(_STOPPED) == what:
        del st.session_state[_STOPPED]
        raise VisitorError(
            f"Stopped: {info.title} has not read these {n_token:,} tokens. It begins anew with whatever you choose "
            "next; a shorter text is read sooner."
        )
    place, begun, number = st.empty(), time.monotonic(), next(_NUMBERS)
    with place.container(horizontal=True, vertical_alignment="center", key=f"reading_{number}"):
        bar = st.progress(0.0, f"{plain(info.title)} reads {n_token:,} tokens …")
        if not _IN_PART.get():  # a press within a part of the page waits for that part
            key = f"stop_reading_{number}"
            st.button("Stop", key=key, icon=":material/stop_circle:", on_click=handler(_stop), args=(what,))

    def show(done: int, total: int) -> None:
        left = (time.monotonic() - begun) * (total - done) / done
        bar.progress(
            done / total,
            f"{plain(info.title)} reads {n_token:,} tokens: layer {done} of {total}, about {left:.0f} s left",
        )

    with told(show):
        yield
    place.empty()


@contextmanager
def _in_part(_: str) -> Iterator[None]:
    before = _IN_PART.set(True)
    try:
        yield
    finally:
        _IN_PART.reset(before)


around_sections(_in_part)


def _stop(what: tuple[str, int]) -> None:
    """The text that was read before comes back, if that is another one."""
    state = st.session_state
    before = state.get("read_before", "")
    if before in ("", state.text):  # another text beside it, another model, or the first text of a visit
        state[_STOPPED] = what
        return
    state.text = before
    st.toast("Stopped: this is the text that was read before.")


def each(
    left: Sequence[T], n: int, words: Callable[[int], str], stop: Callable[[], object], *, key: str
) -> Iterator[T]:
    """What is left to do of `n` things, one after another; a visitor who goes on ends it between two of them.

    `words`: what is done now, by its number. `stop`: for a callback, so that nothing is begun again.
    """
    begun, place, bar = time.monotonic(), st.empty(), None
    for i, job in enumerate(left):
        passed, done = time.monotonic() - begun, n - len(left) + i
        if bar is None and i and passed > _UNSEEN:
            with place.container(horizontal=True, vertical_alignment="center", key=f"{key}_progress"):
                bar = st.progress(0.0)
                st.button("Stop", key=f"{key}_stop", icon=":material/stop_circle:", on_click=handler(stop))
        if bar is not None:
            bar.progress(done / n, f"{words(done)}, about {passed * (len(left) - i) / i:.0f} s left")
        yield job
    place.empty()


def stopped(sentence: str, go_on: Callable[[], object], *, key: str) -> None:
    """What a visitor ended between two things: what there is of it, and a button (`key`) for the rest."""
    with st.container(horizontal=True, vertical_alignment="center", key=f"{key}_stopped"):
        st.info(f"Stopped: {sentence}", icon=":material/stop_circle:")
        st.button("Go on", key=key, icon=":material/play_circle:", on_click=handler(go_on))
