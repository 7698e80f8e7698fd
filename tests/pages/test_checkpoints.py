"""A model that is kept at every checkpoint of its training: which one reads, and what is said of its few symbols."""

import pytest

from model import catalog
from model.lab import copier
from tests.pages import reading
from tests.words import seen
from viz.figures.numbers import in_short

COPIER = catalog.find("copier")
STEPS = catalog.steps_of(COPIER)
TEXT = copier.examples()[0][0]


def sidebar(at) -> str:
    return seen(reading.said(at.sidebar))


@pytest.mark.parametrize("page", ["home", "tokenization", "embeddings", "attention", "head", "mechanism", "model"])
def test_every_page_opens_a_checkpoint(open_page, page):
    at = open_page(page, model=f"copier@{STEPS[3]}", text=TEXT)
    assert not at.exception and not at.error and not at.warning
    assert "**Check failed" not in reading.said(at)
    assert at.session_state.model == f"copier@{STEPS[3]}"
    assert f"**Copier, step {STEPS[3]}** · built in" in sidebar(at)
    assert at.sidebar.select_slider(key="read_at").value == STEPS[3]


def test_the_head_shown_first_is_that_of_the_finished_one(open_page):
    at = open_page("attention", model=f"copier@{STEPS[0]}", text=TEXT)
    assert (at.session_state.layer, at.session_state.head) == catalog.telling_head_of(COPIER)


def test_the_sidebar_goes_from_checkpoint_to_checkpoint(open_page):
    at = open_page("attention", model="copier", text=TEXT)
    assert at.sidebar.select_slider(key="read_at").value == STEPS[-1]
    for step, name in ((STEPS[2], f"copier@{STEPS[2]}"), (STEPS[5], f"copier@{STEPS[5]}"), (STEPS[-1], "copier")):
        at.sidebar.select_slider(key="read_at").set_value(step).run()
        assert not at.exception and at.session_state.model == name
        offered = at.sidebar.selectbox(key="model").options
        assert sum(option.startswith("Copier, step") for option in offered) == (step != STEPS[-1])
    assert not open_page("attention").sidebar.select_slider  # others are kept as they ended


def test_a_step_that_was_not_kept_is_said(open_page):
    at = open_page("attention", model="copier@7")
    assert at.session_state.model == catalog.DEFAULT
    assert "The link asked for model “copier@7”, which cannot be shown here" in seen(reading.said(at))
    assert "Copier was not kept after step “7”" in seen(reading.said(at))


def test_what_it_does_not_know_is_said_and_a_text_of_its_kind_offered(open_page):
    at = open_page("attention", model="copier", text="The cat sat")
    assert not at.exception and "3 tokens are unknown to it: it cannot tell such apart." in sidebar(at)
    assert "It knows the symbols a to z" in sidebar(at)
    at.sidebar.selectbox(key="example").set_value(TEXT).run()
    assert at.session_state.text == TEXT and "unknown to it" not in sidebar(at)
    assert "unknown to it" not in sidebar(open_page("attention"))


def test_counts_of_parameters_are_short():
    assert [in_short(n) for n in (999, 9_999, 11_008, 4_340_736)] == ["999", "9,999", "11 k", "4.3 M"]


def test_a_text_that_is_too_long_for_it_gets_a_sentence(open_page):
    at = open_page("attention", model="copier", text=TEXT * 2)
    assert not at.exception and "40" in at.warning[0].value and "80" in at.warning[0].value
