"""On the page Attention: the weights of a head beside what each of its edges does, exactly and estimated."""

import numpy as np
import pytest

from model.analysis.attention import attention_weights
from model.analysis.edge_effects import agreement
from model.intervention import Intervention
from tests.conftest import REPEATED
from tests.pages.reading import address, charts, numbers, said

LAYER, HEAD, QUERY, KEY = 1, 2, 6, 3
LINK = {"text": REPEATED, "layer": LAYER, "head": HEAD, "token": QUERY, "key": KEY}


def opened(open_page, **link):
    app = open_page("attention", **(LINK | link))
    assert not app.exception and not app.error and "**Check failed" not in said(app)
    return app


def test_nothing_is_taken_away_unasked(open_page):
    app = open_page("attention", **LINK)
    assert "They need not agree" in said(app) and not [s for s in app.slider if s.key == "effect_token"]


def test_the_row_is_what_runs_without_each_key_say(open_page, story):
    app = opened(open_page, effect="loss", numbers="effect_row")
    tokens = story.encode(REPEATED)
    run = story.run(tokens)
    (table,) = (frame.value for frame in app.dataframe if "weight" in frame.value)
    for key in range(QUERY + 1):
        edge = Intervention(edges_off=frozenset({(LAYER, HEAD, QUERY, key)}))
        rise = story.run(tokens, edge).predictions.loss - run.predictions.loss
        assert table["the loss rises by, exactly"].iloc[key] == pytest.approx(rise, abs=1e-5)
    assert np.isnan(table["the loss rises by, exactly"].iloc[QUERY + 1 :]).all()  # masked
    np.testing.assert_allclose(table["weight"], attention_weights(run.layer(LAYER), HEAD)[QUERY])
    assert f"{table['the loss rises by, exactly'].iloc[KEY]:+.6f}** nats" in said(app)
    assert "The loss of this text, the mean" in said(app) and "(zero ablation)" in said(app)
    (found,) = (frame.value for frame in app.dataframe if "edges" in frame.value)
    expected = agreement(table["weight"].to_numpy(), table["the loss rises by, exactly"].to_numpy())
    assert found.iloc[0]["edges"] == expected.n == QUERY + 1
    assert found.iloc[0]["ρ with sign"] == pytest.approx(expected.signed)


def test_both_maps_stand_side_by_side_and_the_estimate_is_called_one(open_page, story):
    app = opened(open_page, effect="next token", effect_token=7, effect_place=2)
    run = story.run(story.encode(REPEATED))
    word = story.token(int(run.predictions.top_id[7, 1])).label
    assert f"“{word}” behind" in said(app).replace("\\", "") and "What depends on it: an estimate" in said(app)
    shown = [numbers(chart["data"][0]["z"]) for chart in charts(app) if chart["data"][0]["type"] == "heatmap"]
    weights, rise = shown[-2:]
    np.testing.assert_array_equal(weights, attention_weights(run.layer(LAYER), HEAD))
    assert weights.shape == rise.shape and np.isnan(rise[np.triu_indices(len(rise), 1)]).all()
    assert (rise[8:, 1:][np.tril_indices(len(rise) - 8, 0)] == 0).all()  # what stands behind the token does nothing
    app.slider(key="effect_token").set_value(5).run()
    assert address(app)["effect_token"] == "5" and address(app)["effect"] == "next token"


def test_what_an_encoder_guesses(open_page):
    app = opened(open_page, model="encoder", text="The cat sat on the mat", effect="hidden token", token=2, key=1)
    assert [info for info in app.info if "none is hidden here" in info.value]
    app.button(key="effect_hide").click().run()
    assert not app.exception and "in the place of token 2" in said(app)
    assert "[MASK]" in address(app)["text"] and "Exact: " in said(app)


def test_a_query_that_sees_itself_alone(open_page):
    app = opened(open_page, effect="loss", token=0, key=0)
    assert "sees one thing alone" in said(app)


@pytest.mark.parametrize(("kind", "effect"), [("encoder", "loss"), ("cross", "next token")])
def test_of_an_encoder_decoder_too(open_page, kind, effect):
    """Its end token is what comes next, with its marks as they are: a list is no Markdown."""
    app = opened(open_page, model="translator", text="I am a student.", kind=kind, effect=effect, token=1, key=2)
    assert "Exact: " in said(app) and "Estimate: " in said(app)
    assert not [option for box in app.selectbox for option in box.options if "&#" in option]


def test_a_model_that_gives_weights_alone_shows_what_it_can(open_page, tmp_path, monkeypatch):
    from tests.head_models import write

    folder = write("bloom", tmp_path)
    monkeypatch.setenv("REGARD_MODEL_ROOTS", str(tmp_path))
    app = opened(open_page, model=f"folder:{folder}", text="the cat saw the dog", effect="loss", token=3, key=1)
    reasons = [info.value for info in app.info if "attention in code of its own" in info.value]
    assert [reason.partition(":")[0] for reason in reasons] == ["No map of effects", "No edge can be taken away"]
    assert "Where it looks" in said(app) and "Without all of layer 1, head 2" in said(app)


def test_too_long_a_text_is_a_sentence(open_page):
    app = opened(open_page, text="the cat saw the dog " * 60, effect="loss")
    assert [info for info in app.info if "tokens here, and of 255 at most" in info.value]
