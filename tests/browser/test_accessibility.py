"""axe-core on every page, in both themes, with what can be unfolded unfolded: nothing stands in anyone's way."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import wear

VIEWS = (
    "",
    "tokenization",
    "embeddings",
    "attention",
    "attention?graph=arcs&panel=sums+of+tokens",
    "attention?graph=layers&show=all&scale=log&units=words",
    "attention?model=encoder",
    "generation",
    "head",
    "mechanism?mask_off=true",
    "model",
    "model?model=translator",
    "translation",
    "understanding?section=blank",
    "understanding?section=both",
    "understanding?section=sentiment",
    "understanding?section=similarity",
)
GRAVE = ("critical", "serious", "moderate")  # not minor: the corner of a table of numbers has no name


def findings(page: Page, scheme: str) -> list[str]:
    """What axe finds in a theme: rule, place, reason."""
    wear(page, scheme)
    return [
        f"{scheme}: {found['id']}, {node['target'][-1]}: {node['failureSummary']}"
        for found in Axe().run(page).response["violations"]
        if found["impact"] in GRAVE
        for node in found["nodes"]
    ]


@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing(visit, page, view):
    visit(view)
    expect(page.locator("h1")).to_be_visible()
    for summary in reversed(page.locator("details:not([open]) > summary").all()):  # each one leaves the list
        summary.click()
    for twin in page.get_by_test_id("stCheckbox").filter(has_text="Show the numbers").all()[:1]:
        twin.click()
        expect(page.get_by_test_id("stDataFrame").first).to_be_visible()
    assert findings(page, "light") + findings(page, "dark") == []


def test_axe_finds_what_is_wrong(visit, page):
    """So that a page without findings means something, also within a component."""
    visit("tokenization")
    chips = page.locator("ul.chips").first
    expect(chips).to_be_visible()
    chips.evaluate("list => list.querySelector('button').setAttribute('role', 'listitem')")
    page.locator("h1").evaluate("title => title.style.opacity = 0.3")
    found = {each.split(",")[0] for each in findings(page, "light")}
    assert {"light: aria-allowed-attr", "light: color-contrast"} <= found
