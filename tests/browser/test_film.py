"""The film of a text that was written, in a real browser: played and pulled without the server; a branch."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import settle

LINK = "generation?text=the+cat+saw+the+dog&temperature=0&n_generate=5&layer=1&head=2"


@pytest.fixture
def film(visit, page: Page):
    """Five tokens, written; `page.sent` is what the browser has said since."""
    page.sent = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: page.sent.append(frame)))
    visit(LINK)
    page.get_by_role("button", name="Generate 5").click()
    expect(page).to_have_url(re.compile(r"written=\d+(\.\d+){4}%40"))
    settle(page)
    page.sent.clear()
    return page.locator(".st-key-film")


def shown(film) -> int:
    return int(film.locator(".film").get_attribute("data-shown"))


def test_it_is_pulled_and_played_without_a_message(film, page):
    last = shown(film)
    pull = film.get_by_label("Which of the written tokens")
    pull.focus()
    pull.press("Home")
    assert shown(film) == last - 4
    expect(film.locator(".chip:visible")).to_have_count(last - 3)
    pull.press("ArrowRight")
    expect(film.locator(".now")).to_contain_text("written 2 of 5")
    film.locator(".chip").first.hover()
    expect(film.locator(".tip")).to_contain_text("Most looked at when these were chosen")
    film.get_by_role("button", name="Play the writing").click()
    expect(film.locator(".film")).to_have_attribute("data-shown", str(last))
    expect(film.get_by_role("button", name="Play the writing")).to_be_visible()
    assert page.sent == []


def test_a_candidate_that_was_not_taken_is_written_on_with_and_back(film, page):
    (before,) = re.findall(r"written=[^&]+", page.url)
    was = film.locator(".chip").all_text_contents()
    pull = film.get_by_label("Which of the written tokens")
    pull.focus()
    pull.press("Home")
    pull.press("ArrowRight")
    other = film.locator(".candidate:not([aria-current=true]) .label").first.text_content()
    film.locator(".candidate:not([aria-current=true])").first.click()
    expect(page).to_have_url(re.compile("hand"))
    settle(page)
    now = film.locator(".chip").all_text_contents()
    assert now[: len(was) - 4] == was[:-4] and now[len(was) - 4] == other
    tree = page.get_by_role("group", name="The tree of branches")
    expect(tree.locator("ol button")).to_have_count(2)
    tree.locator("ol button").nth(1).press("Enter")
    expect(page).to_have_url(re.compile(re.escape(before) + "&"))
    settle(page)
    assert film.locator(".chip").all_text_contents() == was
    page.get_by_role("button", name="Back to what was written before").click()
    expect(page).to_have_url(re.compile(r"written=[^&]*hand"))
    settle(page)
    assert film.locator(".chip").all_text_contents() == now


def test_the_buttons_stay_where_they_are_while_it_writes(visit, page):
    """A text that grows, and a button that becomes another, would move them away from under the pointer."""
    visit("generation?text=the+cat+saw+the+dog&temperature=1&n_generate=200")
    place = page.locator(".st-key-clear")
    before = place.bounding_box()
    page.get_by_role("button", name="Generate 200").click()
    page.locator(".st-key-stop").wait_for()
    during = place.bounding_box()
    place.get_by_role("button").click()
    page.get_by_text("Nothing is written yet.").wait_for()
    settle(page)
    assert before == during == place.bounding_box()
