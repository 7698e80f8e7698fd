"""The encoder's two trainings on made-up texts: hiding tokens, going on after an interruption, exports, their cards."""

import io
import json
import math
import random
from contextlib import redirect_stdout

import numpy as np
import pytest
import torch
from scipy import sparse
from torch.nn import functional as F

from model import catalog
from model.tokenizer import Tokenizer, train
from model.training import encoder, loop, sentiment, word_vectors
from model.training.data import Stream, encode_stream, review_documents
from model.transformer import Config, Transformer
from tests.trainings import assert_goes_on, write_xz

SHAPE = "--vocab 320 --layers 2 --heads 2 --d-model 16 --context 48 --batch-tokens 384"
OPTIONS = f"--learning-rate 0.02 --warm-up 2 --threads 1 --device cpu --check-every 10 --steps 20 {SHAPE}".split()
TUNING = "--learning-rate 0.1 --warm-up 2 --threads 1 --device cpu --check-every 40 --steps 80 --batch 16".split()
GOOD, BAD = "lovely", "dreadful"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Stories in which "sat" is always followed by "down"; reviews of which one word tells the label."""
    folder, rng = tmp_path_factory.mktemp("texts"), random.Random(0)
    (folder / "stories").mkdir()
    (folder / "sentiment").mkdir()

    def tale(n: int) -> str:
        return " ".join(f"The {rng.choice(['cat', 'dog', 'hen'])} sat down {rng.randrange(99)}." for _ in range(n))

    for source in encoder.STORIES:
        tales = [tale(3 if source.sentences else 8) for _ in range(1200)]
        write_xz(folder / f"stories/{source.name}.txt.xz", tales if source.sentences else ["<|endoftext|>".join(tales)])

    def judged(n: int, *before: str, film: bool = False) -> list[str]:
        rows = []
        for _ in range(n):
            label = rng.randrange(2)
            what = "film" if film else "thing"
            rows.append("\t".join((*before, str(label), f"a {(BAD, GOOD)[label]} {what} {rng.randrange(999)}")))
        return rows

    for part, n in {"train": 400, "valid": 60, "test": 40}.items():
        write_xz(folder / f"sentiment/sentence_polarity.{part}.tsv.xz", judged(n, film=True))
    write_xz(folder / "sentiment/pros_cons.tsv.xz", judged(600))
    rated = [f"tweets\t{3 * (2 * (i % 2) - 1)}\ta {(BAD, GOOD)[i % 2]} day {i}" for i in range(200)]
    rated += [f"movie\t2.5\tSECRET {i}" for i in range(50)]
    rated += [f"amazon\t0.1\tneither good nor bad {i}" for i in range(50)]
    write_xz(folder / "sentiment/vader_rated.tsv.xz", rated)
    return folder


def arguments(data, work, *more: str) -> list[str]:
    return ["--data", str(data), "--work", str(work), *OPTIONS, *more]


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    work = tmp_path_factory.mktemp("work")
    with redirect_stdout(io.StringIO()):
        encoder.main(arguments(data, work))
    return work


@pytest.fixture(scope="module")
def exported(data, trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights") / "encoder"
    with redirect_stdout(io.StringIO()):
        encoder.main(arguments(data, trained, "--export", str(folder)))
    return folder


@pytest.fixture(scope="module")
def tuned(data, exported, tmp_path_factory):
    """(work folder, exported folder)"""
    work, folder = tmp_path_factory.mktemp("tuning"), exported.parent / "sentiment"
    to = ["--data", str(data), "--work", str(work), "--encoder", str(exported), *TUNING]
    with redirect_stdout(io.StringIO()):
        sentiment.main(to)
        sentiment.main([*to, "--export", str(folder)])
    return work, folder


# pre-training


def test_the_loss_falls(trained):
    history = torch.load(trained / loop.CHECKPOINT, weights_only=True)["history"]
    assert [row[0] for row in history] == [10, 20]
    assert math.log(320) > history[0][3] > history[1][3]


def test_the_loss_by_hand(data, trained):
    """Each text alone, without padding, every hidden token counted once."""
    args = encoder.parse(arguments(data, trained, "--float32"))
    trainer = encoder.Trainer(args, encoder.prepare_tokenizer(args))
    assert trainer.resume()
    batch, n_token = trainer.draw(np.random.default_rng(3))
    rows, shown, visible, chosen = batch
    assert n_token == int(visible.sum()) < visible.numel()
    total = count = 0
    for i in range(len(rows)):
        n = int(visible[i].sum())
        logits, _ = trainer.transformer(shown[i : i + 1, :n])
        hidden = chosen[i, :n]
        total += F.cross_entropy(logits[0][hidden], rows[i, :n][hidden], reduction="sum").item()
        count += int(hidden.sum())
    assert trainer.loss(batch).item() == pytest.approx(total / count, abs=1e-4)


def test_an_interrupted_run_ends_where_an_uninterrupted_one_does(data, trained, tmp_path):
    assert_goes_on(encoder, encoder.parse(arguments(data, tmp_path)), trained)


@pytest.fixture(scope="module")
def masking() -> Tokenizer:
    return train(iter(["the cat sat on the mat"] * 5), n_vocab=280, mask=True)


def test_hiding_is_eight_one_and_one_in_ten(masking):
    rng = np.random.default_rng(0)
    rows = rng.integers(2, masking.n_vocab, (400, 100))
    visible = np.arange(100) < 80
    visible = np.broadcast_to(visible, rows.shape)
    shown, chosen = encoder.hide(rows, visible, 0.15, masking, rng)
    assert chosen[:, :80].mean() == pytest.approx(0.15, abs=0.01) and not chosen[:, 80:].any()
    np.testing.assert_array_equal(shown[~chosen], rows[~chosen])
    masked = shown[chosen] == masking.mask
    same = shown[chosen] == rows[chosen]
    assert masked.mean() == pytest.approx(0.8, abs=0.02)
    assert same.mean() == pytest.approx(0.1 + 0.1 / masking.n_vocab, abs=0.02)
    others = shown[chosen][~masked]
    assert masking.end_of_text not in others and others.max() < masking.n_vocab


def test_a_row_is_one_text():
    rows = np.array([[5, 6, 0, 7, 8], [0, 5, 6, 7, 8], [5, 6, 7, 8, 9]])
    ids, visible = encoder.whole_rows(rows, end=0)
    assert ids.tolist() == [[5, 6, 0, 7], [5, 6, 7, 8], [5, 6, 7, 8]]
    assert visible.tolist() == [[True, True, False, False], [True] * 4, [True] * 4]


def stream_of(ids: list[int], n_byte: int = 0) -> Stream:
    return Stream(np.array(ids, dtype=np.uint16), np.array([0]), n_byte)


def test_company_is_counted_by_distance():
    counts = word_vectors.counts_nearby([stream_of([1, 2, 3, 0, 1])], n_vocab=4, end=0).toarray()
    # 1-2 and 2-3 are neighbours; 1-3 are two apart, as are 3 and the second 1; that 1 is three from 2, four from 1
    expected = np.zeros((4, 4))
    for one, other, weight in ((1, 2, 1 + 0.5), (2, 3, 1), (1, 3, 0.75 + 0.75), (1, 1, 0.25)):
        expected[one, other] += weight
        expected[other, one] += weight
    np.testing.assert_allclose(counts, expected)


def test_mutual_information_by_hand():
    table = word_vectors.mutual_information(sparse.csr_matrix(np.array([[0.0, 6], [6, 4]]))).toarray()
    p, q = np.array([6, 10]), np.array([6, 10]) ** 0.75
    by_hand = np.log(np.array([[1e-9, 6], [6, 4]]) * q.sum() / np.outer(p, q))
    np.testing.assert_allclose(table, np.maximum(by_hand, 0))
    assert (table > 0).sum() == 2


def test_tokens_in_the_same_company_get_like_vectors(masking):
    words = {word: masking.encode(f" {word}")[0].id for word in ("cat", "mat", "sat")}
    rng = random.Random(0)
    lines = [f"the {rng.choice(['cat', 'mat'])} sat on the mat" for _ in range(50)]
    vectors = word_vectors.token_vectors([encode_stream(masking, lines)], masking, 4)
    assert vectors.shape == (masking.n_vocab, 4)
    assert not vectors[masking.end_of_text].any() and not vectors[masking.mask].any()
    lengths = np.linalg.norm(vectors, axis=1)
    assert np.allclose(lengths[lengths > 0], 1) and lengths[words["cat"]] == pytest.approx(1)
    assert vectors[words["cat"]] @ vectors[words["mat"]] > vectors[words["cat"]] @ vectors[words["sat"]]


def test_a_new_encoder_knows_its_vectors_and_looks_nearby():
    torch.manual_seed(0)
    transformer = Transformer(Config(300, 64, n_layer=2, n_head=2, d_model=32, causal=False))
    before = transformer.token_embedding.weight.clone()
    vectors = np.random.default_rng(0).normal(size=(300, 32))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[0] = 0
    word_vectors.start_from(transformer, vectors, scale=0.05)
    table = transformer.token_embedding.weight
    torch.testing.assert_close(table[0], before[0])
    np.testing.assert_allclose(table[1:].detach(), vectors[1:] * 0.05 * 32**0.5, atol=1e-6)
    with torch.no_grad():
        record = transformer(torch.randint(1, 300, (16, 64)))[1].attention[0]
    weights = (record.query @ record.key.transpose(-1, -2) * record.scale).softmax(-1)  # (B, H, T, S)
    weights = weights.mean((0, 1))
    near = sum(weights.diagonal(apart).mean() for apart in (-2, -1, 1, 2))
    far = sum(weights.diagonal(apart).mean() for apart in (-31, -30, 30, 31))
    assert near > 2 * far


def test_blanks_are_named_from_the_rest_of_their_text(data, trained):
    args = encoder.parse(arguments(data, trained))
    trainer = encoder.Trainer(args, encoder.prepare_tokenizer(args))
    trainer.resume()
    stream = encode_stream(trainer.tokenizer, ["The cat sat down 7. The dog sat down.", "The hen sat down 12."] * 10)
    found = trainer.blanks(stream)
    # the same places, one text at a time
    rng, mask = np.random.default_rng(0), trainer.tokenizer.mask
    texts = sorted((ids for ids in trainer.tokenizer.encode_ids(["The hen sat down 12."])), key=len) * 10
    texts += trainer.tokenizer.encode_ids(["The cat sat down 7. The dog sat down."]) * 10
    width = len(texts[-1])
    hidden = rng.random((20, width)) < 0.15
    nats = right = count = 0
    with torch.no_grad():
        for ids, row in zip(texts, hidden, strict=True):
            places = np.flatnonzero(row[: len(ids)])
            shown = [mask if i in places else id for i, id in enumerate(ids)]
            log_prob = trainer.transformer(torch.tensor([shown]))[0][0].log_softmax(-1)
            nats -= sum(log_prob[i, ids[i]].item() for i in places)
            right += sum(int(log_prob[i].argmax()) == ids[i] for i in places)
            count += len(places)
    assert found["hidden"] == count > 10
    assert found["nats"] == pytest.approx(nats / count, abs=1e-4)
    assert found["accuracy"] == pytest.approx(right / count)


def test_the_unigram_baseline_by_hand(masking):
    end, trained_ids = masking.end_of_text, [5] * 7 + [6] * 2
    found = encoder.unigram(stream_of([*trained_ids, end]), stream_of([5, 6, 6, 7, end]), masking)
    total = 9 + masking.n_vocab - 2
    assert found["accuracy"] == 0.25
    assert found["nats"] == pytest.approx(-(math.log(8 / total) + 2 * math.log(3 / total) + math.log(1 / total)) / 4)


def test_the_export_is_a_built_in_encoder(exported, data):
    lm = catalog.load("encoder", weights=exported.parent)
    assert lm.info.family == "encoder" and not lm.info.causal
    run = lm.run(lm.encode("The [MASK] sat down."))
    assert run.tokens[1].id == lm.mask_token().id
    assert not run.predictions.of_next
    card = json.loads((exported / "card.json").read_text())
    assert card["command"].startswith("python -m model.training.encoder --data DATA --work WORK --steps 20")
    assert str(data) not in json.dumps(card)
    assert set(card["held_out"]) == {source.name for source in encoder.MIX}
    for row in card["held_out"].values():
        assert row["hidden_tokens"] > 0 and row["perplexity"] > 1 and 0 <= row["accuracy"] <= 1


def test_film_texts_that_hold_the_test_sentences_are_never_read(data):
    texts = [text for held_out in (False, True) for text in review_documents(data / "sentiment", held_out=held_out)]
    assert len(texts) > 500 and any("neither good" in text for text in texts)
    assert not any("SECRET" in text for text in texts)
    judged = sentiment.judged_texts(data / "sentiment")
    all_of_them = [each.text for parts in judged.values() for texts in parts.values() for each in texts]
    assert not any("SECRET" in text or "neither good" in text for text in all_of_them)


def test_the_mix_is_whole():
    assert sum(source.share for source in encoder.MIX) == pytest.approx(1)
    assert sum(encoder.ROW_LENGTHS.values()) == pytest.approx(1)
    assert sum(sentiment.SHARES.values()) == pytest.approx(1)


# fine-tuning


def test_the_word_that_tells_the_label_is_learned_and_carries_it(tuned):
    lm = catalog.load("sentiment", weights=tuned[1].parent)
    assert lm.info.labels == ("negative", "positive")
    for word, label in ((BAD, 0), (GOOD, 1)):
        tokens = lm.encode(f"a {word} film 5")
        assert lm.classify(tokens).best == label
        start = len("a ")  # the word may be several tokens
        telling = [i for i, token in enumerate(tokens) if start < token.end <= start + len(word)]
        counted = lm.occlusion(tokens, label)
        assert counted[telling].max() == counted.max() > 0


def test_its_card_compares(tuned, exported):
    card = json.loads((tuned[1] / "card.json").read_text())
    assert card["test"]["films"]["texts"] == 40
    for part in ("films", "remarks", "rated"):
        row = card["test"][part]
        assert row["fine-tuned"] >= 0.9 and row["bag of words"] >= 0.9 and 0.4 <= row["from scratch"] <= 1
    assert card["test"]["films"]["margin"] == pytest.approx(0.155)  # 1.96 · √(0.25 / 40)
    assert str(exported) not in json.dumps(card)
    assert set(card["history"]) == {"columns", *sentiment.STAGES}


def test_the_second_stage_begins_with_the_first_ones_weights(data, exported, tmp_path):
    args = sentiment.parse(["--data", str(data), "--work", str(tmp_path), "--encoder", str(exported), *TUNING])
    texts = sentiment.judged_texts(data / "sentiment")
    lm = catalog.load("encoder", weights=exported.parent)
    for pretrained in (True, False):
        trainer = sentiment.Trainer(args, texts, pretrained=pretrained)
        same = torch.equal(trainer.transformer.token_embedding.weight, lm._transformer.token_embedding.weight)
        assert same == pretrained


def test_the_best_weights_are_kept(data, exported, tmp_path):
    args = sentiment.parse(["--data", str(data), "--work", str(tmp_path), "--encoder", str(exported), *TUNING])
    trainer = sentiment.Trainer(args, sentiment.judged_texts(data / "sentiment"), pretrained=True)
    bias = trainer.transformer.head.bias
    first = bias.clone()
    trainer.check()
    assert 0.4 < trainer.best < 1
    for best, kept in ((1.0, first), (0.0, first + 1)):  # nothing is better than 1; anything is better than 0
        trainer.best = best
        with torch.no_grad():
            bias.copy_(first + 1)  # of both labels: it judges as before
        trainer.check()
        trainer.take_best()
        torch.testing.assert_close(bias.detach(), kept)


def test_nothing_is_tested_that_was_trained_on(data):
    for parts in sentiment.judged_texts(data / "sentiment").values():
        texts = {part: {each.text for each in judged} for part, judged in parts.items()}
        if "valid" not in texts:
            assert texts["test"] and not texts["test"] & texts["train"]


def test_a_bag_of_words_counts_words():
    judged = [sentiment.Judged(f"{word} {i}", label) for i in range(30) for word, label in (("good", 1), ("bad", 0))]
    words = sentiment.bag_of_words(judged, judged[:10])
    assert sentiment.right_of(words, [sentiment.Judged("so good", 1), sentiment.Judged("so bad", 0)]) == 1
    assert sentiment.right_of(words, [sentiment.Judged("so good", 0), sentiment.Judged("so bad", 0)]) == 0.5
