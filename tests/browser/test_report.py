"""The report in a real browser that has no network: alive, silent, and readable by everyone."""

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from model.analysis.attention import attention_weights
from model.analysis.attention_map import MapSpec
from model.analysis.generation import Step, generate
from model.analysis.sampling import Sampling
from model.run import ModelRun
from tests.browser.conftest import until
from tests.browser.test_accessibility import FRAMES, GRAVE
from tests.browser.test_print import PAPER
from viz.figures.edges import choose_edges, count_sentence
from viz.notebook import Picture
from viz.offline.film import film_of
from viz.offline.report import LEAST_LINE, Map, View, reading_of, report

TEXT = "the dog saw the cat"
HOSTILE = "</script><img src=x onerror='window.hit=1'><script>window.hit=1</script>"


@pytest.fixture(scope="module")
def run(tiny) -> ModelRun:
    return tiny.run((*tiny.encode(TEXT), *(step.token for step in steps(tiny))))


def steps(tiny) -> list[Step]:
    return list(generate(tiny, tiny.encode(TEXT), 4, Sampling(), 0))


def weights_of(run: ModelRun, layer: int, head: int) -> np.ndarray:
    return attention_weights(run.attention[layer], head)


@pytest.fixture(scope="module")
def written(tiny, run, tmp_path_factory) -> str:
    film = film_of(
        run, MapSpec(((0, 0),)), steps(tiny), who="layer 0, head 0", label=lambda id: tiny.token(id).label, at=3
    )
    shown = Map(weights_of(run, 1, 0), run.labels, run.labels, lines=True)
    views = [View("Lines", note=HOSTILE, map=shown), View("The writing", "generation?text=x", film=film)]
    made = report([reading_of(run, HOSTILE, head=(0, 0), views=views)], address="http://localhost:8501")
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(made, encoding="utf-8")
    return file.as_uri()


@pytest.fixture(scope="module")
def offline(browser, written):
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 720}, reduced_motion="reduce")
    page = context.new_page()
    page.said, page.asked = [], []
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(written)
    page.locator("html[data-drawn]").wait_for()
    yield page
    context.close()


@pytest.fixture
def alive(offline: Page) -> Page:
    """As it is at first."""
    offline.reload()
    offline.locator("html[data-drawn]").wait_for()
    offline.mouse.move(0, 0)
    return offline


def table(page: Page, n_row: int) -> np.ndarray:
    """The numbers of the map on the stage."""
    if page.locator("details.numbers").get_attribute("open") is None:
        page.get_by_text("The numbers of this map").click()
    expect(page.locator(".numbers tbody tr")).to_have_count(n_row)  # a browser tells a moment later that it was opened
    texts = page.locator(".numbers td").all_text_contents()[1:]
    return np.array(texts, np.float32).reshape(n_row, -1)


def tile(page: Page, layer: int, head: int) -> tuple[float, float]:
    """The middle of a head's tile, from the corner of the grid's canvas."""
    left, top, pitch = page.locator(".grid").evaluate(
        """(grid) => ["--left", "--top", "--pitch"]
            .map((name) => parseFloat(getComputedStyle(grid).getPropertyValue(name)))"""
    )
    return left + (head + 0.5) * pitch, top + (layer + 0.5) * pitch


def test_a_click_on_a_tile_shows_that_heads_numbers(alive, run):
    expect(alive.locator(".stage-title")).to_have_text("Layer 0, head 0")
    for layer in range(run.info.n_layer):
        head = run.info.n_head - 1 - layer % run.info.n_head
        x, y = tile(alive, layer, head)
        alive.locator(".grid canvas").click(position={"x": x, "y": y})
        expect(alive.locator(".stage-title")).to_have_text(f"Layer {layer}, head {head}")
        assert np.abs(table(alive, len(run.tokens)) - weights_of(run, layer, head)).max() < 1e-4
        edges = choose_edges(weights_of(run, layer, head), threshold=LEAST_LINE)
        expect(alive.locator(".reading > [data-show=lines] .count")).to_have_text(count_sentence(edges))


def test_pointing_at_a_tile_looks_and_leaving_it_goes_back(alive):
    x, y = tile(alive, 1, 1)
    alive.locator(".grid canvas").hover(position={"x": x, "y": y})
    expect(alive.locator(".stage-title")).to_contain_text("Layer 1, head 1")
    alive.mouse.move(0, 0)
    expect(alive.locator(".stage-title")).to_have_text("Layer 0, head 0")


def test_several_heads_are_shown_by_their_mean(alive, run):
    _, y = tile(alive, 1, 0)
    alive.locator(".grid canvas").click(position={"x": 20, "y": y})  # the name of the layer
    expect(alive.locator(".stage-title")).to_contain_text(f"The mean of {run.info.n_head} heads: 1.0")
    mean = np.mean([weights_of(run, 1, head) for head in range(run.info.n_head)], axis=0)
    assert np.abs(table(alive, len(run.tokens)) - mean).max() < 1e-4
    expect(alive.locator(".grid .also")).to_have_count(run.info.n_head)


def test_by_keyboard_a_head_is_found_and_a_cell_is_said(alive, run):
    alive.locator(".grid canvas").focus()
    alive.keyboard.press("ArrowRight")
    expect(alive.locator(".stage-title")).to_contain_text("Layer 0, head 1")
    alive.keyboard.press("Enter")
    alive.locator("[data-show=map] canvas").focus()
    alive.keyboard.press("ArrowDown")
    first, second = run.labels[:2]
    said = f"“{second}” looks at “{first}”: {weights_of(run, 0, 1)[1, 0]:.4f}"
    expect(alive.locator("[data-show=map] .spoken")).to_have_text(said)
    assert alive.locator(".reading").get_attribute("data-head") == "0.1"


def test_a_token_shows_its_own_lines_and_keeps_them(alive, run):
    lines = alive.locator(".reading > [data-show=lines]")
    query = 3
    lines.locator(".q button").nth(query).hover()
    mine = weights_of(run, 0, 0)[query] >= LEAST_LINE
    expect(lines.locator("svg line")).to_have_count(int(mine.sum()))
    alive.mouse.move(0, 0)
    alive.locator("[data-show=chips-0] button").nth(query).click()
    expect(lines.locator(".q button[aria-pressed=true]")).to_have_text(run.labels[query])
    alive.mouse.move(0, 0)
    expect(lines.locator("svg line")).to_have_count(int(mine.sum()))


def test_the_film_goes_on_its_own_and_says_what_it_cannot(alive):
    film = alive.locator(".view").nth(1)
    film.locator(".chip.written").first.click()
    expect(film.locator(".now")).to_contain_text("written 1 of 4")
    film.locator(".candidate:not([disabled])").first.click()
    expect(film.locator(".said")).to_contain_text("open this view in Regard")
    expect(film.get_by_role("link", name="Open in Regard")).to_have_attribute(
        "href", "http://localhost:8501/generation?text=x"
    )


def test_a_pinned_map_is_drawn_as_it_was(alive, run):
    edges = choose_edges(weights_of(run, 1, 0), threshold=LEAST_LINE)
    view = alive.locator(".view").first
    expect(view.locator(".count")).to_have_text(count_sentence(edges))
    expect(view.get_by_role("note")).to_have_text(HOSTILE)


def test_a_citation_can_be_taken(alive):
    alive.get_by_text("Cite this view").first.click()
    alive.get_by_role("button", name="Copy").first.click()
    expect(alive.get_by_text("@misc{").first).to_be_visible()
    expect(alive.locator("button.copy").first).not_to_have_text("Copy")


def test_the_switch_turns_light_to_dark_and_paper_stays_light(alive):
    colour = "getComputedStyle(document.body).backgroundColor"
    assert alive.evaluate(colour) == "rgb(255, 255, 255)"
    alive.get_by_role("button", name="Light or dark").click()
    assert alive.evaluate(colour) == "rgb(19, 21, 31)"
    drawn = alive.locator(".grid canvas").bounding_box()["width"]
    alive.emulate_media(media="print")
    alive.set_viewport_size({"width": PAPER, "height": 1123})
    assert alive.evaluate(colour) == "rgb(255, 255, 255)"
    assert alive.locator(".all").bounding_box()["width"] >= drawn
    alive.set_viewport_size({"width": 1280, "height": 720})
    alive.emulate_media(media="screen")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(alive, scheme):
    from axe_playwright_python.sync_playwright import Axe

    alive.emulate_media(color_scheme=scheme)
    alive.evaluate(FRAMES)
    for summary in alive.locator("summary").all():
        summary.click()
    found = [each for each in Axe().run(alive).response["violations"] if each["impact"] in GRAVE]
    alive.emulate_media(color_scheme="light")
    assert not found, [(each["id"], each["nodes"][0]["target"], each["nodes"][0]["failureSummary"]) for each in found]


def test_on_a_telephone_nothing_lies_sideways(alive):
    alive.set_viewport_size({"width": 390, "height": 844})
    alive.evaluate(FRAMES)
    assert alive.evaluate("document.documentElement.scrollWidth") <= 390
    alive.set_viewport_size({"width": 1280, "height": 720})


def test_a_cell_of_a_notebook_is_alive_and_as_high_as_it_needs(browser, run):
    shown = Picture(reading_of(run, TEXT, head=(0, 0)))._repr_html_()
    context = browser.new_context(offline=True, viewport={"width": 900, "height": 600})
    page = context.new_page()
    page.set_content(f"<!DOCTYPE html><body style='background: white'>{shown}</body>")
    inside = page.frame_locator("iframe")
    inside.locator("html[data-drawn]").wait_for()
    x, y = tile(inside, 1, 2)
    inside.locator(".grid canvas").click(position={"x": x, "y": y})
    expect(inside.locator(".stage-title")).to_have_text("Layer 1, head 2")
    until(page.locator("iframe"), "(frame) => frame.clientHeight >= frame.contentDocument.documentElement.offsetHeight")
    expect(inside.locator("html")).to_have_attribute("data-theme", "light")
    expect(page.get_by_text("kept out until you trust")).to_be_hidden()
    page.evaluate("document.body.style.background = 'rgb(17 17 17)'")  # a notebook changes its theme
    expect(inside.locator("html")).to_have_attribute("data-theme", "dark")
    page.evaluate(
        "document.querySelectorAll('iframe, style').forEach((each) => each.remove())"
    )  # where it is not trusted
    expect(page.get_by_text("kept out until you trust this notebook")).to_be_visible()
    context.close()


def test_the_pictures_of_a_page_are_taken_along(visit, page, browser, tmp_path):
    """Of one about no text; in the dark theme, for light paper."""
    page.emulate_media(color_scheme="dark")
    visit("model?report=true")
    shown = page.get_by_test_id("stMain").locator(".js-plotly-plot, [data-testid=stBidiComponentIsolated]")
    titles = shown.evaluate_all(
        "all => all.map((each) => (each.layout?.meta?.regard ?? each.regardCorner)?.title).filter(Boolean)"
    )
    page.get_by_role("button", name="Add what is on screen").click()
    page.locator(".st-key-pin_1 summary").click()
    expect(page.locator(".st-key-pin_1")).to_contain_text(f"{len(titles)} pictures of the page.")
    page.get_by_role("button", name="Make the file").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save it").click()
    download.value.save_as(tmp_path / "report.html")
    context = browser.new_context(offline=True)
    report = context.new_page()
    report.goto((tmp_path / "report.html").as_uri())
    report.locator("html[data-drawn]").wait_for()
    drawings = report.locator(".drawings figure")
    assert len(titles) > 1 and drawings.locator("figcaption").all_text_contents() == titles
    for i in range(len(titles)):
        svg = drawings.nth(i).locator("svg").first
        assert svg.bounding_box()["height"] > 100 and svg.locator("text").count() > 1
        assert svg.locator("rect").first.get_attribute("fill") == "#ffffff"
    context.close()


def test_nothing_was_asked_of_the_network_and_nothing_complained(offline, written):
    """The last: of all that was done above."""
    assert set(offline.asked) == {written}
    assert offline.said == []
    assert offline.evaluate("window.hit") is None
