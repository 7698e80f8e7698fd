"""On the page Attention: what a token draws on through all layers, against products of whole matrices."""

import networkx
import numpy as np
import pytest

from model.analysis.attention import layer_weights
from tests.conftest import REPEATED
from tests.pages.reading import address, said, sent

LAST = ("input", *(f"{before}layer {i}" for before in ("", "after ") for i in range(9)))  # of the rows of the table


def mixed(run) -> np.ndarray:
    return np.array([0.5 * layer_weights(layer).mean(0) + 0.5 * np.eye(len(run.tokens)) for layer in run.attention])


def drawn(app) -> np.ndarray:
    """The table of the picture."""
    (table,) = (frame.value for frame in app.dataframe if frame.value.index[-1] in LAST)
    return table.to_numpy()


def opened(open_page, **link):
    app = open_page("attention", numbers="drawn", **({"text": REPEATED} | link))
    assert not app.exception and not app.error and "**Check failed" not in said(app)
    return app


def test_nothing_is_followed_unasked(open_page):
    app = open_page("attention", text=REPEATED)
    assert "follow it back to the words" in said(app) and not [s for s in app.slider if s.key == "flow_token"]


def test_rollout_is_the_product_of_all_layers(open_page, story):
    app = opened(open_page, flow="rollout", flow_token=4)
    maps = mixed(story.run(story.encode(REPEATED)))
    shares = np.eye(len(maps[0]))[4]
    for row in reversed(range(len(maps))):
        shares = shares @ maps[row]
        np.testing.assert_allclose(drawn(app)[row], shares, atol=1e-6)
    assert "the shares of the input add up to 1.0000" in said(app) and "Abnar & Zuidema 2020" in said(app)
    best = int(shares.argmax())
    assert f"({best}) **{shares[best]:.3f}**" in said(app)


def test_the_graph_has_every_line_of_what_is_followed(open_page, story):
    app = opened(open_page, flow="rollout", flow_token=4)
    view, edges = sent(app, "layer_graph")
    maps = mixed(story.run(story.encode(REPEATED)))
    assert view["view"]["pinned"] == [len(maps), 4] and "0.5 A + 0.5 I" in view["view"]["how"]
    lines = next(iter(edges.values()))
    np.testing.assert_allclose(lines["w"], maps[lines["layer"], lines["q"], lines["k"]], atol=1e-6)
    assert len(lines["w"]) == np.count_nonzero(maps)


def test_flow_is_networkx_s_from_the_input(open_page, story):
    app = opened(open_page, text="the cat saw the dog", flow="flow")
    maps = mixed(story.run(story.encode("the cat saw the dog")))
    graph, n = networkx.DiGraph(), len(maps[0])
    for layer, query, key in np.argwhere(maps).tolist():
        graph.add_edge((layer + 1, query), (layer, key), capacity=float(maps[layer, query, key]))
    theirs = [networkx.maximum_flow_value(graph, (len(maps), n - 1), (0, token)) for token in range(n)]
    np.testing.assert_allclose(drawn(app)[0], theirs, atol=1e-6)
    assert "parts of 2⁻³⁰" in said(app) and "do not add up to 1" in said(app)


def test_what_the_weights_carry_is_told_layer_by_layer(open_page, story):
    app = opened(open_page, flow="carried", flow_token=3)
    run = story.run(story.encode(REPEATED))
    assert len(drawn(app)) == run.info.n_layer
    np.testing.assert_allclose(drawn(app).sum(1), 1, atol=1e-5)
    record, output = run.layer(2), story.layer_parameters(2).output_weight
    vectors = np.einsum("hdk,hs,hsk->sd", output, layer_weights(record)[:, 3], record.value)
    lengths = np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(drawn(app)[2], lengths / lengths.sum(), atol=1e-5)
    assert "Kobayashi et al. 2020" in said(app)


@pytest.mark.parametrize("kind", ["self", "encoder"])
def test_of_an_encoder_decoder_each_stack_is_followed_alone(open_page, kind):
    app = opened(open_page, model="translator", text="I am a student.", kind=kind, flow="rollout")
    assert ("through the encoder alone" if kind == "encoder" else "is in none of these numbers") in said(app)
    np.testing.assert_allclose(drawn(app).sum(1), 1, atol=1e-5)


def test_cross_attention_has_no_path_and_says_so(open_page):
    app = opened(open_page, model="translator", text="I am a student.", kind="cross", flow="rollout")
    assert [info for info in app.info if "no path goes through it" in info.value] and not app.dataframe
    app = opened(open_page, model="translator", text="I am a student.", kind="encoder", flow="carried")
    assert [info for info in app.info if "follow it by rollout or by flow" in info.value]


def test_one_token_and_too_many(open_page):
    app = opened(open_page, text="the", flow="flow")
    assert drawn(app)[0].tolist() == [1.0]
    app = opened(open_page, text="the cat saw the dog " * 50, flow="flow")  # 250 tokens: from the input alone
    assert "from the input alone" in said(app) and len(drawn(app)) == 1


def test_a_token_chosen_in_the_graph_is_in_the_address(open_page):
    app = opened(open_page, flow="carried")
    app.slider(key="flow_token").set_value(2).run()
    assert address(app)["flow_token"] == "2" and address(app)["flow"] == "carried"
    assert f"({2}) draws most" in said(app)
