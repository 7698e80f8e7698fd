"""Folders whose files are all there, and still no model: tokenizers and weights that do not fit; and true exceptions.

Each refusal names what is wrong, in words of our own: what a library says of it leads to logs that no visitor sees.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import T5EncoderModel

from model.analysis.attention import layer_weights
from model.huggingface import checkpoint as huggingface
from model.huggingface.language_model import HuggingFaceModel
from model.run import ModelNotAvailable
from model.sources import sentence_piece
from model.sources.cost import cost_of
from model.sources.sentence_piece import NORMAL
from tests.huggingface.checkpoints import byte_level, save, save_bert
from tests.sentence_pieces import MARKS, written

GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 40, "bos_token_id": 0, "eos_token_id": 0}
T5 = {"d_model": 32, "num_layers": 2, "num_decoder_layers": 3, "num_heads": 4, "d_kv": 8, "d_ff": 48}

FILE = written([*MARKS, ("a", -1.0, NORMAL)])


@pytest.fixture
def folder(tmp_path) -> Path:
    return save(tmp_path / "mine", "GPT2LMHeadModel", byte_level(), GPT2, eos_token="<|endoftext|>")


def load(folder: Path) -> HuggingFaceModel:
    return huggingface.load(folder, name="folder:mine", title="Mine")


def refusal(folder: Path) -> str:
    with pytest.raises(ModelNotAvailable) as raised:
        load(folder)
    return str(raised.value)


def change_weights(folder: Path, **tensors: torch.Tensor | None) -> None:
    weights = load_file(folder / "model.safetensors") | {name.replace("__", "."): t for name, t in tensors.items()}
    kept = {name: tensor for name, tensor in weights.items() if tensor is not None}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})


# --- tokenizers ---


def only(folder: Path, tokenizer_class: str, **files: bytes) -> None:
    """Leave these files of a tokenizer, by names with "__" for the dot."""
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": tokenizer_class}))
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_bytes(content)


@pytest.mark.parametrize(
    ("content", "kind", "package", "install"),
    [
        (FILE, "SentencePiece", "sentencepiece", "'regard[sentencepiece]'"),
        (b"IQ== 0\nIg== 1\n", "tiktoken", "tiktoken", "tiktoken"),
    ],
)
def test_the_package_that_would_help_is_named(folder, monkeypatch, content, kind, package, install):
    only(folder, "AlbertTokenizer", spiece__model=content)
    monkeypatch.setitem(sys.modules, package, None)  # as where it is not installed
    assert refusal(folder) == (
        f"The tokenizer in “{folder}” is a {kind} model (spiece.model), and the package that reads it is not "
        "installed. Add the tokenizer.json that belongs to these weights; or install it with: pip install "
        f"{install}, and start Regard again."
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (FILE[:-3], "it is cut short"),
        (b"PK\x03\x04 no such file", "it is no SentencePiece model"),
        (written(MARKS), "it has no pieces"),
        (written([*MARKS, ("a" * 257, -1.0, NORMAL)]), "a piece has 257 characters"),
        (written([*MARKS, ("a", float("nan"), NORMAL)]), "a piece has the score nan"),
        (FILE + b"\n\x00" * 400_000, "a piece has 0 characters"),
        (written([("a" * 255, -1.0, NORMAL)] * 31_373), "its pieces have more than 8,000,000 characters"),
        (written([("a", -1.0, NORMAL)], charsmap=b"\x04" + bytes(7)), "its table of normal forms is damaged"),
        (
            written([("a", -1.0, NORMAL)], charsmap=bytes([4, 0, 0, 0]) * 2 + b"a" * 65 + b"\0"),
            "its table of normal forms makes more than 64 bytes of one character",
        ),
        (
            written([("a", -1.0, NORMAL)], charsmap=bytes([4, 0, 0, 0]) * 2 + bytes(4 * 2**20)),
            "its table of normal forms has more than 4,194,304 bytes",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_damaged_or_absurd_sentencepiece_model(folder, content, reason):
    only(folder, "T5Tokenizer", spiece__model=content)
    assert refusal(folder) == (
        f"The spiece.model in “{folder}” cannot be used ({reason}). Download it again, or choose another model."
    )


def test_a_sentencepiece_model_of_too_many_pieces(folder, monkeypatch):
    monkeypatch.setattr(sentence_piece, "N_PIECE", 4)
    only(folder, "T5Tokenizer", spiece__model=written([*MARKS, *[("a", -1.0, NORMAL)] * 2]))
    assert "cannot be used (it has more than 4 pieces)" in refusal(folder)


def test_half_of_a_tokenizer(folder):
    only(folder, "GPT2Tokenizer", vocab__json=json.dumps({"a": 0, "b": 1}).encode())
    assert refusal(folder).startswith(
        f"Half of the tokenizer is missing in “{folder}”: it holds vocab.json without merges.txt. Add that file, or"
    )


def test_an_empty_tokenizer_is_not_taken_for_one(tmp_path):
    """What transformers makes where the files are not those of the class: it reads every text as nothing but [UNK]."""
    folder = save_bert(tmp_path / "bert")
    only(folder, "BertTokenizer", vocab__json=b'{"a": 0}', merges__txt=b"")
    said = refusal(folder)
    assert "cannot be used (it is empty: a BertTokenizer is made from vocab.txt" in said


def test_a_tokenizer_of_another_kind_is_named(folder):
    only(folder, "PreTrainedTokenizerFast", tekken__json=b"{}")
    assert "SentencePiece *.model), only tekken.json, and without it no text can be read" in refusal(folder)


# --- weights ---


def test_a_tensor_of_another_shape_is_named(folder):
    change_weights(folder, transformer__ln_f__weight=torch.ones(31))
    assert refusal(folder) == (
        "The weights of “Mine” do not fit its config.json: transformer.ln_f.weight is 31, and should be 32. The files "
        "belong to different models, or the weights are packed: download the model again, or another."
    )


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("name", ["transformer.h.1.mlp.c_fc.weight", "transformer.wte.weight"])
def test_weights_that_are_no_numbers(folder, name, value):
    """Also where no probe comes by: the vector of a word that is never read."""
    weight = load_file(folder / "model.safetensors")[name]
    weight[-1, -2:] = value
    change_weights(folder, **{name.replace(".", "__"): weight})
    assert refusal(folder).startswith(f"The weights of “Mine” are not all numbers: {name} holds 2 that are infinite")


def test_an_adapter_in_the_same_file(folder):
    """Shown without it, the model would not be the one that was saved."""
    change_weights(folder, transformer__h__0__attn__c_attn__lora_A__default__weight=torch.ones(4, 32))
    said = refusal(folder)
    assert "hold an adapter beside the weights that it changes, as in transformer.h.0.attn.c_attn.lora_A" in said


def test_the_table_of_words_under_the_name_of_the_head(tmp_path):
    """Where both are one, a file holds it once, under either name."""
    llama = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    folder = save(tmp_path / "llama", "LlamaForCausalLM", byte_level(), llama | {"tie_word_embeddings": True})
    before = load(folder)
    weights = load_file(folder / "model.safetensors")
    weights["lm_head.weight"] = weights.pop("model.embed_tokens.weight")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    after, tokens = load(folder), before.encode("the cat saw the dog")
    np.testing.assert_array_equal(after.run(tokens).hidden, before.run(tokens).hidden)
    np.testing.assert_array_equal(after.embeddings()[0], before.embeddings()[0])


# --- the encoder of an encoder-decoder ---


def test_an_encoder_saved_alone_is_shown_as_one(tmp_path):
    folder = save(tmp_path / "t5", "T5EncoderModel", byte_level(), T5, eos_token="<|endoftext|>")
    lm = load(folder)
    assert (lm.info.family, lm.info.n_layer, cost_of(folder).n_layer) == ("encoder", 2, 2)
    built = lm.architecture()
    assert (built.family, built.name, built.head, built.n_distinct_layer) == ("encoder", "T5EncoderModel", "none", 2)
    assert [(stack.role, stack.n_layer, stack.cross) for stack in built.stacks] == [("encoder", 2, False)]
    tokens = lm.encode("the cat saw the dog")
    run = lm.run(tokens)
    assert run.predictions is None
    with torch.inference_mode():
        said = T5EncoderModel.from_pretrained(folder, attn_implementation="eager")(
            torch.tensor([[token.id for token in tokens]]), output_attentions=True
        )
    for ours, theirs in zip(run.attention, said.attentions, strict=True):
        np.testing.assert_allclose(layer_weights(ours), theirs[0].numpy(), atol=1e-5)
