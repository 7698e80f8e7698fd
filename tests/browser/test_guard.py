"""What a fragment and its callbacks raise when they alone run again: nothing of that reaches app.py."""

import pytest
from playwright.sync_api import Page, expect

from tests.pages.test_guard import PROGRAM, SAID


@pytest.mark.parametrize(("kind", "said"), [("visitor", SAID), ("program", PROGRAM)])
def test_a_fragment_that_runs_again_by_itself(page: Page, scripts_url, kind, said):
    page.goto(f"{scripts_url}/raising_app")
    expect(page.get_by_text("after the page")).to_be_visible()
    page.get_by_role("combobox", name="fragment").click()
    page.get_by_role("option", name=kind).click()
    expect(page.get_by_text(said)).to_be_visible()
    expect(page.get_by_text("below")).to_have_count(0)
    for text in ("above", "inner", "the page's end", "after the page"):
        expect(page.get_by_text(text, exact=True)).to_be_visible()
    assert page.get_by_text("Traceback").count() == 0
    page.get_by_role("button", name=f"Call {kind}").click()  # of the fragment within it
    expect(page.get_by_text(said)).to_have_count(2)
    page.get_by_role("button", name="Again").click()
    expect(page.get_by_text(said)).to_have_count(1)
