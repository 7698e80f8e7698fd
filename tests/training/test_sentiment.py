"""Soft labels and the layer that judges, fitted on a tiny encoder of made-up texts; its card."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression

from model import catalog
from model.training import encoder, judged, sentences, sentiment
from model.training.data import review_documents
from model.training.judged import Judged, judged_texts
from tests.encoder_texts import BAD, GOOD, run


@pytest.fixture(scope="module")
def tuned(data, trained, exported):
    """The folder of the layer that judges, beside the encoder's."""
    folder = exported.parent / "sentiment"
    run(sentiment, ["--data", str(data), "--work", str(trained), "--export", str(folder), "--threads", "1"])
    return folder


# labels, and the layer that judges


def test_film_texts_that_hold_the_test_sentences_are_never_read(data):
    texts = [text for held_out in (False, True) for text in review_documents(data / "sentiment", held_out=held_out)]
    assert len(texts) > 500 and any("neither good" in text for text in texts)
    assert not any("SECRET" in text for text in texts)
    parts = judged_texts(data / "sentiment")
    tested = {each.text for kind in ("remarks", "rated") for each in parts[kind]["test"]}
    assert tested and not any(f"{text} " in f"{each} " for text in tested for each in texts)
    everything = [each for kinds in parts.values() for texts in kinds.values() for each in texts]
    assert not any("SECRET" in each.text for each in everything)
    assert {each.label for each in everything if "neither good" in each.text} == {judged.NEUTRAL}
    assert {each.label for each in everything if "film" in each.text} == {judged.NEGATIVE, judged.POSITIVE}


def test_nothing_is_tested_that_was_trained_on(data):
    for parts in judged_texts(data / "sentiment").values():
        texts = {part: {each.text for each in rows} for part, rows in parts.items()}
        if "valid" not in texts:
            assert texts["test"] and not texts["test"] & texts["train"]


def test_a_rating_near_the_edge_is_shared():
    found = judged.from_ratings(np.array([0.0, 0.5, -3.0, 3.0]))
    np.testing.assert_allclose(found.sum(1), 1)
    # within one deviation of the mean lie 68.3 %; an edge halves what is near it
    assert found[0] == pytest.approx([0.1587, 0.6827, 0.1587], abs=1e-4)
    assert found[1, 2] == pytest.approx(0.5) and found[2, 0] > 0.999 and found[3, 2] > 0.999


def test_soft_labels_are_half_what_people_said(data, trained):
    known = sentences.prepare(data, trained, encoder.STORIES, 0)
    labels = judged.soft_labels(known)
    films = known.source == "films"
    assert (labels[films & (known.rating == 1), judged.POSITIVE] >= 0.5).all()
    assert (labels[films & (known.rating == 0), judged.NEGATIVE] >= 0.5).all()
    assert (labels[films, judged.NEUTRAL] == 0).all()
    neither = (known.source == "rated") & (known.rating == 0.1)
    assert neither.any() and (labels[neither].argmax(1) == judged.NEUTRAL).all()
    everyday = (known.source == judged.EVERYDAY) & ~known.held_out
    assert np.allclose(labels[everyday].sum(1), 1)
    assert np.isnan(labels[(known.source == "tinystories_5k") | known.held_out]).all()


def test_no_label_of_a_typed_text_is_trained_on(data, trained):
    known = sentences.prepare(data, trained, encoder.STORIES, 0)
    everyday = np.flatnonzero((known.source == judged.EVERYDAY) & ~known.held_out)[:2]
    known.texts[everyday[0]] = "the cat sat on the mat!"
    labels = judged.soft_labels(known)
    assert np.isnan(labels[everyday[0]]).all() and np.isfinite(labels[everyday[1]]).all()
    assert "the cat sat on the mat!" not in sentiment.Texts.known(known).texts


def test_the_layer_is_the_best_one():
    """Held to the gradient, which is zero there, and to scikit-learn where labels are certain."""
    rng = np.random.default_rng(0)
    x = rng.normal(2, 3, (300, 5))
    chances = np.exp(x @ rng.normal(size=(5, 3)) / 3)
    hard = np.array([rng.choice(3, p=p) for p in chances / chances.sum(1, keepdims=True)])
    weights = rng.uniform(0.5, 1.5, 300)
    layer, _ = sentiment.fitted_layer(torch.from_numpy(x).float(), np.eye(3)[hard], weights, 1e-2)
    z = (x - x.mean(0)) / x.std(0, ddof=1)
    # scikit-learn adds half the squares to C times the sum of the losses
    theirs = LogisticRegression(C=1 / (1e-2 * weights.sum()), tol=1e-9, max_iter=5000)
    theirs.fit(z.astype(np.float64), hard, sample_weight=weights)
    ours = layer(torch.from_numpy(x).float()).softmax(-1).numpy()
    np.testing.assert_allclose(ours, theirs.predict_proba(z), atol=1e-3)


def test_the_layer_is_shipped_alone_and_judges_on_the_encoders_weights(tuned, exported):
    assert set(load_file(tuned / "weights.safetensors")) == {"head.weight", "head.bias"}
    assert not (tuned / "tokenizer.json").exists() and (tuned / "NOTICE.md").is_file()
    assert (tuned / "weights.safetensors").stat().st_size < 4096
    lm, body = (catalog.load(name, weights=tuned.parent) for name in ("sentiment", "encoder"))
    assert lm.info.labels == judged.LABELS
    head = {name: t.float() for name, t in load_file(tuned / "weights.safetensors").items()}
    tokens = lm.encode(f"a {GOOD} film 5.")
    assert tokens == body.encode(f"a {GOOD} film 5.")
    hidden = torch.tensor(body.run(tokens).hidden[-1])
    mean = body.transformer.final_norm(hidden).mean(0)
    log_prob = (head["head.weight"] @ mean + head["head.bias"]).log_softmax(-1)
    np.testing.assert_allclose(lm.classify(tokens).log_prob, log_prob.detach().numpy(), atol=1e-4)


def test_the_word_that_tells_the_label_is_learned_and_carries_it(tuned):
    lm = catalog.load("sentiment", weights=tuned.parent)
    for word, label in ((BAD, judged.NEGATIVE), (GOOD, judged.POSITIVE)):
        tokens = lm.encode(f"a {word} film 5")
        assert lm.classify(tokens).best == label
        start = len("a ")  # the word may be several tokens
        telling = [i for i, token in enumerate(tokens) if start < token.end <= start + len(word)]
        counted = lm.occlusion(tokens, label)
        assert counted[telling].max() == counted.max() > 0
    assert lm.classify(lm.encode("The hen sat down 3.")).best == judged.NEUTRAL


def test_its_card_compares(tuned, exported):
    card = json.loads((tuned / "card.json").read_text())
    assert card["test"]["films"]["texts"] == 40 and card["test"]["films, valid and test"]["texts"] == 100
    for part in ("films", "remarks", "rated"):
        row = card["test"][part]
        assert row["linear layer"] >= 0.9 and row["bag of words"] >= 0.9
    assert card["test"]["rated, three labels"]["linear layer"] >= 0.9
    assert card["test"]["films"]["margin"] == pytest.approx(0.155)  # 1.96 · √(0.25 / 40)
    assert str(exported.parent) not in json.dumps(card)
    assert [row["text"] for row in card["typed"]] == [each.text for each in judged.TYPED]
    assert card["own_parameters"] == 3 * 16 + 3


def test_a_bag_of_words_counts_words():
    texts = [f"{word} {i}" for i in range(30) for word in ("good", "bad")]
    labels = np.array([judged.POSITIVE, judged.NEGATIVE] * 30)
    valid = [Judged(text, label) for text, label in zip(texts[:10], labels[:10], strict=True)]
    words = sentiment.bag_of_words(texts, labels, None, valid)
    asked = [Judged("so good", judged.POSITIVE), Judged("so bad", judged.NEGATIVE)]
    assert sentiment.right(words(["so good", "so bad"]), asked) == 1
    assert sentiment.right(words(["so bad", "so bad"]), asked) == 0.5


def test_a_neutral_answer_is_wrong_among_three_labels_alone():
    logits = np.array([[0.0, 5.0, 1.0], [2.0, 0.0, 1.0]])
    asked = [Judged("", judged.POSITIVE), Judged("", judged.NEGATIVE)]
    assert sentiment.right(logits, asked) == 1
    assert sentiment.right(logits, asked, three=True) == 0.5


def test_the_shares_hold_whatever_the_number_of_texts():
    texts = sentiment.Texts([""] * 10, np.repeat(list(judged.SHARES), (4, 3, 2, 1)), np.zeros((10, 3)))
    for name, share in judged.SHARES.items():
        assert texts.weights[texts.kind == name].sum() == pytest.approx(share)
    assert sum(judged.SHARES.values()) == pytest.approx(1)
