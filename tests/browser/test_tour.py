"""The tour of the home page: five steps by keyboard, one question about this very run, nothing sent, nothing forced."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from model.analysis.attention import attention_weights
from tests.browser.conftest import FIRST, N, settle
from tests.browser.test_accessibility import GRAVE, ONLY_WRONG, resize

TEXT = "The cat sat on the mat"


@pytest.fixture
def home(look) -> Page:
    """One page for all that only look at the tour and leave it."""
    page = look("")
    expect(page.locator(".st-key-home_lines .q button")).to_have_count(N)
    expect(page.locator(".st-key-home_next_tokens .row").first).to_be_visible()
    return page


def stop(page: Page):
    return page.get_by_role("dialog")


def test_it_is_offered_and_never_opens_by_itself(home):
    expect(home.get_by_role("button", name="Take the tour: 5 steps")).to_be_visible()
    expect(stop(home)).to_have_count(0)


def test_escape_leaves_from_anywhere_and_gives_the_focus_back(home):
    start = home.get_by_role("button", name="Take the tour")
    start.click()
    expect(stop(home)).to_be_focused()
    home.locator(".st-key-home_lines .q button").nth(2).focus()  # what it points at can be tried
    home.keyboard.press("Escape")
    expect(stop(home)).to_have_count(0)
    expect(start).to_be_focused()
    expect(start).to_have_text("Take the tour: 5 steps")  # left, not taken


def test_axe_finds_nothing_in_it(home):
    home.get_by_role("button", name="Take the tour").click()
    for _ in range(2):
        stop(home).get_by_role("button", name="Next").click()
    expect(stop(home)).to_contain_text("A question")
    grave = [each for each in Axe().run(home, options=ONLY_WRONG).response["violations"] if each["impact"] in GRAVE]
    assert [(each["id"], [node["target"][-1] for node in each["nodes"]]) for each in grave] == []
    home.keyboard.press("Escape")
    expect(stop(home)).to_have_count(0)


def test_five_steps_by_keyboard(home, story):
    run = story.run(story.encode(TEXT))
    row = attention_weights(run.attention[FIRST[0]], FIRST[1])[-1]
    home.get_by_role("button", name="Take the tour").focus()
    home.keyboard.press("Enter")
    expect(stop(home)).to_be_focused()
    titles = []
    for number in range(1, 6):
        expect(stop(home)).to_contain_text(f"{number} of 5")
        titles.append(stop(home).get_by_role("heading").inner_text())
        expect(home.locator(".st-key-tour .ring")).to_be_visible()  # what it points at is there
        if titles[-1] == "A question":
            expect(stop(home)).to_contain_text(f"Which token does “{run.labels[-1]}” look at most?")
            expect(stop(home)).not_to_contain_text(f"{row.max():.3f}")
            stop(home).locator(".answers button").first.focus()
            home.keyboard.press("Enter")
            expect(stop(home).get_by_role("status")).to_contain_text(
                f"It is “{run.labels[int(row.argmax())]}”, with a weight of {row.max():.3f}"
            )
            expect(stop(home).locator("[data-right]")).to_have_text(run.labels[int(row.argmax())])
        expect(stop(home).get_by_role("button", name="Back")).to_have_count(int(number > 1))
        stop(home).get_by_role("button", name="Next" if number < 5 else "Done", exact=True).focus()
        home.keyboard.press("Enter")
    assert len(set(titles)) == 5
    expect(stop(home)).to_have_count(0)
    again = home.get_by_role("button", name="Take the tour again")
    expect(again).to_be_focused()
    assert home.sent == []
    home.reload()
    expect(again).to_be_visible()  # it is remembered


def test_storage_that_is_forbidden_breaks_nothing(page, visit):
    page.add_init_script(
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError'); } })"
    )
    visit("")
    page.get_by_role("button", name="Take the tour").click()
    for number in range(1, 5):
        expect(stop(page)).to_contain_text(f"{number} of 5")
        stop(page).get_by_role("button", name="Next").focus()  # the pointer may miss a box that moves
        page.keyboard.press("Enter")
    stop(page).get_by_role("button", name="Done").click()
    expect(page.get_by_role("button", name="Take the tour again")).to_be_focused()


@pytest.mark.parametrize(("width", "height"), [(853, 480), (390, 844)])
def test_every_step_is_seen_whole_beside_the_sidebar_and_on_a_telephone(home, width, height):
    resize(home, width, height)
    settle(home)
    left = home.locator(".stMain").bounding_box()["x"]
    home.get_by_role("button", name="Take the tour").click()
    for number in range(1, 6):
        expect(stop(home)).to_contain_text(f"{number} of 5")
        box, ring = (home.locator(f".st-key-tour .{part}").bounding_box() for part in ("stop", "ring"))
        assert box["x"] >= left and box["x"] + box["width"] <= width
        assert box["y"] >= 0 and box["y"] + box["height"] <= height
        assert ring["y"] < height and ring["y"] + ring["height"] > 0
        stop(home).get_by_role("button", name="Next" if number < 5 else "Done", exact=True).focus()
        home.keyboard.press("Enter")
