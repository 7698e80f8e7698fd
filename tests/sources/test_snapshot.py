"""A folder that a stranger filled: nothing outside of what may be opened is, whoever names it."""

import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2LMHeadModel

from model import catalog
from model.huggingface import checkpoint as huggingface
from model.language_model import LanguageModel
from model.run import ModelNotAvailable
from model.sources import gguf, snapshot
from model.sources import places as sources
from model.sources.cost import cost_of
from model.sources.places import Allowed, HuggingFaceHub
from model.sources.strict_json import parse
from tests.hostile.watch import opens
from tests.sources.steps import refused

linux = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="links to open files: Linux")


@pytest.fixture
def room(tmp_path, tiny_gpt2) -> Path:
    """`models/mine`, which may be read, and `outside`, which may not: a model and whatever a test puts there."""
    shutil.copytree(tiny_gpt2, tmp_path / "models/mine")
    shutil.copytree(tiny_gpt2, tmp_path / "outside")
    return tmp_path


def load(room: Path) -> LanguageModel:
    return catalog.load(f"folder:{room / 'models/mine'}", allowed=Allowed(((room / "models").resolve(),)))


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps((json.loads(path.read_text()) if path.exists() else {}) | values))


def sharded(room: Path) -> Path:
    """The model in parts; returns the first, of which there is another outside."""
    mine = room / "models/mine"
    (mine / "model.safetensors").unlink()
    GPT2LMHeadModel.from_pretrained(room / "outside").save_pretrained(mine, max_shard_size="10kB")
    first = sorted(mine.glob("model-*.safetensors"))[0]
    shutil.copy(first, room / "outside" / first.name)
    return first


def index_up(room: Path) -> None:
    first = sharded(room)
    index = json.loads((first.parent / snapshot.INDEX).read_text())
    named = {key: f"../../outside/{name}" if name == first.name else name for key, name in index["weight_map"].items()}
    change(first.parent / snapshot.INDEX, weight_map=named)


def index_absolute(room: Path) -> None:
    first = sharded(room)
    index = json.loads((first.parent / snapshot.INDEX).read_text())
    named = {key: str(room / "outside" / name) for key, name in index["weight_map"].items()}
    change(first.parent / snapshot.INDEX, weight_map=named)


def linked(name: str) -> Callable[[Path], None]:
    """A file of the model that is a link to the one outside."""

    def link(room: Path) -> None:
        (room / "models/mine" / name).unlink(missing_ok=True)
        (room / "outside" / name).touch()
        (room / "models/mine" / name).symlink_to(room / "outside" / name)

    return link


def linked_twice(room: Path) -> None:
    (room / "models/door").symlink_to(room / "outside")
    (room / "models/mine/model.safetensors").unlink()
    (room / "models/mine/model.safetensors").symlink_to("../door/model.safetensors")


def part_linked(room: Path) -> None:
    first = sharded(room)
    first.unlink()
    first.symlink_to(room / "outside" / first.name)


REFUSED = {
    "an index with ../": index_up,
    "an index with absolute paths": index_absolute,
    "weights linked": linked("model.safetensors"),
    "weights linked through a linked folder": linked_twice,
    "a part linked": part_linked,
    "config linked": linked("config.json"),
    "tokenizer linked": linked("tokenizer.json"),
    "tokenizer's settings linked": linked("tokenizer_config.json"),
    "template linked": linked("chat_template.jinja"),
    "index linked": linked("model.safetensors.index.json"),
    "a vocabulary linked": linked("vocab.txt"),
    "a SentencePiece model linked": linked("spiece.model"),
    "an adapter's configuration linked": linked("adapter_config.json"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_leads_outside_is_refused_unopened(case, room):
    REFUSED[case](room)
    with opens(room / "outside") as opened, pytest.raises(ModelNotAvailable) as raised:
        load(room)
    assert not opened
    assert "outside" in str(raised.value) or "no file of this folder" in str(raised.value)
    assert len(str(raised.value)) < 500


def templates_linked(room: Path) -> None:
    (room / "outside/secret.jinja").write_text("OUTSIDE {{ messages[0].content }}")
    (room / "models/mine/additional_chat_templates").symlink_to(room / "outside")


def template_linked(room: Path) -> None:
    (room / "outside/secret.jinja").write_text("OUTSIDE {{ messages[0].content }}")
    (room / "models/mine/additional_chat_templates").mkdir()
    (room / "models/mine/additional_chat_templates/x.jinja").symlink_to(room / "outside/secret.jinja")


def settings_name_files(room: Path) -> None:
    named = ("vocab_file", "merges_file", "tokenizer_file", "gguf_file", "chat_template_file", "added_tokens_file")
    files = {name: str(room / "outside/tokenizer.json") for name in named}
    change(room / "models/mine/tokenizer_config.json", init_inputs=[str(room / "outside/vocab.json")], **files)


def special_tokens_name_files(room: Path) -> None:
    """transformers takes each of its names for an argument of the tokenizer, after it has settled the files."""
    file = str(room / "outside/tokenizer.json")
    change(room / "models/mine/special_tokens_map.json", tokenizer_file=file, vocab_file=file, merges_file=file)
    change(room / "models/mine/tokenizer_config.json", added_tokens_decoder=None)
    settings = json.loads((room / "models/mine/tokenizer_config.json").read_text())
    del settings["added_tokens_decoder"]
    (room / "models/mine/tokenizer_config.json").write_text(json.dumps(settings))


def config_names_weights(room: Path) -> None:
    change(room / "models/mine/config.json", transformers_weights="../../outside/model.safetensors")


def other_links(room: Path) -> None:
    """What no model needs may lead anywhere: it is not read."""
    (room / "models/mine/README.md").symlink_to(room / "outside/config.json")
    (room / "models/mine/pytorch_model.bin").symlink_to(room / "outside/config.json")
    (room / "models/mine/runs").symlink_to(room / "outside")


READ_WITHOUT = {
    "a linked folder of templates": templates_linked,
    "a linked template in a folder": template_linked,
    "settings that name files": settings_name_files,
    "special tokens that name files": special_tokens_name_files,
    "a configuration that names weights": config_names_weights,
    "links that no model needs": other_links,
}


@pytest.mark.parametrize("case", READ_WITHOUT)
def test_what_leads_outside_and_is_not_needed_is_left_out(case, room):
    READ_WITHOUT[case](room)
    with opens(room / "outside") as opened:
        lm = load(room)
    assert not opened
    assert lm.chat_text("hello") is None
    theirs = GPT2LMHeadModel.from_pretrained(room / "outside").get_input_embeddings().weight
    assert torch.equal(torch.tensor(lm.embeddings()[0]), theirs)


def test_the_watch_sees_what_is_opened(room):
    """Else the tests above say nothing: the files of a model that may be read are seen, those that Rust opens too."""
    with opens(room / "models") as opened:
        load(room)
    assert {"mine/config.json", "mine/tokenizer.json", "mine/model.safetensors"} <= opened
    with opens(room / "outside") as opened:
        load_file(room / "outside/model.safetensors")
    assert opened == {"model.safetensors"} or not Path("/proc/self").exists()


def test_a_gguf_file_that_is_a_link_outside(room, llama_gguf):
    shutil.copy(llama_gguf, room / "outside/x.gguf")
    (room / "models/packed").mkdir()
    (room / "models/packed/x.gguf").symlink_to(room / "outside/x.gguf")
    allowed = Allowed(((room / "models").resolve(),))
    with opens(room / "outside") as opened:
        said = refused(catalog.load, f"folder:{room / 'models/packed'}", allowed=allowed)
        assert refused(gguf.converted, room / "models/packed/x.gguf", room / "cache", allowed.roots) == said
    assert "is a link to a place outside" in said and not opened


def test_nothing_beside_a_gguf_file_is_read(room, llama_gguf):
    (room / "models/packed").mkdir()
    shutil.copy(llama_gguf, room / "models/packed/x.gguf")
    (room / "models/packed/tokenizer_config.json").symlink_to(room / "outside/tokenizer_config.json")
    (room / "models/packed/additional_chat_templates").symlink_to(room / "outside")
    (room / "outside/secret.jinja").write_text("OUTSIDE")
    with opens(room / "outside") as opened:
        folder = gguf.converted(room / "models/packed/x.gguf", room / "cache", ((room / "models").resolve(),))
    assert not opened and (folder / "model.safetensors").is_file()


# the hub's cache: links into a folder beside


@pytest.fixture
def cached(tmp_path, tiny_gpt2) -> Path:
    """A cache as huggingface_hub keeps it; returns the folder of the files."""
    repository = tmp_path / "hub/models--org--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs/main").write_text("a" * 40)
    (repository / "blobs").mkdir()
    at = repository / "snapshots" / ("a" * 40)
    at.mkdir(parents=True)
    for file in tiny_gpt2.iterdir():
        shutil.copy(file, repository / "blobs" / f"{file.name}-blob")
        (at / file.name).symlink_to(f"../../blobs/{file.name}-blob")
    return at


def test_a_model_in_the_hubs_cache_is_read(cached):
    hub = HuggingFaceHub(cache=cached.parents[2])
    assert hub.local("org/tiny") == cached
    lm = catalog.load("hub:org/tiny", allowed=Allowed(hub=True), hub=hub)
    assert lm.info.name == "hub:org/tiny"
    # and as a folder, where the whole cache may be read
    allowed = Allowed((cached.parents[2].resolve(),))
    assert catalog.load(f"folder:{cached}", allowed=allowed).info.fingerprint == lm.info.fingerprint
    assert "is a link to a place outside" in refused(sources.folder, str(cached), Allowed((cached.resolve(),)))


def test_a_cache_whose_links_lead_out_of_it(cached, tmp_path, tiny_gpt2):
    shutil.copytree(tiny_gpt2, tmp_path / "outside")
    (cached / "tokenizer.json").unlink()
    (cached / "tokenizer.json").symlink_to(tmp_path / "outside/tokenizer.json")
    with opens(tmp_path / "outside") as opened:
        said = refused(
            catalog.load, "hub:org/tiny", allowed=Allowed(hub=True), hub=HuggingFaceHub(cache=cached.parents[2])
        )
    assert "is a link to a place outside" in said and not opened


# what is no file


def fifo(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    os.chdir(path.parent)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(path.name)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes among files here")
@pytest.mark.parametrize("put", [fifo, unix_socket, device])
@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja", "vocab.txt", "x.model"]
)
def test_what_is_no_file_is_refused_and_not_waited_for(put, name, room, monkeypatch):
    monkeypatch.chdir(room)
    (room / "models/mine" / name).unlink(missing_ok=True)
    put(room / "models/mine" / name)
    said = refused(load, room)
    assert f"“{name}” in “{room / 'models/mine'}” is no file but a pipe, a socket or a device" in said or (
        put is device and "is a link to a place outside" in said
    )
    # also where links may lead anywhere
    assert "is no file but a pipe" in refused(huggingface.load, room / "models/mine", name="x", title="x")


def test_a_gguf_file_that_is_a_pipe(tmp_path):
    (tmp_path / "models").mkdir()
    os.mkfifo(tmp_path / "models/x.gguf")
    assert "is no file but a pipe" in refused(cost_of, tmp_path / "models")


# another file in the place of one that was judged


@linux
def test_a_file_that_is_exchanged_after_it_was_judged(room):
    """The weights that were judged are those that a library then reads; what has come in their place is not opened."""
    mine = room / "models/mine"
    theirs = load_file(mine / "model.safetensors")
    save_file({k: v * 0 + 7.25 for k, v in theirs.items()}, room / "outside/model.safetensors", {"format": "pt"})
    with snapshot.snapshot(mine, ((room / "models").resolve(),)) as held:
        for name in ("model.safetensors", "config.json"):
            (mine / name).unlink()
            (mine / name).symlink_to(room / "outside" / name)
        with opens(room / "outside") as opened:
            read = load_file(held.path / "model.safetensors")
            assert GPT2LMHeadModel.from_pretrained(held.path).config.n_layer == 2
    assert not opened
    assert all(torch.equal(read[name], theirs[name]) for name in theirs)


@linux
def test_a_file_that_is_exchanged_while_it_is_judged(room, monkeypatch):
    """Between the look and the open: what is opened is judged again, by where it is."""
    really = os.open

    def exchange(path: Path, *flags: int, **options: int) -> int:
        if str(path).endswith("mine/config.json"):
            shutil.rmtree(room / "models/mine")
            (room / "models/mine").symlink_to(room / "outside")
        return really(path, *flags, **options)

    monkeypatch.setattr(os, "open", exchange)
    assert "config.json" in (said := refused(load, room)) and "is a link to a place outside" in said


# JSON


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"a":' * 1000 + "1" + "}" * 1000, "nested deeper than 64"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "more than 1,000 values"),
        ("[" * 70 + "]" * 70, "nested deeper than 64"),
        ('{"a": 1, "a": 2}', "says 'a' twice"),
        ('{"b": {"a": 1, "a": 1}}', "says 'a' twice"),
        ('{"a": NaN}', "NaN"),
        ("[" + "[]," * 100_000 + "1]", "more than 1,000 values"),
        ('{"a": ' + "9" * 5000 + "}", "Exceeds the limit"),
        ("{", "Expecting property name"),
        ("", "Expecting value"),
    ],
)
def test_json_within_limits(content, reason):
    with pytest.raises(ValueError, match=reason):
        parse(content.encode(), 1000)


def test_json_as_models_have_it():
    content = {"a": [1, -2.5, True, None, "ü"], "b": {"c": float("inf")}, "d": "[" * 500}
    assert parse(json.dumps(content).encode(), 1000) == content
    with pytest.raises(ValueError, match="utf-8"):
        parse(b"\xff\xfe{}", 1000)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json", snapshot.INDEX])
def test_a_huge_text_is_not_read(name, room):
    with (room / "models/mine" / name).open("ab") as file:
        file.truncate(snapshot.TEXTS[name] + 1)  # a sparse file: it takes no room
    assert f"The {name} in “{room / 'models/mine'}” is larger than" in refused(load, room)


def test_a_folder_of_everything(room):
    for i in range(snapshot.N_ENTRY):
        (room / f"models/mine/{i}").touch()
    assert "holds more than 10,000 files" in refused(load, room)


def test_more_weights_than_can_be_opened(room):
    for i in range(snapshot.N_WEIGHT_FILE):
        (room / f"models/mine/{i}.safetensors").touch()
    assert "holds 301 files of weights" in refused(load, room)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="nothing is closed to whoever runs this")
def test_a_folder_that_cannot_be_listed(room):
    (room / "models/mine").chmod(0)
    try:
        assert "cannot be read (Permission denied)" in refused(load, room)
    finally:
        (room / "models/mine").chmod(0o755)
