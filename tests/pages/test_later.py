"""Checks that take long come after the picture, and keep nobody waiting."""

import time
from threading import Event

import pytest
from streamlit.testing.v1 import AppTest

from tests.any_models import write_wide
from tests.pages.reading import said

LONGEST = 60  # seconds, on a busy machine


@pytest.fixture
def wide(tmp_path, monkeypatch):
    """A model for which to read 800 tokens is work enough."""
    monkeypatch.setenv("REGARD_MODEL_ROOTS", str(tmp_path))
    return f"folder:{write_wide(tmp_path / 'wide', n_layer=2, d_mlp=48_000, n_context=1000)}"


def test_a_long_text_is_checked_after_its_picture(open_page, wide):
    app = open_page("attention", model=wide, text="the cat saw the dog " * 160, layer=1, head=0)
    assert app.get("plotly_chart") and "Layer 1, head 0" in said(app)
    end = time.monotonic() + LONGEST
    while "Being checked" in said(app):
        assert time.monotonic() < end
        app.run()
    assert "**Check:** layer 1 done again by hand" in said(app) and "Check failed" not in said(app)
    assert "weights are drawn where you choose “lines” on the stage" in said(app)


def waits_for_gates() -> None:
    from threading import Event

    import streamlit as st

    from viz.ui import later

    gates = st.session_state.setdefault("gates", [Event() for _ in range(3)])
    st.session_state.futures = [
        *st.session_state.get("futures", []),
        later.begin("here", gates[st.session_state.get("which", 0)].wait),
    ]


def test_what_nobody_waits_for_any_more_is_given_up_unless_it_has_begun():
    app = AppTest.from_function(waits_for_gates).run()
    end = time.monotonic() + LONGEST
    while not app.session_state.futures[0].running():  # what has not begun would be given up, too
        assert time.monotonic() < end
    for which in (1, 1, 2):
        app.session_state.which = which
        app.run()
    assert not app.exception
    first, second, same, third = app.session_state.futures
    assert second is same and second.cancelled()  # the one thread was busy with the first
    gates: list[Event] = app.session_state.gates
    assert not first.done() and not third.done()
    gates[0].set()
    gates[2].set()
    assert first.result(LONGEST) and third.result(LONGEST)
