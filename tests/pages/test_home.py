"""The home page: five live pictures of the present run, by their data and by what a visitor reads."""

import base64
import html
import io
import re

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from tests.pages.reading import said
from viz.figures import home
from viz.figures.numbers import percent

CARDS = 4  # drawn as HTML; the fifth is the grid of heads


def image(element: str) -> np.ndarray:
    source = re.search(r"base64,([^\"]+)", element).group(1)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source))))


def alt(element: str) -> str:
    return html.unescape(re.search(r'role="img" aria-label="([^"]*)"', element).group(1))


def rgb(colour: str) -> list[int]:
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]


def test_vectors_are_strips_of_their_signs():
    picture = home.vectors_picture(np.array([[1.0, -1.0, 0.0], [0.5, 0.0, -0.5]], np.float32))
    pixels = image(picture).astype(int)
    assert pixels.shape[1:] == (3, 4)
    first, second = pixels[2], pixels[-1]
    assert first[0].tolist() == [10, 90, 190, 255]  # the largest: blue
    assert first[1].tolist() == [197, 98, 0, 255]  # as far below zero: orange
    assert first[2][3] < 20  # zero is see-through
    assert second[0][2] > second[0][0] and second[2][0] > second[2][2]
    assert alt(picture) == "2 vectors of 3 numbers between -1.00 and 1.00."


def test_a_long_text_shows_the_first_vectors_only():
    picture = home.vectors_picture(np.ones((500, 8), np.float32))
    assert alt(picture).startswith("26 vectors of 8 numbers")


def test_bars_are_as_long_as_probable():
    picture = home.next_tokens_picture(["␣a", "<b>"], np.array([0.4, 0.1]), "dark")
    assert re.findall(r"width:([\d.]+)%", picture)[-2:] == ["100.0", "25.0"]
    assert "40.0 %" in picture and "&lt;b&gt;" in picture and "<b>" not in picture
    assert alt(picture) == "Most probable next tokens: “␣a” 40.0 %, “<b>” 10.0 %"


def test_texts_and_tokens_are_never_markup():
    nasty = '<script>alert(1)</script>" onload="x'
    words = (home.step_title(1, nasty), home.step_sentence(nasty))
    for picture in (home.text_picture(nasty), home.tokens_picture([nasty], "light"), *words):
        assert "<script" not in picture and '" onload' not in picture


def test_of_a_long_text_the_beginning_is_shown():
    assert "…" in home.text_picture("a" * 1000) and len(home.text_picture("a" * 1000)) < 1000
    picture = home.tokens_picture(["the"] * 100, "light")
    assert picture.count(">the<") == 9
    assert alt(picture).startswith("100 tokens: the, the") and alt(picture).endswith("…")


# the page


def cards(at: AppTest) -> list[str]:
    return [element.proto.body for element in at.get("html") if 'role="img"' in element.proto.body]


def grids(at: AppTest) -> int:
    return sum(element.proto.component_name.endswith("head_grid") for element in at.get("bidi_component"))


def test_the_path_is_that_of_the_present_run(open_page, story):
    at = open_page()
    assert not at.exception
    text, tokens, vectors, following = cards(at)
    run = story.run(story.encode("The cat sat on the mat"))
    info = run.info
    assert "The cat sat on the mat" in text and "22 characters" in text
    assert alt(tokens) == f"{len(run.tokens)} tokens: {', '.join(run.labels)}"
    assert f"between {run.hidden[0].min():.2f} and {run.hidden[0].max():.2f}" in alt(vectors)
    assert "In 6 blocks of 6 heads, tokens look at each other" in "".join(e.proto.body for e in at.get("html"))
    assert grids(at) == 1
    best, log_prob = run.predictions.top_id[-1, 0], run.predictions.top_log_prob[-1, 0]
    assert alt(following).startswith(
        f"Most probable next tokens: “{story.token(int(best)).label}” {percent(float(np.exp(log_prob)))}"
    )
    assert f"{info.n_layer} layers × {info.n_head} heads" in said(at) and "computed from a run of it" in said(at)


@pytest.mark.parametrize("number, title", [(2, "token"), (3, "embed"), (4, "head"), (5, "next token")])
def test_each_step_leads_to_its_page_and_keeps_the_text(open_page, number, title):
    at = open_page(text="Once upon a time")
    at.button(key=f"go_{number}").click().run()
    assert not at.exception
    assert "every number you see" not in at.title[0].value
    assert at.text_area(key="text").value == "Once upon a time"


def test_another_example_is_read(open_page):
    at = open_page()
    before = cards(at)
    at.button(key="go_1").click().run()
    assert at.text_area(key="text").value.startswith("Once upon a time")
    assert all(old != new for old, new in zip(before, cards(at), strict=True))


@pytest.mark.parametrize(
    "text", ["a", "🙂👩‍👩‍👧", "今天天气很好", "مرحبا", "<script>alert(1)</script>", "a\x07\u200b\u202e", "\n"]
)
def test_unusual_texts_are_drawn(open_page, text):
    at = open_page()
    at.text_area(key="text").set_value(text).run()
    assert not at.exception
    assert len(cards(at)) == CARDS and grids(at) == 1
    assert "<script>" not in "".join(cards(at)) and "\ufffd" not in "".join(cards(at))


def test_a_full_context_is_drawn(open_page, story):
    at = open_page(text="the" + " the" * (story.info.n_context - 1))
    assert not at.exception and len(cards(at)) == CARDS
    assert sum(map(len, cards(at))) < 300_000
