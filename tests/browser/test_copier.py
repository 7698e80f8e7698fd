"""The course of a training in a real browser: scrubbed and played without the server, left and come back to."""

import re

import pytest
from playwright.sync_api import Page, expect

from model import catalog
from tests.browser.conftest import settle

STEPS = catalog.steps_of(catalog.find("copier"))


@pytest.fixture(scope="module")
def lesson(tabs, app_url: str):
    """The page, and the list that grows by what it sends."""
    page = tabs.take()
    sent = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda message: sent.append(message)))
    page.goto(f"{app_url}/training")
    settle(page)
    expect(course(page)).to_have_attribute("data-shown", re.compile("step|layer"))
    return page, sent


def course(page: Page):
    return page.locator(".st-key-copier_course .course")


def shown(page: Page) -> str:
    return course(page).get_attribute("data-shown")


def test_a_scrub_draws_every_checkpoint_and_sends_nothing(lesson):
    page, sent = lesson
    before = len(sent)
    seen = course(page).evaluate(
        """(root) => {
          const range = root.querySelector('input[type=range]'), seen = [];
          for (let at = 0; at <= +range.max; at++) {
            range.value = at;
            range.dispatchEvent(new Event('input'));
            const pixels = root.querySelector('.large canvas').getContext('2d').getImageData(0, 0, 40, 40).data;
            seen.push([root.dataset.shown, pixels.reduce((sum, value, i) => (sum * 31 + value * i) % 1000003, 7)]);
          }
          return seen;
        }"""
    )
    assert [int(text.split()[0]) for text, _ in seen] == list(STEPS)
    assert len({picture for _, picture in seen}) == len(STEPS)
    assert len(sent) == before
    # only where it rests is the server told, which puts it into the address
    course(page).locator("input[type=range]").fill("3")
    expect(page).to_have_url(re.compile(f"checkpoint={STEPS[3]}(&|$)"))
    expect(page.get_by_text(f"Step {STEPS[3]}.")).to_be_visible()


def test_a_head_stands_large_by_click_and_its_weights_are_read_by_keyboard(lesson):
    page, _ = lesson
    course(page).locator(".head").nth(1).click()
    expect(page).to_have_url(re.compile(r"enlarged=0\.1"))
    assert shown(page).endswith("layer 0, head 1")
    canvas = course(page).locator(".large canvas")
    canvas.focus()
    canvas.press("ArrowUp")
    expect(course(page).locator(".spoken")).to_have_text(re.compile(r"^“.” \(\d+\) looks at “.” \(\d+\): [01]\.\d{3}$"))
    page.keyboard.press("Escape")
    expect(course(page).locator(".tip")).to_be_hidden()


def test_it_plays_to_the_end_and_stays_there(lesson):
    page, _ = lesson
    course(page).locator("input[type=range]").fill(str(len(STEPS) - 3))
    expect(page).to_have_url(re.compile(f"checkpoint={STEPS[-3]}(&|$)"))
    play = course(page).locator(".play")
    play.click()
    expect(course(page)).to_have_attribute("data-shown", re.compile(f"^{STEPS[-1]} "))
    expect(play).to_have_attribute("aria-label", "Play the training")
    expect(page).to_have_url(re.compile(f"checkpoint={STEPS[-1]}(&|$)"))


def test_who_leaves_and_returns_finds_it_as_it_was(lesson):
    page, _ = lesson
    course(page).locator("input[type=range]").fill("5")
    expect(page).to_have_url(re.compile(f"checkpoint={STEPS[5]}(&|$)"))
    page.locator(".st-key-copier_open_attention button").click()
    expect(page).to_have_url(re.compile(f"/attention.*model=copier%40{STEPS[5]}"))
    settle(page)
    page.go_back()
    expect(course(page)).to_have_attribute("data-shown", re.compile(f"^{STEPS[5]} layer 0, head 1"))
