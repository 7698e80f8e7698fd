"""On the page Generation: how surprising a text is, by what the logits of the model say."""

import json
import math

import numpy as np
import pytest

from model.analysis.logits import entropy, log_probabilities, rank, softmax
from tests.pages.reading import address, said, traces

TEXT = "the cat saw the dog and the dog saw the cat"


def metrics(app) -> list[tuple[str, str]]:
    return [(metric.label, metric.value) for metric in app.metric if metric.label in ("Loss", "Perplexity")]


@pytest.fixture
def expected(story) -> tuple[np.ndarray, np.ndarray]:
    """The logits (T - 1, V) before each token but the first, and their ids."""
    tokens = story.encode(TEXT)
    (logits,) = story.logits(tokens)
    return logits[:-1], np.array([token.id for token in tokens[1:]])


def test_each_token_is_as_surprising_as_its_logits_say(open_page, expected):
    app = open_page("generation", text=TEXT, numbers="surprise_own_numbers")
    assert not app.exception and not app.error
    logits, ids = expected
    nats = np.array([-log_probabilities(row)[id] for row, id in zip(logits, ids, strict=True)])
    table = app.dataframe[0].value
    np.testing.assert_allclose(table["log-probability"], -nats, atol=1e-4)
    assert table["rank"].tolist() == [rank(row, id) for row, id in zip(logits, ids, strict=True)]
    np.testing.assert_allclose(table["entropy before it"], [entropy(softmax(row)) for row in logits], atol=1e-4)
    loss = float(nats.mean())
    assert metrics(app) == [("Loss", f"{loss:.3f} nats a token"), ("Perplexity", f"{math.exp(loss):,.1f}")]
    bits = nats.sum() / math.log(2) / len(TEXT[len("the") :].encode())
    assert f"{bits:.4f}" in said(app)
    assert "**Check:** −ln p of the last token" in said(app)
    drawn = [part.proto for part in app.get("bidi_component") if part.proto.component_name.endswith("token_chips")]
    shades = [chip["shade"] for chip in json.loads(drawn[-1].json)["chips"]]  # the last of the page
    np.testing.assert_allclose(shades, [0, *np.minimum(1, nats / 8)], atol=1e-4)


def test_another_model_reads_the_same_text(open_page):
    app = open_page("generation", text="a b c a b", model="copier", beside_model="story")
    assert not app.exception and not app.error
    assert len(metrics(app)) == 4
    lines = traces(app)[-1]
    assert [line["name"] for line in lines] == ["Copier", "Story"]
    app = open_page("generation", text=TEXT, beside_model="encoder")
    assert any("does not foresee the next token" in info.value for info in app.info)


@pytest.mark.parametrize("text", ["a", ""])
def test_of_one_token_nothing_can_be_said(open_page, text):
    app = open_page("generation", text=text)
    assert not app.exception and metrics(app) == []


def test_a_link_may_name_a_model_that_is_not_here(open_page):
    app = open_page("generation", text=TEXT, beside_model="nowhere")
    assert not app.exception and len(metrics(app)) == 2


def test_another_text_is_read_by_the_same_model_beside(open_page, story):
    other = "the dog saw the cat and the cat ran"
    link = {"text": TEXT, "beside_text": other, "numbers": "surprise_second_numbers.surprise_sums"}
    app = open_page("generation", **link)
    assert not app.exception and not app.error and not app.warning
    tables = [each.value for each in app.dataframe]
    (tokens,) = [each for each in tables if "log-probability" in each]
    (sums,) = [each for each in tables if "bits per byte" in each]
    read = story.encode(other)
    (logits,) = story.logits(read)
    ids = [token.id for token in read[1:]]
    nats = np.array([-log_probabilities(row)[id] for row, id in zip(logits[:-1], ids, strict=True)])
    np.testing.assert_allclose(tokens["log-probability"], -nats, atol=1e-4)
    assert tokens["rank"].tolist() == [rank(row, id) for row, id in zip(logits[:-1], ids, strict=True)]
    mine = sums.loc["the other text"]
    assert mine["nats"] == pytest.approx(nats.sum(), abs=1e-3) and mine["bytes"] == len(other[len("the") :].encode())
    assert mine["bits per byte"] == pytest.approx(nats.sum() / math.log(2) / mine["bytes"], abs=1e-4)
    assert len(metrics(app)) == 4 and said(app).count("**Check:** −ln p of the last token") == 2
    assert [line["name"] for line in traces(app)[-1]] == ["your text", "the other text"]
    assert address(app)["beside_text"] == other


def test_another_text_of_one_token_gets_a_sentence(open_page):
    app = open_page("generation", text=TEXT, beside_text="a")
    assert not app.exception and len(metrics(app)) == 2
    assert any("The other text is one token" in warning.value for warning in app.warning)
