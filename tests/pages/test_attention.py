"""The attention page and its figures, by their data and by what a visitor reads."""

import re
from dataclasses import replace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from model.analysis.attention import attention_weights
from model.analysis.attention_map import between_units, combined_weights, without_sink
from model.analysis.measures import attention_entropy
from model.text.units import units_of
from tests.pages.reading import charts, heatmap, numbers, said, traces
from tests.shipped import STORY
from viz.figures.attention import Bars, attention_heatmap, token_bars
from viz.figures.scale import ColourScale

L, H = STORY.n_layer, STORY.n_head

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


def checks(app: AppTest) -> tuple[int, int]:
    """How many checks on the page passed, and how many failed."""
    return said(app).count("**Check:**"), said(app).count("**Check failed")


def heatmap_of(app: AppTest) -> dict:
    return traces(app)[0][0]


def heatmap_ticks(app: AppTest) -> list[str]:
    return charts(app)[0]["layout"]["yaxis"]["ticktext"]


def test_a_sink_is_named_and_pooled_with_no_key():
    """Of 301 keys in cells of two, the last cell holds one key; the sink has one of its own."""
    rng = np.random.default_rng(0)
    weights = rng.random((301, 302)).astype(np.float32)
    labels = [*(f"t{i}" for i in range(301)), "sink"]
    fig = attention_heatmap(weights, labels[:-1], labels, selected=(4, 301), sink=True)
    drawn, axis = fig.data[0], fig.layout.xaxis
    assert np.asarray(drawn.z).shape == (151, 152)
    np.testing.assert_array_equal(np.asarray(drawn.z)[:150, -1], weights[:300, -1].reshape(150, 2).max(1))
    np.testing.assert_array_equal(np.asarray(drawn.z)[:150, -2], weights[:300, -2].reshape(150, 2).max(1))
    assert axis.ticktext[-1] == "sink" and axis.tickvals[-1] == 302 == fig.layout.shapes[0].x0 + 0.5
    few = attention_heatmap(weights[:40, 261:], labels[261:301], labels[261:], sink=True).layout.xaxis
    assert few.ticktext[-1] == "sink" and len(few.ticktext) < 41


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


def test_a_map_of_more_cells_than_pixels_shows_the_largest_of_its_neighbours():
    weights = np.zeros((300, 300), np.float32)
    weights[299, 7] = 0.5
    weights[:, 0] = np.nan
    heatmap = attention_heatmap(weights, ["x"] * 300).data[0]
    assert heatmap.z.shape == (150, 150)
    assert heatmap.z[149, 3] == 0.5 and np.nansum(heatmap.z) == 0.5 and not np.isnan(heatmap.z[0, 0])
    assert (heatmap.x0, heatmap.dx) == (0.5, 2)  # the first cell lies over the positions 0 and 1
    assert "the largest weight of 2 × 2 around it" in heatmap.hovertemplate


def test_token_text_is_no_markup():
    fig = attention_heatmap(np.eye(2, dtype=np.float32), ["<b>", "a&b"])
    assert list(fig.layout.xaxis.ticktext) == ["&lt;b&gt;", "a&amp;b"]
    assert "<b>" not in fig.data[1].text[0]


def test_the_selected_cell_is_outlined(run):
    shape = attention_heatmap(attention_weights(run.attention[0], 0), run.labels, selected=(4, 1)).layout.shapes[0]
    assert (shape.x0, shape.x1, shape.y0, shape.y1) == (0.5, 1.5, 3.5, 4.5)


def test_a_part_of_a_text_keeps_its_positions(run):
    weights = attention_weights(run.attention[0], 0)
    fig = attention_heatmap(weights[3:, 1:3], run.labels[3:], run.labels[1:3], first=(3, 1), selected=(4, 2))
    assert list(fig.layout.yaxis.tickvals) == [3, 4] and list(fig.layout.xaxis.tickvals) == [1, 2]
    assert (fig.data[0].x0, fig.data[0].y0) == (1, 3)
    assert fig.data[1].customdata.tolist() == [[3, 1], [3, 2], [4, 1], [4, 2]]
    assert "“␣cat” (query 4) looks at “␣and” (key 2)" in fig.data[1].text[3]
    assert fig.layout.shapes[0].y0 == 3.5


def test_what_was_taken_out_is_blank_and_says_so(run):
    weights = attention_weights(run.attention[0], 0).copy()
    weights[:, 0] = np.nan
    fig = attention_heatmap(weights, run.labels)
    assert np.isnan(fig.data[0].z[:, 0]).all()
    assert fig.data[1].text[0].endswith("taken out")


def test_a_logarithmic_map_still_tells_the_weight(run):
    weights = attention_weights(run.attention[1], 2)
    fig = attention_heatmap(weights, run.labels, scale=ColourScale(1e-4, 1, log=True))
    assert fig.data[0].z[4, 1] == pytest.approx(np.log10(weights[4, 1]))
    assert np.isnan(fig.data[0].z[0, 1])  # masked: no colour
    assert np.array_equal(fig.data[0].customdata, weights)
    assert "customdata" in fig.data[0].hovertemplate
    assert list(fig.data[0].colorbar.ticktext) == ["0.0001", "0.001", "0.01", "0.1", "1"]
    assert f"weight {weights[4, 1]:.4f}" in fig.data[1].text[4 * 5 + 1]


def test_bars_keep_repeated_tokens_apart(run):
    weights = attention_weights(run.attention[1], 2)[4]
    panel = Bars("weight", weights, np.arange(5), run.labels, lambda label, value: f"{label}: {value:.4f}", True)
    fig = token_bars([panel, replace(panel, positions=np.arange(2, 7), clickable=False)])
    assert np.array_equal(fig.data[0].y, weights) and list(fig.data[0].x) == [0, 1, 2, 3, 4]
    assert list(fig.data[0].customdata) == [0, 1, 2, 3, 4] and fig.data[1].customdata is None
    assert list(fig.layout.xaxis.ticktext) == ["the", "␣dog", "␣and", "␣the", "␣cat"]
    assert list(fig.layout.xaxis2.tickvals) == [2, 3, 4, 5, 6]
    assert fig.data[0].text[4] == f"␣cat: {weights[4]:.4f}"


def test_the_page_shows_the_weights_of_the_run(attend, run):
    app = attend(text=REPEATED, layer="1", head="2")
    assert np.array_equal(heatmap(app), attention_weights(run.attention[1], 2))
    assert "Layer 1, head 2" in [heading.value for heading in app.header]


@pytest.mark.parametrize(
    ("link", "heads", "combine", "title"),
    [
        ({"show": "layer", "layer": 3}, [(3, h) for h in range(H)], "mean", f"The mean of the {H} heads of layer 3"),
        (
            {"show": "all", "combine": "max"},
            [(layer, h) for layer in range(L) for h in range(H)],
            "max",
            f"The maximum of all {L * H} heads",
        ),
        (
            {"show": "chosen", "heads": "*.3"},
            [(n, 3) for n in range(L)],
            "mean",
            f"The mean of head 3 of all {L} layers",
        ),
        ({"show": "chosen", "heads": "1.2, 3.0"}, [(1, 2), (3, 0)], "mean", "The mean of 2 heads: 1.2, 3.0"),
    ],
)
def test_heads_are_read_together(attend, run, link, heads, combine, title):
    app = attend(text=REPEATED, **link)
    assert np.array_equal(heatmap(app), combined_weights(run.attention, heads, combine))
    assert title in [heading.value for heading in app.header]
    assert ("rows can add up to more than 1" in said(app)) == (combine == "max")
    styles = "".join(element.body for element in app.get("html"))
    assert '--together:"' + " ".join(f"{layer}.{head}" for layer, head in heads) + '"' in styles


def test_heads_that_do_not_exist_get_a_sentence(attend, story):
    app = attend(show="chosen", heads="99.9")
    layer, head = story.info.n_layer - 1, story.info.n_head - 1
    assert [warning.value for warning in app.warning] == [
        f"There is no head 99.9: layers go from 0 to {layer}, heads from 0 to {head}."
    ]
    assert not app.get("plotly_chart")


@pytest.mark.parametrize("sink", ["hide", "renormalise"])
def test_the_sink_is_taken_out_and_the_mass_stated(attend, run, sink):
    app = attend(text=REPEATED, layer=1, head=2, sink=sink)
    weights, removed = without_sink(attention_weights(run.attention[1], 2), np.arange(5) == 0, sink)
    assert np.array_equal(heatmap(app), weights, equal_nan=True)
    assert f"{100 * removed.mean():.1f} % of the weight on average" in said(app)
    assert ("1 row looked at nothing else and is left blank" in said(app)) == (sink == "renormalise")


def test_as_it_is_the_sinks_mass_is_stated_too(attend, run):
    removed = attention_weights(run.attention[0], 0)[:, 0].mean()
    text = said(attend(text=REPEATED, layer=0))
    assert f"holds {100 * removed:.1f} % of the weight on average; nothing is taken out" in text


def test_words_and_sentences_are_units(attend, story):
    text = "The cat sat on the mat. It slept."
    tokens = story.encode(text)
    run = story.run(tokens)
    app = attend(text=text, layer=2, head=1, units="words")
    words = units_of(tokens, text, "words")
    expected = between_units(attention_weights(run.attention[2], 1), words, words)
    assert np.array_equal(heatmap(app), expected)
    assert heatmap_ticks(app) == ["The", "cat", "sat", "on", "the", "mat", ".", "It", "slept", "."]
    assert "sum over the keys of a word and the mean over its queries; words end where Unicode's rule" in said(app)
    app.get_by_key("units").set_value("sentences").run()
    assert heatmap_ticks(app) == ["The cat sat on …", "It slept."]


def test_two_paragraphs_can_be_read_apart(attend, story):
    text = "the dog\n\nthe cat sat"
    tokens = story.encode(text)
    run = story.run(tokens)
    split = [token.label for token in tokens].index("the", 1)
    app = attend(text=text, layer=1, head=2, segment="B → A")
    whole = attention_weights(run.attention[1], 2)
    assert np.array_equal(heatmap(app), whole[split:, :split])
    share = whole[split:, :split].sum() / (len(tokens) - split)
    assert f"B → A {share:.3f}" in said(app) and "A → B 0.000" in said(app)


def test_one_paragraph_offers_no_segments(attend):
    with pytest.raises(KeyError):
        attend(text=REPEATED).get_by_key("segment")


def test_the_colour_scale_is_the_links(attend, run):
    drawn = heatmap_of(attend(text=REPEATED, layer=1, head=2, scale="log", range="fitted"))
    weights = attention_weights(run.attention[1], 2)
    assert drawn["zmin"] == pytest.approx(np.log10(weights[weights > 0].min()))
    assert drawn["zmax"] == pytest.approx(0)
    assert drawn["colorbar"]["ticktext"][-1] == "1"


def test_received_and_given_have_bars(attend, run):
    app = attend(text=REPEATED, layer=1, head=2, panel="received and given")
    bars = traces(app)[1]
    weights = attention_weights(run.attention[1], 2)
    for bar, expected in zip(bars, [weights.mean(0), attention_entropy(weights), weights[:, 0]], strict=True):
        assert numbers(bar["y"]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("way", "axis"), [("as queries", 0), ("as keys", 1)])
def test_what_some_tokens_give_and_get_is_added_up(attend, run, way, axis):
    app = attend(text=REPEATED, layer=1, head=2, panel="sums of tokens")
    assert "Choose some tokens" in app.info[0].value
    app.get_by_key("taken").set_value(way)
    app.get_by_key("summed").set_value([2, 4]).run()
    bars = traces(app)[1][0]
    assert numbers(bars["y"]) == pytest.approx(attention_weights(run.attention[1], 2).take([2, 4], axis).sum(axis))
    app.text_area(key="text").set_value("a dog").run()
    assert app.session_state.summed == []
    assert any("2 of the chosen tokens are not in this text any more." in toast.value for toast in app.toast)


def test_the_check_states_both_differences(attend):
    app = attend(text=REPEATED)
    assert checks(app) == (2, 0)
    differences = [float(number) for number in re.findall(r"\*\*(\d\.\de[-+]\d+|0)\*\*", said(app))]
    assert len(differences) == 2 and max(differences) < 1e-4


def test_the_table_twin_holds_the_same_numbers(attend, run):
    app = attend(text=REPEATED, layer="1", head="2")
    app.get_by_key("head_map_twin").set_value(True).run()
    table = app.dataframe[0].value
    assert np.allclose(table.to_numpy(), attention_weights(run.attention[1], 2))
    assert list(table.index) == ["0 the", "1 ␣dog", "2 ␣and", "3 ␣the", "4 ␣cat"]


def test_a_choice_that_no_longer_exists_is_dropped_with_a_word(attend, story):
    app = attend(text=REPEATED, token="3", key="3")
    app.text_area(key="text").set_value("hello").run()
    assert not app.exception
    n_token = len(story.encode("hello"))
    assert app.session_state.token == n_token - 1
    assert any("There is no token 3 any more" in toast.value for toast in app.toast)


@pytest.mark.parametrize("text", ["a", "🙂", "今天", "<script>alert(1)</script>", "\x00\x07", " ", "\n"])
def test_short_and_strange_texts_are_read(attend, text):
    app = attend(text=text)
    assert checks(app) == (2, 0)


def test_a_text_too_long_gets_a_sentence_with_the_numbers(attend, story):
    text = "the " * (STORY.n_context + 88)
    app = attend(text=text)
    n_token = len(story.encode(text))
    assert f"The text is {n_token:,} tokens long; Story reads at most {STORY.n_context}." in app.warning[0].value


def test_the_grid_outlines_the_head_of_the_link(attend):
    styles = "".join(element.body for element in attend(layer=2, head=3).get("html"))
    assert ".st-key-head_grid{--layer:2;--head:3;" in styles
