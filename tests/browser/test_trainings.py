"""Work beside the pages, as visitors meet it: it grows, is stopped, waits for another's, and ends with its visitor."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import settle, until


@pytest.fixture
def begun(scripts_url, context):
    """`begun()`: another visitor, who has begun what only ends when it is stopped."""
    pages = []

    def begin() -> Page:
        pages.append(page := context.new_page())
        page.goto(f"{scripts_url}/trainings_app")
        page.get_by_role("button", name="Begin").click()
        return page

    yield begin
    for page in pages:
        page.close()


def state(page: Page, wanted: str) -> None:
    expect(page.get_by_test_id("stText")).to_have_text(wanted)


def test_who_leaves_ends_theirs_and_the_next_begins(begun):
    first = begun()
    state(first, "running")
    second, third = begun(), begun()
    state(second, "waiting")
    expect(second.get_by_text("one is before it")).to_be_visible()
    expect(third.get_by_text("2 are before it")).to_be_visible()
    first.close()  # the tab
    state(second, "running")
    expect(third.get_by_text("one is before it")).to_be_visible()
    second.reload()
    state(second, "nothing")
    state(third, "running")
    third.get_by_role("button", name="Stop").click()
    state(third, "stopped")


def test_lines_are_learned_to_the_end_scrubbed_left_and_found_again(page: Page, app_url: str):
    page.goto(f"{app_url}/training?lesson=sentences&learned_steps=20&learned_rate=0.01&learned_seed=5")
    course = page.locator(".st-key-lines_course")
    said = course.locator("output")
    expect(said).to_contain_text("Step 20 of 20")
    expect(page.get_by_role("heading", name="A word that it never saw")).to_be_visible()
    settle(page)
    last = said.text_content()

    slider = course.get_by_role("slider", name="Checkpoint")
    slider.evaluate("(slider) => { slider.value = 0; slider.dispatchEvent(new Event('input')) }")
    expect(said).to_contain_text("Step 0 of 20")
    expect(course.locator(".lines li").first).not_to_have_text("I→amastudent.")
    slider.evaluate("(slider) => { slider.value = 19; slider.dispatchEvent(new Event('input')) }")
    slider.press("ArrowLeft")
    expect(said).to_contain_text("Step 18 of 20")
    until(page.get_by_test_id("stApp"), "() => location.search.includes('learned_at=18')")
    settle(page)

    page.get_by_role("link", name="Tokenization").first.click()
    expect(page.get_by_role("heading", level=1)).not_to_have_text("Training")
    settle(page)
    page.get_by_role("link", name="Training").first.click()
    expect(said).to_contain_text("Step 18 of 20")
    course.get_by_role("button", name="Play").click()
    expect(said).to_have_text(last)
