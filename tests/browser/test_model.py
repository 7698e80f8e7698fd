"""The drawing of a block, which only a browser puts into the page."""

import re
import tomllib

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import ROOT
from tests.browser.test_accessibility import resize
from tests.shipped import STORY

THEME = tomllib.loads((ROOT / ".streamlit/config.toml").read_text(encoding="utf-8"))["theme"]


def test_the_drawing_stands_in_the_page_and_follows_its_colours(look):
    page = look("model")
    svg = page.locator(".st-key-block svg")
    expect(svg).to_have_attribute("aria-label", re.compile(f"decoder, {STORY.n_layer} layers of {STORY.n_head} heads"))
    expect(svg.get_by_text("Position vectors")).to_be_visible()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        ink = bytes.fromhex(THEME[scheme]["textColor"][1:])
        expect(svg).to_have_css("color", f"rgb({', '.join(map(str, ink))})")


@pytest.mark.parametrize("width", [390, 1400])
def test_it_fits_the_screen(look, width):
    page = look("model")
    resize(page, width, 900)
    box = page.locator(".st-key-block svg").bounding_box()
    assert box["width"] > 300 and box["x"] >= 0 and box["x"] + box["width"] <= width


def test_it_can_be_saved(look, tmp_path):
    page = look("model")
    with page.expect_download() as download:
        page.locator(".st-key-block .regard-corner").click()
        page.get_by_role("menuitem", name="SVG").click()
    assert download.value.suggested_filename.startswith("regard_story_block")
    download.value.save_as(tmp_path / "story.svg")
    assert "Token vectors" in (tmp_path / "story.svg").read_text(encoding="utf-8")
