"""The attention page in a browser: choosing heads on the grid, the switches, links, and the card behind a click."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import TOKENIZER, N, settle, type_text
from tests.shipped import STORY

TWO_TEXTS = "The+cat+sat.%0A%0AThe+dog+ran."


def grid_place(page: Page, layer: float, head: float) -> dict:
    """A point of the grid: the middle of a head's tile; -1 is the row or column of names."""
    pitch = page.locator(".st-key-head_grid .chosen").bounding_box()["width"]  # of a tile
    return {
        "x": 20 if head < 0 else 58 + (head + 0.5) * pitch,
        "y": 10 if layer < 0 else 24 + (layer + 0.5) * pitch,
    }


def heading(page: Page, name: str) -> None:
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()


def card(page: Page):
    return page.locator(".st-key-card .weight-card")


def click_cell(page: Page, query: int, key: int, n: int = N, name: str = "head_map") -> None:
    plot = page.locator(f".st-key-{name}_light .nsewdrag, .st-key-{name}_dark .nsewdrag").first
    expect(plot).to_be_visible()
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    plot.click(position={"x": box["width"] * (key + 0.5) / n, "y": box["height"] * (query + 0.5) / n})


def choose(page: Page, name: str, option: str) -> None:
    page.locator(f".st-key-{name} button").filter(has_text=re.compile(f"^{re.escape(option)}$")).click()
    settle(page)


def test_heads_are_chosen_on_the_grid(visit, page):
    visit("attention")
    grid = page.locator(".st-key-head_grid canvas")
    expect(grid).to_have_attribute("data-drawn", re.compile("."))
    grid.click(position=grid_place(page, 2, 3))
    heading(page, "Layer 2, head 3")
    grid.click(position=grid_place(page, 1, 1), modifiers=["Shift"])
    heading(page, "The mean of 2 heads: 1.1, 2.3")
    expect(page.locator(".st-key-head_grid .also")).to_have_count(2)
    expect(page).to_have_url(re.compile(r"show=chosen"))
    expect(page).to_have_url(re.compile(r"heads=1\.1"))
    grid.click(position=grid_place(page, 2, 3), modifiers=["Shift"])
    heading(page, "Layer 1, head 1")
    grid.click(position=grid_place(page, 3, -1), modifiers=["Shift"])
    heading(page, f"The mean of {STORY.n_head + 1} heads: 3.*, 1.1")
    grid.click(position=grid_place(page, -1, 3))
    heading(page, f"The mean of head 3 of all {STORY.n_layer} layers")
    grid.click(position=grid_place(page, 3, -1))
    heading(page, f"The mean of the {STORY.n_head} heads of layer 3")
    choose(page, "combine", "max")
    heading(page, f"The maximum of the {STORY.n_head} heads of layer 3")
    expect(page).to_have_url(re.compile("combine=max"))


def test_what_a_mask_hides_has_no_card(look):
    page = look("attention?layer=1&head=2")
    click_cell(page, 4, 2)
    expect(card(page)).to_contain_text("query 4, key 2 · layer 1, head 2")
    settle(page)
    click_cell(page, 2, 4)
    expect(card(page)).to_have_count(0)
    expect(page).to_have_url(re.compile("token=2&key=4"))


def test_a_click_on_a_cell_opens_its_card_and_the_next_one_refills_it(look):
    """And the card leads inside the head."""
    page = look("attention?layer=1&head=2")
    click_cell(page, 4, 2)
    expect(card(page)).to_contain_text("query 4, key 2 · layer 1, head 2")
    expect(card(page)).to_contain_text("✓ Check:")
    expect(page).to_have_url(re.compile("card=self~1.2~4~2"))  # a token that is chosen at first is not named
    settle(page)
    click_cell(page, 5, 1)
    expect(card(page)).to_contain_text("query 5, key 1 · layer 1, head 2")
    settle(page)
    page.locator(".st-key-layer").get_by_role("slider").press("ArrowRight")
    expect(card(page)).to_contain_text("query 5, key 1 · layer 2, head 2")
    settle(page)
    page.locator(".st-key-card_close").get_by_role("button", name="✕").click()
    expect(card(page)).to_have_count(0)
    settle(page)
    click_cell(page, 3, 1)
    expect(card(page)).to_be_visible()
    settle(page)
    page.locator(".st-key-card").get_by_role("link").click()
    heading(page, "Inside a head")
    expect(page).to_have_url(re.compile(r"/head\?.*layer=2"))
    expect(page.locator(".st-key-token").get_by_role("slider")).to_have_value("3")
    expect(card(page)).to_have_count(0)


def test_the_card_takes_the_focus_and_gives_it_back(visit, page):
    """It is a dialog with a name, beside what it speaks of, and Escape closes it."""
    visit("attention?layer=1&head=2&stage=lines&token=4")
    key = page.locator(".st-key-token_graph .k button").nth(2)
    key.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="How this number was made")
    expect(dialog).to_be_focused()
    expect(card(page)).to_contain_text("query 4, key 2 · layer 1, head 2")
    assert dialog.bounding_box()["x"] + dialog.bounding_box()["width"] < key.bounding_box()["x"]
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(key).to_be_focused()


def test_a_line_opens_its_card(visit, page):
    visit("attention?layer=2&head=3&top=1")
    drawing = page.locator(".st-key-token_graph svg")
    expect(drawing).to_be_visible()
    x, y = (
        drawing.locator("line")
        .nth(3)
        .evaluate("line => ['x', 'y'].map((side) => (line[side + 1].baseVal.value + line[side + 2].baseVal.value) / 2)")
    )
    drawing.click(position={"x": x, "y": y})
    expect(card(page)).to_contain_text("layer 2, head 3")


def test_units_sink_and_colours_are_in_the_link(visit, page):
    visit("attention?layer=1")
    page.locator(".st-key-how_read summary").click()
    for name, option in [("units", "words"), ("sink", "renormalise"), ("scale", "log"), ("range", "fitted")]:
        choose(page, name, option)
    heading(page, "Layer 1, head 0, between words, renormalised without the sink")
    expect(page.locator(".st-key-token_graph .q button")).to_have_count(6)
    expect(page).to_have_url(re.compile("range=fitted"))
    page.reload()
    heading(page, "Layer 1, head 0, between words, renormalised without the sink")
    for name, option in [("scale", "log"), ("range", "fitted")]:
        pressed = page.locator(f".st-key-{name} button[aria-checked=true], .st-key-{name} button[kind$=Active]")
        expect(pressed).to_have_text(option)


def test_two_texts_are_read_apart(visit, page):
    visit(f"attention?text={TWO_TEXTS}&layer=0")
    page.locator(".st-key-how_read summary").click()
    choose(page, "segment", "B → A")
    heading(page, "Layer 0, head 0, B → A")
    first = page.locator(".st-key-token_graph .q .text").first
    expect(first).to_have_text("The")
    # “The dog ran.” looks at “The cat sat.” and the line ends
    expect(page.locator(".st-key-token_graph .q button")).to_have_count(len(TOKENIZER.encode("The dog ran.")))
    expect(page.locator(".st-key-token_graph .k button")).to_have_count(len(TOKENIZER.encode("The cat sat.\n\n")))


def test_sums_of_chosen_tokens_and_their_card(visit, page):
    visit("attention?layer=1&panel=sums+of+tokens")
    box = page.locator(".st-key-summed input")
    for token in ("sat", "the"):
        box.click()
        box.fill(token)
        page.get_by_role("option", name=re.compile(f"␣{token}$")).click()
        settle(page)
    page.keyboard.press("Escape")
    expect(page.locator(".st-key-sums_light, .st-key-sums_dark").first).to_contain_text("␣sat, ␣the")
    settle(page)
    plot = page.locator(".st-key-sums_light .nsewdrag, .st-key-sums_dark .nsewdrag").first
    expect(plot).to_be_visible()
    plot.scroll_into_view_if_needed()
    size = plot.bounding_box()
    plot.click(position={"x": size["width"] * 0.5 / N, "y": size["height"] / 2})
    expect(card(page)).to_contain_text("sum over 2 rows")
    expect(card(page)).to_contain_text("✓ Check:")


@pytest.mark.parametrize("options", ["units=words&sink=hide", "sink=renormalise&graph=arcs", "graph=layers&show=all"])
def test_every_reading_of_short_and_strange_texts_works(visit, page, options):
    visit(f"attention?{options}&panel=received+and+given")
    for text in ("a", "the the 🙂 今天"):
        type_text(page, text)
        expect(page.get_by_test_id("stSidebar")).to_contain_text(f"{len(TOKENIZER.encode(text))} token")
        expect(page.locator(".st-key-received_light, .st-key-received_dark").first).to_be_visible()
        expect(page.get_by_test_id("stException")).to_have_count(0)


def test_another_kind_of_attention_is_another_page(visit, page):
    """The stage, and what a token draws on below, though the switch stands in a part of its own."""
    visit("attention?model=translator&text=I+am+a+student.&flow=rollout&layer=1&head=0")
    heading(page, "Layer 1, head 0, the decoder's own")
    expect(page.get_by_text("follows the decoder's own attention")).to_be_visible()
    choose(page, "kind", "encoder")
    heading(page, "Layer 1, head 0, the encoder's own")
    expect(page.get_by_text("follows the encoder's own attention")).to_be_visible()
