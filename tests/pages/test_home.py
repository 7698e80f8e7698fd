"""The home page: the way of the present run's text, by its data and by what a visitor reads."""

import base64
import html
import io
import re

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from model import catalog
from model.analysis.attention import attention_weights
from model.analysis.logits import softmax
from model.analysis.telling import telling_head, telling_weight
from model.sources.places import Allowed
from model.text.masking import masked
from tests.pages.reading import address, component, said
from viz.components.next_tokens import Candidates
from viz.figures.home import FEW_ROWS, MOST_ROWS, token_vectors_picture
from viz.sections.home.following import N_BEST, TEMPERATURES

TEXT = "The cat sat on the mat"


def images(element: str) -> list[np.ndarray]:
    sources = re.findall(r"base64,([^\"]+)", element)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(source)))) for source in sources]


def alt(element: str) -> str:
    return html.unescape(re.search(r'role="img" aria-label="([^"]*)"', element).group(1))


def test_vectors_are_strips_of_their_signs():
    picture = token_vectors_picture(["a", "b"], np.array([[1.0, -1.0, 0.0], [0.5, 0.0, -0.5]], np.float32))
    first, second = (image[0].astype(int) for image in images(picture))
    assert first.shape == second.shape == (3, 4)
    assert first[0].tolist() == [10, 90, 190, 255]  # the largest: blue
    assert first[1].tolist() == [197, 98, 0, 255]  # as far below zero: orange
    assert first[2][3] < 20  # zero is see-through
    assert second[0][2] > second[0][0] and second[2][0] > second[2][2]
    assert alt(picture) == "2 tokens: a, b. Each has a vector of 3 numbers, between -1.00 and 1.00."


def test_a_long_text_shows_the_first_tokens_only():
    picture = token_vectors_picture(["the"] * 500, np.ones((500, 8), np.float32))
    assert len(images(picture)) == MOST_ROWS and picture.count(">the<") == MOST_ROWS
    assert f"… and {500 - FEW_ROWS} more" in picture  # in a narrow window
    assert f"… and {500 - MOST_ROWS} more" in picture and alt(picture).startswith("500 tokens: the, the")


def test_tokens_are_never_markup():
    nasty = '<script>alert(1)</script>" onload="x'
    picture = token_vectors_picture([nasty], np.ones((1, 2), np.float32))
    assert "<script" not in picture and '" onload' not in picture


def test_the_candidates_of_any_temperature_are_exact():
    logits = np.random.default_rng(0).normal(0, 4, 5000).astype(np.float32)
    found = Candidates.of(logits, str, 6, (2.0, 0.0, 0.35, 1.0))
    assert found.temperatures.tolist() == [0, 0.35, 1, 2] and found.n_other == 4994
    ids = [int(label) for label in found.labels]
    for t, total in zip(found.temperatures[1:], found.log_sums[1:], strict=True):
        expected = softmax(logits.astype(np.float64) / t)
        np.testing.assert_allclose(np.exp(found.logits / t - total), np.sort(expected)[:-7:-1], rtol=1e-9)
        np.testing.assert_allclose(np.exp(found.logits / t - total), expected[ids], rtol=1e-9)


# the page


def tokens_drawn(at: AppTest) -> str:
    return component(at, "drawing")["svg"]


def test_the_way_is_that_of_the_present_run(open_page, story):
    at = open_page()
    assert not at.exception
    run, n_layer, n_head = story.run(story.encode(TEXT)), story.info.n_layer, story.info.n_head
    assert alt(tokens_drawn(at)).startswith(f"{len(run.tokens)} tokens: {', '.join(run.labels)}. ")
    assert f"between {run.hidden[0].min():.2f} and {run.hidden[0].max():.2f}" in alt(tokens_drawn(at))
    view = component(at, "token_graph")["view"]
    assert view["labels"] == run.labels and view["opens"] and not view["picks"]
    layer, head = catalog.telling_head_of(catalog.find("story"))
    query, key = telling_weight(run, layer, head)
    weight = attention_weights(run.attention[layer], head)[query, key]
    assert f"**Layer {layer}, head {head}.** Of {n_layer * n_head} heads" in said(at)
    assert "on a set of texts" in said(at)
    assert f"{weight:.3f}." in said(at)
    assert f"{n_layer} layers × {n_head} heads" in said(at) and "computed from a run of it" in said(at)


def test_what_may_come_next_is_the_whole_softmax(open_page, story):
    at = open_page(temperature=0.35)
    sent = component(at, "next_tokens")
    assert sent["temperatures"] == list(TEMPERATURES) and sent["temperatures"][sent["now"]] == 0.35 and sent["moves"]
    run = story.run(story.encode(TEXT))
    logits = story.unembed(run.hidden[-1][-1]).astype(np.float64)
    best = np.argsort(-logits, kind="stable")[:N_BEST]
    assert sent["labels"] == [story.token(int(id)).label for id in best]
    for i in (1, 7, 20, 40):
        t = sent["temperatures"][i]
        found = np.exp(np.array(sent["logits"]) / t - sent["log_sums"][i])
        np.testing.assert_allclose(found, softmax(logits / t)[best], rtol=1e-5)


def test_a_temperature_between_the_steps_is_one_of_them(open_page):
    sent = component(open_page(temperature=0.37), "next_tokens")
    assert sent["temperatures"][sent["now"]] == 0.37 and len(sent["temperatures"]) == len(TEMPERATURES) + 1


def test_an_encoder_is_asked_for_a_hidden_word(open_page):
    at = open_page(model="encoder")
    encoder = catalog.load("encoder")
    tokens = encoder.encode(TEXT)
    place = [i for i, token in enumerate(tokens) if not token.special][-1]
    run = encoder.run(masked(tokens, place, encoder.mask_token()))
    expected = [encoder.token(int(id)).label for id in run.predictions.top_id[place, :3]]
    assert component(at, "next_tokens")["labels"][:3] == expected
    assert "when that is hidden" in said(at)
    there = component(open_page(model="encoder", text="The cat [MASK] on the mat"), "next_tokens")["labels"]
    run = encoder.run(encoder.encode("The cat [MASK] on the mat"))
    hidden = next(i for i, token in enumerate(run.tokens) if token.id == encoder.mask_token().id)
    assert there[0] == encoder.token(int(run.predictions.top_id[hidden, 0])).label


def test_a_judge_has_labels_and_no_temperature(open_page):
    at = open_page(model="sentiment")
    sent = component(at, "next_tokens")
    assert sorted(sent["labels"]) == ["negative", "neutral", "positive"] and not sent["moves"] and not sent["others"]
    assert sum(np.exp(sent["logits"]) / np.exp(sent["log_sums"][0])) == pytest.approx(1)


def test_of_a_translator_what_was_written_is_tied_to_what_was_read(open_page):
    at = open_page(model="translator", target="Le chat")
    view = component(at, "token_graph")["view"]
    assert view["writes"] and view["labels"][: len(view["queries"])] == ["Le", "␣chat"]
    assert re.search(r"To write (“.+”|what comes next), it looks at “", said(at))


def test_a_head_in_the_address_wins_and_stays(open_page, story):
    at = open_page(layer=1, head=2)
    run = story.run(story.encode(TEXT))
    assert "**Layer 1, head 2**, as chosen." in said(at)
    assert address(at)["layer"] == "1" and address(at)["head"] == "2"
    query, key = telling_weight(run, 1, 2)
    assert f"{attention_weights(run.attention[1], 2)[query, key]:.3f}." in said(at)


def test_the_telling_head_is_no_choice(open_page):
    assert not {"layer", "head", "temperature"} & address(open_page()).keys()


def test_a_model_without_a_stated_head_is_read_by_the_rule(open_page, tiny_gpt2, monkeypatch):
    monkeypatch.setenv("REGARD_MODEL_ROOTS", str(tiny_gpt2.parent))
    at = open_page(model=f"folder:{tiny_gpt2}")
    assert not at.exception and "of 4 heads" in said(at).lower() and "in this text" in said(at)
    lm = catalog.load(f"folder:{tiny_gpt2}", allowed=Allowed((tiny_gpt2.parent,), hub=False))
    layer, head = telling_head(lm.run(lm.encode(TEXT)))
    assert f"**Layer {layer}, head {head}.**" in said(at)


@pytest.mark.parametrize(
    ("label", "path"),
    [
        *(("1 Tokens", "tokenization"), ("2 Vectors", "embeddings")),
        *(("3 Attention", "attention"), ("4 Next token", "generation")),
    ],
)
def test_each_step_leads_to_its_page_and_keeps_what_is_chosen(open_page, label, path):
    at = open_page(text="Once upon a time", layer=2, temperature=0.5)
    link = next(each.proto for each in at.get("page_link") if each.proto.label == label)
    assert link.page == path and "text=Once+upon+a+time" in link.query_string
    assert ("layer=2" in link.query_string) == (path in ("attention", "generation"))
    assert ("temperature=0.5" in link.query_string) == (path == "generation")


def test_another_example_is_read(open_page):
    at = open_page()
    before = tokens_drawn(at)
    at.button(key="another").click().run()
    assert at.text_area(key="text").value.startswith("Once upon a time")
    assert tokens_drawn(at) != before


@pytest.mark.parametrize(
    "text", ["a", "🙂👩‍👩‍👧", "今天天气很好", "مرحبا", "<script>alert(1)</script>", "a\x07\u200b\u202e", "\n"]
)
def test_unusual_texts_are_drawn(open_page, text):
    at = open_page()
    at.text_area(key="text").set_value(text).run()
    assert not at.exception
    assert "<script>" not in tokens_drawn(at) and "\ufffd" not in tokens_drawn(at)
    assert component(at, "token_graph")["view"]["labels"] and component(at, "next_tokens")["labels"]


def test_of_a_full_context_the_beginning_is_drawn(open_page, story):
    at = open_page(text="the" + " the" * (story.info.n_context - 1))
    assert not at.exception and len(component(at, "token_graph")["view"]["labels"]) == 32
    assert f"Drawn are the first 32 of {story.info.n_context} tokens." in said(at)
    assert len(tokens_drawn(at)) < 100_000


@pytest.mark.parametrize(
    ("model", "line", "end"),
    [
        ("story", "the token on the left takes from the one on the right", "The last token's vector"),
        ("translator", "to write the one on the left", "The decoder's first vector"),
        ("encoder", "the token on the left takes from the one on the right", "The vector of the place asked about"),
        ("sentiment", "the token on the left takes from the one on the right", "gives each label a probability."),
    ],
)
def test_the_tour_speaks_of_the_model_that_is_read(open_page, model, line, end):
    at = open_page(model=model)
    stops = component(at, "tour")["stops"]
    assert len(stops) == 5 and line in stops[1]["text"] and end in stops[3]["text"]
    assert ("temperature" in stops[3]["text"]) == (model != "sentiment")
    question = stops[2]
    assert question["text"].endswith("?") and len(question["answers"]) > 1
    assert question["answers"][question["right"]] in question["told"]


def test_a_text_of_one_token_is_spoken_of_as_one(open_page):
    at = open_page(text="a")
    assert "1 character becomes one token, which becomes" in said(at)
    stops = component(at, "tour")["stops"]
    assert len(stops) == 4 and stops[0]["text"].startswith("Your text is one token, which becomes a vector")
