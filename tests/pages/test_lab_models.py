"""Models that a visitor trained: every page opens them, in their session only."""

import pytest
from streamlit.testing.v1 import AppTest

from model import catalog
from tests.hostile.pages import PAGES
from tests.pages import reading
from tests.words import seen
from viz.ui.lab_models import MOST, SHELF


@pytest.fixture
def own(tiny):
    """`own(app, "Mine")`: what a lesson does with the model that it trained; its name."""
    taken = []

    def own(at: AppTest, title: str, session: str = "a test's") -> str:
        taken.append(session)
        name = SHELF.put(session, tiny, title, "From tiny, on two lines, in 7 steps.", f"no. {len(taken)}")
        at.session_state.on_shelf = session
        here = at.session_state.trained_here if "trained_here" in at.session_state else {}
        at.session_state.trained_here = here | {name: title}
        return name

    yield own
    for session in taken:
        SHELF.leave(session)
        SHELF._end(session)


def chosen(at: AppTest, name: str) -> AppTest:
    return at.sidebar.selectbox(key="model").set_value(name).run()


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_one(open_page, own, page):
    at = open_page(page, text="the cat saw the dog")
    name = own(at, "Mine")
    at.run()
    assert "Mine" in at.sidebar.selectbox(key="model").options
    chosen(at, name)
    assert at.session_state.model == name
    assert not at.exception and not at.error and "**Check failed" not in reading.said(at)
    sidebar = seen(reading.said(at.sidebar))
    assert "**Mine** · trained in this session" in sidebar and "gone when you close or reload this page" in sidebar
    if page not in ("home", "translation", "understanding", "training"):
        assert reading.address(at)["model"] == name


def test_the_model_says_where_it_came_from(open_page, own):
    at = open_page("model")
    name = own(at, "Mine")
    chosen(at.run(), name)
    said = seen(reading.said(at))
    assert "It was **trained in this session**, on the page Training. From tiny, on two lines, in 7 steps." in said
    assert f"a session keeps its {MOST} newest models" in said


def test_a_link_to_a_strangers_says_that_only_they_can_open_it(open_page, own):
    name = own(open_page("tokenization"), "Mine")
    at = open_page("tokenization", model=name)
    (told,) = [seen(info.value) for info in at.info]
    assert told == (
        f"The link asked for model “{name}”, which cannot be shown here: showing Story. The model “{name}” was trained "
        "in one visitor's session, which alone can open it, and goes with that session. Train one of your own on the "
        "page Training, or choose another model."
    )
    assert at.session_state.model == catalog.DEFAULT and not at.exception


def test_the_oldest_goes_and_is_named(open_page, own):
    at = open_page("tokenization")
    first = own(at, "First")
    chosen(at.run(), first)
    for n in range(MOST):
        own(at, f"Number {n}")
    at.run()
    assert at.session_state.model == catalog.DEFAULT and not at.exception
    options = at.sidebar.selectbox(key="model").options
    assert "First" not in options and "Number 0" in options
    assert "Gone: “First”" in seen(reading.said(at.sidebar))


def test_two_with_one_title_are_told_apart(open_page, own, monkeypatch, tiny):
    from dataclasses import replace

    at = open_page("tokenization")
    own(at, "Mine")
    monkeypatch.setattr(tiny, "info", replace(tiny.info, fingerprint="other"))
    own(at, "Mine")
    at.run()
    assert {"Mine · no. 1", "Mine · no. 2"} <= set(at.sidebar.selectbox(key="model").options)


def test_no_folder_is_looked_for_by_such_a_name(open_page, tmp_path, monkeypatch):
    monkeypatch.setenv("REGARD_MODEL_ROOTS", str(tmp_path))
    at = open_page("tokenization")
    at.sidebar.text_input(key="own_model").set_value("lab:12").run()
    assert "“lab:12” was trained in one visitor's session" in seen(reading.said(at.sidebar))
