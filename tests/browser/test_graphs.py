"""The lines between tokens in a real browser, as columns and as arcs, against the arrays that they were given."""

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import calls, settle
from tests.browser.graphs_app import CASES, LABELS
from viz.figures.edges import Edges, choose_edges, count_sentence, strongest

BOTH = ["token_graph", "token_arcs"]
LINE = {"token_graph": ".graph svg line", "token_arcs": ".arcs svg path"}


def chosen(case: str) -> tuple[np.ndarray, list[int], list[int], Edges]:
    weights, labels, queries, keys, options = CASES[case]
    everyone = list(range(len(labels)))
    return weights, queries or everyone, everyone if keys is None else keys, choose_edges(weights, **options)


def part(weights: np.ndarray, edges: Edges, *, query: int | None = None, key: int | None = None) -> Edges:
    """The lines of one row or one column."""
    mine = edges.query == query if key is None else edges.key == key
    cells = weights[query] if key is None else weights[:, key]
    kept = edges.weight[mine]
    left_out = 0.0 if len(kept) == (cells > 0).sum() else float(np.nansum(cells) - kept.sum())
    return Edges(edges.query[mine], edges.key[mine], kept, int((cells > 0).sum()), left_out, edges.shape)


def told(edges: Edges, of: str) -> str:
    return f"{count_sentence(edges)}, of {of}"


def rounded(values: np.ndarray) -> list[str]:
    return ["–" if np.isnan(value) else f"{value:.3f}" for value in values]


def middle_of(page: Page, selector: str, nth: int) -> tuple[float, float]:
    """A point on a line, in the window."""
    return tuple(
        page.locator(selector)
        .nth(nth)
        .evaluate(
            "line => { const p = line.getPointAtLength(line.getTotalLength() * 0.77), m = line.getScreenCTM();"
            " return [p.x * m.a + m.e, p.y * m.d + m.f]; }"
        )
    )


@pytest.mark.parametrize("picture", BOTH)
@pytest.mark.parametrize("case", ["causal", "top", "both", "sums", "one", "none", "zero"])
def test_the_lines_are_those_chosen_and_counted(glance, picture, case):
    page = glance(picture, case)
    edges = chosen(case)[3]
    expect(page.locator(LINE[picture])).to_have_count(len(edges.weight))
    expect(page.locator(".count")).to_have_text(count_sentence(edges))
    for opacity, width in page.locator(LINE[picture]).evaluate_all(
        "all => all.map(line => ['stroke-opacity', 'stroke-width'].map(name => +line.getAttribute(name)))"
    ):
        assert 0 < opacity <= 1
        assert 1 <= width <= 6


@pytest.mark.parametrize("case", ["causal", "top", "both"])
def test_a_hovered_query_shows_its_whole_row_without_the_server(glance, case):
    page = glance("token_graph", case)
    weights, queries, _, edges = chosen(case)
    for row, query in enumerate(queries):
        page.locator(".q button").nth(row).hover()
        mine = part(weights, edges, query=row)
        expect(page.locator(".count")).to_have_text(told(mine, f"what “{LABELS[query]}” looks at"))
        expect(page.locator(LINE["token_graph"])).to_have_count(len(mine.weight))
        assert page.locator(".k .number").all_text_contents() == rounded(weights[row])
    assert page.sent == []


@pytest.mark.parametrize("case", ["top", "both"])
def test_a_hovered_key_shows_its_whole_column_without_the_server(glance, case):
    page = glance("token_graph", case)
    weights, _, keys, edges = chosen(case)
    for column, key in enumerate(keys):
        page.locator(".k button").nth(column).hover()
        mine = part(weights, edges, key=column)
        expect(page.locator(".count")).to_have_text(told(mine, f"all that look at “{LABELS[key]}”"))
        expect(page.locator(LINE["token_graph"])).to_have_count(len(mine.weight))
        assert page.locator(".q .number").all_text_contents() == rounded(weights[:, column])
    assert page.sent == []


@pytest.mark.parametrize("case", ["causal", "both"])
def test_a_token_hovered_among_arcs_shows_both_what_it_looks_at_and_who_looks_at_it(glance, case):
    page = glance("token_arcs", case)
    weights, queries, keys, edges = chosen(case)
    for position, label in enumerate(LABELS):
        page.locator("li button").nth(position).hover()
        expected_out, expected_in, sentences, lines = [""] * 5, [""] * 5, [], set()
        if position in queries:
            row = queries.index(position)
            mine = part(weights, edges, query=row)
            sentences.append(told(mine, f"what “{label}” looks at"))
            lines |= {(int(q), int(k)) for q, k in zip(mine.query, mine.key, strict=True)}
            for key, text in zip(keys, rounded(weights[row]), strict=True):
                expected_out[key] = text
        n_out = len(lines)
        if position in keys:
            column = keys.index(position)
            mine = part(weights, edges, key=column)
            sentences.append(told(mine, f"all that look at “{label}”"))
            lines |= {(int(q), int(k)) for q, k in zip(mine.query, mine.key, strict=True)}
            for query, text in zip(queries, rounded(weights[:, column]), strict=True):
                expected_in[query] = text
        expect(page.locator(".count")).to_have_text("; ".join(sentences))
        assert page.locator("li .out").all_text_contents() == expected_out
        assert page.locator("li .in").all_text_contents() == expected_in
        expect(page.locator(".arcs svg path.out")).to_have_count(n_out)
        expect(page.locator(".arcs svg path.in")).to_have_count(len(lines) - n_out)
    page.locator("li button").first.hover()
    dashes = page.locator(".arcs svg path.in").first.evaluate("path => getComputedStyle(path).strokeDasharray")
    assert dashes != "none"
    assert page.sent == []


def test_arcs_go_above_to_what_came_before_and_below_to_what_comes_after(glance):
    page = glance("token_arcs", "both")
    tokens = page.locator(".arcs ol").bounding_box()
    _, queries, keys, edges = chosen("both")
    ordered = strongest(edges, 99)  # the strongest is drawn last
    drawn = reversed(page.locator(".arcs svg path").all())
    sides = set()
    for path, query, key in zip(drawn, ordered.query, ordered.key, strict=True):
        box, after = path.bounding_box(), keys[key] > queries[query]
        assert (box["y"] > tokens["y"] + tokens["height"] / 2) == after
        sides.add(after)
    assert sides == {True, False}


@pytest.mark.parametrize("picture", BOTH)
@pytest.mark.parametrize("case", ["causal", "both"])
def test_a_line_tells_its_weight_and_a_click_opens_it(show, picture, case):
    page = show(picture, case)
    weights, queries, keys, edges = chosen(case)
    ordered = strongest(edges, 99)
    n, opened = len(ordered.weight), []
    for place in (0, n // 2):
        row, column = int(ordered.query[place]), int(ordered.key[place])
        page.mouse.move(*middle_of(page, LINE[picture], n - 1 - place))
        tip = f"“{LABELS[queries[row]]}” looks at “{LABELS[keys[column]]}”: {weights[row, column]:.4f}"
        expect(page.locator(".tip")).to_contain_text(tip)
        assert page.locator(f"{LINE[picture]}.over").count() == 1
        assert page.sent == []
        page.mouse.down()
        page.mouse.up()
        opened.append(["open", queries[row], keys[column]])
        calls(page, *opened)
        page.sent.clear()
    page.mouse.move(1, 1)
    expect(page.locator(".tip")).to_be_hidden()


@pytest.mark.parametrize(("picture", "tokens"), [("token_graph", ".q button"), ("token_arcs", "li button")])
def test_a_click_pins_a_query_and_another_lets_it_go(show, picture, tokens):
    page = show(picture, "both")
    nth = 1  # the second row is the second token, too
    page.locator(tokens).nth(nth).click()
    calls(page, ["pick", 1])
    expect(page.locator(tokens).nth(nth)).to_have_attribute("aria-pressed", "true")
    page.mouse.move(1, 1)
    expect(page.locator(".count")).to_contain_text("of what “␣cat” looks at")
    page.locator(tokens).nth(nth).press("Enter")
    calls(page, ["pick", 1], ["pick", -1])
    expect(page.locator('[aria-pressed="true"]')).to_have_count(0)


def test_a_key_opens_the_pinned_query_s_weight(show):
    page = show("token_graph", "both")
    page.locator(".k button").nth(2).click()  # nothing is pinned: whose weight would that be?
    page.locator(".q button").nth(0).click()
    calls(page, ["pick", 4])
    page.locator(".k button").nth(2).hover()
    expect(page.locator(".tip")).to_contain_text("“␣mat” looks at “<img src=x onerror=alert(1)>”: 0.3000")
    page.locator(".k button").nth(1).click()  # there is no such weight
    page.locator(".k button").nth(2).click()
    calls(page, ["pick", 4], ["open", 4, 2])


def test_a_finger_on_a_query_then_on_a_key_opens_that_weight(browser, graphs_url):
    with browser.new_context(has_touch=True, viewport={"width": 420, "height": 800}) as touch:
        page = touch.new_page()
        page.goto(graphs_url)
        settle(page)
        page.locator(".q button").nth(3).tap()
        calls(page, ["pick", 3])
        page.locator(".k button").nth(1).tap()
        calls(page, ["pick", 3], ["open", 3, 1])


def test_keys_alone_reach_everything(show):
    page = show("token_graph")
    page.locator(".q button").nth(2).focus()
    expect(page.locator(".count")).to_contain_text("of what “<img src=x onerror=alert(1)>” looks at")
    expect(page.locator(".spoken")).to_have_text("<img src=x onerror=alert(1)> looks most at the: 0.500")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".spoken")).to_have_text("␣the looks most at ␣cat: 0.500")
    page.keyboard.press("Enter")
    calls(page, ["pick", 3])
    expect(page.locator(".q button").nth(3)).to_be_focused()
    for key in ("ArrowRight", "Home", "ArrowDown"):  # to the other side, there to the second key
        page.keyboard.press(key)
    expect(page.locator(".count")).to_contain_text("of all that look at “␣cat”")
    expect(page.locator(".spoken")).to_have_text("most of all, ␣the looks at ␣cat: 0.500")
    page.keyboard.press("Enter")
    calls(page, ["pick", 3], ["open", 3, 1])


def test_labels_are_text(glance):
    for picture in [*BOTH, "layer_graph"]:
        page = glance(picture)
        assert page.locator("img[src=x]").count() == 0
        assert LABELS[2] in page.locator("li .text").all_text_contents()


@pytest.mark.parametrize("picture", BOTH)
def test_512_tokens(show, picture):
    page = show(picture, "long")
    weights, _, _, edges = chosen("long")
    expect(page.locator(LINE[picture])).to_have_count(3000)
    expect(page.locator(".count")).to_have_text(count_sentence(strongest(edges, 3000)))
    token = page.locator(".q button" if picture == "token_graph" else "li button").nth(400)
    token.hover()
    mine = part(weights, edges, query=400)
    expect(page.locator(".count")).to_contain_text(count_sentence(mine))
    numbers = page.locator(".k .number" if picture == "token_graph" else "li .out").all_text_contents()
    assert numbers == rounded(weights[400])
    assert page.sent == []
