"""The sidebar: choosing among the models here, and loading one of the visitor's own."""

import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.hostile.pages import PAGES
from tests.pages import reading
from tests.words import seen


@pytest.fixture
def roots(tmp_path, tiny_gpt2, monkeypatch) -> Path:
    """A folder that the operator allows, with one model."""
    shutil.copytree(tiny_gpt2, tmp_path / "models" / "mine")
    monkeypatch.setenv("REGARD_MODEL_ROOTS", str(tmp_path / "models"))
    return tmp_path / "models"


def said(at: AppTest) -> str:
    """All words of the sidebar."""
    return seen(reading.said(at.sidebar))


def typed(at: AppTest, text: str) -> AppTest:
    return at.sidebar.text_input(key="own_model").set_value(text).run()


def labels(at: AppTest) -> list[str]:
    return [button.label for button in at.sidebar.button]


# those of a model, of its heads and of training have something to show without
@pytest.mark.parametrize("page", [page for page in PAGES if page not in ("model", "heads", "training")])
def test_without_text_a_page_asks_for_one(open_page, page):
    at = open_page(page)
    title = at.title[0].value
    at.text_area(key="text").set_value("").run()
    assert not at.exception and at.title[0].value == title
    assert [warning.value for warning in at.warning] == [
        "There is no text to read. Type one in the sidebar, or choose an example there."
    ]
    assert not at.get("plotly_chart") and not any('role="img"' in html.proto.body for html in at.get("html"))


def test_the_models_here(open_page):
    at = open_page("tokenization")
    assert at.sidebar.selectbox(key="model").value == at.session_state.model == "story"
    assert at.sidebar.selectbox(key="model").options[0] == "Story"
    assert "**Story** · built in" in said(at)
    assert not at.exception


def test_a_server_for_others_opens_nothing(open_page):
    at = open_page("tokenization")  # a test's server listens on no address, which is not this machine alone
    assert "This server opens no folders and downloads nothing." in said(at)
    assert not at.sidebar.text_input


def test_the_cost_first_and_then_the_model(open_page, roots):
    at = typed(open_page("tokenization"), "mine")
    assert "2 layers × 2 heads · reads up to 64 tokens · needs" in said(at) and "free" in said(at)
    assert at.session_state.model == "story" and labels(at) == ["Load"]
    at.sidebar.button(key="load_own_model").click().run()
    name = f"folder:{roots / 'mine'}"
    assert at.session_state.model == name
    assert "**mine** · a folder on this machine" in said(at)
    assert "× **2** layers × **2** heads" in said(at)
    assert at.sidebar.text_input(key="own_model").value == ""
    at.sidebar.selectbox(key="model").select("story").run()  # and back
    assert at.session_state.model == "story" and "mine" in at.sidebar.selectbox(key="model").options
    assert not any(":" in option for option in at.sidebar.selectbox(key="model").options)  # the address has the name
    assert not at.exception


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("yours", "There is no folder “yours”."),
        ("../..", "lies outside of what this server may open"),
        ("/etc", "lies outside of what this server may open"),
        ("door", "lies outside of what this server may open"),
        (".", "holds no model itself; there are some below (mine)"),
        ("org/name", "this server does not allow it"),
        ("<script>alert(1)</script> **x**", "“<script>alert(1)</script> **x**”"),
    ],
)
def test_what_cannot_be_used(open_page, roots, text, sentence):
    (roots / "door").symlink_to(roots.parent)
    at = typed(open_page("tokenization"), text)
    assert sentence in said(at)
    assert at.session_state.model == "story" and labels(at) == []
    assert at.dataframe and not at.exception  # the page goes on with the model it had


def test_damage_between_the_look_and_the_load(open_page, roots, story):
    at = typed(open_page("tokenization"), "mine")
    (roots / "mine/model.safetensors").write_bytes(b"cut")
    at.sidebar.button(key="load_own_model").click().run()
    assert "The file model.safetensors in" in said(at) and "is damaged or cut short" in said(at)
    assert at.session_state.model == "story" and not at.exception
    assert f"× **{story.info.n_layer}** layers × **{story.info.n_head}** heads" in said(at)


def test_a_link_to_a_folder(open_page, roots):
    at = open_page("tokenization", model=f"folder:{roots / 'mine'}")
    assert at.session_state.model == f"folder:{roots / 'mine'}"
    assert "× **2** layers × **2** heads" in said(at) and not at.exception
    assert f"**mine** · a folder on this machine  \n{roots / 'mine'}" in said(at)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("folder:/etc", "The folder “/etc” lies outside of what this server may open"),
        ("folder:{roots}/../elsewhere", "lies outside of what this server may open"),
        ("folder:{roots}/none", "There is no folder"),
        ("hub:org/name", "this server does not allow it"),
        ("package:x", "No package “x” with a model is installed here."),
        ("gpt5", "There is no model “gpt5” here."),
    ],
)
def test_a_link_to_a_model_that_cannot_be_shown_says_why(open_page, roots, name, why):
    name = name.format(roots=roots)
    at = open_page("tokenization", model=name)
    assert at.session_state.model == "story"
    short = name if len(name) <= 80 else f"{name[:80]}…"
    (told,) = [seen(info.value) for info in at.info if "The link asked" in info.value]
    assert told.startswith(f"The link asked for model “{short}”, which cannot be shown here: showing Story. ")
    assert why in told


def test_a_link_to_a_damaged_folder_says_what_is_damaged(open_page, roots):
    weights = roots / "mine" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    at = open_page("tokenization", model=f"folder:{roots / 'mine'}")
    (told,) = [seen(info.value) for info in at.info]
    assert "is damaged or cut short" in told and "does not exist" not in told and not at.exception


def test_a_link_that_is_too_long_is_refused_with_a_sentence(open_page):
    at = open_page("tokenization", text="a b " * 250_000)
    assert [info.value for info in at.info] == [
        "The link was not read: it has 1,000,005 characters (choices: 1), and at most 524,288 characters and 1,000 "
        "choices can be. Paste a long text into the sidebar instead."
    ]
    assert at.session_state.text == "The cat sat on the mat" and not at.exception
    assert not at.run().info  # told once


def test_what_a_link_asked_for_is_shown_as_text(open_page):
    at = open_page("attention", range="[text](http://e.org) ![a](http://e.org/i.png)", units="http://e.org")
    (told,) = [info.value for info in at.info]
    assert "](" not in told and "://" not in told
    assert "“[text](http://e.org) ![a](http://e.org/i.png)”, which does not exist here" in seen(told)
