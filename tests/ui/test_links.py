"""What the browser is told of choices: all of them on a page that it comes to, and nothing twice."""

import pytest
from streamlit.proto.WidgetStates_pb2 import WidgetStates
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import ElementTree


def page() -> None:
    """A page that is broken off before, or just after, it has drawn its one field."""
    import streamlit as st

    from viz.ui import links

    links.arrive("tokenization")
    if st.session_state.get("broken_off") == "before":
        st.stop()
    st.text_area("Text", key=links.key("text"))
    if st.session_state.get("broken_off") == "after":
        st.stop()
    links.write()


def told(app: AppTest) -> bool:
    return app.text_area(key="text").proto.set_value


@pytest.fixture(params=["before", "after"])
def broken_off(request) -> AppTest:
    app = AppTest.from_function(page)
    app.query_params["text"] = "a cat"
    app.session_state.broken_off = request.param
    return app.run()


def test_what_a_broken_run_left_is_told_by_the_next(broken_off):
    """Its messages may never have gone out; the browser would show, and send back, an empty text."""
    app = broken_off
    app.session_state.broken_off = None
    assert told(app.run())
    assert app.text_area(key="text").value == "a cat"
    assert not told(app.run())


def test_what_was_to_be_chosen_in_a_broken_run_is_told_by_the_next(broken_off):
    app, when = broken_off, broken_off.session_state.broken_off
    app.session_state.broken_off = None
    app.run()
    app.session_state.next, app.session_state.broken_off = {"text": "a dog"}, when
    app.run()
    app.session_state.broken_off = None
    assert told(app.run())
    assert app.text_area(key="text").value == "a dog"


def test_what_the_browser_does_not_send_back_is_told_again():
    """Of two runs whose messages come together it shows the second alone: what the first one told is lost."""
    app = AppTest.from_function(page)
    app.query_params["text"] = "a cat"
    app.run()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ElementTree, "get_widget_states", lambda tree: WidgetStates())  # it has built no field yet
        assert told(app.run()) and told(app.run())
    assert not told(app.run())
    assert app.text_area(key="text").value == "a cat"
