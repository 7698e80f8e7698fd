"""GGUF files: their header, read within bounds, and a conversion that is kept."""

import struct
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import PreTrainedTokenizerFast

from model import catalog
from model.sources import gguf
from model.sources import places as sources
from model.sources.cost import cost_of
from model.sources.places import Allowed
from tests.conftest import REPEATED, ROOT
from tests.gguf_files import write_gguf
from tests.sources.steps import at_once, make, refused
from tests.tiny_tokenizers import byte_level


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
    other = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, **pipes)
    assert other.stdout.readline() == "ready\n"
    other.stdin.write("\n")
    other.stdin.flush()
    folders = {gguf.converted(llama_gguf, tmp_path), Path(other.communicate()[0].strip())}
    assert list((tmp_path / "gguf").iterdir()) == list(folders)
    assert cost_of(folders.pop()).n_layer == 1


def test_an_architecture_that_its_reader_does_not_know(tmp_path):
    pytest.importorskip("gguf", reason="pip install 'regard[gguf]'")
    pytest.importorskip("accelerate", reason="pip install 'regard[gguf]'")
    said = refused(gguf.converted, write_gguf(tmp_path / "x.gguf"), tmp_path / "cache")
    assert "x.gguf" in said and "Traceback" not in said and len(said) < 600
    assert not any((tmp_path / "cache").rglob("*.safetensors"))
    assert not list((tmp_path / "cache/gguf").iterdir())
