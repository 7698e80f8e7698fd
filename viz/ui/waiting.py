"""While a long text is read for the first time: how far the model is, and a way out."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from model.progress import told
from model.run import ModelInfo
from viz.guard import handler
from viz.plain import plain

UNSAID = 1e11  # floating-point operations that are not worth a word: a second or two of one core


@contextmanager
def reading(info: ModelInfo, n_token: int) -> Iterator[None]:
    """Around a model's run over so many tokens. A visitor who goes on to another text ends it between two layers."""
    context = get_script_run_ctx(suppress_warning=True)
    if context is None or 2.0 * info.n_parameter * n_token < UNSAID:
        yield
        return
    place, begun = st.empty(), time.monotonic()
    with place.container(horizontal=True, vertical_alignment="center", key="reading"):
        bar = st.progress(0.0, f"{plain(info.title)} reads {n_token:,} tokens …")
        if not context.fragment_ids_this_run:  # a press within a part of the page waits for that part
            st.button("Stop", key="stop_reading", icon=":material/stop_circle:", on_click=handler(_stop))

    def show(done: int, total: int) -> None:
        left = (time.monotonic() - begun) * (total - done) / done
        bar.progress(
            done / total,
            f"{plain(info.title)} reads {n_token:,} tokens: layer {done} of {total}, about {left:.0f} s left",
        )

    with told(show):
        yield
    place.empty()


def _stop() -> None:
    """The text that was read before comes back."""
    state = st.session_state
    state.text = state.get("read_before", "")
    st.toast("Stopped: this is the text that was read before.")
