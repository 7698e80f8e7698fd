"""Comparison, as a visitor gets it: two maps and what is left of them subtracted, for each of the four choices."""

import html
import re

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from model.analysis.attention import attention_weights
from tests.pages.reading import address, charts, numbers, said
from viz.ui.links import path

A, B = "The cat sat on the mat", "The cats sat on the mat"


@pytest.fixture
def compare(open_page):
    """`compare("heads", layer=1)`: the page as a link opens it."""

    def open(what: str = "texts", **link: object) -> AppTest:
        app = open_page("comparison", compare=what, **({"text": A} | link))
        assert not app.exception and not app.error and "**Check failed" not in said(app)
        return app

    return open


def maps(app: AppTest) -> list[np.ndarray]:
    """A, B and what is left."""
    return [numbers(chart["data"][0]["z"]) for chart in charts(app)[:3]]


def card(app: AppTest) -> str:
    bodies = [each.proto.body for each in app.get("html") if "weight-card" in each.proto.body]
    return html.unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", "".join(bodies), flags=re.DOTALL))


def test_at_first_a_small_change_of_the_text_is_beside_it(compare, story):
    app = compare(layer=2, head=3)
    a, b = (attention_weights(story.run(story.encode(text)).attention[2], 3) for text in (A, B))
    drawn = maps(app)
    np.testing.assert_array_equal(drawn[0], a)
    np.testing.assert_array_equal(drawn[1], b)
    at = [0, 3, 4, 5, 6]  # of seven rows: “cat” is A's alone, “cats” B's
    kept = [0, 2, 3, 4, 5]
    np.testing.assert_array_equal(drawn[2][np.ix_(at, at)], (b - a)[np.ix_(kept, kept)])
    assert np.isnan(drawn[2][[1, 2]]).all() and np.isnan(drawn[2][:, [1, 2]]).all()
    words = said(app)
    assert f"**A**: “{A}”" in words and f"**B**: “{B}”" in words and "5 tokens have a partner in the other;" in words
    assert "without one in A: “␣cat” (1); without one in B: “␣cats” (1)" in words
    table = next(each.value for each in app.dataframe if "B − A" in each.value and "query" in each.value)
    np.testing.assert_allclose(table["B"] - table["A"], table["B − A"], atol=1e-7)
    assert table["B − A"].abs().max() == np.nanmax(np.abs(drawn[2])) and table["B − A"].abs().is_monotonic_decreasing
    assert "other_text" not in address(app)


def test_the_same_text_twice_differs_nowhere(compare):
    app = compare(other_text=A)
    assert not maps(app)[2].any() and "A and B are the same" in said(app) and "There are none" in said(app)
    assert "**0.0000 nats** apart" in said(app)
    assert "**No head changed**" in said(app) and "changed most" not in said(app)


def test_what_stands_behind_a_text_changes_nothing_in_it_but_for_rounding(compare):
    """A causal mask hides it."""
    words = said(compare(other_text=f"{A} and ran"))
    assert "**No head changed**" in words and "There are none" in words


def test_two_heads_exchanged_have_the_other_sign(compare):
    one = compare("heads", layer=1, head=2, other_layer=3, other_head=0)
    other = compare("heads", layer=3, head=0, other_layer=1, other_head=2)
    np.testing.assert_array_equal(maps(one)[2], -maps(other)[2])
    assert maps(one)[2].any() and "without each of them" in said(one)
    assert "How much each head changed" not in said(one)


def test_two_layers_are_means_of_their_heads(compare, story):
    app = compare("layers", layer=1, other_layer=2)
    run = story.run(story.encode(A))
    for drawn, layer in zip(maps(app), (1, 2), strict=False):
        heads = [attention_weights(run.attention[layer], head) for head in range(run.info.n_head)]
        np.testing.assert_allclose(drawn, np.mean(heads, 0), atol=1e-6)
    assert "logit lens" in said(app)


def test_two_checkpoints_of_one_training_are_there_at_once(compare):
    app = compare("models", model="copier", text="abcdxabcd")
    assert maps(app)[2].any() and "checkpoints of its training" in said(app)
    assert "**B**: Copier, step" in said(app) and "other_model" not in address(app)
    last = compare("models", model="copier", text="abcdxabcd", other_model="copier")
    assert not maps(last)[2].any()


@pytest.mark.parametrize(
    ("model", "other", "sentence"),
    [
        ("story", "copier", "Copier cuts this text into other tokens than Story"),
        ("story", "nobody", "There is no model “nobody” here"),
        ("translator", "translator", "two models write two"),
    ],
)
def test_why_two_models_cannot_be_compared_is_said(compare, model, other, sentence):
    app = compare("models", model=model, other_model=other)
    assert any(sentence in info.value for info in app.info)
    assert bool(charts(app)) == (other == "nobody")  # which leaves nothing chosen, as at first


def test_a_model_without_a_partner_shows_another_pair_at_once_and_it_is_a_press_away(compare):
    app = compare("models", layer=5, head=5, card="B-A~3~2")
    assert any("No other model here has this one's tokens" in info.value for info in app.info)
    assert "**A**: Copier" in said(app) and "**B**: Copier, step" in said(app) and "✓ Check" in card(app)
    assert f"{maps(app)[2][3, 2]:+.4f}" in card(app) and address(app)["layer"] == "5"
    app.button(key="pair_B-A").click().run()
    assert app.session_state.model == "story" and app.session_state.layer == 5
    app.button(key="show_copier").click().run()
    assert not app.exception and app.session_state.model == "copier" and maps(app)[2].any()


def test_every_number_has_its_card_and_the_card_is_in_the_address(compare):
    app = compare(layer=2, head=3, token=3, key=2)
    a, b, left = maps(app)
    for side, value in (("A", a[3, 2]), ("B", b[3, 2]), ("B-A", left[4, 3])):
        app.button(key=f"pair_{side}").click().run()
        told = card(app)
        assert f"{value:+.4f}" in told if side == "B-A" else f"{value:.4f}" in told
        assert "✓ Check" in told and address(app)["card"] == f"{side}~3~2"
    again = compare(**{name: value for name, value in address(app).items() if name != "compare"})
    assert f"{left[4, 3]:+.4f}" in card(again)
    app.button(key="card_A").click().run()  # from the difference to what it was made of
    assert card(app).count("query 3, key 2") == 1 and "A: query 3" in card(app)
    assert (app.session_state.layer, app.session_state.head) == (2, 3)


def test_the_card_of_another_head_leaves_the_chosen_one(compare):
    app = compare("heads", layer=1, head=2, other_layer=3, other_head=0, token=3, key=2, card="B~3~2")
    assert "B: query 3, key 2 · layer 3, head 0" in card(app)
    app.button(key="pair_B").click().run()
    assert (app.session_state.layer, app.session_state.head) == (1, 2)


@pytest.mark.parametrize("written", ["B-A~1~0", "B~99~0", "A~0"])
def test_a_card_of_what_is_not_compared_stays_closed(compare, written):
    app = compare(card=written)
    assert any("the card stays closed" in warning.value for warning in app.warning) and not card(app)


def test_a_query_without_a_partner_is_not_subtracted(compare):
    app = compare(token=1, key=0)
    assert "The query has no partner in B" in said(app)
    assert "pair_B" not in {button.key for button in app.button} and app.button(key="pair_A")


def test_texts_without_a_common_token_are_beside_each_other_only(compare):
    app = compare(model="copier", text="abc", other_text="xyz")
    assert any("No token of A is a token of B" in info.value for info in app.info)
    assert any("no rows can be compared" in warning.value for warning in app.warning)


def test_the_head_that_changed_most_is_compared_on_a_press(compare):
    app = compare(layer=0, head=0)
    share = numbers(charts(app)[3]["data"][0]["z"])
    most = np.unravel_index(share.argmax(), share.shape)
    app.button(key="compare_most").click().run()
    assert (app.session_state.layer, app.session_state.head) == most
    app.button(key="changed_b").click().run()  # B's text, on Attention
    assert not app.exception and app.session_state.page == "attention" and app.session_state.text == B


@pytest.mark.parametrize("kind", ["encoder", "cross"])
def test_each_attention_of_a_translator_is_compared(compare, kind):
    app = compare(model="translator", kind=kind, text="I saw a black cat.")
    assert len(charts(app)) >= 4 and ("Of the source, " in said(app)) == (kind == "cross")


def test_a_choice_of_the_comparison_is_kept_on_other_pages(compare):
    app = compare("heads", layer=1, head=2, other_layer=2, other_head=0)
    app.switch_page(path("attention")).run()
    app.switch_page(path("comparison")).run()
    assert address(app)["other_layer"] == "2" and address(app)["other_head"] == "0"
