"""What a folder's model costs, by its headers, and what is said of a folder that is broken."""

import json
import os
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BartConfig, BartModel, GPT2LMHeadModel

from model import catalog
from model.memory import memory_available
from model.sources.cost import Cost, cost_of, size
from tests.sources.steps import change_config, must_not_load, refused
from tests.tiny_tokenizers import byte_level


def test_cost_is_that_of_the_model(tiny_gpt2):
    cost = cost_of(tiny_gpt2)
    n_parameter = sum(p.numel() for p in GPT2LMHeadModel.from_pretrained(tiny_gpt2).parameters())
    assert (cost.n_parameter, cost.n_layer, cost.n_head, cost.n_context) == (n_parameter, 2, 2, 64)
    assert cost.needed == 4 * n_parameter and cost.available == pytest.approx(memory_available(), rel=0.5)
    assert cost.on_disk == (tiny_gpt2 / "model.safetensors").stat().st_size


def test_an_encoder_decoder_counts_all_its_layers(tmp_path):
    sizes = {f"{part}_{name}": 2 for part in ("encoder", "decoder") for name in ("layers", "attention_heads")}
    sizes |= {"encoder_ffn_dim": 8, "decoder_ffn_dim": 8}
    BartModel(BartConfig(vocab_size=400, d_model=8, max_position_embeddings=50, **sizes)).save_pretrained(tmp_path)
    byte_level().save_pretrained(tmp_path)
    cost = cost_of(tmp_path)
    assert (cost.n_layer, cost.n_head, cost.n_context) == (4, 2, 50)


def test_weights_in_parts(tiny_gpt2, tmp_path):
    GPT2LMHeadModel.from_pretrained(tiny_gpt2).save_pretrained(tmp_path, max_shard_size="10kB")
    byte_level().save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors.index.json").exists()
    assert cost_of(tmp_path).n_parameter == cost_of(tiny_gpt2).n_parameter
    part = sorted(tmp_path.glob("model-*.safetensors"))[0]
    part.unlink()
    assert part.name in refused(cost_of, tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text("{")
    assert "index.json in" in refused(cost_of, tmp_path)


def test_masks_of_old_gpt2_files_are_no_parameters(roots, tiny_gpt2):
    weights = load_file(roots / "mine/model.safetensors")
    weights["transformer.h.0.attn.bias"] = torch.ones(1, 1, 64, 64)
    save_file(weights, roots / "mine/model.safetensors", {"format": "pt"})
    assert cost_of(roots / "mine").n_parameter == cost_of(tiny_gpt2).n_parameter


def cut(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def pickle_only(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def larger_tokenizer(folder: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["new"] = 1000
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


def no_tokenizer(folder: Path) -> None:
    for file in folder.glob("tokenizer*"):
        file.unlink()


BROKEN = {
    "no config": (
        lambda folder: (folder / "config.json").unlink(),
        "“{folder}” is not a model: it holds generation_config.json, model.safetensors, tokenizer.json and 1 more, but "
        "no config.json. Give the folder that holds config.json, model.safetensors and the tokenizer's files, as "
        "save_pretrained writes them.",
    ),
    "config cut": (
        lambda folder: (folder / "config.json").write_text('{"model_type": '),
        "The config.json in “{folder}” is damaged (",
    ),
    "config no object": (lambda folder: (folder / "config.json").write_text("[]"), "The config.json in “{folder}” is"),
    "config nonsense": (
        lambda folder: change_config(folder, n_layer="many"),
        "The config.json in “{folder}” does not describe a gpt2 model (",
    ),
    "unknown architecture": (
        lambda folder: change_config(folder, model_type="perceptron9"),
        "The config.json in “{folder}” names the architecture “perceptron9”, which transformers ",
    ),
    "code of its own": (
        lambda folder: change_config(folder, model_type="mine", auto_map={"AutoModel": "mine.Mine"}),
        "It brings code of its own, which Regard never runs.",
    ),
    "no weights": (
        lambda folder: (folder / "model.safetensors").unlink(),
        "“{folder}” holds no weights, only config.json, generation_config.json, tokenizer.json and 1 more. Download "
        "the model again, or choose another folder.",
    ),
    "weights cut": (cut, "The file model.safetensors in “{folder}” is damaged or cut short: its header does not fit"),
    "weights empty": (
        lambda folder: (folder / "model.safetensors").write_bytes(b""),
        "The file model.safetensors in “{folder}” is damaged or cut short: its header does not fit its 0 bytes (",
    ),
    "pickle only": (
        pickle_only,
        "“{folder}” holds its weights as pytorch_model.bin, a format that can run any code when it is opened, so "
        "Regard never does.",
    ),
    "packed": (
        lambda folder: change_config(folder, quantization_config={"quant_method": "gptq"}),
        "The weights in “{folder}” are packed (gptq), and Regard reads plain ones only",
    ),
    "no tokenizer": (no_tokenizer, "“{folder}” holds no tokenizer that can be read (tokenizer.json, vocab.txt,"),
    "tokenizer cut": (
        lambda folder: (folder / "tokenizer.json").write_text("{"),
        "The tokenizer.json in “{folder}” is damaged (",
    ),
    "another tokenizer": (
        larger_tokenizer,
        "The tokenizer in “{folder}” disagrees with the weights: it has 1,001 entries, the embedding 400 rows.",
    ),
    "another vocabulary": (
        lambda folder: change_config(folder, vocab_size=50257),
        "The vocabulary in “{folder}” disagrees with the weights: config.json says 50,257 entries, the embedding has "
        "400 rows.",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_folder_gets_a_sentence(case, roots, allowed):
    damage, sentence = BROKEN[case]
    damage(roots / "mine")
    said = refused(cost_of, roots / "mine")
    assert sentence.format(folder=roots / "mine") in said
    assert len(said) < 700 and "Traceback" not in said
    # and nothing of it is opened
    assert refused(catalog.load, "folder:" + str(roots / "mine"), allowed=allowed, loader=must_not_load) == said


def test_what_does_not_fit_is_refused_with_the_numbers():
    cost = Cost(7_000_000_000, 32, 32, 4096, 14 * 10**9, available=16 * 10**9)
    assert refused(cost.check, "Big") == (
        "Big does not fit: 7,000.0 million parameters need 28 GB of memory in single precision, and 268 MB to run; "
        "16 GB are free. Choose a smaller model, or free some memory."
    )
    Cost(7_000_000_000, 32, 32, 4096, 14 * 10**9, available=None).check("Big")  # nothing is known: let it try
    Cost(3_000_000, 32, 32, 4096, 12_000_000, available=16 * 10**9).check("Small")


def test_cost_in_words():
    cost = Cost(134_515_008, 30, 9, 8192, 98_362_432, available=21_400_000_000)
    assert str(cost) == (
        "134.5 M parameters · 30 layers × 9 heads · reads up to 8,192 tokens · needs 538 MB of memory of 21 GB free"
    )
    assert "no limit to the text's length" in str(Cost(1, 1, 1, None, 4, None))
    assert [size(n) for n in (5, 1500, 98_362_432, 1_500_000_000)] == ["5 bytes", "1.5 kB", "98 MB", "1.5 GB"]


def test_a_huge_checkpoint_is_refused_unopened(roots, allowed):
    header = json.dumps({"w": {"dtype": "U8", "shape": [10**6, 10**6], "data_offsets": [0, 10**12]}}).encode()
    file = roots / "mine/model.safetensors"
    file.write_bytes(struct.pack("<Q", len(header)) + header)
    try:
        os.truncate(file, 8 + len(header) + 10**12)  # a sparse file: it takes no room
    except OSError:
        pytest.skip("no sparse files of this size here")
    said = refused(catalog.load, f"folder:{roots / 'mine'}", allowed=allowed, loader=must_not_load)
    assert said.startswith("mine does not fit: 1,000,000.0 million parameters need 4,000 GB of memory")


def test_cost_of_the_shipped_model(story):
    cost = catalog.cost(catalog.find("story"))
    info = story.info
    assert (cost.n_parameter, cost.n_layer, cost.n_head) == (info.n_parameter, info.n_layer, info.n_head)
    assert cost.n_context == info.n_context and cost.needed == 4 * info.n_parameter
