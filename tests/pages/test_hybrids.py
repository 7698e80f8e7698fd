"""A hybrid on the pages: layers without attention stay in sight under their own numbers, say what they are, and lead to
the nearest with attention."""

import numpy as np
import pytest

from model.analysis.attention import layer_weights
from model.text.prompt import Prompt, RunKey
from tests.any_models import TEXT, built
from tests.pages.reading import address, charts, component, heatmap, numbers, said, traces
from viz.ui import session

OTHERS = {"0": "linear attention", "2": "linear attention"}  # of three layers; layer 1 has attention
KIND = "Layer 0 of hybrid is of another kind (linear attention): it has no softmax attention, so there are no weights"
MODEL = "hybrid", "hybrid"  # the kind, and what its folder is called


def weights(app) -> np.ndarray:
    """(H, T, S) of the one layer with attention."""
    return layer_weights(session.run_of(RunKey(app.session_state.model, Prompt(TEXT))).layer(1))


def test_it_opens_at_a_layer_with_attention_and_names_the_others(open_with):
    app = open_with("attention")
    assert app.session_state.layer == 1
    assert component(app, "head_grid")["shape"]["others"] == OTHERS
    assert app.slider(key="layer").max == 2
    assert app.slider(key="layer").help == "With softmax attention: 1. Without: 0, 2: linear attention."
    assert "A row without tiles is a layer without softmax attention" in said(app)
    assert "**3** layers, **1** of them with attention: **4** heads each" in app.sidebar.markdown[-1].value


@pytest.mark.parametrize("page", ["attention", "head", "mechanism", "generation"])
def test_a_layer_without_attention_says_so_and_leads_to_the_nearest(open_with, page):
    app = open_with(page, layer=0, head=2)
    assert [info.value for info in app.info if KIND in info.value] and "is layer 1." in app.info[0].value
    assert address(app)["layer"] == "0"  # it is this layer that the link was about
    app.button(key="nearest").click().run()
    assert not app.exception and (app.session_state.layer, app.session_state.head) == (1, 2)
    assert KIND not in said(app)
    if page in ("attention", "mechanism"):
        np.testing.assert_allclose(heatmap(app), weights(app)[2], atol=1e-6)


def test_all_heads_are_those_of_layers_with_attention(open_with):
    for heads in ("*.*", "1.*"):
        app = open_with("attention", show="chosen", heads=heads)
        np.testing.assert_allclose(heatmap(app), weights(app).mean(0), atol=1e-6)
        assert "The mean of all 4 heads" in said(app)
    app = open_with("attention", show="chosen", heads="*.2")
    np.testing.assert_allclose(heatmap(app), weights(app)[2], atol=1e-6)
    app = open_with("attention", show="chosen", heads="0.1")
    assert [warning.value for warning in app.warning] == [
        "There is no head 0.1: layer 0 has no softmax attention (linear attention). Layers with heads: 1."
    ]


def test_the_graph_of_layers_has_all_of_them(open_with):
    view = component(open_with("attention", graph="layers"), "layer_graph")["view"]
    assert (view["layers"], view["others"]) == (3, OTHERS)
    assert view["about_others"] == "With softmax attention: 1. Without: 0, 2: linear attention."
    n = len(TEXT.split())
    assert f" of {n * (n + 1) // 2} lines, " in view["count"]  # of one layer


def test_layers_without_attention_hand_on_all_that_a_token_draws_on(open_with):
    app = open_with("attention", flow="rollout", numbers="drawn")
    (shares,) = (frame.value.to_numpy() for frame in app.dataframe if "input" in frame.value.index)
    expected = 0.5 * weights(app).mean(0)[-1] + 0.5 * np.eye(shares.shape[1])[-1]
    np.testing.assert_allclose(shares, [expected, expected, np.eye(len(expected))[-1]], atol=1e-6)
    assert component(app, "layer_graph")["view"]["others"] == OTHERS


def test_on_the_home_page_another_head_stands_in(open_with):
    app = open_with("home", layer=2, head=3)
    assert "Layer 2 has no softmax attention (linear attention); this is **layer 1, head 3**" in said(app)
    assert "3 layers, 1 of them with attention: 4 heads each" in said(app)


def test_what_is_changed_is_changed_where_there_are_heads(open_with):
    app = open_with("mechanism", layer=1, head=2, head_off="true")
    assert app.header[0].value == "Changed: layer 1, head 2 off"
    assert "Its layers without attention still read from left to right." in said(app)


def test_beside_an_encoder_its_own_layer_is_asked_for(open_with):
    app = open_with("understanding", section="both", maps="head", decoder_layer=2, decoder_head=1)
    assert "Layer 2 of hybrid is of another kind" in said(app)
    app.button(key="nearest_triangle").click().run()
    assert not app.exception and app.session_state.decoder_layer == 1 and "of another kind" not in said(app)


def test_the_model_page_counts_the_kinds_of_layers(open_with):
    app = open_with("model")
    html = " ".join(element.proto.body for element in app.get("html"))
    for name, n in (("With softmax attention", 1), ("Linear attention", 2), ("Layers", 3)):
        assert f">{name}<" in html and f">{n}</td>" in html.partition(f">{name}<")[2][:700]
    n_weight = sum(
        weight.numel()
        for name, weight in built("hybrid").named_parameters()
        if "linear_attn" in name and "norm" not in name
    )
    bars = traces(app)[0][0]
    assert dict(zip(bars["y"], numbers(bars["x"]), strict=True))["instead of attention"] == n_weight
    assert "instead in 2 of 3 layers: linear attention" in component(app, "drawing")["svg"]


def test_vectors_are_those_of_all_layers(open_with):
    assert "Blocks by their kind: With softmax attention: 1. Without: 0, 2: linear attention." in said(
        open_with("embeddings")
    )


def test_only_layers_with_attention_have_heads_to_score_and_to_take_out(open_with):
    app = open_with("heads", texts="own", lines="the cat saw the cat", knocked_out="true")
    assert "4 heads: " in said(app)
    assert not np.isfinite(numbers(charts(app)[-1]["data"][0]["z"])[[0, 2]]).any()
    assert np.isfinite(numbers(charts(app)[-1]["data"][0]["z"])[1]).all()
    assert "it has no heads to score" in said(open_with("heads", texts="own", lines="the cat", layer=0, head=0))


def test_a_prediction_is_taken_apart_into_layers_where_heads_cannot_be_followed(open_with):
    app = open_with("generation", parts="true", numbers="parts_by_layer")
    assert any("So 3 of 3 layers are one part each." in info.value for info in app.info)
    by_layer = next(frame.value for frame in app.dataframe if "of it bias" in frame.value)
    assert by_layer["heads"].isna().all()
    assert "parts add up to" in said(app) and "layers as a whole" in said(app)
