"""What an encoder understands: blanks by click, both ways beside one way, sentiment, two texts compared."""

from dataclasses import replace
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import BertModel

from model.analysis.attention import layer_weights, visible
from model.analysis.masked_tokens import expectation, pseudo_log_likelihood
from model.run import Token
from model.text.masking import Blanked, cut_behind, masked, put, write_places
from model.text.prompt import Prompt, RunKey
from tests.any_models import TEXT
from tests.conftest import REPEATED
from tests.pages.reading import heatmap, numbers, said, traces
from tests.tiny_tokenizers import of_family
from viz.sections.understanding import both_ways, similarity
from viz.ui import session


def lm_of(app):
    return session.language_model(app.session_state.model)


def test_each_token_is_guessed_as_if_it_alone_were_hidden(understand):
    lm = lm_of(understand("blank"))
    tokens, mask = lm.encode(REPEATED), lm.mask_token()
    found = pseudo_log_likelihood(lm, tokens, mask)
    for i, token in enumerate(tokens):
        if token.special:
            assert np.isnan(found.probability[i]) and found.rank[i] == found.best[i] == -1
            continue
        run = lm.run(masked(tokens, i, mask))
        log_prob = torch.tensor(lm.unembed(run.hidden[-1, i])).double().log_softmax(-1).numpy()
        assert found.probability[i] == pytest.approx(np.exp(log_prob[token.id]), rel=1e-5)
        assert found.rank[i] == np.argsort(np.argsort(-log_prob))[token.id]
        assert found.best[i] == run.predictions.top_id[i, 0]
    words = found.probability[~np.isnan(found.probability)]
    assert found.mean == pytest.approx(np.prod(words) ** (1 / len(words)))


def test_what_is_expected_in_a_blank_is_what_the_run_says(understand):
    lm = lm_of(understand("blank"))
    run = lm.run(lm.encode("the [MASK] saw"))
    log_prob = expectation(lm, run, 1)
    assert np.exp(log_prob).sum() == pytest.approx(1)
    best = run.predictions.top_id[1]
    np.testing.assert_allclose(log_prob[best], run.predictions.top_log_prob[1], atol=1e-5)
    assert (np.sort(-log_prob)[: len(best)] == -log_prob[best]).all()


def test_several_blanks_are_said_to_be_guessed_apart(understand):
    app = understand("blank", text="the[MASK] saw[MASK] dog")
    run = session.run_of(RunKey(app.session_state.model, Prompt("the[MASK] saw[MASK] dog")))
    places = [i for i, token in enumerate(run.tokens) if token.label == "[MASK]"]
    assert len(places) == 2 and "**2 blanks, each guessed on its own**" in said(app)
    for place in places:
        best = np.exp(run.predictions.top_log_prob[place, :8])
        assert f"**The blank at position {place}**" in said(app)
        assert f"they hold {100 * best.sum():.1f} % of the probability" in said(app)


def test_what_comes_after_a_blank_is_left_out_by_a_shorter_run(understand):
    text = "the[MASK] saw the dog"
    app = understand("blank", text=text)
    lm = lm_of(app)
    tokens = lm.encode(text)
    cut = cut_behind(tokens, 2)
    assert [token.label for token in cut] == ["[CLS]", "the", "[MASK]", "[SEP]"]
    log_prob = expectation(lm, lm.run(cut), 2)
    first, p = lm.token(int(log_prob.argmax())).label, float(np.exp(log_prob.max()))
    shown = next(c.value for c in app.caption if "Without what comes after it" in c.value)
    assert f" {100 * p:.1f}\N{NO-BREAK SPACE}%" in shown.split("**")[2].split(",")[0] and (
        first in shown or not first.isalnum()
    )
    assert "Without what comes after it" not in said(understand("blank", text="the dog saw[MASK]"))


def test_the_word_that_was_hidden_has_its_probability_and_rank(understand):
    app = understand("blank")
    lm = lm_of(app)
    tokens = lm.encode(TEXT)
    hidden = put(Blanked(TEXT), tokens, 2, lm.mask_token(), lm.encode)
    app = understand("blank", text=hidden.text, hidden=write_places(hidden.places))
    log_prob = expectation(lm, lm.run(lm.encode(hidden.text)), 2)
    p, rank = np.exp(log_prob[tokens[2].id]), int((log_prob > log_prob[tokens[2].id]).sum())
    assert f"**{100 * p:.{1 if p >= 0.01 else 2}f} %**, its guess number **{rank + 1:,}**" in said(app)
    app.button(key="undo_blanks").click().run()
    assert app.session_state.text == TEXT and not app.exception
    assert app.button(key="undo_blanks").disabled


def test_a_text_of_nothing_but_blanks_is_read(understand):
    text = "[MASK]" * 12
    app = understand("blank", text=text)
    assert "3 more blanks are guessed too" in said(app)
    assert "in_turn" not in [toggle.key for toggle in app.toggle]  # there is no word to hide


@pytest.mark.parametrize("section", ["blank", "both", "similarity"])
@pytest.mark.parametrize("text", ["a", "🙂", "今天天气很好", "[MASK]", "<script>alert(1)</script>", "مرحبا", " "])
def test_every_section_reads_strange_texts(understand, section, text):
    app = understand(section, text=text)
    assert app.title[0].value == "Understanding"
    assert "<script>" not in "".join(m.value for m in [*app.markdown, *app.caption])


@pytest.mark.parametrize("section", ["blank", "both", "sentiment", "similarity"])
def test_no_text_and_too_long_a_text_get_a_sentence(understand, section):
    assert "There is no text to read" in understand(section, text="").warning[0].value
    app = understand(section, text="the cat saw the dog " * 75)
    assert "reads at most" in app.warning[0].value


def test_an_encoder_without_its_head_still_has_the_other_sections(understand):
    assert "without the head that guesses hidden words" in understand("blank", "headless").warning[0].value
    for section in ("both", "similarity"):
        assert not understand(section, "headless").warning


# --- the square and the triangle ---


def test_the_square_and_the_triangle_are_those_of_the_runs(understand, story):
    app = understand("both")
    square = lm_of(app).run(lm_of(app).encode(TEXT))
    triangle = story.run(story.encode(TEXT))
    for (drawn, *_), run in zip(traces(app), (square, triangle), strict=True):
        mean = np.mean([layer_weights(layer).mean(axis=0) for layer in run.attention], axis=0)
        np.testing.assert_allclose(np.nan_to_num(numbers(drawn["z"])), mean, atol=1e-6)
    n, m = len(square.tokens), len(triangle.tokens)
    assert f"it is **{n} tokens** for" in said(app) and f"and **{m}** for" in said(app)
    middle = app.session_state.asked_token
    assert 0 < middle < n - 1
    assert (
        f"token {middle} of {n}, sees **{n} of {n}**: {middle} before it, itself, **{n - 1 - middle} after it**"
        in said(app)
    )
    first = len(TEXT[: square.tokens[middle].start]) + 1  # behind the space
    same = next(i for i, token in enumerate(triangle.tokens) if token.end > first)
    assert f"token {same} of {m}, sees **{same + 1} of {m}**: {same} before it, itself, **0 after it**" in said(app)
    assert f"= {m * (m + 1) // 2:,} cells; **{m * (m + 1) // 2:,}** of them have weight" in said(app)


def with_tokens(run, *tokens):
    """A run, as if its text had been cut into these."""
    return SimpleNamespace(info=run.info, tokens=tokens)


def test_whether_two_models_cut_alike_is_looked_up(tiny_run):
    text = "the cat"
    the, cat = Token(1, b"the", 0, 3), Token(2, b" cat", 3, 7)
    word_piece = (Token(5, b"the", 0, 3), Token(6, b"cat", 4, 7))  # without the space before a word
    mark, halves = Token(0, b"[CLS]", 0, 0, special=True), (the, Token(3, b" c", 3, 5), Token(4, b"at", 5, 7))

    def said(one, other) -> str:
        return both_ways.cut_alike(with_tokens(tiny_run, *one), with_tokens(tiny_run, *other), text)

    assert said((the, cat), word_piece).startswith("Both models cut this text into the same **2 tokens**")
    marked = said((mark, the, cat), word_piece)
    assert "cut this text alike, but not with the same special tokens: it is **3 tokens**" in marked
    assert said((the, cat), halves).startswith("The two models do not cut the text alike: it is **2 tokens**")


def test_a_weight_that_rounds_to_0_is_not_hidden_by_the_mask(tiny_run):
    """A score far below the others has no weight left in float32, and may be looked at all the same."""
    query = np.zeros_like(tiny_run.attention[0].query)
    key = np.zeros_like(query)
    query[:, 3, 0], key[:, 0, 0] = 100, 100
    attention = replace(tiny_run.attention[0], query=query, key=key, scale=1.0)
    assert layer_weights(attention)[0, 3, 1] == 0
    assert visible(attention, 0)[3].nonzero()[0].tolist() == [0, 1, 2, 3]


def test_one_head_of_each(understand, story):
    app = understand("both", maps="head", layer=1, head=2, decoder_layer=2, decoder_head=3)
    encoder = lm_of(app)
    np.testing.assert_allclose(
        heatmap(app), layer_weights(encoder.run(encoder.encode(TEXT)).attention[1])[2], atol=1e-6
    )
    assert "Layer 1, head 2: " in said(app) and "Layer 2, head 3: " in said(app)


# --- two texts ---


def test_the_number_of_two_texts_is_the_cosine_of_their_means(understand):
    app = understand("similarity", second="a dog", compared=1)
    lm = lm_of(app)
    one, two = (lm.run(lm.encode(text)).hidden[1] for text in (TEXT, "a dog"))
    a, b = one.mean(0), two.mean(0)
    cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    assert app.metric[0].value == f"{cosine:.3f}"
    assert f"**{cosine:.4f}**" in said(app) and "after block 0, whose last step is a norm" in said(app)
    unit = [vectors / np.linalg.norm(vectors, axis=1, keepdims=True) for vectors in (one, two)]
    np.testing.assert_allclose(heatmap(app), unit[0] @ unit[1].T, atol=1e-6)
    assert "mean vectors are a **weak measure**" in said(app)


def test_the_last_layers_number_is_what_transformers_gives(understand, encoders):
    """Mean pooling over the last hidden state, as the sentence encoders of the hub are used."""
    theirs = BertModel.from_pretrained(encoders / "headless").eval()
    with torch.inference_mode():
        one, two = (
            theirs(torch.tensor([of_family("encoder").encode(text)])).last_hidden_state[0].mean(0)
            for text in (TEXT, "a dog")
        )
    cosine = torch.nn.functional.cosine_similarity(one, two, dim=0).item()
    app = understand("similarity", "headless", second="a dog")
    assert app.session_state.compared == 2 and app.metric[0].value == f"{cosine:.3f}"


def test_the_same_text_twice_is_as_alike_as_can_be(understand):
    assert understand("similarity", second=TEXT).metric[0].value == "1.000"


def test_no_second_text_asks_for_one(understand):
    app = understand("similarity", second="")
    app.text_area(key="second").set_value("").run()
    assert "Type a second text" in app.info[0].value


def test_what_was_typed_in_a_section_is_there_when_one_comes_back(understand):
    app = understand("similarity")
    app.text_area(key="second").set_value("my own text").run()
    app.slider(key="compared").set_value(1).run()
    app.segmented_control(key="section").set_value("blank").run()
    app.segmented_control(key="section").set_value("similarity").run()
    assert app.text_area(key="second").value == "my own text" and app.slider(key="compared").value == 1


def test_the_pairs_to_compare_with(understand):
    app = understand("similarity")
    lm, n_layer = lm_of(app), 2
    known = similarity.reference(app.session_state.model, n_layer)
    assert len(known.alike) == len(similarity.PAIRS)
    assert len(known.unrelated) == len(known.pairs[1]) == 2 * len(similarity.PAIRS) * (len(similarity.PAIRS) - 1)
    a, b = (lm.run(lm.encode(text)).hidden[-1].mean(0) for text in similarity.PAIRS[2])
    assert known.alike[2] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-5)
    above = np.mean([high > low for high, low in product(known.alike, known.unrelated)])
    assert f"**{100 * above:.0f} %** of the time" in said(app)
