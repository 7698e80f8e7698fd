"""Every page and its main forms, each visited once and then looked at in every way.

The looks themselves are in test_accessibility.py and test_print.py, with tests that they see what is wrong.
"""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ROOT, WINDOW, settle
from tests.browser.test_accessibility import NOTHING, OF_COLOURS, findings, whole
from tests.browser.test_corners import check_saved, save_all
from tests.browser.test_print import DARK_TEXT, GONE, LIGHT, PAPER, WIDER, on_paper

VIEWS = (
    "",
    "tokenization",
    "embeddings",
    "attention",
    "attention?graph=arcs&panel=sums+of+tokens&effect=next+token",
    "attention?model=encoder&graph=layers&show=all&scale=log&units=words&report=true",
    "generation?playground=true&last_vector=true&several=true&each_layer=true&surprising=true",
    "heads?texts=own&lines=the+cat+saw+the+cat&knocked_out=true",
    "head?why=true",
    "comparison",
    "mechanism?mask_off=true",
    "model",
    "model?model=translator",
    "training?lesson=copier",
    "training?lesson=sentences",
    "training?lesson=step",
    "training?lesson=fine-tuning",
    "training?lesson=numbers",
    "translation",
    "understanding?section=blank",
    "understanding?section=both",
    "understanding?section=sentiment",
    "understanding?section=similarity",
)
# Streamlit's protobuf asks whether it may compile WebAssembly, and does without
ASKED_BY_PROTOBUF = "script-src wasm-eval"
TAKEN = set()  # keys of pictures that were saved on a view before


def test_every_page_is_among_the_views():
    pages = {path.stem for path in (ROOT / "viz/pages").glob("*.py")} - {"__init__", "home"}
    assert {view.split("?")[0] for view in VIEWS} == {"", *pages}


@pytest.fixture(scope="module", params=VIEWS)
def view(request, tabs, app_url: str):
    """A view in the dark theme; pytest runs all tests of one before the next."""
    page = tabs.take()
    page.complaints, page.missing, page.asked = [], [], []
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("console", lambda said: page.complaints.append(said.text) if said.type == "error" else None)
    page.on("response", lambda response: page.missing.append(response.url) if response.status >= 400 else None)
    page.on("request", lambda request: page.asked.append(request.url))
    page.emulate_media(color_scheme="dark")
    page.goto(f"{app_url}/{request.param}")
    settle(page)
    yield page
    tabs.give_back(page)


@pytest.fixture
def page(view: Page):
    """The same for one look, which leaves it as it was but for its width; only axe unfolds what is folded, and looks
    last."""
    yield view
    view.evaluate("dispatchEvent(new Event('afterprint'))")
    view.emulate_media(media="screen")


def as_wide_as_it_was(page: Page) -> None:
    page.set_viewport_size(WINDOW)
    settle(page)


def test_it_draws_under_the_policy_and_asks_no_other_machine(page, app_url):
    drawn = page.get_by_test_id("stMain").locator(".js-plotly-plot .main-svg, [data-testid^=stBidiComponent]")
    expect(drawn.filter(visible=True).first).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)
    assert set(page.evaluate("refused")) <= {ASKED_BY_PROTOBUF}
    assert [asked for asked in page.asked if not asked.startswith((app_url, "blob:", "data:"))] == []
    # Streamlit looks for its base path below the page's own first
    assert [url for url in page.missing if not re.search(r"/\w+/_stcore/(health|host-config)$", url)] == []
    assert [said for said in page.complaints if "status of 404" not in said] == []


def test_nothing_is_cut_and_nothing_lies_sideways(page):
    expect(page.locator("h1")).to_be_visible()
    assert whole(page, 320, 640) == NOTHING  # also 1280 px at 400 %
    assert whole(page, 640, 360) == NOTHING  # 1280 x 720 at 200 %


def test_paper_holds_a_page_and_nothing_that_only_a_screen_can_use(page):
    found = on_paper(page, "dark").evaluate(WIDER, [PAPER, GONE])
    assert found == {"wide": [], "left": []}
    assert page.get_by_test_id("stApp").evaluate(LIGHT)
    assert page.locator("h1").evaluate(DARK_TEXT)
    expect(page.locator(".on-paper")).to_contain_text("The cat sat on the mat")


def test_every_picture_can_be_taken_along(page):
    """In the dark theme, for light paper. A page whose pictures come later has none."""
    as_wide_as_it_was(page)
    for one in save_all(page, TAKEN):
        check_saved(one)
        TAKEN.add(one["told"]["key"])
    pictures = page.get_by_test_id("stMain").locator(".js-plotly-plot").filter(visible=True).count()
    assert page.locator(".regard-corner").count() >= pictures
    expect(page.locator("[data-testid=stMain] .stHtml :is(svg, img, canvas)")).to_have_count(0)  # viz/ui/prose.py


def test_axe_finds_nothing(page):
    as_wide_as_it_was(page)
    for summary in reversed(page.locator("details:not([open]) > summary").all()):  # each one leaves the list
        summary.click()
    for twin in page.get_by_test_id("stCheckbox").filter(has_text="Show the numbers").all()[:1]:
        twin.click()
        expect(page.get_by_test_id("stDataFrame").first).to_be_visible()
    faults = []
    for scheme, rules in (("dark", ()), ("light", OF_COLOURS)):
        faults += findings(page, scheme, rules)
        expect(page.get_by_test_id("stSidebar")).to_contain_text(re.compile(r"\d+ tokens × \d+ layers × \d+ heads"))
        expect(page.get_by_test_id("stException")).to_have_count(0)
    assert faults == []
    assert [said for said in page.complaints if "status of 404" not in said] == []
