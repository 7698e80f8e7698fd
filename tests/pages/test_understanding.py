"""What an encoder understands: blanks by click, both ways beside one way, sentiment, two texts compared."""

import base64
import json
from dataclasses import replace
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import BertConfig, BertForMaskedLM, BertModel, PreTrainedTokenizerFast

from model import catalog
from model.analysis.attention import layer_weights, visible
from model.analysis.masked_tokens import expectation, guess_in_turn
from model.analysis.similarity import compare, share_above
from model.run import Token
from model.text.masking import Blanked, cut_behind, masked, put, restore, restore_all
from model.text.tokens import token_of, tokens_of
from tests.builtin.test_classifier import write_classifier
from tests.conftest import REPEATED
from tests.huggingface.test_any_model import SHAPE, said, tokenizer, values_of
from viz.figures.scale import ColourScale
from viz.figures.understanding import cosine_strip, seen_heatmap, token_cosines
from viz.sections.understanding import both_ways, sentiment, similarity
from viz.ui import session

TEXT = "the cat saw the dog"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """An encoder with the head that guesses words, and one without."""
    root = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    config = BertConfig(**SHAPE, max_position_embeddings=64)
    for kind, transformer in (("encoder", BertForMaskedLM(config)), ("headless", BertModel(config))):
        for parameter in transformer.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        transformer.save_pretrained(root / kind)
        tokenizer("encoder").save_pretrained(root / kind)
    return root


@pytest.fixture
def understand(open_page, root, monkeypatch):
    """`understand("both", text="a cat")`: one section of the page, read by the tiny encoder."""
    monkeypatch.setenv("REGARD_MODEL_ROOTS", str(root))

    def open(section: str, kind: str = "encoder", **link):
        link = {"text": TEXT, "model": f"folder:{root / kind}"} | link
        app = open_page("understanding", section=section, **link)
        assert not app.exception
        assert "**Check failed" not in said(app)
        return app

    return open


def lm_of(app):
    return session.language_model(app.session_state.model)


# --- blanks ---


def word_pieces() -> PreTrainedTokenizerFast:
    """WordPiece, as BERT's: a word is silent about the space before it."""
    entries = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "saw", "dog", "##s", "bird", ".", ","]
    wordpiece = Tokenizer(models.WordPiece({entry: i for i, entry in enumerate(entries)}, unk_token="[UNK]"))
    wordpiece.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    wordpiece.decoder = decoders.WordPiece()
    wordpiece.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    marks = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    return PreTrainedTokenizerFast(tokenizer_object=wordpiece, unk_token="[UNK]", **marks)


def readers(tmp_path_factory):
    own = catalog.load("judge", weights=write_classifier(tmp_path_factory.mktemp("weights") / "judge").parent)
    made = {"built in": (own.encode, own.token, own.mask_token())}
    for name, theirs in (("bytes", tokenizer("encoder")), ("word pieces", word_pieces())):
        made[name] = (
            lambda text, theirs=theirs: tokens_of(theirs, text),
            lambda id, theirs=theirs: token_of(theirs, id),
            token_of(theirs, theirs.mask_token_id),
        )
    return made


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    return readers(tmp_path_factory)


KINDS = ["built in", "bytes", "word pieces"]


@pytest.mark.parametrize("kind", KINDS)
def test_hiding_changes_one_token_and_restoring_brings_the_text_back(reader, kind):
    encode, _, mask = reader[kind]
    text = Blanked("the cat saw the dog, the cat")
    tokens = encode(text.text)
    for i in [i for i, token in enumerate(tokens) if not token.special]:
        hidden = put(text, tokens, i, mask, encode)
        now = encode(hidden.text)
        assert [t.id for t in now] == [t.id for t in masked(tokens, i, mask)]
        (place,) = hidden.places
        assert hidden.place_of(now[i]) == place and place.token == tokens[i]
        assert restore(hidden, place) == restore_all(hidden) == text


def test_a_blank_is_written_as_people_write_it(reader):
    for kind in ("built in", "word pieces"):
        encode, _, mask = reader[kind]
        tokens = encode("the cat saw")
        (cat,) = (i for i, token in enumerate(tokens) if b"cat" in token.piece)
        assert put(Blanked("the cat saw"), tokens, cat, mask, encode).text == "the [MASK] saw"


@pytest.mark.parametrize("kind", KINDS)
def test_any_order_of_hiding_and_filling_can_be_undone(reader, kind):
    encode, entry, mask = reader[kind]
    text = "the cat saw the dog, the cat"
    dog = next(token.id for token in encode(text) if b"dog" in token.piece)
    rng = np.random.default_rng(0)
    for _ in range(10):
        changed = Blanked(text)
        for _ in range(6):
            tokens = encode(changed.text)
            i = int(rng.choice([i for i, token in enumerate(tokens) if not token.special or token.id == mask.id]))
            wanted = [token.id for token in tokens]
            wanted[i] = (new := entry(dog) if rng.random() < 0.4 else mask).id
            changed = put(changed, tokens, i, new, encode)
            assert [token.id for token in encode(changed.text)] == wanted
            ends = [end for place in changed.places for end in (place.start, place.end)]
            assert ends == sorted(ends)
        assert restore_all(changed) == Blanked(text)


def test_what_was_typed_is_remembered_through_a_filling(reader):
    encode, entry, mask = reader["word pieces"]
    text = Blanked("the cat saw the dog")
    hidden = put(text, encode(text.text), 2, mask, encode)
    filled = put(hidden, encode(hidden.text), 2, entry(10), encode)
    assert filled.text == "the bird saw the dog"
    again = put(filled, encode(filled.text), 2, mask, encode)
    assert again.places[0].was == " cat" and again.places[0].token.id == 6
    assert put(again, encode(again.text), 2, entry(6), encode) == text  # the typed word itself: nothing is changed


def test_a_word_that_cannot_be_cut_alike_without_its_beginning_has_no_probability_of_its_own(reader):
    encode, _, mask = reader["word pieces"]
    tokens = encode("the dogs")
    assert [token.piece for token in tokens[2:4]] == [b" dog", b"s"]
    without_dog, without_s = (put(Blanked("the dogs"), tokens, i, mask, encode) for i in (2, 3))
    assert without_dog.places[0].token is None and without_s.places[0].token == tokens[3]
    assert restore_all(without_dog) == restore_all(without_s) == Blanked("the dogs")


def test_half_a_character_can_be_hidden_but_not_put_in(reader):
    encode, entry, mask = reader["built in"]
    tokens = encode("the 🙂 cat")
    (part, *_) = (i for i, token in enumerate(tokens) if token.piece == b"\xf0")
    hidden = put(Blanked("the 🙂 cat"), tokens, part, mask, encode)
    assert "🙂" not in hidden.text and hidden.places[0].token is None
    assert restore_all(hidden).text == "the 🙂 cat"
    with pytest.raises(UnicodeDecodeError):
        put(Blanked("the 🙂 cat"), tokens, 0, entry(tokens[part].id), encode)


def test_each_token_is_guessed_as_if_it_alone_were_hidden(understand):
    lm = lm_of(understand("blank"))
    tokens, mask = lm.encode(REPEATED), lm.mask_token()
    found = guess_in_turn(lm, tokens, mask)
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
    run = session.run_of(session.RunKey(app.session_state.model, "the[MASK] saw[MASK] dog"))
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
    lm, name = lm_of(app), app.session_state.model
    tokens = lm.encode(TEXT)
    hidden = put(Blanked(TEXT), tokens, 2, lm.mask_token(), lm.encode)
    app.session_state.blanked, app.session_state.blanked_by = hidden, name
    app.session_state.next_text = hidden.text
    app.run()
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
    for chart, run in zip(app.get("plotly_chart"), (square, triangle), strict=True):
        mean = np.mean([layer_weights(layer).mean(axis=0) for layer in run.attention], axis=0)
        shown = json.loads(chart.proto.spec)["data"][0]["z"]
        z = np.frombuffer(base64.b64decode(shown["bdata"]), shown["dtype"]).reshape(mean.shape)
        np.testing.assert_allclose(np.nan_to_num(z), mean, atol=1e-6)
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
    app = understand("both", maps="head", layer=1, head=2, decoder_layer=3, decoder_head=4)
    encoder = lm_of(app)
    np.testing.assert_allclose(
        values_of(app), layer_weights(encoder.run(encoder.encode(TEXT)).attention[1])[2], atol=1e-6
    )
    assert "Layer 1, head 2: " in said(app) and "Layer 3, head 4: " in said(app)


def test_what_has_no_weight_is_left_blank_and_one_row_is_outlined():
    weights = np.array([[1, 0], [0.25, 0.75]], np.float32)
    fig = seen_heatmap(weights, ["a", "a"], 1, scale=ColourScale())
    assert np.isnan(fig.data[0].z[0, 1]) and fig.data[0].z[1].tolist() == [0.25, 0.75]
    (row,) = fig.layout.shapes
    assert (row.x0, row.x1, row.y0, row.y1) == (-0.5, 1.5, 0.5, 1.5)


# --- two texts ---


def test_two_texts_compared_by_hand():
    found = compare(np.array([[1, 0], [3, 4]]), np.array([[0, 2], [2, 0], [4, 4]]))  # means (2, 2) and (2, 2)
    assert found.dot == 8 and found.lengths == pytest.approx((8**0.5, 8**0.5)) and found.cosine == pytest.approx(1)
    assert found.token_dots.tolist() == [[0, 2, 4], [8, 6, 28]]
    assert found.token_dots.mean() == found.dot
    assert found.token_lengths[0].tolist() == [1, 5]
    assert compare(np.zeros((1, 2)), np.ones((1, 2))).cosine == 0


def test_how_often_one_is_above_the_other():
    assert share_above(np.array([0.9, 0.5]), np.array([0.1, 0.5])) == (1 + 1 + 1 + 0.5) / 4
    assert share_above(np.array([0.0]), np.array([1.0, 2.0])) == 0


def test_the_number_of_two_texts_is_the_cosine_of_their_means(understand):
    app = understand("similarity", second="a dog", compared=1)
    lm = lm_of(app)
    one, two = (lm.run(lm.encode(text)).hidden[1] for text in (TEXT, "a dog"))
    a, b = one.mean(0), two.mean(0)
    cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    assert app.metric[0].value == f"{cosine:.3f}"
    assert f"**{cosine:.4f}**" in said(app) and "after block 0, whose last step is a norm" in said(app)
    unit = [vectors / np.linalg.norm(vectors, axis=1, keepdims=True) for vectors in (one, two)]
    np.testing.assert_allclose(values_of(app), unit[0] @ unit[1].T, atol=1e-6)
    assert "mean vectors are a **weak measure**" in said(app)


def test_the_last_layers_number_is_what_transformers_gives(understand, root):
    """Mean pooling over the last hidden state, as the sentence encoders of the hub are used."""
    theirs = BertModel.from_pretrained(root / "headless").eval()
    with torch.inference_mode():
        one, two = (
            theirs(torch.tensor([tokenizer("encoder").encode(text)])).last_hidden_state[0].mean(0)
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
    assert len(known.unrelated) == len(known.said[1]) == 2 * len(similarity.PAIRS) * (len(similarity.PAIRS) - 1)
    a, b = (lm.run(lm.encode(text)).hidden[-1].mean(0) for text in similarity.PAIRS[2])
    assert known.alike[2] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-5)
    above = np.mean([high > low for high, low in product(known.alike, known.unrelated)])
    assert f"**{100 * above:.0f} %** of the time" in said(app)


def test_figures_of_two_texts_carry_their_data():
    cosines = np.array([[1.0, -0.5, 0.25]])
    fig = token_cosines(cosines, ["<b>"], ["x", "y", "x"], selected=(0, 2))
    heatmap, clicks = fig.data
    assert heatmap.z.tolist() == cosines.tolist() and (heatmap.zmin, heatmap.zmax) == (-1, 1)
    assert clicks.customdata.tolist() == [[0, 0], [0, 1], [0, 2]] and "<b>" not in clicks.text[0].replace("<br>", "")
    assert (fig.layout.shapes[0].x0, fig.layout.shapes[0].y0) == (1.5, -0.5)
    assert len(token_cosines(cosines, ["a"], ["x", "y", "x"], selected=(0, 2), clickable=False).data) == 1
    strip = cosine_strip(np.array([0.9]), np.array([0.1, 0.2]), 0.5, said=[["a · b"], ["c · d", "e · f"]], mode="dark")
    assert [list(trace.x) for trace in strip.data] == [[0.9], [0.1, 0.2]]
    assert strip.layout.annotations[0].text == "<b>yours 0.500</b>"


# --- sentiment ---

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
    assert sentiment.ahead(0.05, 0.044) == "**wins by 5.0 points**"
    assert sentiment.ahead(-0.036, 0.044) == "**loses by 3.6 points**, which may be chance"
    assert sentiment.ahead(0.0001, 0.044) == "is **no better and no worse**"


def test_the_stages_are_read_from_the_cards(understand):
    app = understand("sentiment", text="a")
    assert "no order to compare" in said(app)
    films = sentiment.of_films(json.loads((catalog.WEIGHTS / "sentiment/card.json").read_text()))
    own = films[sentiment.own_name(films)]
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


def test_a_layer_over_the_encoder_is_told_by_its_card(understand, monkeypatch):
    shipped = sentiment.card
    monkeypatch.setattr(sentiment, "card", lambda name: shipped(name) | LAYER[name])
    app = understand("sentiment", text="a")
    assert "it is right 78.0 % of the time" in said(app) and "Share of 1,500 film reviews" in said(app)
    assert "**wins by 1.0 points**, which may be chance" in said(app) and "without pre-training" not in said(app)
    assert "one linear layer of 579 numbers" in said(app) and "negative or neutral or positive" in said(app)
    assert "Of 3,000 single sentences" in said(app) and "42 of them came with what people had said" in said(app)
    assert "<b>model" not in said(app)
    assert "of 390 tweets and product reviews 70.1 % are judged right, by a bag of words 60.0 % (± 5.0 %)" in said(app)


def test_every_tool_reads_a_layer_with_three_labels(understand, monkeypatch, tmp_path):
    from tests.builtin.test_classifier import write_layer

    lm = catalog.load("judge", weights=write_layer(tmp_path / "judge").parent)
    shipped = session.language_model
    monkeypatch.setattr(session, "language_model", lambda name: lm if name == "sentiment" else shipped(name))
    app = understand("sentiment", text="A b c d the cat.")
    tokens = lm.encode("A b c d the cat.")
    found = lm.classify(tokens)
    assert f"**{lm.info.labels[found.best].capitalize()}**, says Judge" in said(app) and len(app.metric) == 3
    assert f"is **{sentiment.signed(sentiment.margin(found.log_prob, found.best), 3)}**" in said(app)
    assert "less that of the others" in said(app) and "hidden and the text read once more" in said(app)
