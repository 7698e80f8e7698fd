"""What is collected for a report, on every page: views with notes, each found again by its link, in one file."""

import html as markup
import re
from urllib.parse import parse_qsl

import numpy as np
import pytest

from model.analysis.attention_map import MapSpec
from model.text.prompt import Prompt, RunKey
from tests.offline.test_page import HOSTILE, script, unpack
from viz.offline.report import UNIT
from viz.ui import report, session

TEXT = "The cat sat on the mat"


def add(app):
    return app.button(key="add_to_report").click().run()


def made(app) -> tuple[str, dict, list[np.ndarray]]:
    app.button(key="make_report").click().run()
    assert not app.exception and not app.warning
    html = app.session_state.report_file.decode()
    return html, *unpack(script(html, "data"), script(html, "numbers"))


def test_a_view_of_attention_is_kept_as_it_was_read(open_page, story):
    app = add(open_page("attention", text=TEXT, show="layer", layer=2, units="words", sink="hide", report="true"))
    note = f"note_{app.session_state.pins[0].number}"
    app.text_area(key=note).set_value(HOSTILE[:-1]).run()
    app.slider(key="layer").set_value(3).run()
    app.run()  # what is on screen now is another one
    html, said, arrays = made(app)
    view = said["readings"][0]["views"][0]["map"]
    n_head = story.info.n_head
    spec = MapSpec(tuple((2, head) for head in range(n_head)), sink="hide", kind="words")
    read = session.map_of(RunKey("story", Prompt(TEXT)), spec)
    shown = arrays[view["maps"]["$columns"]["w"]].reshape(read.weights.shape)
    there = ~np.isnan(read.weights)
    assert np.abs(shown[there] / UNIT - read.weights[there]).max() < 1e-4
    assert view["rows"] == [read.units.labels[i] for i in read.queries] and not view["lines"]
    assert f"The mean of the {n_head} heads of layer 2, between words, sink hidden" in html
    assert "In force: words" in html
    assert "&lt;script&gt;window.hit = 1&lt;/script&gt;" in html and html.count("<script") == 4


def test_the_link_of_a_view_shows_it_again(open_page):
    app = add(open_page("attention", text=TEXT, show="chosen", heads="1.2, 2.*", stage="lines", top=2, report="true"))
    pin = app.session_state.pins[0]
    page, _, query = pin.link.partition("?")
    again = add(open_page(page, **dict(parse_qsl(query)), report="true")).session_state.pins[0]
    assert (again.spec, again.look, again.title, again.run_key) == (pin.spec, pin.look, pin.title, pin.run_key)
    assert "report" not in pin.link


def test_a_writing_is_kept_as_a_film(open_page):
    app = open_page("generation", text="Once upon a time", n_generate=3, report="true")
    app.button(key="next_many").click().run()
    html, said, _ = made(add(app))
    (reading,) = said["readings"]
    assert len(reading["views"][0]["film"]["view"]["probability"]) == 3
    assert "Generation: 3 tokens written" in html and "the last 3 were written by the model" in html
    assert "written=" in app.session_state.pins[0].link


def test_views_of_one_run_share_its_heads(open_page):
    app = open_page("attention", text=TEXT, layer=1, head=1, report="true")
    add(app).slider(key="layer").set_value(2).run()
    app.run()
    add(app).text_area(key="text").set_value("Another text").run()
    html, said, _ = made(add(app))
    assert [len(reading["views"]) for reading in said["readings"]] == [2, 1]
    assert said["readings"][0]["heads"]["head"] == [1, 1]
    assert re.findall(r"<h2>(.*?)</h2>", html) == [f"“{text}”" for text in (TEXT, "Another text")]


@pytest.mark.parametrize("page", ["home", "head", "translation"])
def test_any_page_that_reads_a_text_can_be_added(open_page, page):
    html, said, _ = made(add(open_page(page, report="true")))
    assert said["readings"][0]["heads"]["exact"]
    assert ("cross-attention" in html) == (page == "translation")


@pytest.mark.parametrize(("page", "title"), [("model", "Story"), ("training", "The copier, a model of two layers")])
def test_a_page_about_no_text_is_kept_by_its_link(open_page, page, title):
    app = add(open_page(page, report="true"))
    html, said, _ = made(app)
    assert said["readings"] == [{"heads": None, "views": [{"map": None, "film": None, "drawings": []}]}]
    assert f"<h2>{title}</h2>" in html and app.session_state.pins[0].link.startswith(f"{page}?")
    assert ("Cite this view" in html) == (page == "model")  # the weights of a lesson do not stay


def test_there_is_a_bound_and_what_is_let_go_is_gone(open_page, monkeypatch):
    monkeypatch.setattr(report, "MOST_VIEWS", 3)
    app = open_page("tokenization", report="true")
    for _ in range(report.MOST_VIEWS):
        add(app)
    assert app.button(key="add_to_report").disabled and len(app.session_state.pins) == report.MOST_VIEWS
    made(app)
    app.button(key="drop_2").click().run()
    assert [pin.number for pin in app.session_state.pins] == [1, 3]
    assert app.session_state.report_file is None and not app.button(key="add_to_report").disabled


def test_without_the_switch_there_is_nothing(open_page):
    app = open_page("home")
    assert not app.toggle(key="report").value
    assert "add_to_report" not in [button.key for button in app.button]


def test_a_view_says_how_it_is_cited(open_page):
    app = add(open_page("attention", text=TEXT, layer=1, head=2, report="true"))
    bibtex, plain = [code.value for code in app.code][-2:]
    assert bibtex.startswith("@misc{regard") and "Layer 1, head 2 of “The cat sat on the mat”" in plain
    assert session.run_of(RunKey("story", Prompt(TEXT))).info.fingerprint[:16] in plain
    assert "attention?" in markup.unescape(plain)
