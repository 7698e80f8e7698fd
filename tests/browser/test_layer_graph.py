"""The graph of all layers in a real browser: what it shows against the arrays it was given."""

from collections.abc import Container

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import calls, until
from tests.browser.graphs_app import LABELS, MAPS, OTHERS
from viz.figures.edges import Edges, choose_edges, count_sentence


def rollout(layers: list[Edges], column: int, token: int, others: Container[int] = ()) -> np.ndarray:
    """How much of each node reaches one node along chosen lines, (column + 1, T), by products of whole matrices.

    Layers that are `others` pass all on.
    """
    shares = [np.eye(layers[0].shape[1])[token]]
    for layer in reversed(range(column)):
        edges, weights = layers[layer], np.zeros(layers[layer].shape)
        weights[edges.query, edges.key] = edges.weight
        shares.insert(0, shares[0] @ (np.eye(len(weights)) if layer in others else weights))
    return np.array(shares)


def node(page: Page, column: int, token: int, case: str = "causal") -> tuple[float, float]:
    """Where a node is, in the window."""
    box, row = page.locator("canvas").bounding_box(), page.locator("li").nth(token).bounding_box()
    pitch = (box["width"] - 2 * 16) / len(MAPS[case])
    return box["x"] + 16 + column * pitch, row["y"] + row["height"] / 2


def layers_of(case: str, top: int = 2) -> list[Edges]:
    nothing = np.full_like(MAPS[case][0], np.nan)
    return [choose_edges(nothing if weights is None else weights, top=top) for weights in MAPS[case]]


@pytest.mark.parametrize("case", ["causal", "one", "sums", "zero"])
def test_all_layers_lines_are_counted(glance, case):
    page = glance("layer_graph", case)
    layers = layers_of(case)
    expect(page.locator(".count")).to_have_text(count_sentence(*layers))
    expect(page.locator("canvas")).to_have_attribute("data-lines", str(sum(len(each.weight) for each in layers)))
    names = page.locator(".heading span").all_text_contents()
    assert names == ["input", *(f"after layer {layer}" for layer in range(len(layers)))]


@pytest.mark.parametrize("case", ["causal", "one", "hybrid"])
def test_a_node_s_paths_are_followed_back_without_the_server(glance, case):
    page = glance("layer_graph", case)
    layers = layers_of(case)
    for column in range(len(layers) + 1):
        for token in range(layers[0].shape[0]):
            page.mouse.move(*node(page, column, token, case))
            where = f"after layer {column - 1}" if column else "at the input"
            expect(page.locator(".count")).to_contain_text(f"Back from “{LABELS[token]}” {where}: ")
            shares = rollout(layers, column, token, OTHERS.get(case, ()))
            assert page.locator("li .number").all_text_contents() == [f"{share:.3f}" for share in shares[0]]
            total = shares[0].sum()
            expect(page.locator(".count")).to_contain_text(
                f"the numbers add up to {total:.3f}, {1 - total:.3f} is lost where no line is drawn"
                if total < 0.999
                else "the numbers add up to 1, nothing is lost"
            )
            on_path = sum(int((shares[layer + 1, layers[layer].query] > 0).sum()) for layer in range(column))
            expect(page.locator("canvas")).to_have_attribute("data-lines", str(on_path))
    page.mouse.move(1, 1)
    expect(page.locator(".count")).to_have_text(count_sentence(*layers))
    assert page.sent == []


def test_sums_above_one_are_called_what_they_are(glance):
    page = glance("layer_graph", "sums")
    page.mouse.move(*node(page, 1, 1, "sums"))
    expect(page.locator(".count")).to_contain_text(
        "the numbers add up to 4.000; rows of these maps add up to more than 1"
    )


def test_a_click_pins_a_node_and_another_lets_it_go(show):
    page = show("layer_graph")
    page.mouse.click(*node(page, 2, 3))
    calls(page, ["pick", 2, 3])
    page.mouse.move(1, 1)
    expect(page.locator(".count")).to_contain_text("Back from “␣the” after layer 1: ")
    page.mouse.click(*node(page, 2, 3))
    calls(page, ["pick", 2, 3], ["pick", -1, -1])
    page.mouse.move(1, 1)
    expect(page.locator(".count")).to_have_text(count_sentence(*layers_of("causal")))


def test_a_line_between_layers_tells_its_weight_and_a_click_opens_it(show):
    page = show("layer_graph")
    (x1, y1), (x2, y2) = node(page, 0, 1), node(page, 1, 3)  # layer 0: token 3 looks at token 1
    page.mouse.move(x1 + 0.9 * (x2 - x1), y1 + 0.9 * (y2 - y1))
    expect(page.locator(".tip")).to_contain_text("layer 0: “␣the” looks at “␣cat”: 0.5000")
    assert page.sent == []
    page.mouse.click(x1 + 0.9 * (x2 - x1), y1 + 0.9 * (y2 - y1))
    calls(page, ["open", 0, 3, 1])


def test_the_layers_are_read_with_keys_alone(show):
    page = show("layer_graph")
    canvas = page.locator("canvas")
    canvas.focus()
    page.keyboard.press("ArrowUp")  # from the last token after the last layer
    expect(page.locator(".count")).to_contain_text("Back from “␣the” after layer 2: ")
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".spoken")).to_contain_text("“␣the” after layer 1: most comes from")
    page.keyboard.press("Shift+Enter")
    calls(page, ["open", 1, 3, 2])  # the strongest into that node
    page.keyboard.press("Enter")
    calls(page, ["open", 1, 3, 2], ["pick", 2, 3])


def test_what_the_canvas_draws_follows_the_theme(show):
    page = show("layer_graph")
    page.emulate_media(color_scheme="light")
    dot = "c => { const r = devicePixelRatio; return [...c.getContext('2d').getImageData(16 * r, "
    dot += "c.height / 10, 1, 1).data]; }"  # the first of five rows
    canvas = page.locator("canvas")
    assert sum(canvas.evaluate(dot)[:3]) < 300
    page.get_by_test_id("stMainMenu").locator("button").first.click()
    page.get_by_test_id("stMainMenuItem-theme-Dark").click()
    until(canvas, f"canvas => ({dot})(canvas).slice(0, 3).reduce((a, b) => a + b) > 450")


def test_512_tokens_through_six_layers(show):
    page = show("layer_graph", "long")
    layers = layers_of("long", top=8)
    assert sum(len(each.weight) for each in layers) > 20_000
    expect(page.locator(".count")).to_have_text(count_sentence(*layers))
    assert page.locator(".scroll").bounding_box()["height"] <= 620
    page.locator(".scroll").evaluate("box => { box.scrollTop = 24 * 300; }")
    page.mouse.move(*node(page, 6, 310, "long"))
    expect(page.locator(".count")).to_contain_text("Back from “word” after layer 5: ")
    assert page.locator("li .number").all_text_contents() == [f"{share:.3f}" for share in rollout(layers, 6, 310)[0]]
    assert page.sent == []
    page.mouse.move(1, 1)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")  # which emulation does not send
    page.emulate_media(media="print")
    whole = str(sum(len(each.weight) for each in layers))
    try:
        expect(page.locator("canvas")).to_have_attribute("data-lines", whole)
        tall, names = (page.locator(each).bounding_box()["height"] for each in ("canvas", "ol"))
        assert tall == pytest.approx(names, rel=0.01) and tall > 10_000
    finally:
        page.emulate_media(media="screen")
        page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("canvas").bounding_box()["height"] == 620
