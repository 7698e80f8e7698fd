"""The whole way by keyboard: past the navigation, to a picture, within it, into a card; what is said on the way."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import N, settle
from tests.browser.test_accessibility import GRAVE, ONLY_WRONG

# the element that has the focus, through the components
FOCUSED = """() => {
  let each = document.activeElement;
  while (each.shadowRoot?.activeElement) each = each.shadowRoot.activeElement;
  const line = (one) => getComputedStyle(one);
  const lined = (one) => line(one).outlineStyle !== "none" && parseFloat(line(one).outlineWidth) >= 1;
  return {
    text: each.textContent.trim(), tag: each.tagName, own: each.getRootNode() !== document,
    picture: each.getRootNode().host?.closest("[class*=st-key-]")?.className.match(/st-key-(\\w+)/)[1] ?? "",
    seen: [each, ...each.children].some(lined),
  };
}"""
# what live regions say from now on, in all components
LISTEN = """() => {
  window.said = [];
  const roots = [document, ...[...document.querySelectorAll("*")].map((each) => each.shadowRoot).filter(Boolean)];
  const spoken = "[aria-live=polite], [role=status], [role=alert]";
  for (const region of roots.flatMap((root) => [...root.querySelectorAll(spoken)]))
    new MutationObserver(() => region.textContent && window.said.push(region.textContent))
      .observe(region, { childList: true, characterData: true, subtree: true });
}"""


def focused(page: Page) -> dict:
    return page.evaluate(FOCUSED)


def enter_content(visit, page: Page, path: str) -> Page:
    """Open a page and go to its main part as Streamlit's own first link does."""
    visit(path)
    expect(page.locator("h1")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    toolbar = page.get_by_role("toolbar", name="Skip to")
    expect(toolbar).to_be_visible()
    expect(toolbar.get_by_role("button").first).to_have_attribute("tabindex", "0")  # its script has begun
    return page


def skip_to(page: Page, name: str) -> None:
    expect(page.get_by_label(name).get_by_role("button").first).to_be_visible()
    for _ in range(12):
        if focused(page)["text"].startswith(name):
            page.keyboard.press("Enter")
            assert focused(page)["own"] and focused(page)["tag"] == "BUTTON"
            assert focused(page)["picture"] != "skip"
            return
        page.keyboard.press("ArrowRight")
    raise AssertionError(f"no way to {name}")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("attention?graph=arcs", "Attention as arcs"),
        ("translation", "Cross-attention between"),
        ("understanding?section=blank", "The text"),
    ],
)
def test_a_token_is_two_stops_from_the_start(visit, page, path, name):
    enter_content(visit, page, path)
    skip_to(page, name)


def test_a_picture_is_one_stop_and_the_focus_is_always_seen(visit, page):
    enter_content(visit, page, "attention?panel=received+and+given")
    stops = [focused(page)]
    for _ in range(60):
        page.keyboard.press("Tab")
        stops.append(focused(page))
        if stops[-1]["tag"] == "BODY":
            break
    pictures = [stop["picture"] for stop in stops if stop["own"]]
    assert {"skip", "head_grid", "token_graph"} <= set(pictures)
    assert len(pictures) == len(set(pictures)), pictures
    links = [stop for stop in stops if stop["tag"] == "A" and stop["text"]]  # and not to a heading
    assert len(links) > 8  # to the other pages
    assert [stop for stop in stops if (stop["own"] or stop in links) and not stop["seen"]] == []


def test_the_content_is_the_first_place_to_skip_to(visit, page):
    enter_content(visit, page, "tokenization")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_be_focused()
    first = page.get_by_role("toolbar", name="Skip to").get_by_role("button").first
    expect(first).not_to_be_in_viewport()
    first.focus()
    skip_to(page, "Tokens")
    page.evaluate(LISTEN)
    page.keyboard.press("ArrowRight")
    assert page.evaluate("said") == []  # a chip's own name says it


def test_arrows_home_and_end_move_within_a_picture_and_what_changed_is_said_once(visit, page):
    enter_content(visit, page, "attention")
    skip_to(page, "Attention between tokens")
    words = [focused(page)["text"]]
    page.evaluate(LISTEN)
    for key in ("ArrowDown", "End", "ArrowDown", "Home"):  # there is nothing below the last one
        page.keyboard.press(key)
        words.append(focused(page)["text"])
        if len(words) == 2:
            said = page.evaluate("said")
            assert len(said) == 1 and re.fullmatch(r".+ looks most at .+: [01]\.\d{3}", said[0])
    last = page.locator(".st-key-token_graph .q button").nth(N - 1).locator(".text").inner_text()
    assert words[0] == words[4] == "The"
    assert words[2] == words[3] == last != words[1]
    page.keyboard.press("ArrowRight")
    expect(page.locator(".st-key-token_graph .k button").first).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".st-key-token_graph .q button").first).to_be_focused()


def test_a_card_is_opened_by_keys_and_axe_finds_nothing_in_it(visit, page):
    enter_content(visit, page, "attention?least=0")
    skip_to(page, "Attention between tokens")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")  # keeps the query
    expect(page.locator(".st-key-token_graph .q button").nth(1)).to_have_attribute("aria-pressed", "true")
    settle(page)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Where this number comes from")).to_be_visible()
    settle(page)
    grave = [each for each in Axe().run(page, options=ONLY_WRONG).response["violations"] if each["impact"] in GRAVE]
    assert [(each["id"], [node["target"][-1] for node in each["nodes"]]) for each in grave] == []
