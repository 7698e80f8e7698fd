"""The line of what a long page holds."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import settle, until

IN_SIGHT = """(heading) => {
  const box = heading.getBoundingClientRect(), at = (x, y) => {
    let found = document.elementFromPoint(x, y);
    while (found?.shadowRoot?.elementFromPoint(x, y)) found = found.shadowRoot.elementFromPoint(x, y);
    return found;
  };
  const seen = at(box.left + 2, box.top + box.height / 2);
  return seen === heading || heading.contains(seen);
}"""


@pytest.mark.parametrize("view", ["head", "embeddings"])  # headings inside a component, and Streamlit's own
def test_the_contents_line_leads_to_each_part(visit, page, view):
    page.emulate_media(reduced_motion="no-preference")  # so that it scrolls there
    visit(view)
    names = page.locator(".st-key-contents button")
    headings = page.get_by_test_id("stMain").get_by_role("heading", level=2)
    expect(names).not_to_have_count(0)
    # from the top down: Playwright finds those within components after all others
    read = sorted(headings.all(), key=lambda heading: heading.bounding_box()["y"])
    expect(names).to_have_text([heading.text_content() for heading in read])
    for place in (-1, 1):
        heading = page.get_by_role("heading", level=2, name=read[place].text_content(), exact=True)
        names.nth(place).focus()
        page.keyboard.press("Enter")
        expect(heading).to_be_focused()
        until(heading, IN_SIGHT)  # and not beneath what stays at the top


def test_what_is_closed_stands_in_the_line_too_and_is_opened_from_there(visit, page):
    visit("generation")
    line = page.locator(".st-key-contents")
    heading = page.get_by_role("heading", level=2, name="How surprising the text itself is", exact=True)
    link = line.get_by_role("link", name="How surprising the text itself is", exact=True)
    (beyond,) = link.evaluate("(link) => [link.href]")
    assert "surprising=true" in beyond  # which another tab opens
    assert page.locator(".st-key-surprise_own").count() == 0
    link.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".st-key-surprise_own")).to_be_visible()
    expect(page).to_have_url(re.compile(r"[?&]surprising=true"))
    settle(page)
    until(heading, IN_SIGHT)
    page.keyboard.press("Enter")  # on the heading, where the keyboard is now
    expect(page.locator(".st-key-surprise_own")).to_have_count(0)
    expect(page).not_to_have_url(re.compile("surprising"))
    link.click()
    settle(page)
    until(heading, IN_SIGHT)
