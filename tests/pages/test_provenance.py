"""The card behind a weight: its steps are this run's, its check can fail, and it follows or leaves with the text."""

import html
import re
from dataclasses import replace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from model.analysis.attention import attention_weights, cell_arithmetic
from model.analysis.attention_map import MapSpec
from model.analysis.explanation import explain
from model.intervention import Intervention
from model.text.prompt import Prompt, RunKey
from tests.pages.reading import open_card
from tests.shipped import STORY
from viz.figures.provenance import Check, dense_card, sum_card, weight_card
from viz.ui.cells import Cell

H = STORY.n_head
D = STORY.d_model // H

TEXT = "the dog and the cat"


@pytest.fixture(scope="module")
def run(story):
    return story.run(story.encode(TEXT))


@pytest.fixture
def opened(open_page):
    """`opened(cell)`: a page with its card open, as after a click."""

    def open(cell: Cell, page: str = "attention", **link: object) -> AppTest:
        at = open_page(page, text=TEXT, **link)
        open_card(at, cell)
        assert not at.exception
        return at

    return open


def cell(*heads: tuple[int, int], queries=(4,), keys=(1,), over="mean", **spec) -> Cell:
    return Cell(RunKey("story", Prompt(TEXT)), MapSpec(heads, **spec), queries, keys, over)


def card(at: AppTest) -> str:
    """The words of the card; empty if none is open."""
    bodies = [element.proto.body for element in at.get("html") if "weight-card" in element.proto.body]
    assert len(bodies) <= 1
    without_style = re.sub(r"<style>.*?</style>", "", "".join(bodies), flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", without_style))).strip()


def test_the_card_tells_every_step(opened, run):
    text, made = card(opened(cell((2, 3)))), cell_arithmetic(run.attention[2], 3, 4, 1)
    assert text.startswith("“␣cat” looks at “␣dog” query 4, key 1 · layer 2, head 3")
    assert f"q·k {made.dot:.4f}" in text
    assert f"scale × {D**-0.5:.4f} = 1/√{D}" in text
    assert "mask causal: lets it through" in text
    assert f"score {made.score:.4f}" in text
    assert f"e^(score − max) = {made.exponential:.4f}, max {made.row_scores.max():.4f}" in text
    assert f"row's sum ÷ {made.denominator:.4f}" in text
    assert f"weight {made.weight:.4f} , number {made.rank + 1} of 5 in its row" in text
    assert "✓ Check: made again from queries and keys in double precision" in text and "equal to 1e-6" in text


def test_a_masked_weight_says_so(opened):
    text = card(opened(cell((0, 0), queries=(1,), keys=(3,))))
    assert "mask causal: the query may not see this key" in text
    assert "score −∞" in text and "weight 0.0000" in text and "✓ Check" in text


def test_the_check_compares_the_shown_value_with_another_computation():
    assert Check(0.25, 0.2500005).passed and not Check(0.25, 0.250002).passed
    assert Check(float("nan"), float("nan")).passed and not Check(float("nan"), 0.1).passed
    assert Check(5.000004, 5.0).passed  # a sum: relative


def test_a_bias_and_a_soft_cap_have_their_lines(run):
    attention = replace(run.attention[0], soft_cap=5.0, bias=np.full((1, 5, 5), 0.25, np.float32))
    card = weight_card(cell_arithmetic(attention, 0, 4, 1), Check(0, 0), "a", "b", "", "causal")
    assert "soft cap</span><code>5 · tanh(score / 5)" in card and "added</span><code>+ 0.2500, by this model" in card


def test_a_model_that_gives_only_weights_says_so():
    card = dense_card(0.25, 1, 4, Check(0.25, 0.25), "a", "<b>", "place")
    assert "<b>0.2500</b>, number 2 of 4 in its row" in card and "does not give its queries and keys" in card


def test_a_failed_check_is_not_hidden(run):
    made = cell_arithmetic(run.attention[0], 0, 4, 1)
    card = weight_card(made, Check(made.weight, made.weight + 0.01), "a", "b", "", "")
    assert "✗ Check failed, please report it:" in card and "NOT equal" in card and "✓" not in card


@pytest.mark.parametrize(
    ("intervention", "said"),
    [
        (Intervention(scale=False), f"× 1.0000 = {D**0.5:.2f}/√{D}"),
        (Intervention(temperature=2), f"× {0.5 / D**0.5:.4f} = 0.5/√{D}"),
        (Intervention(causal_mask=False), "mask none: every token may see every token"),
        (Intervention(heads_uniform=frozenset({(2, 3)})), "0.0000, for this head's queries were set to zeros"),
        (Intervention(edges_off=frozenset({(2, 3, 1, 3)}), causal_mask=False), "mask you took this edge away"),
        (Intervention(edges_off=frozenset({(2, 3, 1, 0)})), "mask causal: the query may not see this key"),
    ],
)
def test_a_weight_of_a_changed_model_is_explained_as_it_was_made(opened, story, intervention, said):
    changed = story.run(story.encode(TEXT), intervention)
    weight = attention_weights(changed.attention[2], 3)[1, 3]
    base = cell((2, 3), queries=(1,), keys=(3,))
    text = card(opened(replace(base, run_key=replace(base.run_key, intervention=intervention))))
    assert said in text and f"weight {weight:.4f}" in text and "✓ Check" in text
    assert "in the changed model" in text
    assert "inf" not in text.replace("information", "")


def test_a_weight_after_generated_text_is_explained(opened, story):
    continuation = (story.encode(" dog")[0].id,)
    tokens = story.encode(TEXT + " dog")
    base = cell((1, 1), queries=(5,), keys=(2,))
    read_on = replace(base.run_key, prompt=Prompt(TEXT, continuation))
    text = card(opened(replace(base, run_key=read_on), page="generation"))
    weight = attention_weights(story.run(tokens).attention[1], 1)[5, 2]
    assert text.startswith("“␣dog” looks at “␣and”") and f"weight {weight:.4f}" in text and "✓ Check" in text


def test_a_value_of_several_weights_is_explained_and_opened(opened, run):
    heads = tuple((3, head) for head in range(H))
    at = opened(cell(*heads, queries=(4,), keys=(1,)))
    mean = np.mean([attention_weights(run.attention[3], head)[4, 1] for head in range(H)])
    text = card(at)
    assert text.startswith(
        f"“␣cat” looks at “␣dog” {H} heads · tokens made of {H} weights of this run heads mean of {H}"
    )
    assert f"value {mean:.4f}" in text and "✓ Check" in text
    parts = at.get_by_key("card_part")
    best = max(range(H), key=lambda head: attention_weights(run.attention[3], head)[4, 1])
    assert parts.options[0].endswith(f"layer 3, head {best} · ␣cat → ␣dog")
    parts.set_value(best).run()
    assert f"query 4, key 1 · layer 3, head {best}" in card(at)
    state = at.session_state
    assert (state.layer, state.head, state.token, state.key) == (3, best, 4, 1)  # what the card's link opens


def test_sums_over_rows_and_units_say_what_they_are(run):
    told = explain(run.attention, run.tokens, MapSpec(((0, 0),)), [range(3, 4), range(4, 5)], [range(0, 2)], over="sum")
    text = sum_card(told, Check(told.value, told.value), "q", "k", "", MapSpec(((0, 0),)), "sum", 2)
    assert "made of</span><code>4 weights" in text
    assert "sum over 2 tokens" in text and "sum over 2 rows" in text


def test_the_card_follows_the_controls(opened, run):
    at = opened(cell((0, 0)), layer=0, head=0, token=4, key=1)
    at.get_by_key("layer").set_value(3)
    at.get_by_key("key").set_value(0).run()
    weight = attention_weights(run.attention[3], 0)[4, 0]
    assert "query 4, key 0" in card(at) and "layer 3, head 0" in card(at) and f"weight {weight:.4f}" in card(at)


def test_the_card_keeps_its_place_in_another_text(opened):
    at = opened(cell((1, 2)))
    at.text_area(key="text").set_value("a dog and a cat").run()
    assert card(at).startswith("“␣cat” looks at “␣dog” query 4, key 1 · layer 1, head 2")


def test_a_place_that_is_gone_is_dropped_with_a_word(opened):
    at = opened(cell((1, 2)))
    at.text_area(key="text").set_value("hello").run()
    assert card(at) == ""
    assert any("is not in this text: the card was closed" in toast.value for toast in at.toast)


def test_it_closes_by_its_button_and_with_the_page(opened):
    at = opened(cell((1, 2)))
    at.button(key="card_close").click().run()
    assert card(at) == ""
    at = opened(cell((1, 2)))
    at.switch_page("viz/pages/tokenization.py").run()
    assert card(at) == ""


def test_tokens_are_never_markup(run):
    made = cell_arithmetic(run.attention[0], 0, 4, 1)
    card = weight_card(made, Check(0, 0), "<script>alert(1)</script>", "<b>", "", "")
    assert "<script>" not in card and "&lt;b&gt;" in card
