"""The home page in a real browser: it answers to the pointer and to the temperature, and the server hears nothing."""

import re

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from model.analysis.logits import softmax
from tests.browser.conftest import N, settle
from viz.figures.numbers import percent

TEXT = "The cat sat on the mat"


@pytest.fixture
def home(tabs, kept, app_url) -> Page:
    """The page, and all that it sends, in `page.sent`."""
    if "" not in kept:
        kept[""] = page = tabs.take()
        page.sent = []
        page.on("websocket", lambda socket: socket.on("framesent", lambda frame: page.sent.append(frame)))
        page.goto(app_url)
        expect(page.locator(".st-key-home_next_tokens .row").first).to_be_visible()
        expect(page.locator(".st-key-home_lines .count")).to_contain_text("showing")
        settle(page)
    page = kept[""]
    page.bring_to_front()
    page.mouse.move(1, 1)
    page.sent.clear()
    return page


@pytest.fixture(scope="module")
def logits(story) -> np.ndarray:
    """(V,) after the last token of the text."""
    run = story.run(story.encode(TEXT))
    return story.unembed(run.hidden[-1][-1]).astype(np.float64)


def bars(page: Page) -> list[str]:
    return page.locator(".st-key-home_next_tokens .row .number").all_text_contents()


def expected(logits: np.ndarray, temperature: float) -> list[str]:
    """The six best and the rest of the vocabulary, as a reader is told them."""
    p = softmax(logits / temperature)
    best = np.argsort(-logits, kind="stable")[:6]
    return [*map(percent, p[best].tolist()), percent(float(np.delete(p, best).sum()))]


def test_pointing_at_every_token_sends_nothing(home):
    count = home.locator(".st-key-home_lines .count")
    for side, words in (("q", "looks at"), ("k", "look at")):
        for button in home.locator(f".st-key-home_lines .{side} button").all():
            button.hover()
            expect(count).to_contain_text(words)
    assert home.locator(".st-key-home_lines .q button").count() == N
    assert home.sent == []


def test_the_temperature_moves_the_bars_exactly_and_sends_nothing(home, logits):
    slider = home.get_by_role("slider", name="Temperature")
    assert bars(home) == expected(logits, 1)
    box = slider.bounding_box()
    home.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    home.mouse.down()
    seen = {}
    for share in np.linspace(0.5, 0.1, 12):
        home.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] / 2)
        temperature = float(slider.get_attribute("aria-valuetext"))
        seen[temperature] = bars(home)
    assert len(seen) > 8 and min(seen) < 0.4
    for temperature, said in seen.items():
        assert said == expected(logits, temperature), temperature
    assert home.sent == []  # the button is still down
    home.mouse.up()
    expect(home).to_have_url(re.compile(r"temperature=0\.\d"))
    settle(home)
    assert float(slider.get_attribute("aria-valuetext")) == min(seen)
    assert bars(home) == expected(logits, min(seen))


def test_the_ends_of_the_slider(home, logits):
    slider = home.get_by_role("slider", name="Temperature")
    slider.press("Home")
    expect(slider).to_have_attribute("aria-valuetext", "0.00")
    assert bars(home) == ["100.0 %", *["0 %"] * 6]
    slider.press("End")
    expect(slider).to_have_attribute("aria-valuetext", "2.00")
    assert bars(home) == expected(logits, 2)
    expect(home).to_have_url(re.compile("temperature=2"))
    settle(home)


def test_the_chosen_temperature_goes_along(visit, page):
    visit("?temperature=0.35")
    expect(page.get_by_role("slider", name="Temperature")).to_have_attribute("aria-valuetext", "0.35")
    page.get_by_role("link", name="4 Next token").click()
    expect(page).to_have_url(re.compile(r"/generation\?temperature=0\.35"))
    expect(page.locator(".st-key-temperature input[type=range]")).to_have_value("0.35")


def test_a_line_opens_its_card(visit, page):
    visit("?layer=2&head=3")
    graph = page.locator(".st-key-home_lines")
    expect(graph.locator("svg line").first).to_be_attached()
    line = graph.locator("svg line").last.evaluate(  # the strongest is on top
        "l => { const b = l.ownerSVGElement.getBoundingClientRect();"
        " return [b.x + b.width / 2, b.y + (+l.getAttribute('y1') + +l.getAttribute('y2')) / 2]; }"
    )
    page.mouse.move(*line)
    expect(graph.locator(".tip")).to_contain_text("looks at")
    page.mouse.click(*line)
    expect(page.locator(".st-key-card .weight-card")).to_contain_text("layer 2, head 3")


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (390, 844)])
def test_the_first_screen_holds_the_lines(page, app_url, width, height):
    page.set_viewport_size({"width": width, "height": height})
    page.goto(app_url)
    expect(page.locator(".st-key-home_lines .count")).to_contain_text("showing")
    expect(page.locator(".st-key-home_next_tokens .row").first).to_be_attached()
    settle(page)
    shown = page.locator(".st-key-home_lines .q button").last.bounding_box()
    assert shown["y"] + shown["height"] <= height
    if width > 640:
        slider = page.get_by_role("slider", name="Temperature").bounding_box()
        assert slider["y"] + slider["height"] <= height


def test_a_word_of_art_is_explained_on_hover_and_on_focus(home):
    words = home.locator(".st-key-words")
    words.get_by_role("button", name=re.compile("^logits")).hover()
    expect(words.locator(".tip")).to_have_text(re.compile("their softmax is the probability"))
    home.mouse.move(1, 1)
    expect(words.locator(".tip")).to_be_hidden()
    first = words.get_by_role("button").first
    first.focus()
    expect(words.locator(".tip")).to_contain_text("a piece of text")
    first.press("ArrowRight")
    expect(words.locator(".tip")).to_contain_text("the vector of learned numbers")
    home.keyboard.press("Escape")
    expect(words.locator(".tip")).to_be_hidden()
    assert home.sent == []
