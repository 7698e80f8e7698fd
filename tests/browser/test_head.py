"""Inside a head, in a real browser: pointing lights up the inputs, without the server; the numbers are the run's."""

import re

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from model.analysis.head import HeadSteps, head_steps
from model.huggingface.checkpoint import load
from tests.browser.conftest import WINDOW, N, settle
from tests.browser.test_accessibility import resize
from tests.head_models import write

LINK = "head?layer=2&head=1&token=4&key=2"  # of “The cat sat on the mat”: “␣the” looks


@pytest.fixture(scope="module")
def steps(story) -> HeadSteps:
    run = story.run(story.encode("The cat sat on the mat"))
    return head_steps(run, story.layer_parameters(2), 2, 1, 4)


@pytest.fixture
def path(look) -> Page:
    """One page for all tests: those that only point come first."""
    page = look(LINK)
    expect(page.locator(".step")).to_have_count(9)
    expect(page.locator(".path.pointing")).to_have_count(0)
    return page


def step(page: Page, number: int) -> Locator:
    """The step with this number on the page."""
    return page.locator(f'.step[data-step="{number - 1}"]')


def line(page: Page, number: int) -> Locator:
    return step(page, number).locator(".line")


def parts(page: Page, kind: str) -> list[str]:
    """Which parts are lit, or marked as …; sorted, each once."""
    return sorted(set(page.locator(f"[data-part].{kind}").evaluate_all("nodes => nodes.map((n) => n.dataset.part)")))


def point_at(strip: Locator, i: int) -> None:
    """The middle of element i of a strip, which goes on in further lines where it has no room."""
    strip.scroll_into_view_if_needed()
    box, per, lines = strip.bounding_box(), *(int(strip.get_attribute(name)) for name in ("data-per", "data-lines"))
    x, y = (i % per + 0.5) / per, (i // per + 0.5) / lines
    strip.hover(position={"x": box["width"] * x, "y": box["height"] * y})


def numbers(text: str) -> list[float]:
    return [float(found.replace("−", "-")) for found in re.findall(r"−?\d+\.\d{4}|−?∞", text.replace("∞", "inf"))]


def shown(value: float) -> str:
    return "−∞" if value == -np.inf else f"{value:.4f}".replace("-", "−")


def test_the_numbers_are_the_tensors(path, steps):
    for number, values in {4: steps.dots, 5: steps.scores, 6: steps.weights, 7: steps.weights}.items():
        texts = step(path, number).locator("button.bar .number").all_text_contents()
        assert texts == [shown(value) for value in values.tolist()]
    assert step(path, 5).locator(".from").all_text_contents() == [shown(value) for value in steps.dots.tolist()]
    assert step(path, 6).locator(".from").all_text_contents() == [shown(value) for value in steps.scores.tolist()]


def test_the_cells_are_the_tensors(path, steps):
    """Each pixel: the colour is the sign, the opacity the size."""
    read = "c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
    for part, values in {"x": steps.hidden, "q": steps.q.end, "z": steps.mixed, "after": steps.after}.items():
        canvas = path.locator(f'[data-part="{part}"] canvas').first
        canvas.scroll_into_view_if_needed()
        pixels = np.array(canvas.evaluate(read)).reshape(-1, 4)[: len(values)]
        full = np.sort(np.abs(values))[int(0.98 * (len(values) - 1))]
        np.testing.assert_allclose(pixels[:, 3], 255 * np.minimum(1, np.abs(values) / full), atol=1)
        strong = np.abs(values) > 0.1 * full
        assert ((pixels[:, 2] > pixels[:, 0]) == (values > 0))[strong].all()  # more blue than red


def test_at_rest_the_chosen_key_is_spelled_out(path, steps):
    expect(step(path, 4).locator(".row.chosen")).to_contain_text("␣sat")
    assert numbers(line(path, 4).inner_text()) == pytest.approx([steps.dots[2]], abs=6e-5)
    assert numbers(line(path, 5).inner_text()) == pytest.approx([steps.dots[2], steps.scores[2]], abs=6e-5)
    assert numbers(line(path, 6).inner_text())[-1] == pytest.approx(steps.weights[2], abs=6e-5)
    assert numbers(line(path, 2).inner_text()) == pytest.approx([steps.mean, steps.deviation], abs=6e-5)


def test_a_score_lights_up_query_and_key(path, steps):
    step(path, 4).locator("button.bar").nth(3).hover()
    expect(line(path, 4)).to_contain_text(f"q · k3 = {shown(steps.dots[3])}")
    assert parts(path, "lit") == ["K.3", "q"]
    assert parts(path, "target") == ["d.3"]


def test_a_weight_lights_up_all_scores(path, steps):
    step(path, 6).locator("button.bar").nth(1).hover()
    expect(line(path, 6)).to_contain_text(f"/ {shown(steps.denominator)} = {shown(steps.weights[1])}")
    assert parts(path, "lit") == [f"s.{key}" for key in range(N)]


def test_a_masked_score_says_why(path, steps, story):
    bar = step(path, 5).locator("button.bar").nth(5)
    expect(bar).to_contain_text("masked")
    bar.hover()
    key = story.encode("The cat sat on the mat")[5].piece.decode().replace(" ", "␣")
    expect(line(path, 5)).to_contain_text(f"{shown(steps.scaled[5])}, but “{key}” (5) comes after the query: s5 = −∞")


def test_an_element_of_the_mix_lights_up_weights_and_a_column_of_values(path, steps):
    point_at(step(path, 7).locator('[data-part="z"]'), 12)
    expect(line(path, 7)).to_contain_text(f"… = {shown(steps.mixed[12])}")
    assert parts(path, "lit") == sorted([f"a.{key}" for key in range(N)] + [f"V.{key}" for key in range(N)])
    marks = step(path, 7).locator('[data-part^="V."] .mark')
    expect(marks).to_have_count(N)
    lefts = marks.evaluate_all("nodes => nodes.map((n) => parseFloat(n.style.left))")
    assert lefts == pytest.approx([100 * 12 / len(steps.mixed)] * N, abs=0.01)
    terms = numbers(line(path, 7).inner_text())
    best = np.argsort(-steps.weights)[:3]
    assert terms[:6] == pytest.approx(np.stack([steps.weights, steps.values.end[:, 12]])[:, best].T.ravel(), abs=6e-5)


def test_each_vector_lights_up_what_it_was_made_from(path, steps):
    point_at(step(path, 2).locator(".strip"), 20)
    assert parts(path, "lit") == ["x"]
    expect(line(path, 2)).to_contain_text(f"= {shown(steps.normed[20])}")
    point_at(step(path, 3).locator('[data-part="q"]'), 5)
    assert parts(path, "lit") == ["n"]
    parted = [steps.q.projected[5] - steps.q.bias[5], steps.q.bias[5], steps.q.end[5]]
    assert numbers(line(path, 3).inner_text()) == pytest.approx(parted, abs=6e-5)
    point_at(step(path, 8).locator(".strip"), 100)
    assert parts(path, "lit") == ["z"]
    expect(line(path, 8)).to_contain_text(f"= {shown(steps.projected[100])}")


def test_the_sum_lights_up_its_four_summands(path, steps):
    point_at(step(path, 9).locator('[data-part="after"]'), 50)
    assert parts(path, "lit") == ["bias", "o", "others", "x"]
    expected = [steps.hidden[50], steps.projected[50], steps.others[50], steps.output_bias[50], steps.after[50]]
    found = numbers(line(path, 9).inner_text())
    assert found == pytest.approx(expected, abs=6e-5)
    assert sum(found[:4]) == pytest.approx(found[4], abs=3e-4)


def test_the_keyboard_does_the_same(path, steps):
    strip = step(path, 3).locator('[data-part="v"]')
    strip.focus()
    for _ in range(3):
        strip.press("ArrowRight")
    expect(line(path, 3)).to_contain_text("v[3] = row 3 of Wv")
    assert parts(path, "lit") == ["n"]
    chosen = step(path, 6).locator('button.bar[tabindex="0"]')
    expect(chosen).to_have_count(1)  # one stop for the whole column
    chosen.focus()
    chosen.press("ArrowDown")
    expect(line(path, 6)).to_contain_text(f"= {shown(steps.weights[3])}")
    assert parts(path, "target") == ["a.3"]
    path.evaluate("document.activeElement.blur()")


def test_narrow_windows_hold_it(path, steps):
    resize(path, 420, 900)
    strip = step(path, 9).locator('[data-part="after"]')
    strip.scroll_into_view_if_needed()
    expect(strip).not_to_have_attribute("data-lines", "1")  # its numbers go on below
    assert path.evaluate("document.documentElement.scrollWidth") <= 420
    second_line = int(strip.get_attribute("data-per")) + 2
    point_at(strip, second_line)
    expect(line(path, 9)).to_contain_text(f"x′[{second_line}]")
    expect(line(path, 9)).to_contain_text(f"= {shown(steps.after[second_line])}")
    resize(path, **WINDOW)


def test_pointing_needs_no_server_and_a_click_on_a_weight_opens_its_card_and_chooses_its_key(path, steps):
    for key in range(5):
        step(path, 4).locator("button.bar").nth(key).hover()
    point_at(step(path, 7).locator('[data-part="z"]'), 3)
    assert parts(path, "lit")
    path.mouse.move(5, 300)
    expect(path.locator(".path.pointing")).to_have_count(0)
    step(path, 6).locator("button.bar").nth(1).click()
    expect(path.locator(".st-key-card .weight-card")).to_be_visible()
    assert len(path.sent) == 1  # the click: frames come in their order
    settle(path)
    expect(path.locator(".st-key-card")).to_contain_text(f"{steps.weights[1]:.4f}")
    expect(step(path, 6).locator(".row.chosen")).to_contain_text("␣cat")
    expect(path.get_by_test_id("stException")).to_have_count(0)
    expect(path.get_by_role("dialog")).to_be_focused()
    path.keyboard.press("Escape")
    expect(path.get_by_role("dialog")).to_have_count(0)
    assert path.evaluate("document.activeElement.shadowRoot?.activeElement?.dataset.part") == "a.1"  # where it was
    settle(path)
    path.evaluate("document.activeElement.blur()")


def test_another_head_is_drawn_at_once(path, story):
    path.locator(".st-key-head").get_by_role("slider").press("ArrowRight")
    run = story.run(story.encode("The cat sat on the mat"))
    other = head_steps(run, story.layer_parameters(2), 2, 2, 4)
    expect(step(path, 6).locator("button.bar .number").first).to_have_text(shown(other.weights[0]))
    expect(path).to_have_url(re.compile("head=2"))


@pytest.fixture(scope="module")
def root(own_models):
    for name in ("qwen3", "gemma2", "phi"):
        write(name, own_models)
    return own_models


@pytest.fixture
def other(page, app_url, root):
    """`other("qwen3", 11)`: the page of another model with so many steps, and the path that it should show."""

    def visit(name: str, n_step: int) -> tuple[Page, HeadSteps]:
        text = "the cat saw the dog"
        page.goto(f"{app_url}/head?layer=1&head=2&token=4&key=1&text={text}&model=folder:{root / name}")
        expect(page.locator(".step")).to_have_count(n_step)
        lm = load(root / name, name=name, title=name)
        return page, head_steps(lm.run(lm.encode(text)), lm.layer_parameters(1), 1, 2, 4)

    return visit


def test_a_rotation_says_which_pair_was_turned_by_how_much(other):
    page, steps = other("qwen3", 11)
    point_at(step(page, 4).locator('[data-part="qn"]'), 3)
    assert parts(page, "lit") == ["qp"]
    projected, normed, turned = steps.q.projected, steps.q.normed, steps.q.turned
    made = [projected[3], steps.query_size[1], steps.query_norm.gain[0, 3], normed[3]]
    assert numbers(line(page, 4).inner_text()) == pytest.approx(made, abs=6e-5)
    first, second = (pair[1] for pair in steps.rotary.pairs)
    angle = steps.angles[1]
    point_at(step(page, 5).locator('[data-part="q"]'), second)
    assert parts(page, "lit") == ["qn"]
    expect(step(page, 5).locator('[data-part="qn"] .mark')).to_have_count(2)
    made = [angle, normed[second], np.cos(angle), normed[first], np.sin(angle), turned[second]]
    text = line(page, 5).inner_text()
    assert numbers(text.partition(" = ")[2].partition(" = ")[2]) == pytest.approx(made, abs=6e-5)
    assert normed[second] * np.cos(angle) + normed[first] * np.sin(angle) == pytest.approx(turned[second], abs=1e-5)


def test_a_soft_cap_and_a_norm_of_what_was_written_are_steps_of_their_own(other):
    page, steps = other("gemma2", 12)
    for number, values in {6: steps.scaled, 7: steps.scores}.items():
        texts = step(page, number).locator("button.bar .number").all_text_contents()
        assert texts == [shown(value) for value in values.tolist()]
    step(page, 7).locator("button.bar").nth(3).hover()
    expect(line(page, 7)).to_contain_text(f"2 × tanh({shown(steps.scaled[3])} / 2) = {shown(steps.scores[3])}")
    assert parts(page, "lit") == ["p.3"]
    point_at(step(page, 11).locator('[data-part="together"]'), 7)
    made = [steps.projected[7], steps.others[7], steps.together[7]]
    assert numbers(line(page, 11).inner_text()) == pytest.approx(made, abs=6e-5)
    point_at(step(page, 11).locator('[data-part="added"]'), 7)
    made = [steps.together[7], steps.written_size[1], steps.written_norm.gain[7], steps.added[7]]
    assert numbers(line(page, 11).inner_text()) == pytest.approx(made, abs=6e-5)
    point_at(step(page, 12).locator('[data-part="after"]'), 7)
    assert parts(page, "lit") == ["added", "x"]
    made = [steps.hidden[7], steps.added[7], steps.after[7]]
    assert numbers(line(page, 12).inner_text()) == pytest.approx(made, abs=6e-5)


def test_a_number_that_is_not_turned_says_so(other):
    page, steps = other("phi", 10)
    assert list(steps.rotary.pairs[1]) == [2, 3]  # of 8 numbers
    point_at(step(page, 4).locator('[data-part="q"]'), 6)
    expect(line(page, 4)).to_contain_text(f"= {shown(steps.q.end[6])}: not turned")
    assert parts(page, "lit") == ["qp"]
    assert steps.q.end[6] == steps.q.projected[6]
