"""The address in a real browser: Back and Forward, new tabs, a reload, a text typed and a link pressed at once."""

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import settle
from tests.browser.wire import Wire

TEXT = "the+cat+saw+the+dog"


def link(page: Page, name: str):
    return page.locator(".st-key-pages").get_by_role("link", name=name, exact=True)


def follow(page: Page, name: str, path: str) -> None:
    link(page, name).click()
    expect(page).to_have_url(re.compile(rf"/{path}(\?|$)"))
    expect(link(page, name)).to_have_attribute("aria-current", "page")
    settle(page)


def right(page: Page, key: str, times: int) -> None:
    for _ in range(times):
        page.locator(f".st-key-{key} input[type=range]").first.press("ArrowRight")


def at(page: Page, query: str) -> None:
    """The address ends so, when all is drawn."""
    settle(page)
    expect(page).to_have_url(re.compile(re.escape(query) + "$"))


def value(page: Page, key: str, number: int) -> None:
    expect(page.locator(f".st-key-{key} input[type=range]").first).to_have_value(str(number))


def test_back_and_forward_lead_through_pages_with_their_choices(visit, page):
    visit(f"?text={TEXT}&layer=0&head=0")
    n = page.evaluate("history.length")
    follow(page, "Attention", "attention")
    right(page, "layer", 2)
    at(page, f"attention?text={TEXT}&layer=2&head=0")
    follow(page, "Inside a head", "head")
    right(page, "head", 3)
    at(page, f"head?text={TEXT}&layer=2&head=3")
    follow(page, "Generation", "generation")
    page.locator(".st-key-next_one button").click()
    expect(page).to_have_url(re.compile("written="))
    settle(page)
    written = page.url
    follow(page, "Tokenization", "tokenization")
    assert page.evaluate("history.length") == n + 4  # one a page, whatever was chosen there
    visited = (
        (written.split("/")[-1], None),
        (f"head?text={TEXT}&layer=2&head=3", ("head", 3)),
        (f"attention?text={TEXT}&layer=2&head=0", ("layer", 2)),
        (f"?text={TEXT}&layer=0&head=0", None),
    )
    for address, slider in visited:
        page.go_back()
        at(page, address)
        if slider:
            value(page, *slider)
    for address, slider in visited[-2:-4:-1]:
        page.go_forward()
        at(page, address)
        value(page, *slider)
    for _ in range(2):  # quickly: runs of the pages between are still on their way
        page.go_back()
    at(page, f"?text={TEXT}&layer=0&head=0")
    for _ in visited:
        page.go_forward()
    at(page, f"tokenization?text={TEXT}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Tokenization")
    page.go_back()
    at(page, written.split("/")[-1])
    chips = page.locator(".st-key-film .text")
    expect(chips).not_to_have_text("", use_inner_text=True)  # it is drawn after the text
    before = chips.inner_text()
    page.reload()
    at(page, written.split("/")[-1])
    expect(chips).to_have_text(before, use_inner_text=True)


OF_TRANSLATOR = f"attention?text={TEXT}&model=translator&layer=0&head=0"


def test_every_link_leads_to_its_page_wherever_it_stands(look):
    page = look(OF_TRANSLATOR)
    links = page.locator(".st-key-pages a")
    expect(links.first).to_have_attribute("href", re.compile(r"^/(\?|$)"))  # and not to this page, as "?…" would
    others = page.locator(".st-key-pages a:not([aria-current])")
    addresses = others.evaluate_all("(all) => all.map((each) => each.getAttribute('href'))")
    assert len(addresses) > 8 and all(address.startswith("/") for address in addresses)
    expect(page.locator(".st-key-pages a[aria-current=page]")).to_have_text(re.compile("Attention"))


def test_a_link_in_a_new_tab_shows_what_is_chosen(look):
    page = look(OF_TRANSLATOR)
    right(page, "layer", 1)  # draws a part of the page: the links know it all the same
    at(page, f"attention?model=translator&text={TEXT}&layer=1&head=0")
    there = f"head?model=translator&text={TEXT}&layer=1&head=0"
    for click in ({"modifiers": ["Control"]}, {"button": "middle"}):
        with page.context.expect_page() as opened:
            link(page, "Inside a head").click(**click)
        tab = opened.value
        expect(tab).to_have_url(re.compile(re.escape(there) + "$"))
        if "button" in click:  # what both have opened
            at(tab, there)
            expect(tab.locator(".st-key-text textarea")).to_have_value(TEXT.replace("+", " "))
            value(tab, "layer", 1)
        tab.close()
    assert "/attention?" in page.url


def test_the_link_that_is_copied_is_the_address(look):
    page = look(OF_TRANSLATOR)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    right(page, "head", 2)
    at(page, "&head=2")
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == page.url


def test_a_text_typed_and_a_link_pressed_at_once_lose_nothing(visit, page):
    visit("attention?layer=3")
    for i, (name, path) in enumerate([("Inside a head", "head"), ("Attention", "attention")] * 2):
        page.locator(".st-key-text textarea").fill(f"typed {i}")
        # the press takes the focus away: the text is sent, and then the click
        link(page, name).hover()
        page.mouse.down()
        expect(link(page, name)).to_have_attribute("href", re.compile(rf"text=typed\+{i}\b"))
        page.mouse.up()
        at(page, f"{path}?text=typed+{i}&layer=3&head=0")


def test_keys_pressed_while_a_run_is_on_its_way_are_not_taken_back(page, app_url):
    wire = Wire(page)
    page.goto(f"{app_url}/head?text={TEXT}&layer=2&head=0")
    settle(page)
    wire.hold()
    right(page, "head", 1)
    wire.wait_for_a_run()
    right(page, "head", 1)
    wire.send_a_run()
    expect(page).to_have_url(re.compile("head=1$"))  # of the first press, while the second is chosen
    right(page, "head", 1)
    wire.let_go()
    at(page, f"head?text={TEXT}&layer=2&head=3")
    value(page, "head", 3)


def test_presenting(visit, page):
    page.emulate_media(reduced_motion="no-preference")
    visit(f"attention?text={TEXT}")
    page.get_by_role("button", name="Present").click()
    at(page, f"attention?text={TEXT}&present=true")
    expect(page.get_by_test_id("stSidebar")).to_be_hidden()
    main = page.get_by_test_id("stMain")
    places = [main.evaluate("main => main.scrollTop")]
    for _ in range(2):
        page.evaluate("document.activeElement.blur()")  # from what takes keys of its own
        main.evaluate(
            """(main) => { window.scrolled = new Promise((done) =>
              main.addEventListener("scrollend", done, { once: true })); }"""
        )
        page.keyboard.press("ArrowRight")
        page.evaluate("() => window.scrolled.then(() => {})")
        places.append(main.evaluate("main => main.scrollTop"))
    assert places[0] < places[1] < places[2]
    page.keyboard.press("Escape")
    at(page, f"attention?text={TEXT}")
    expect(page.get_by_test_id("stSidebar")).to_be_visible()


def test_what_an_embedding_page_says_stays(visit, page):
    visit(f"attention?embed=true&text={TEXT}&layer=0&head=0")
    right(page, "layer", 1)
    at(page, f"attention?text={TEXT}&layer=1&head=0&embed=true")
