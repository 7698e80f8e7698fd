"""What a page is on paper: as a PDF is made of it, and as the browser lays it out for print."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import WINDOW, wear

PAPER = 794  # px that A4 is wide
GONE = (
    "[data-testid=stSidebar], [data-testid=stHeader], .st-key-skip, .st-key-pages, [data-testid=stTooltipIcon],"
    " button:not([role=radio]), input[type=range], input[type=checkbox]"
)
# of everything seen in the page and in its components: what is not on the paper
WIDER = """([width, gone]) => {
  const app = document.querySelector("[data-testid=stAppViewContainer]");
  const roots = [app, ...[...app.querySelectorAll("*")].map((each) => each.shadowRoot).filter(Boolean)];
  const all = (what) => roots.flatMap((root) => [...root.querySelectorAll(what)]);
  const seen = (each) => each.checkVisibility({ visibilityProperty: true }) && each.getBoundingClientRect().width > 1;
  const beyond = ({ left, right }) => left < -1 || right > width + 1;
  const named = (each) => `${each.tagName} ${each.className?.baseVal ?? each.className}`;
  return {
    wide: all("p, h1, h2, h3, li, td, canvas, svg, img, .plot-container").filter((each) =>
      seen(each) && beyond(each.getBoundingClientRect()) && !each.closest("[data-testid=stDataFrame]")).map(named),
    left: [...app.querySelectorAll(gone)].filter(seen).map(named),
  };
}"""
LIGHT = "(app) => getComputedStyle(app).backgroundColor.match(/[\\d.]+/g).slice(0, 3).every((part) => +part > 250)"
DARK_TEXT = "(title) => getComputedStyle(title).color.match(/[\\d.]+/g).slice(0, 3).every((part) => +part < 90)"


def on_paper(page: Page, scheme: str) -> Page:
    """A page as it is printed from a theme."""
    wear(page, scheme)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")  # which emulation does not send
    page.emulate_media(media="print", color_scheme=scheme)
    page.set_viewport_size({"width": PAPER, "height": 1123})
    return page


@pytest.fixture
def screen(look):
    """One page for all tests of this file, as a screen shows it."""
    page = look("attention?layer=2&head=3&token=4&least=0&graph=columns")
    yield page
    page.emulate_media(media="screen", color_scheme="light")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.set_viewport_size(WINDOW)


def test_values_of_controls_are_said(screen):
    page = on_paper(screen, "light")
    for label, value in {"Layer": "2", "Head": "3", "Query": "4"}.items():
        slider = page.get_by_test_id("stMain").locator(".stSlider").filter(has_text=re.compile(f"^{label}"))
        expect(slider).to_have_text(re.compile(f"^{label}.*{value}"))
        expect(slider.get_by_test_id("stSliderThumbValue").locator("p")).to_be_visible()
        expect(slider.get_by_test_id("stSliderTickBar")).to_be_hidden()
    read = page.locator(".st-key-show")
    expect(read.get_by_role("radio", name="head")).to_be_visible()
    expect(read.get_by_role("radio", name="layer")).to_be_hidden()
    expect(page.get_by_text("In force: tokens · the sink as is")).to_be_visible()  # what is folded


def test_lines_end_where_their_tokens_are(screen):
    """The graph of lines is not drawn again for paper: it is right at any width."""
    graph = on_paper(screen, "light").locator(".st-key-token_graph")
    box = graph.locator("svg").bounding_box()
    left, right = (graph.locator(side).bounding_box() for side in (".q", ".k"))
    assert box["x"] == pytest.approx(left["x"] + left["width"], abs=1)
    assert box["x"] + box["width"] == pytest.approx(right["x"], abs=1)
    assert graph.locator("svg line").evaluate_all("all => all.every((line) => line.getAttribute('x2') === '100%')")


def test_a_grid_that_scrolls_on_screen_is_whole_on_paper(screen):
    page = screen
    box = page.locator(".st-key-head_grid .box")
    scrolls = "(box) => box.scrollHeight > box.clientHeight + 1"
    page.set_viewport_size({"width": 1280, "height": 400})
    assert box.evaluate(scrolls)
    on_paper(page, "light")
    page.set_viewport_size({"width": PAPER, "height": 400})
    assert not box.evaluate(scrolls)
    expect(page.locator(".st-key-stage")).to_be_hidden()


def test_a_dark_page_is_dark_again_after_printing(screen):
    page = on_paper(screen, "dark")
    page.emulate_media(media="screen", color_scheme="dark")
    assert not page.get_by_test_id("stApp").evaluate(LIGHT)
    expect(page.locator(".on-paper")).to_be_hidden()


def test_steps_and_pictures_stay_whole(visit, page):
    on_paper(visit("head"), "light")
    steps = page.locator(".st-key-head_steps .step, .step")
    assert steps.count() == 9
    assert set(steps.evaluate_all("all => all.map((step) => getComputedStyle(step).breakInside)")) == {"avoid"}
