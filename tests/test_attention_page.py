"""The attention page and its figures, by their data and by what a visitor reads."""

import base64
import json
import re

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from model.attention import attention_weights, cell_arithmetic, mean_weights
from viz.figures.attention import attention_heatmap, cell_strips, weights_as_bytes

REPEATED = "the dog and the cat"


@pytest.fixture(scope="module")
def run(story):
    return story.run(story.encode(REPEATED))


@pytest.fixture
def attend(open_page):
    """`attend(layer=2)`: the attention page, opened without an error."""

    def open(**link: object) -> AppTest:
        app = open_page("attention", **link)
        assert not app.exception
        return app

    return open


def said(app: AppTest) -> str:
    return "\n".join(element.value for element in [*app.markdown, *app.subheader, *app.caption, *app.title])


def checks(app: AppTest) -> tuple[int, int]:
    """How many checks on the page passed, and how many failed."""
    return said(app).count("**Check:**"), said(app).count("**Check failed")


def heatmap_of(app: AppTest) -> dict:
    return json.loads(app.get("plotly_chart")[0].proto.spec)["data"][0]


def values(array: dict) -> np.ndarray:
    """A numpy array as plotly sends it."""
    flat = np.frombuffer(base64.b64decode(array["bdata"]), dtype=array["dtype"])
    return flat.reshape([int(n) for n in array["shape"].split(",")]) if "shape" in array else flat


def test_a_repeated_word_keeps_its_rows(run):
    weights = attention_weights(run.attention[1], 2)
    fig = attention_heatmap(weights, run.labels)
    assert np.array_equal(fig.data[0].z, weights)
    assert list(fig.layout.yaxis.tickvals) == [0, 1, 2, 3, 4]
    assert list(fig.layout.yaxis.ticktext) == ["the", "␣dog", "␣and", "␣the", "␣cat"]
    assert (fig.data[0].zmin, fig.data[0].zmax) == (0, 1)


def test_the_first_query_is_on_top(run):
    axis = attention_heatmap(attention_weights(run.attention[0], 0), run.labels).layout.yaxis
    assert axis.range[0] > axis.range[1]


def test_a_click_carries_query_and_key(run):
    overlay = attention_heatmap(attention_weights(run.attention[0], 0), run.labels).data[1]
    place = list(zip(overlay.y, overlay.x, strict=True)).index((3, 1))
    assert list(overlay.customdata[place]) == [3, 1]
    assert "“␣the” (query 3) looks at “␣dog” (key 1)" in overlay.text[place]


def test_a_long_text_has_no_overlay():
    fig = attention_heatmap(np.eye(65, dtype=np.float32), ["x"] * 65)
    assert len(fig.data) == 1
    assert len(fig.layout.xaxis.tickvals) < 65  # and not every tick is named


def test_token_text_is_no_markup():
    fig = attention_heatmap(np.eye(2, dtype=np.float32), ["<b>", "a&b"])
    assert list(fig.layout.xaxis.ticktext) == ["&lt;b&gt;", "a&amp;b"]
    assert "<b>" not in fig.data[1].text[0]


def test_the_selected_cell_is_outlined(run):
    shape = attention_heatmap(attention_weights(run.attention[0], 0), run.labels, selected=(4, 1)).layout.shapes[0]
    assert (shape.x0, shape.x1, shape.y0, shape.y1) == (0.5, 1.5, 3.5, 4.5)


def test_the_strips_show_every_element(run):
    cell = cell_arithmetic(run.attention[0], 1, 4, 1)
    strips = cell_strips(cell, "<b>", "a")
    shown = [float(value) for value in re.findall(r'title="element \d+: (-?\d+\.\d{4})"', strips)]
    assert shown == pytest.approx(np.concatenate([cell.query, cell.key, cell.product]).tolist(), abs=6e-5)
    assert "q of “&lt;b&gt;”" in strips and "<b>" not in strips
    assert cell.product.sum() == pytest.approx(cell.dot, abs=1e-5)


def test_bytes_are_square_roots():
    assert list(weights_as_bytes(np.array([0, 0.01, 0.25, 1], np.float32))) == [0, 26, 128, 255]


def test_the_page_shows_the_weights_of_the_run(attend, run):
    app = attend(text=REPEATED, layer="1", head="2")
    assert np.array_equal(values(heatmap_of(app)["z"]), attention_weights(run.attention[1], 2))
    assert "Layer 1, head 2" in [heading.value for heading in app.subheader]


def test_the_mean_of_heads(attend, run):
    app = attend(text=REPEATED, layer="3")
    app.get_by_key("view").set_value("layer").run()
    expected = mean_weights(run.attention, [(3, head) for head in range(6)])
    assert np.array_equal(values(heatmap_of(app)["z"]), expected)
    assert "Layer 3, the mean of its heads" in [heading.value for heading in app.subheader]


def test_the_arithmetic_of_a_cell_is_this_runs(attend, run):
    app = attend(text=REPEATED, layer="2", head="5", token="4", key="1")
    cell = cell_arithmetic(run.attention[2], 5, 4, 1)
    text = said(app)
    assert "How much does “␣cat” look at “␣dog”? Layer 2, head 5" in text
    for number in (cell.dot, cell.score, cell.exponential, cell.denominator, cell.weight):
        assert f"{number:.4f}" in text
    assert f"number {cell.rank + 1} of 5 in its row" in text


def test_a_masked_cell_says_so(attend):
    text = said(attend(text=REPEATED, token="1", key="3"))
    assert "the key comes after the query, so the mask forbids it" in text
    assert "**0.0000**" in text


def test_the_check_states_both_differences(attend):
    app = attend(text=REPEATED)
    assert checks(app) == (2, 0)
    differences = [float(number) for number in re.findall(r"\*\*(\d\.\de[-+]\d+)\*\*", said(app))]
    assert len(differences) == 2 and max(differences) < 1e-4


def test_the_table_twin_holds_the_same_numbers(attend, run):
    app = attend(text=REPEATED, layer="1", head="2")
    app.get_by_key("head_map_twin").set_value(True).run()
    table = app.dataframe[0].value
    assert np.allclose(table.to_numpy(), attention_weights(run.attention[1], 2))
    assert list(table.index) == ["0 the", "1 ␣dog", "2 ␣and", "3 ␣the", "4 ␣cat"]


def test_a_choice_that_no_longer_exists_is_dropped_with_a_word(attend, story):
    app = attend(text=REPEATED, token="4", key="3")
    app.text_area(key="text").set_value("hello").run()
    assert not app.exception
    n_token = len(story.encode("hello"))
    assert app.session_state.token == n_token - 1
    assert any("There is no token 4 any more" in toast.value for toast in app.toast)


@pytest.mark.parametrize("text", ["a", "🙂", "今天", "<script>alert(1)</script>", "\x00\x07", " ", "\n"])
def test_short_and_strange_texts_are_read(attend, text):
    app = attend(text=text)
    assert checks(app) == (2, 0)


def test_an_empty_text_gets_a_sentence(attend):
    app = attend()
    app.text_area(key="text").set_value("").run()
    assert [warning.value for warning in app.warning] == [
        "There is no text to read. Type one in the sidebar, or choose an example there."
    ]


def test_a_text_too_long_gets_a_sentence_with_the_numbers(attend, story):
    app = attend(text="the " * 600)
    n_token = len(story.encode("the " * 600))
    assert f"The text is {n_token:,} tokens long; Story reads at most 512." in app.warning[0].value


def test_the_grid_outlines_the_head_of_the_link(attend):
    styles = "".join(element.body for element in attend(layer=2, head=4).get("html"))
    assert ".st-key-head_grid{--layer:2;--head:4}" in styles
