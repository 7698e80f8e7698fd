"""While a long text is read: a page may read several, and each can be stopped."""

from streamlit.testing.v1 import AppTest


def two_texts() -> None:
    from types import SimpleNamespace

    import streamlit as st

    from viz.guard import part
    from viz.ui import waiting

    st.session_state.setdefault("text", "A")
    info = SimpleNamespace(title="Large", n_parameter=10**9)
    with part():
        for name, n in {"A": 4000, "B": 5000}.items():
            with waiting.reading(info, n):
                if name == st.session_state.get("still_reads"):
                    st.stop()
            st.session_state.read_before = "A"
            st.write(f"{name} was read")


def within_a_part() -> None:
    from types import SimpleNamespace

    import streamlit as st

    from viz.guard import section
    from viz.ui import waiting

    def reads() -> None:
        with waiting.reading(SimpleNamespace(title="Large", n_parameter=10**9), 4000):
            st.stop()

    section("reads")(reads)()


def said(app: AppTest) -> list[str]:
    assert not app.exception and not app.error
    return [each.value for each in (*app.markdown, *app.info, *app.warning)]


def test_two_texts_are_read_one_after_another():
    assert said(AppTest.from_function(two_texts, default_timeout=60).run()) == ["A was read", "B was read"]


def test_a_second_text_that_is_stopped_is_not_begun_again_at_once():
    app = AppTest.from_function(two_texts, default_timeout=60)
    app.session_state.still_reads = "B"
    app.run()
    (stop,) = app.button
    stop.click().run()
    first, told = said(app)
    assert first == "A was read" and told.startswith("Stopped: Large has not read these 5,000 tokens.")
    app.session_state.still_reads = ""
    assert said(app.run()) == ["A was read", "B was read"]


def test_within_a_part_of_the_page_there_is_no_button_that_would_wait_for_that_part():
    app = AppTest.from_function(within_a_part, default_timeout=60).run()
    assert not said(app) and not app.button
