"""The page Heads in a real browser: a click in the map leads to the head on Attention, with its strongest text."""

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import settle
from tests.shipped import STORY

LINES = "the cat saw the dog\nthe dog and the cat and the dog"


def test_a_click_in_the_map_leads_to_that_head(page: Page, app_url: str):
    page.goto(f"{app_url}/heads?texts=own&score=previous+token&lines={LINES.replace(chr(10), '%0A')}")
    expect(page.get_by_role("heading", name="One head")).to_be_visible()
    settle(page)
    chart = page.locator(".js-plotly-plot .nsewdrag").first
    box = chart.bounding_box()
    # the third head of the fifth layer
    chart.click(position={"x": box["width"] * 2.5 / STORY.n_head, "y": box["height"] * 4.5 / STORY.n_layer})
    expect(page.get_by_role("heading", name="Attention", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="Layer 4, head 2")).to_be_visible()
    expect(page).to_have_url(re.compile("layer=4&head=2"))
    assert page.locator(".st-key-text textarea").input_value() in LINES.split("\n")
