"""Learned sinks on the pages: a column, a unit, a line's end, a row of steps, a card; never a token."""

import numpy as np
import pytest

from model.analysis.attention import layer_weights
from model.analysis.attention_map import MapSpec
from model.text.prompt import Prompt, RunKey
from tests.any_models import TEXT
from tests.pages.reading import charts, component, heatmap, numbers, open_card, said
from viz.ui import session
from viz.ui.cells import Cell

N = 5  # tokens of the text
MODEL = "window and sink", "oss"  # the kind, and what its folder is called


def weights(app, layer: int, head: int) -> np.ndarray:
    run = session.run_of(RunKey(app.session_state.model, Prompt(TEXT)))
    assert len(run.tokens) == N
    return layer_weights(run.attention[layer])[head]


def heatmaps(app) -> list[np.ndarray]:
    return [numbers(chart["data"][0]["z"]) for chart in charts(app) if chart["data"][0]["type"] == "heatmap"]


def html_of(app) -> str:
    return " ".join(element.proto.body for element in app.get("html"))


def tokens_of_axis(chart: dict, axis: str) -> list[str]:
    return chart["layout"][axis]["ticktext"]


def test_a_map_has_its_column_and_says_what_it_is(open_with):
    app = open_with("attention", layer=1, head=1, token=3, key=N)
    its = weights(app, 1, 1)
    np.testing.assert_allclose(heatmap(app), its, atol=1e-6)
    assert heatmap(app).shape == (N, N + 1) and its.sum(-1) == pytest.approx(1, abs=1e-5)
    rows, columns = (tokens_of_axis(charts(app)[0], axis) for axis in ("yaxis", "xaxis"))
    assert columns[-1] == "sink" and "sink" not in rows
    assert app.get("plotly_chart")[0].proto.alt.startswith(f"Heatmap of {N} by {N} tokens and the sink. ")
    words = said(app)
    assert "The last column, “sink”, is no token" in words and "adds up to 1, the sink included" in words
    share = 100 * (its[:, 0] + its[:, N]).mean()
    assert f"The sink (first token, special tokens and the learned one) holds {share:.1f} % of the weight" in words
    view = component(app, "token_graph")["view"]
    assert view["labels"][-1] == "sink" and view["queries"] == list(range(N)) and view["keys"] == list(range(N + 1))
    grid = component(app, "head_grid")["shape"]
    assert (grid["queries"], grid["keys"]) == (N, N + 1)


def test_read_together_by_words_and_as_layers(open_with):
    app = open_with("attention", show="all", units="words", sink="renormalise", graph="layers", numbers="head_map")
    shown = heatmap(app)
    assert np.isnan(shown[:, [0, N]]).all() and np.nansum(shown[1:], -1) == pytest.approx(1, abs=1e-5)
    assert "is taken out and rows made to add up to 1 again" in said(app)
    assert "What goes to the sink ends there" in said(app)
    assert component(app, "layer_graph")["view"]["labels"][-1] == "sink"
    assert app.dataframe[0].value.columns[-1] == f"{N} sink"


def test_the_card_of_a_sink(open_with):
    app = open_with("attention", layer=0, head=2)
    cell = Cell(RunKey(app.session_state.model, Prompt(TEXT)), MapSpec(((0, 2),)), (4,), (N,))
    card = html_of(open_card(app, cell))
    assert "looks at the sink" in card and "learned by this head" in card and "✓ Check:" in card
    assert f"<b>{weights(app, 0, 2)[4, N]:.4f}</b>" in card and "gives</span>" in card


def test_a_query_can_be_kept_from_its_sink(open_with):
    app = open_with("mechanism", layer=0, head=3, token=3, key=N, edge_off="true", range="fitted")
    before, after = weights(app, 0, 3), heatmaps(app)[1]
    assert app.header[0].value == "Changed: in layer 0, head 3, query 3 does not see the sink"
    assert after[3, N] == 0
    np.testing.assert_allclose(after[3, :N], before[3, :N] / (1 - before[3, N]), atol=1e-5)
    assert "looks at “sink” with **0.0000**" in "".join(button.label for button in app.button)


def test_inside_a_head_the_sink_has_a_row_of_its_own(open_with):
    app = open_with("head", layer=0, head=1, token=4, key=N, numbers="head")
    its = weights(app, 0, 1)[4]
    view = component(app, "head_steps")["view"]
    assert view["sink"]["chosen"] and view["sink"]["weight"] == pytest.approx(its[N], abs=1e-6)
    assert view["sink"]["exponential"] / view["denominator"] == pytest.approx(its[N], abs=1e-6)
    softmax = next(step for step in view["steps"] if step["kind"] == "softmax")
    assert "The sink's score is one that this head has learned" in "".join(softmax["sentence"])
    assert r"\mathrm{sink}" in said(app)
    table = app.dataframe[0].value
    assert table.index[-1] == f"{N} sink" and np.isnan(table["q·k"].iloc[-1])
    assert table["weight"].sum() == pytest.approx(1, abs=1e-5)


def test_other_pages_show_it_where_weights_are(open_with):
    home = component(open_with("home", layer=0, head=3), "token_graph")["view"]
    assert home["labels"][-1] == "sink" and len(home["keys"]) == N + 1
    app = open_with("generation", layer=1, head=0)
    chips = component(app, "token_chips")["chips"]
    assert chips[-1]["id"] < 0 and chips[-1]["note"].startswith(f"weight {weights(app, 1, 0)[-1, N]:.4f}")
    alts = [chart.proto.alt for chart in app.get("plotly_chart")]
    assert any(f"Bars over {N} tokens and the sink, " in alt for alt in alts)
    app = open_with("understanding", section="both")
    assert "The last column is the sink." in said(app) and "in the triangle, **0 %**" in said(app)
    app = open_with("model")
    assert "a score of each head, for an entry of its softmax that is no token" in html_of(app) + said(app)


def test_a_sink_carries_nothing_and_is_made_of_nothing(open_with):
    app = open_with("head", layer=1, head=1, token=3, key=N, why="true")
    assert "The sink is no token" in app.info[0].value and "pairs add up to" not in said(app)
    assert "pairs add up to" in said(open_with("head", layer=1, head=1, token=3, key=1, why="true"))
