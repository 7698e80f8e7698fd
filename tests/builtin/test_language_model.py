"""A built-in model: what a run says is what the transformer does, and what cannot be read or loaded gets a sentence."""

import dataclasses
import json
import re

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from model import catalog
from model.builtin.language_model import BuiltinModel
from model.intervention import Intervention
from model.run import ModelNotAvailable, PromptError
from tests.conftest import REPEATED, write_tiny


def test_info(tiny, tiny_folder):
    config = json.loads((tiny_folder / "config.json").read_text())
    for name in ("n_vocab", "n_context", "n_layer", "n_head", "d_model", "causal"):
        assert getattr(tiny.info, name) == config[name]
    assert (tiny.info.n_key_head, tiny.info.d_head) == (4, 8)
    weights = load_file(tiny_folder / "weights.safetensors")
    assert tiny.info.n_parameter == sum(tensor.numel() for tensor in weights.values())


def test_fingerprint_is_of_the_weights(tiny, tiny_folder, tmp_path):
    assert BuiltinModel.load(tiny_folder).info.fingerprint == tiny.info.fingerprint
    assert BuiltinModel.load(write_tiny(tmp_path / "other", seed=1)).info.fingerprint != tiny.info.fingerprint


def test_float16_weights_are_read_as_float32(tiny, tiny_folder):
    stored = load_file(tiny_folder / "weights.safetensors")["token_embedding.weight"]
    assert stored.dtype == torch.float16
    vectors, positions = tiny.embeddings()
    assert vectors.dtype == positions.dtype == np.float32
    np.testing.assert_array_equal(vectors, stored.float().numpy())
    assert positions.shape == (32, 32)


def test_nobody_can_change_the_model(tiny):
    for table in tiny.embeddings():
        with pytest.raises(ValueError, match="read-only"):
            table[0] = 0


def test_the_first_hidden_state_is_token_plus_position(tiny, tiny_run):
    vectors, positions = tiny.embeddings()
    ids = [token.id for token in tiny_run.tokens]
    np.testing.assert_allclose(tiny_run.hidden[0], vectors[ids] + positions[: len(ids)], atol=1e-6)


def test_the_run_is_of_these_tokens(tiny, tiny_run):
    assert tiny_run.tokens == tiny.encode(REPEATED)
    assert tiny_run.info == tiny.info
    assert tiny_run.intervention == Intervention()
    again = tiny.run(tiny_run.tokens)
    np.testing.assert_array_equal(again.hidden, tiny_run.hidden)


def test_a_repeated_word_starts_from_one_vector(tiny, tiny_run):
    """ "the … the": one vector for the token, so the first hidden states differ by the positions' vectors alone."""
    first, last = [i for i, label in enumerate(tiny_run.labels) if label == "␣the"][:2]
    positions = tiny.embeddings()[1]
    np.testing.assert_allclose(
        tiny_run.hidden[0, last] - tiny_run.hidden[0, first], positions[last] - positions[first], atol=1e-5
    )


def predictions_by_hand(lm, run) -> np.ndarray:
    """(T, V) log-probabilities in float64, from the last hidden state."""
    logits = lm.unembed(run.hidden[-1]).astype(np.float64)
    largest = logits.max(-1, keepdims=True)
    return logits - largest - np.log(np.exp(logits - largest).sum(-1, keepdims=True))


@pytest.mark.parametrize(("name", "n_token"), [("tiny", 30), ("story", 30), ("story", 300)])
def test_predictions_by_hand(request, name, n_token):
    lm = request.getfixturevalue(name)
    ids = np.random.default_rng(0).integers(lm.info.n_vocab, size=n_token)  # 300: more than one block of rows
    run = lm.run([lm.token(int(id)) for id in ids])
    log_prob, kept = predictions_by_hand(lm, run), run.predictions
    assert kept.top_id.shape == kept.top_log_prob.shape == (len(run.tokens), 20)
    np.testing.assert_allclose(-np.sort(-log_prob)[:, :20], kept.top_log_prob, atol=1e-4)
    np.testing.assert_allclose(np.take_along_axis(log_prob, kept.top_id, axis=1), kept.top_log_prob, atol=1e-4)
    np.testing.assert_allclose(-(np.exp(log_prob) * log_prob).sum(-1), kept.entropy, atol=1e-4)
    for position, token in enumerate(run.tokens[1:]):
        own = log_prob[position, token.id]
        assert kept.next_log_prob[position] == pytest.approx(own, abs=1e-4)
        # equals, up to rounding: the number of tokens that are more probable
        assert (
            (log_prob[position] > own + 1e-5).sum()
            <= kept.next_rank[position]
            <= (log_prob[position] > own - 1e-5).sum() - 1  # itself
        )
    assert np.isnan(kept.next_log_prob[-1])
    assert kept.next_rank[-1] == -1
    assert kept.loss == pytest.approx(-kept.next_log_prob[:-1].astype(float).mean(), rel=1e-5)


def test_unembed_takes_any_number_of_vectors(tiny, tiny_run):
    all_logits = tiny.unembed(tiny_run.hidden)
    assert all_logits.shape == (*tiny_run.hidden.shape[:2], tiny.info.n_vocab)
    np.testing.assert_allclose(tiny.unembed(tiny_run.hidden[2, 5]), all_logits[2, 5], atol=1e-5)


@pytest.mark.parametrize("name", ["tiny", "story"])
def test_each_layer_done_again_by_hand(request, name):
    lm = request.getfixturevalue(name)
    run = lm.run(lm.encode(REPEATED))
    for layer in range(lm.info.n_layer):
        assert lm.recompute_layer(run, layer) < 1e-4


def test_doing_a_layer_again_notices_a_difference(tiny, tiny_run):
    hidden = tiny_run.hidden.copy()
    hidden[2, 3, 4] += 0.5
    changed = dataclasses.replace(tiny_run, hidden=hidden)
    assert tiny.recompute_layer(changed, 1) == pytest.approx(0.5, abs=1e-3)


def test_heads_switched_off_write_nothing(tiny, tiny_folder):
    off = Intervention(frozenset({(1, 2), (2, 0)}))
    tokens = tiny.encode(REPEATED)
    run = tiny.run(tokens, off)
    assert run.intervention == off
    # by hand: the columns of the output projection that read these heads are zero
    weights = load_file(tiny_folder / "weights.safetensors")
    weights["blocks.1.attention.output.weight"][:, 16:24] = 0
    weights["blocks.2.attention.output.weight"][:, 0:8] = 0
    save_file(weights, tiny_folder / "weights.safetensors")
    expected = BuiltinModel.load(tiny_folder).run(tokens)
    np.testing.assert_allclose(run.hidden, expected.hidden, atol=1e-4)
    np.testing.assert_array_equal(run.hidden[:2], tiny.run(tokens).hidden[:2])  # before layer 1, nothing changed
    assert np.abs(run.hidden[2] - tiny.run(tokens).hidden[2]).max() > 0.1
    assert all(tiny.recompute_layer(run, layer) < 1e-4 for layer in range(3))


def test_an_encoder_looks_both_ways(tmp_path):
    lm = BuiltinModel.load(write_tiny(tmp_path / "encoder", causal=False))
    run = lm.run(lm.encode(REPEATED))
    assert not lm.info.causal and lm.info.family == "encoder"
    assert not run.predictions.of_next  # what stands in the place of each token, the last one's too
    logits = lm.unembed(run.hidden[-1])
    log_prob = logits - np.log(np.exp(logits - logits.max(-1, keepdims=True)).sum(-1, keepdims=True))
    own = [log_prob[i, token.id] - logits[i].max() for i, token in enumerate(run.tokens)]
    np.testing.assert_allclose(run.predictions.next_log_prob, own, atol=1e-4)
    assert not any(attention.causal for attention in run.attention)
    assert all(lm.recompute_layer(run, layer) < 1e-4 for layer in range(3))


def test_no_tokens(tiny):
    with pytest.raises(PromptError) as raised:
        tiny.run(tiny.encode(""))
    assert str(raised.value) == "There is no text to read: type at least one character."


def test_too_many_tokens(tiny, story):
    token = tiny.encode("x")
    assert len(tiny.run(token * 32).tokens) == 32
    with pytest.raises(PromptError) as raised:
        tiny.run(token * 33)
    assert str(raised.value) == "The text is 33 tokens long; Tiny reads at most 32. Shorten it by 1 token."
    n = story.info.n_context
    with pytest.raises(PromptError) as raised:
        story.run(token * (n + 1500))
    assert str(raised.value) == (
        f"The text is {n + 1500:,} tokens long; {story.info.title} reads at most {n:,}. Shorten it by 1,500 tokens."
    )


def test_the_longest_text(story):
    run = story.run(story.encode("x")[:1] * story.info.n_context)
    assert len(run.predictions.top_id) == story.info.n_context


def test_one_token(story):
    run = story.run(story.encode("x"))
    assert len(run.tokens) == 1
    assert np.isnan(run.predictions.loss)
    assert run.predictions.next_rank.tolist() == [-1]
    assert np.isfinite(run.hidden).all()


@pytest.mark.parametrize(
    "text",
    [
        "😀👨‍👩‍👧",
        "猫坐在垫子上。",
        "جلست القطة",
        "\x00\x01\x1b\u202e",
        "<script>alert(1)</script>",
        " ",
        "\n",
        "<|endoftext|>",
    ],
)
def test_any_text_is_read(story, text):
    run = story.run(story.encode(text))
    assert b"".join(token.piece for token in run.tokens) == text.encode()
    assert np.isfinite(run.hidden).all()
    assert all(story.recompute_layer(run, layer) < 1e-4 for layer in range(story.info.n_layer))


# what a visitor is told of a damaged model

FILES = ["config.json", "card.json", "tokenizer.json", "weights.safetensors"]


def refusal(folder) -> str:
    with pytest.raises(ModelNotAvailable) as raised:
        BuiltinModel.load(folder)
    return str(raised.value)


@pytest.mark.parametrize("name", FILES)
def test_missing_file(tiny_folder, name):
    (tiny_folder / name).unlink()
    assert refusal(tiny_folder) == (
        f"The model “tiny” is incomplete: {tiny_folder} holds no {name}. Install Regard again, or choose another model."
    )


def assert_damaged(folder) -> str:
    pattern = (
        rf"The model “tiny” cannot be read: a file in {re.escape(str(folder))} is damaged or cut short \((.+)\)\. "
        r"Install Regard again, or choose another model\."
    )
    match = re.fullmatch(pattern, refusal(folder))
    assert match
    return match[1]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("left", [0, 0.5, 0.99])
def test_truncated_file(tiny_folder, name, left):
    whole = (tiny_folder / name).read_bytes()
    (tiny_folder / name).write_bytes(whole[: int(len(whole) * left)])
    assert_damaged(tiny_folder)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("content", [b"not what it should be", b"[]", b"null", b"\xff\xfe\x00"])
def test_another_content(tiny_folder, name, content):
    (tiny_folder / name).write_bytes(content)
    assert_damaged(tiny_folder)


@pytest.mark.parametrize(
    "change",
    [
        {"n_layer": 4},
        {"n_vocab": 300},
        {"d_model": 64},
        {"n_context": 16},
        {"n_head": 5},
        {"n_heads": 4},
        {"n_head": 0},
    ],
)
def test_config_that_does_not_fit_the_weights(tiny_folder, change):
    config = json.loads((tiny_folder / "config.json").read_text())
    (tiny_folder / "config.json").write_text(json.dumps(config | change))
    assert_damaged(tiny_folder)


def test_weights_of_another_shape(tiny_folder):
    weights = load_file(tiny_folder / "weights.safetensors")
    save_file(weights | {"final_norm.bias": torch.zeros(31)}, tiny_folder / "weights.safetensors")
    assert "final_norm.bias" in assert_damaged(tiny_folder)


def test_weights_that_lack_one(tiny_folder):
    weights = load_file(tiny_folder / "weights.safetensors")
    del weights["blocks.2.mlp.up.bias"]
    save_file(weights, tiny_folder / "weights.safetensors")
    assert "blocks.2.mlp.up.bias" in assert_damaged(tiny_folder)


def test_tokenizer_of_another_model(tiny, tiny_folder, story):
    n_vocab = story.info.n_vocab
    story.tokenizer.save(tiny_folder / "tokenizer.json")
    assert assert_damaged(tiny_folder) == f"tokenizer of {n_vocab} entries, embedding of {tiny.info.n_vocab}"


def test_the_catalogue_hands_the_sentence_on(tiny_folder):
    (tiny_folder / "weights.safetensors").unlink()
    with pytest.raises(ModelNotAvailable, match="is incomplete"):
        catalog.load("tiny", weights=tiny_folder.parent)
