"""Understanding, in a browser: words hidden and put in by click, cards of both models, and links to a section."""

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import N, settle
from tests.shipped import STORY

TEXT = "The cat sat on the mat"


def token(page: Page, i: int, line: str = "blank_line"):
    return page.locator(f".st-key-{line} .token").nth(i)


def word(page: Page, i: int):
    return token(page, i).locator("span")


def typed(page: Page):
    return page.locator(".st-key-text textarea")


def guess(page: Page, position: int, row: int):
    return page.locator(f".st-key-guesses_{position} .bar").nth(row)


def test_a_word_is_hidden_by_click_and_comes_back_by_click(look):
    page = look("understanding")
    expect(word(page, 1)).to_have_text("␣cat")
    token(page, 1).click()
    expect(typed(page)).to_have_value("The [MASK] sat on the mat")
    expect(page).to_have_url(re.compile("text=The(%20|\\+)(%5B|\\[)MASK"))
    expect(token(page, 1)).to_have_class(re.compile("blank"))
    expect(page.get_by_text("You hid “␣cat”: ")).to_be_visible()
    settle(page)
    token(page, 1).click()
    expect(typed(page)).to_have_value(TEXT)
    expect(word(page, 1)).to_have_text("␣cat")
    settle(page)


def test_words_are_hidden_by_keyboard_too(look):
    page = look("understanding")
    token(page, 0).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(token(page, 2)).to_be_focused()
    expect(page.locator(".st-key-blank_line .tip")).to_contain_text("token 2")
    page.keyboard.press("Enter")
    expect(typed(page)).to_have_value("The cat [MASK] on the mat")
    settle(page)
    bring_back = page.locator(".st-key-guesses_2 .bar[data-marked]")  # what was hidden is among the guesses, in amber
    bring_back.focus()
    page.keyboard.press("Enter")
    expect(typed(page)).to_have_value(TEXT)
    settle(page)


def test_a_guess_is_put_in_by_click_and_what_was_typed_is_not_forgotten(look):
    page = look("understanding")
    token(page, 1).click()
    expect(guess(page, 1, 0)).to_be_visible()
    settle(page)
    first = guess(page, 1, 0).locator(".label").inner_text()
    second = guess(page, 1, 1).locator(".label").inner_text()
    chosen = 1 if first == "␣cat" else 0
    guess(page, 1, chosen).click()
    label = (first, second)[chosen]
    expect(word(page, 1)).to_have_text(label)
    expect(token(page, 1)).to_have_class(re.compile("changed"))
    expect(typed(page)).to_have_value(f"The{label.replace('␣', ' ')} sat on the mat")
    settle(page)
    page.get_by_role("button", name="Undo all changes").click()
    expect(typed(page)).to_have_value(TEXT)


def test_each_of_the_two_maps_opens_the_card_of_its_own_model(visit, page):
    visit("understanding?section=both&maps=head&layer=1&head=2&decoder_layer=2&decoder_head=3")
    card = page.locator(".st-key-card")
    for line, place in (("square_line", "layer 1, head 2"), ("triangle_line", "layer 2, head 3")):
        token(page, 0, line).click()
        expect(card).to_contain_text(place)
        expect(card).to_contain_text("✓ Check:")
        settle(page)


def test_a_click_on_the_triangle_is_a_weight_of_the_decoder(visit, page):
    visit("understanding?section=both")
    plot = page.locator(".st-key-triangle_map_light .nsewdrag, .st-key-triangle_map_dark .nsewdrag").first
    expect(plot).to_be_visible()
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    plot.click(position={"x": box["width"] * 1.5 / N, "y": box["height"] * 4.5 / N})
    card = page.locator(".st-key-card")
    expect(card).to_contain_text("“␣the” looks at “␣cat”")
    expect(card).to_contain_text(f"mean of {STORY.n_layer * STORY.n_head}")
    expect(card).to_contain_text("✓ Check:")


def test_a_link_opens_a_section_with_both_texts(visit, page):
    visit("understanding?section=similarity&text=A+dog&second=A+wolf&compared=1")
    expect(page.get_by_role("heading", name="Do these two mean the same?")).to_be_visible()
    expect(page.locator(".st-key-second textarea")).to_have_value("A wolf")
    expect(page.get_by_text("of the residual stream after block 0")).to_be_visible()
    expect(page.get_by_test_id("stAlert")).to_have_count(0)
    page.locator(".st-key-alike .bar").nth(1).click()
    expect(page.locator(".st-key-alike .bar").nth(1)).to_have_attribute("data-marked", "")


def test_the_tokens_that_carry_a_judgement_open_their_arithmetic(visit, page):
    visit("understanding?section=sentiment&text=the+plot+is+dull")
    rows = page.locator(".st-key-carried_occlusion .token")
    expect(rows).not_to_have_count(0)
    rows.nth(0).click()
    expect(page.get_by_text("(token 0) hidden and the text read once more")).to_be_visible()
    settle(page)
    page.locator(".st-key-carried_attention .token").nth(1).click()
    expect(page.locator(".st-key-card")).to_contain_text("mean over")
    expect(page.locator(".st-key-card")).to_contain_text("✓ Check:")
