"""Break the mechanism, in a browser: switches, links, and the card behind a weight of the changed model."""

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import N, settle


def flip(page: Page, name: str) -> None:
    page.locator(f".st-key-{name} label").first.click()
    settle(page)


def test_switches_are_in_the_link_and_leave_it_again(visit, page):
    visit("mechanism?layer=1&head=2")
    expect(page.get_by_role("heading", name="Nothing is changed yet")).to_be_visible()
    page.locator(".st-key-text textarea").evaluate("box => { box.dataset.mark = 'same' }")
    flip(page, "mask_off")
    flip(page, "head_uniform")
    changed = page.get_by_role("heading", name="Changed: without the causal mask; layer 1, head 2 uniform", exact=True)
    expect(changed).to_be_visible()
    # only the experiment is drawn again: no skeleton, no lost scroll position, no reload of the sidebar
    expect(page.locator(".st-key-text textarea")).to_have_attribute("data-mark", "same")
    expect(page).to_have_url(re.compile("mask_off=true"))
    expect(page).to_have_url(re.compile("head_uniform=true"))
    page.get_by_role("button", name="Back to as trained").click()
    expect(page.get_by_role("heading", name="Nothing is changed yet")).to_be_visible()
    expect(page).not_to_have_url(re.compile("mask_off|head_uniform"))
    expect(page.locator(".st-key-mask_off input")).not_to_be_checked()


def test_a_link_restores_the_experiment(visit, page):
    page.set_viewport_size({"width": 1500, "height": 900})  # where all pages have a place at the top
    visit("mechanism?scale_off=true&positions_off=true&head_off=true&softmax_temperature=0.5&layer=2&head=3")
    expect(
        page.get_by_role(
            "heading",
            name="Changed: without the scale; without positions; softmax temperature 0.5; layer 2, head 3 off",
            exact=True,
        )
    ).to_be_visible()
    for switch in ("scale_off", "positions_off", "head_off"):
        expect(page.locator(f".st-key-{switch} input")).to_be_checked()
    expect(page.locator(".st-key-mask_off input")).not_to_be_checked()
    expect(page.get_by_test_id("stAlert")).to_have_count(0)
    page.get_by_role("link", name="Generation").click()
    expect(page.get_by_role("heading", name="How is the next token chosen?")).to_be_visible()
    settle(page)
    page.get_by_role("link", name="Break the mechanism").click()
    expect(
        page.get_by_role("heading", name=re.compile("Changed: without the scale; without positions"))
    ).to_be_visible()


def test_a_click_on_either_map_opens_its_card_which_follows_the_switches(visit, page):
    visit("mechanism?mask_off=true&head=3")
    card = page.locator(".st-key-card")
    for name, model in (("map_changed", " · in the changed model"), ("map_as_trained", "")):
        settle(page)  # the card of the first moves nothing any more
        plot = page.locator(f".st-key-{name}_light .nsewdrag, .st-key-{name}_dark .nsewdrag").first
        plot.scroll_into_view_if_needed()
        box = plot.bounding_box()
        plot.click(position={"x": box["width"] * 4.5 / N, "y": box["height"] * 2.5 / N})
        expect(card.locator(".where")).to_have_text(f"query 2, key 4 · layer 0, head 3{model}")
        weight = card.locator("code b").inner_text()
        expect(page.locator(f".st-key-open_{name.removeprefix('map_')} strong")).to_have_text(weight)
    assert weight == "0.0000"  # as trained, the mask forbids it
    settle(page)
    page.locator(".st-key-open_changed button").click()
    shown = page.locator(".st-key-open_changed strong")
    expect(card).to_contain_text("in the changed model")
    before = shown.inner_text()
    expect(card).to_contain_text(before)
    flip(page, "positions_off")
    expect(shown).not_to_have_text(before)
    expect(card).to_contain_text(shown.inner_text())
