"""A press is a click, whatever is drawn anew before the release.

A browser fires no click where the pressed element is gone by then.
"""

import json
import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import at_rest, settle

BUTTONS = {  # of each picture: one of its buttons, and what Python hears of it
    "token_graph": (".q button", 2, ["pick", 2]),
    "cross_lines": (".q button", 2, ["pick", 2]),
    "token_arcs": ("ol button", 2, ["pick", 2]),
    "beam_tree": ("ol button", 1, ["pick", 1]),
    "bar_list": (".bar", 2, ["pick", 2]),
    "token_chips": (".chip", 2, ["pick", 2]),
    "token_line": (".token", 2, ["pick", 2]),
    "head_steps": ('.step[data-step="5"] button.bar', 3, ["pick", 3]),
}
LINES = {  # of each picture: its lines, as many of them, the strongest being drawn last
    "token_graph": (".graph svg line", 10),
    "cross_lines": (".graph svg path", 9),
    "token_arcs": (".arcs svg path", 10),
}


@pytest.fixture
def show(kept, tabs, scripts_url: str):
    """show("token_graph"): that picture as it is first drawn; each is opened once."""

    def go(picture: str) -> Page:
        if picture not in kept:
            kept[picture] = tabs.take()
            kept[picture].goto(f"{scripts_url}/pressed_app?picture={picture}")
        page = at_rest(kept[picture])
        page.get_by_role("button", name="from the start").click()
        heard(page)
        settle(page)
        return page

    return go


def send_new_data(page: Page, of: Locator | None = None) -> None:
    """As when an answer comes in late: nothing is pressed or let go of, and the picture is drawn anew."""
    drawn = of.get_attribute("data-drawn") if of else None
    page.get_by_role("button", name="again").evaluate("button => button.click()")
    if of:
        expect(of).not_to_have_attribute("data-drawn", drawn)
    else:
        expect(page.locator(".st-key-pressed")).to_contain_text("·1")
    settle(page)


def heard(page: Page, *calls: list) -> None:
    expect(page.get_by_test_id("stText")).to_have_text(json.dumps(list(calls)))


def middle(locator: Locator) -> tuple[float, float]:
    locator.scroll_into_view_if_needed()
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def on_the_line(drawing: Locator, n: int) -> tuple[float, float]:
    """A point of the n-th line of a drawing, in the window, where no other line is.

    The lines are drawn anew whenever the picture's size changes: so they are asked of the drawing, which stays, and
    when it stands still.
    """
    drawing.scroll_into_view_if_needed()
    drawing.element_handle().wait_for_element_state("stable")
    return tuple(
        drawing.evaluate(
            "(svg, n) => { const line = svg.querySelectorAll('line, path')[n - 1], m = line.getScreenCTM();"
            " const p = line.getPointAtLength(line.getTotalLength() * 0.3);"
            " return [p.x * m.a + m.e, p.y * m.d + m.f]; }",
            n,
        )
    )


@pytest.mark.parametrize("picture", BUTTONS)
def test_a_button_pressed_while_new_data_comes_in_is_clicked(show, picture):
    page = show(picture)
    selector, nth, call = BUTTONS[picture]
    page.mouse.move(*middle(page.locator(selector).nth(nth)))
    page.mouse.down()
    send_new_data(page)
    page.mouse.up()
    heard(page, call)


@pytest.mark.parametrize("picture", BUTTONS)
def test_a_button_held_with_the_space_bar_while_new_data_comes_in_is_clicked(show, picture):
    page = show(picture)
    selector, nth, call = BUTTONS[picture]
    button = page.locator(selector).nth(nth)
    button.focus()
    page.keyboard.down("Space")
    send_new_data(page)
    expect(button).to_be_focused()
    page.keyboard.up("Space")
    heard(page, call)


@pytest.mark.parametrize("picture", LINES)
@pytest.mark.parametrize("by", ["new data", "a resize"])
def test_a_line_pressed_while_it_is_drawn_anew_is_opened(show, picture, by):
    page = show(picture)
    selector, n = LINES[picture]
    expect(page.locator(selector)).to_have_count(n)
    drawing = page.locator(selector.rpartition(" ")[0])
    page.mouse.move(*on_the_line(drawing, n))
    expect(page.locator(".tip")).to_contain_text("looks at" if picture != "cross_lines" else "looked at")
    told = page.locator(".tip").text_content()
    page.mouse.down()
    drawing.evaluate("svg => { svg.lastElementChild.dataset.pressed = ''; }")
    if by == "new data":
        send_new_data(page)
    else:
        drawing.evaluate("svg => { svg.getRootNode().host.style.width = 'calc(100% - 2px)'; }")
    expect(drawing.locator("[data-pressed]")).to_have_count(0)  # drawn anew
    page.mouse.up()
    labels = [re.search(r"\w+", label)[0] for label in re.findall("“(.*?)”", told)]
    heard(page, ["open", *(["one", "two", "six", "ten"].index(label) for label in labels)])


def test_a_node_of_the_beam_pressed_while_new_data_comes_in_is_picked(show):
    page = show("beam_tree")
    page.mouse.move(*middle(page.locator(".node.finished").nth(0)))
    expect(page.locator(".tip")).to_contain_text("Click to read this translation")
    page.mouse.down()
    send_new_data(page)
    page.mouse.up()
    heard(page, ["pick", 0])


def test_a_node_of_all_layers_pressed_while_new_data_comes_in_is_picked(show):
    page = show("layer_graph")
    box, row = page.locator("canvas").bounding_box(), page.locator("li").nth(2).bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, row["y"] + row["height"] / 2)  # the middle one of three columns
    expect(page.locator(".count")).to_contain_text("Back from “six·0” after layer 0")
    page.mouse.down()
    send_new_data(page)
    page.mouse.up()
    heard(page, ["pick", 1, 2])


def test_a_tile_pressed_while_new_data_comes_in_is_picked(show):
    page = show("head_grid")
    canvas = page.locator("canvas")
    expect(canvas).to_have_attribute("data-drawn", re.compile("."))
    pitch = page.locator(".chosen").bounding_box()["width"]
    thin = 28  # px: the row of layer 0, which has a name and no tiles
    canvas.hover(position={"x": 58 + 1.5 * pitch, "y": 24 + 0.5 * thin})
    expect(page.locator(".tip")).to_have_text("layer 0: state space, no attention weights")
    canvas.hover(position={"x": 58 + 1.5 * pitch, "y": 24 + thin + 0.1 * pitch})
    expect(page.locator(".tip")).to_have_text("layer 1, head 1")
    page.mouse.down()
    send_new_data(page, of=canvas)
    page.mouse.up()
    heard(page, ["pick", 1, 1])
