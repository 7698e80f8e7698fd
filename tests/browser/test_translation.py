"""The page Translation in a browser: pointing, clicking, and the ways to other pages."""

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from model.analysis.alignment import align
from model.analysis.attention import layer_weights
from model.text.prompt import Prompt, RunKey
from model.text.units import units_of
from tests.browser.conftest import settle, until
from viz.ui import session

TEXT, TARGET = "The black cat saw the white cat.", "Le chat noir a vu le chat blanc."
LINES_END_HERE = """word => {
  const box = word.getBoundingClientRect(), paths = [...word.closest(".stage").querySelectorAll("svg path")];
  return paths.length > 0 && paths.every((path) => {
    const end = path.getPointAtLength(path.getTotalLength()), to = path.getScreenCTM();
    const x = end.x * to.a + to.e, y = end.y * to.d + to.f;
    return Math.abs(x - box.x - box.width / 2) < 2 && Math.abs(y - box.y) < 2;
  });
}"""
LINK = f"translation?text={TEXT.replace(' ', '+')}&target={TARGET.replace(' ', '+')}"


@pytest.fixture(scope="module")
def weights() -> np.ndarray:
    """(Q, K) between words, the mean of all heads: by hand, from the run that the page shows."""
    run = session.run_of(RunKey("translator", Prompt(TEXT, target=TARGET)))
    written, source = units_of(run.tokens[1:], TARGET, "words"), units_of(run.source, TEXT, "words")
    tokens = np.mean([layer_weights(layer) for layer in run.cross], axis=(0, 1))[:-1]
    columns = np.add.reduceat(tokens, source.starts, axis=1)
    return np.array([columns[list(written.tokens(unit))].mean(axis=0) for unit in range(len(written))])


@pytest.fixture
def lines(look):
    """The two lines of words, drawn, on one page for all tests: those that only point and read come first. What is
    sent from now on is in `page.sent`."""
    page = look(LINK)
    expect(page.locator(".st-key-beam_tree ol button").first).to_be_visible()
    yield page.locator(".st-key-cross_lines")
    assert page.complaints == []


def rounded(values: np.ndarray) -> list[str]:
    return [f"{value:.3f}" for value in values.tolist()]


def test_the_aligned_lines_stand_out(lines, weights):
    weights = weights.copy()
    weights[:, -1] = 0  # the end token goes with nothing
    n = int((align(weights).row_best & (weights >= 0.3 / weights.shape[1])).sum())
    expect(lines.locator("svg path.aligned")).to_have_count(n)


def test_a_line_ends_at_its_words(lines):
    """Wherever the lines of words break: on a narrow screen, too."""
    for width in (1280, 420):
        lines.page.set_viewport_size({"width": width, "height": 900})
        lines.locator(".q button").nth(1).hover()
        expect(lines.locator(".count")).to_contain_text("what was looked at to write “chat”")
        until(lines.locator(".q button").nth(1), LINES_END_HERE)
    lines.page.set_viewport_size({"width": 1280, "height": 900})


def test_pointing_shows_one_word_without_the_server(lines, weights):
    page, row = lines.page, 2
    lines.locator(".q button").nth(row).hover()
    expect(lines.locator("svg path")).to_have_count(int((weights[row] >= 0.3 / weights.shape[1]).sum()))
    assert lines.locator(".k .number").all_text_contents() == rounded(weights[row])
    lines.locator(".k button").nth(1).hover()
    expect(lines.locator(".count")).to_contain_text("all that was written looking at “black”")
    assert lines.locator(".q .number").all_text_contents() == rounded(weights[:, 1])
    lines.locator(".q button").first.focus()  # by keyboard, too
    expect(lines.locator(".spoken")).to_contain_text("to write Le, looked most at")
    assert page.sent == []


def test_a_click_keeps_a_word_moves_to_its_step_and_opens_the_card(lines, weights):
    page = lines.page
    lines.locator(".q button").nth(1).click()
    settle(page)
    expect(lines.locator(".q button").nth(1)).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".st-key-step input[type=range]")).to_have_value("1")
    lines.locator(".k button").nth(2).click()
    expect(page.locator(".st-key-card .weight-card")).to_contain_text(f"value{weights[1, 2]:.4f}")
    expect(page.locator(".st-key-card .weight-card")).to_contain_text("✓")
    settle(page)
    page.keyboard.press("Escape")
    expect(page.locator(".st-key-card")).to_have_count(0)
    settle(page)


def test_a_tile_chooses_the_head(lines):
    page = lines.page
    grid = page.locator(".st-key-cross_grid canvas")
    expect(grid).to_have_attribute("data-drawn", re.compile("."))
    pitch = page.locator(".st-key-cross_grid .chosen").bounding_box()["width"]
    grid.click(position={"x": 58 + 4.5 * pitch, "y": 24 + 1.5 * pitch})
    expect(page).to_have_url(re.compile("across=head"))
    expect(page).to_have_url(re.compile("layer=1&head=4|head=4&layer=1"))
    expect(page.get_by_text("by layer 1, head 4.")).to_be_visible()
    settle(page)


def test_a_candidate_of_the_beam_is_read(lines):
    page = lines.page
    candidates = page.locator(".st-key-beam_tree ol button")
    text = candidates.first.locator(".text").text_content()
    candidates.first.hover()
    expect(page.locator(".st-key-beam_tree svg[data-lit] .node.on").last).to_be_visible()
    assert page.sent == []
    candidates.first.click()
    settle(page)
    expect(page.locator(".st-key-own_target textarea")).to_have_value(text)
    expect(page.locator(".st-key-target textarea")).to_have_value(text)
    expect(candidates.first).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_text("candidate 0 is what is read above")).to_be_visible()
    last = candidates.count() - 1
    for i in range(1, last + 1):  # each is read by its own tokens, however its text would be cut
        candidates.nth(i).click()
        settle(page)
        expect(candidates.nth(i)).to_have_attribute("aria-pressed", "true")
        expect(page.get_by_text(f"candidate {i} is what is read above")).to_be_visible()
    expect(page).to_have_url(re.compile("target_ids="))
    page.reload()  # and the address keeps them
    settle(page)
    expect(page.get_by_text(f"candidate {last} is what is read above")).to_be_visible()


def test_the_other_kinds_are_one_click_away(lines):
    page = lines.page
    for kind, said in (("encoder", "encoder's own"), ("cross", "cross-attention")):
        if "/attention" in page.url:  # which the first has led to
            page.go_back()
            settle(page)
        page.locator(f".st-key-open_{kind} button").click()
        expect(page.get_by_role("heading", name=re.compile(said))).to_be_visible()
        expect(page).to_have_url(re.compile(rf"/attention\?.*kind={kind}"))
        expect(page).to_have_url(re.compile("model=translator"))
        settle(page)
