"""Pointing at the grid of heads: each head stands on the stage at once, and nothing is sent."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import settle
from tests.browser.test_attention import choose, grid_place
from tests.browser.wire import Wire
from tests.shipped import STORY


@pytest.fixture
def grid(look):
    """open("attention"): the grid there, drawn; what is sent from now on is in `page.sent` of its `page`."""

    def open(link: str):
        page = look(link)
        canvas = page.locator(".st-key-head_grid canvas")
        expect(canvas).to_have_attribute("data-drawn", re.compile("."))
        expect(page.locator(".st-key-head_look .title")).to_have_count(1)
        page.sent.clear()
        return canvas

    return open


def on_stage(page: Page):
    return page.locator(".st-key-head_look .title b")


def test_pointing_sends_nothing_and_leaving_goes_back(grid):
    canvas = grid("attention?layer=2&head=3")
    page = canvas.page
    plot = page.locator("[class*=st-key-head_map] .nsewdrag").first
    expect(plot).to_be_visible()
    shown = page.locator(".st-key-head_look canvas")
    for layer, head in [(0, 0), (1, 5), (2, 3), (3, 1), (4, 4)]:
        canvas.hover(position=grid_place(page, layer, head))
        expect(on_stage(page)).to_have_text(f"Layer {layer}, head {head}")
    expect(shown).to_be_visible()
    assert shown.bounding_box() == pytest.approx(plot.bounding_box(), abs=1)  # the cells of the picture, and no more
    page.mouse.move(2, 2)
    expect(on_stage(page)).to_be_hidden()
    expect(shown).to_be_hidden()
    assert page.sent == []
    assert "layer=2&head=3" in page.url


def test_the_arrow_keys_look_and_enter_keeps(grid):
    canvas = grid("attention?layer=2&head=3")
    page = canvas.page
    canvas.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    expect(on_stage(page)).to_have_text("Layer 3, head 4")
    expect(page.locator(".st-key-head_look [role=status]")).to_have_text("layer 3, head 4")
    page.keyboard.press("Escape")
    expect(on_stage(page)).to_be_hidden()
    assert page.sent == []
    page.keyboard.press("ArrowUp")
    expect(on_stage(page)).to_have_text("Layer 1, head 3")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Layer 1, head 3", exact=True)).to_be_visible()
    expect(page).to_have_url(re.compile("layer=1&head=3"))
    expect(canvas).to_be_focused()
    expect(page.locator(".st-key-card")).to_have_count(0)


@pytest.mark.parametrize("form", ["columns", "arcs"])
def test_the_lines_follow(grid, form, story):
    canvas = grid(f"attention?stage=lines&graph={form}&top=1")
    page = canvas.page
    picture = page.locator(".st-key-token_graph" if form == "columns" else ".st-key-token_arcs")
    expect(picture.locator(".count")).to_contain_text("showing")
    before = picture.locator("svg").inner_html()
    canvas.hover(position=grid_place(page, 4, 0))
    expect(picture.locator(".count")).to_have_text("layer 4, head 0, while you point at it")
    expect(picture.locator("svg line, svg path")).to_have_count(len(story.encode("The cat sat on the mat")))
    assert picture.locator("svg").inner_html() != before
    page.mouse.move(2, 2)
    expect(picture.locator(".count")).to_contain_text("showing")
    assert picture.locator("svg").inner_html() == before
    assert page.sent == []


def test_two_heads_side_by_side_and_a_click_is_not_covered(grid):
    canvas = grid("attention?layer=2&head=3&stage=map")
    page = canvas.page
    page.get_by_role("button", name="Pin").click()
    expect(page.locator("[class*=st-key-pinned_map] .nsewdrag").first).to_be_visible()
    expect(page).to_have_url(re.compile(r"beside=2\.3"))
    settle(page)
    canvas.click(position=grid_place(page, 4, 1))
    expect(page.get_by_role("heading", name="Layer 4, head 1", exact=True)).to_be_visible()
    settle(page)  # before, what stands below the old map is there twice
    expect(on_stage(page)).to_be_hidden()  # the pointer is still there
    canvas.hover(position=grid_place(page, 4, 2))
    expect(on_stage(page)).to_have_text("Layer 4, head 2")
    expect(page.locator(".st-key-card")).to_have_count(0)
    expect(page.get_by_text("Layer 2, head 3. Click a cell")).to_be_visible()
    page.get_by_role("button", name="Let go of 2.3").click()
    expect(page.locator("[class*=st-key-pinned_map]")).to_have_count(0)


def test_a_slider_shows_its_head_before_the_server_has_answered(page, app_url):
    wire = Wire(page)
    page.goto(f"{app_url}/attention?layer=2&head=3&stage=map")
    settle(page)
    slider = page.locator(".st-key-layer input[type=range]")
    for stage, key, layers in (("map", "ArrowRight", (3, 4)), ("lines", "ArrowLeft", (3, 2))):
        if stage == "lines":
            choose(page, "stage", stage)
        wire.hold()
        slider.press(key)
        expect(on_stage(page)).to_have_text(f"Layer {layers[0]}, head 3")
        if stage == "map":
            plot = page.locator("[class*=st-key-head_map] .nsewdrag").first
            assert page.locator(".st-key-head_look canvas").bounding_box() == pytest.approx(plot.bounding_box(), abs=1)
        slider.press(key)
        expect(on_stage(page)).to_have_text(f"Layer {layers[1]}, head 3")
        wire.let_go()
        expect(on_stage(page)).to_be_hidden()
        settle(page)
        expect(page.locator(".st-key-stage_title")).to_contain_text(f"Layer {layers[1]}, head 3")
        expect(on_stage(page)).to_be_hidden()


def test_names_of_columns_stay_while_the_grid_scrolls(visit, page):
    page.set_viewport_size({"width": 1280, "height": 400})
    visit(f"attention?layer={STORY.n_layer - 1}&head=3")
    canvas = page.locator(".st-key-head_grid canvas")
    expect(canvas).to_have_attribute("data-drawn", re.compile("."))
    box, names = (page.locator(f".st-key-head_grid {part}") for part in (".box", ".heads span"))
    scrolled = box.evaluate("(box) => box.scrollTop")
    assert scrolled > 20  # so that the tile is in sight
    expect(names).to_have_text([str(head) for head in range(names.count())])
    place, top = names.nth(2).bounding_box(), box.bounding_box()["y"]
    assert place["y"] == pytest.approx(top, abs=1)
    page.mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    expect(page.locator(".st-key-head_grid .tip")).to_have_text("head 2 of every layer")
    page.mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] + 12)
    expect(on_stage(page)).to_have_text(f"Layer {int((scrolled + 12) / place['width'])}, head 2")
    expect(canvas).to_be_visible()
