"""The section Sentiment: the judgement, the tokens that carry it, and what the cards say of it."""

import json

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from model import catalog
from model.analysis.attention import layer_weights
from model.text.masking import masked
from tests.pages.reading import said
from viz.sections.understanding import sentiment, two_stages
from viz.ui import cache, loads, session

REVIEW = "the plot is dull and the jokes are dull"


@pytest.fixture(scope="module")
def judge():
    return session.language_model("sentiment")


def explained(judge, tokens) -> int:
    """Of two labels the last, else the most probable."""
    return 1 if len(judge.info.labels) == 2 else judge.classify(tokens).best


def test_the_judgement_is_the_classifiers(understand, judge):
    app = understand("sentiment", text=REVIEW)
    found, tokens = sentiment.judgement("sentiment", REVIEW), judge.encode(REVIEW)
    probability = np.exp(judge.classify(tokens).log_prob)
    np.testing.assert_allclose(found.probability, probability, atol=1e-7)
    label = int(probability.argmax())
    assert f"**{judge.info.labels[label].capitalize()}**, says {judge.info.title}" in said(app)
    for name, values in (("occlusion", judge.occlusion), ("gradient × input", judge.gradient_x_input)):
        exact = values(tokens, explained(judge, tokens))
        np.testing.assert_array_equal(found.carried[name], np.where(np.abs(exact) < 1e-5, 0, exact))
    received = np.mean([layer_weights(layer).mean(axis=(0, 1)) for layer in judge.run(tokens).attention], axis=0)
    np.testing.assert_allclose(found.carried["attention received"], received, atol=1e-6)
    assert received.sum() == pytest.approx(1, abs=1e-5)


def test_a_label_is_ahead_of_the_mean_of_the_others():
    log_prob = np.log([0.5, 0.4, 0.1])
    assert sentiment.margin(log_prob, 0) == pytest.approx(np.log(0.5 / 0.2))  # √(0.4 · 0.1) = 0.2
    two = np.log([0.9, 0.1])
    assert sentiment.margin(two, 1) == pytest.approx(-np.log(9)) == pytest.approx(-sentiment.margin(two, 0))


def test_the_arithmetic_of_a_token_is_a_run_without_it(understand, judge):
    app = understand("sentiment", text=REVIEW)
    tokens = judge.encode(REVIEW)
    label = explained(judge, tokens)
    chosen = int(np.abs(judge.occlusion(tokens, label)).argmax())
    whole, without = (
        sentiment.margin(judge.classify(each).log_prob, label)
        for each in (tokens, masked(tokens, chosen, judge.mask_token()))
    )
    assert f"(token {chosen}) hidden and the text read once more" in said(app)
    assert f"it is {without:+.4f} instead of {whole:+.4f}".replace("-", "−") in said(app)


def test_the_rank_correlations_are_spearmans(understand):
    app = understand("sentiment", text=REVIEW)
    carried = sentiment.judgement("sentiment", REVIEW).carried

    def ranks(values: np.ndarray) -> np.ndarray:
        """Equal values share the mean of their places."""
        return np.array([(values < v).sum() + ((values == v).sum() + 1) / 2 for v in values])

    shown = {metric.label: metric.value for metric in app.metric}
    assert len(shown) == 3
    for one, other in (("gradient × input", "occlusion"), ("occlusion", "attention received")):
        r = np.corrcoef(*(ranks(np.abs(carried[name])) for name in (one, other)))[0, 1]
        assert shown[f"{one.capitalize()} and {other}"] == f"{r:+.2f}".replace("-", "−")
    assert "Jain & Wallace (2019)" in said(app) and "Wiegreffe & Pinter (2019)" in said(app)


def test_a_lead_within_the_margin_may_be_chance():
    assert two_stages.ahead(0.05, 0.044) == "**wins by 5.0 points**"
    assert two_stages.ahead(-0.036, 0.044) == "**loses by 3.6 points**, which may be chance"
    assert two_stages.ahead(0.0001, 0.044) == "is **no better and no worse**"


def test_the_stages_are_read_from_the_cards(understand):
    app = understand("sentiment", text="a")
    assert "no order to compare" in said(app)
    films = two_stages.of_films(json.loads((catalog.WEIGHTS / "sentiment/card.json").read_text()))
    own = films[two_stages.own_name(films)]
    assert f"Share of {films['texts']:,} film reviews" in said(app)
    assert f"it is right {100 * own:.1f} % of the time" in said(app)
    rivals = [max(share for name, share in films.items() if name.startswith("bag of words"))]
    for other in (*rivals, *([films["from scratch"]] if "from scratch" in films else [])):
        points = 100 * (own - other)
        assert f"**{'wins' if points > 0 else 'loses'} by {abs(points):.1f} points**" in said(app)


LAYER = {  # the cards of an encoder and of a layer over its weights, with what other cards do not hold
    "encoder": {"judged": {"films": 30, "rated": 12}, "sentences": {"read": 3000, "teacher": "another <b>model</b>"}},
    "sentiment": {
        "own_parameters": 579,
        "labels": ["negative", "neutral", "positive"],
        "data": {"films": {"share": 1.0, "texts": 8662}},
        "test": {
            "films": {"texts": 500, "margin": 0.044, "linear layer": 0.7, "bag of words": 0.75},
            "films, valid and test": {
                **{"texts": 1500, "margin": 0.025, "linear layer": 0.78, "bag of words": 0.75},
                **{"bag of words, films only": 0.77, "layer and bag together": 0.8},
            },
            "rated, three labels": {"texts": 390, "margin": 0.05, "linear layer": 0.701, "bag of words": 0.6},
        },
    },
}


def test_a_layer_over_the_encoder_is_told_by_its_card():
    def script(*cards):
        from viz.sections.understanding import two_stages

        two_stages.show_stages(*cards)

    cards = tuple(two_stages.card(name) | stated for name, stated in LAYER.items())
    app = AppTest.from_function(script, args=cards, default_timeout=60)
    for name, value in {"page": "understanding", "model": "sentiment", "text": "the cat"}.items():
        app.session_state[name] = value  # pictures say of what they are
    app.run()
    assert not app.exception
    assert "it is right 78.0 % of the time" in two_stages.how_often_right(cards[1])
    assert "Share of 1,500 film reviews" in said(app)
    assert "**wins by 1.0 points**, which may be chance" in said(app) and "without pre-training" not in said(app)
    assert "one linear layer of 579 numbers" in said(app) and "negative or neutral or positive" in said(app)
    assert "Of 3,000 single sentences" in said(app) and "42 of them came with what people had said" in said(app)
    assert "<b>model" not in said(app)
    assert "of 390 tweets and product reviews 70.1 % are judged right, by a bag of words 60.0 % (± 5.0 %)" in said(app)


@pytest.fixture
def layer(tmp_path):
    """A judge of three labels that was loaded in the place of ours."""
    from tests.builtin.test_classifier import write_layer

    def forget() -> None:
        for function in (loads.loaded, session.run_of, sentiment.judgement):
            function.clear()

    forget()
    lm = catalog.load("judge", weights=write_layer(tmp_path / "judge").parent)
    yield cache.MODELS.get((loads.loaded.__wrapped__, sentiment.MODEL), lambda: lm)
    forget()


def test_every_tool_reads_a_layer_with_three_labels(understand, layer):
    lm = layer
    app = understand("sentiment", text="A b c d the cat.")
    tokens = lm.encode("A b c d the cat.")
    found = lm.classify(tokens)
    assert f"**{lm.info.labels[found.best].capitalize()}**, says Judge" in said(app) and len(app.metric) == 3
    assert f"is **{sentiment.signed(sentiment.margin(found.log_prob, found.best), 3)}**" in said(app)
    assert "less that of the others" in said(app) and "hidden and the text read once more" in said(app)
