"""The encoder's training on made-up texts: hiding tokens, sentence vectors, going on after an interruption, exports."""

import json
import math
import random

import numpy as np
import pytest
import torch
from scipy import sparse
from torch.nn import functional as F

from model import catalog
from model.builtin.transformer import Config, Transformer
from model.text.tokenizer import Tokenizer, train
from model.training import encoder, loop, sentences, word_vectors
from model.training.data import Stream, encode_stream
from model.training.judged import judged_texts
from tests.encoder_texts import arguments
from tests.trainings import assert_goes_on

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
    for step, share in ((0, 0.0), (19, 0.5)):  # before the rates fall, and after
        trainer.step, trainer.args.judged = step, share
        batch, n_token = trainer.draw(np.random.default_rng(3))
        *passages, vectors, labels = batch
        nats = counted = n = 0
        means = []
        for rows, shown, visible, chosen in (passages[:4], passages[4:]):
            for i in range(len(rows)):
                length = int(visible[i].sum())
                logits, record = trainer.transformer(shown[i : i + 1, :length])
                hidden = chosen[i, :length]
                nats += F.cross_entropy(logits[0][hidden], rows[i, :length][hidden], reduction="sum").item()
                counted, n = counted + int(hidden.sum()), n + length
                means.append(trainer.transformer.final_norm(record.hidden[-1][0]).mean(0))
        means = torch.stack(means[len(passages[0]) :])  # of the single sentences
        like = trainer.transformer.to_sentence(means)
        cosine = (like * vectors).sum(1) / like.norm(dim=1) / vectors.norm(dim=1)
        known = ~labels[:, 0].isnan()
        assert n == n_token and bool(known.any()) == bool(share)
        total = nats / counted + 1 - cosine.mean().item()
        if known.any():
            log_prob = trainer.transformer.to_label(means[known]).log_softmax(-1)
            total -= (log_prob * labels[known]).sum(1).mean().item()
        assert trainer.loss(batch).item() == pytest.approx(total, abs=1e-4)


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
    assert sum(row["share"] for row in card["data"].values()) == pytest.approx(1, abs=0.01)
    assert "Apache-2.0" in card["sentences"]["teacher"]
    assert -1 <= card["sentences"]["cosine"] <= 1 and "Apache License 2.0" in (exported / "NOTICE.md").read_text()
    assert [len(card[each]["columns"]) for each in ("history", "sentence_history")] == [10, 5]
    assert all(len(row) == 10 for row in card["history"]["rows"])
    for row in card["held_out"].values():
        assert row["hidden_tokens"] > 0 and row["perplexity"] > 1 and 0 <= row["accuracy"] <= 1


def test_the_shipped_numbers_are_the_trained_ones(data, trained, exported):
    """The app's own loader finds the encoder that was trained, to the precision of float16, and no more than it."""
    args = encoder.parse(arguments(data, trained))
    trainer = encoder.Trainer(args, encoder.prepare_tokenizer(args))
    trainer.resume()
    trainer.transformer.eval()
    lm = catalog.load("encoder", weights=exported.parent)
    tokens = lm.encode("The cat sat down.")
    ids = torch.tensor([[token.id for token in tokens]])
    with torch.no_grad():
        hidden = trainer.read(ids, torch.ones_like(ids, dtype=torch.bool))[0]
    np.testing.assert_allclose(lm.run(tokens).hidden[-1], hidden.numpy(), atol=0.02)
    card = json.loads((exported / "card.json").read_text())
    assert lm.info.n_parameter == card["parameters"] and not any("to_" in name for name in lm.parameter_shapes())


# single sentences


def test_documents_are_cut_into_sentences():
    long = "W" + "ord word " * 21
    text = 'He said "Go!" She went. It was\nlate. "No!" he cried.  Why? A. ' + long + "end. Last one."
    assert sentences.cut(text) == ['He said "Go!"', "She went.", "It was late.", '"No!" he cried.', "Last one."]


def test_held_out_and_tested_texts_have_no_part_in_what_is_trained(data):
    rows = sentences.chosen(data, encoder.STORIES, 3000)
    texts = [row[-1] for row in rows]
    assert len(texts) == len(set(texts)) and [len(text) for text in texts] == sorted(map(len, texts))
    apart = {text for held_out, _, _, text in rows if held_out}
    assert apart and not any(held_out and source in sentences.JUDGED for held_out, source, _, _ in rows)
    judged = judged_texts(data / "sentiment")
    tested = {each.text for kind in ("remarks", "rated") for each in judged[kind]["test"]}
    tested |= {each.text for each in judged["films"]["test"]} - {each.text for each in judged["films"]["train"]}
    assert tested and not tested & {text for held_out, _, _, text in rows if not held_out}


def test_vectors_that_were_interrupted_go_on(data, tmp_path):
    for work in ("whole", "cut"):
        (tmp_path / work).mkdir()
    teacher, read, left = sentences.Reader(data / "teacher"), [], []
    whole = sentences.prepare(data, tmp_path / "whole", encoder.STORIES, 300, teacher)
    assert np.isfinite(whole.vectors).all()

    def interrupted(texts):
        if len(read) > 200:
            raise KeyboardInterrupt
        read.extend(texts)
        return teacher(texts)

    def going_on(texts):
        left.extend(texts)
        return teacher(texts)

    with pytest.raises(KeyboardInterrupt):
        sentences.prepare(data, tmp_path / "cut", encoder.STORIES, 300, interrupted)
    again = sentences.prepare(data, tmp_path / "cut", encoder.STORIES, 300, going_on)
    assert read + left == again.texts == whole.texts
    np.testing.assert_array_equal(again.vectors, whole.vectors)


def test_the_teacher_is_read_as_its_makers_do(data):
    """The mean of the last vectors of real tokens, made 1 long, text by text."""
    from transformers import AutoTokenizer, BertModel

    tokenizer, body = (kind.from_pretrained(data / "teacher") for kind in (AutoTokenizer, BertModel))
    texts = ["the cat sat", "cat"]
    found = sentences.Reader(data / "teacher")(texts)
    for text, vector in zip(texts, found, strict=True):
        with torch.no_grad():
            mean = body(torch.tensor([tokenizer(text)["input_ids"]])).last_hidden_state[0].mean(0)
        np.testing.assert_allclose(vector, mean / mean.norm(), atol=5e-3)


def test_the_mix_is_whole():
    assert sum(source.share for source in encoder.MIX) == pytest.approx(1)
    assert sum(encoder.ROW_LENGTHS.values()) == pytest.approx(1)
