"""Enlarged pages and telephones: nothing is cramped, and the grid of heads stays beside, or just above, its stage."""

from itertools import pairwise

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import settle
from tests.browser.test_accessibility import resize

# 1280 x 720 and 1024 x 768, the first at 150 %, and a telephone
SIZES = [(1280, 720), (1024, 768), (853, 480), (390, 844)]


@pytest.fixture(params=SIZES, ids="{0[0]}".format)
def sized(request, look):
    """A page in a window that is made smaller and smaller: one visit for all sizes."""

    def go(path: str) -> Page:
        page = look(path)
        resize(page, *request.param)
        settle(page)
        return page

    return go


def test_names_of_columns_do_not_touch(sized):
    page = sized("attention")
    names = page.locator("[class*=st-key-head_map] .xtick text")
    expect(names).to_have_text(["The", "␣cat", "␣sat", "␣on", "␣the", "␣mat"])
    boxes = [names.nth(i).bounding_box() for i in range(names.count())]
    gaps = [after["x"] - before["x"] - before["width"] for before, after in pairwise(boxes)]
    assert min(gaps) > 2  # px


def test_a_long_text_has_names_as_far_apart_as_a_line_of_letters(sized):
    page = sized(f"attention?text={'+'.join(['wonderful'] * 50)}")
    for axis, side in [("xtick", "x"), ("ytick", "y")]:
        names = page.locator(f"[class*=st-key-head_map] .{axis} text")
        starts = sorted(names.nth(i).bounding_box()[side] for i in range(names.count()))
        letters = names.first.evaluate("(name) => parseFloat(getComputedStyle(name).fontSize)")
        assert len(starts) > 8
        assert min(b - a for a, b in pairwise(starts)) > 0.8 * letters


def test_no_word_of_a_switch_is_broken(sized):
    page = sized("mechanism")
    lines = page.locator("[class*=st-key-roomy_switches] label p").evaluate_all(
        """(all) => all.map((paragraph) => {
          const text = document.createTreeWalker(paragraph, NodeFilter.SHOW_TEXT).nextNode(), range = new Range();
          return [...text.data.matchAll(/[^ ]+/g)].map((word) => {
            range.setStart(text, word.index);
            range.setEnd(text, word.index + word[0].length);
            return [word[0], range.getClientRects().length];
          });
        })"""
    )
    words = [tuple(word) for label in lines for word in label]
    assert ("Without", 1) in words and len(lines) == 8
    assert [word for word in words if word[1] != 1] == []


def test_the_grid_of_heads_and_its_stage_are_on_one_screen_of_a_telephone(page, app_url):
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{app_url}/attention")
    settle(page)
    page.locator(".st-key-head_grid").evaluate("(grid) => grid.scrollIntoView()")
    grid, stage = (
        page.locator(where).bounding_box()
        for where in (".st-key-head_grid canvas", "[class*=st-key-head_map] .nsewdrag")
    )
    assert grid["y"] >= 0
    assert stage["y"] + 0.7 * stage["height"] < 844  # most of the map
    words = page.get_by_text("A tile is a head").bounding_box()
    assert words["y"] > stage["y"] + stage["height"]
