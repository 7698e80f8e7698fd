"""`regard finetune`: a tiny GPT-2 learns a file, is stopped, goes on, and is opened; a sentence for each bad input."""

import importlib.util
import shutil
import signal
import sys
from pathlib import Path
from typing import TextIO

import numpy as np
import pytest
from safetensors.numpy import load_file

import model
from model.analysis.perplexity import foreseen
from model.run import ModelNotAvailable
from viz import cli, finetune

LINES = ["the cat saw the dog", "a dog and a cat", "the cat sat on the mat"] * 4


@pytest.fixture
def data(tmp_path) -> Path:
    path = tmp_path / "lines.txt"
    path.write_text("\n\n".join(LINES), encoding="utf-8")
    return path


def run(capsys, *arguments: object) -> tuple[int, str]:
    """The status with which `regard finetune` ends, as one types it, and what it says. In this process: another would
    read torch and transformers again.
    """
    with pytest.raises(SystemExit) as ended:
        cli.main(["finetune", *map(str, arguments)])
    answer, told = capsys.readouterr()
    assert not answer
    return ended.value.code, told


class PressesCtrlC:
    """A stderr before which somebody sits who presses it once, at the first line that tells a step."""

    def __init__(self, stderr: TextIO):
        self.stderr, self.pressed = stderr, False

    def write(self, said: str) -> int:
        n = self.stderr.write(said)
        if said.startswith("step ") and not self.pressed:
            self.pressed = True
            signal.raise_signal(signal.SIGINT)
        return n

    def flush(self) -> None:
        self.stderr.flush()


def needs(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed: pip install 'regard[finetune]'")


def refused(capsys, *arguments: object) -> str:
    """The sentence with which it ends before it has begun."""
    assert finetune.main(list(map(str, arguments))) == 1
    told = capsys.readouterr()
    assert not told.out and "Traceback" not in told.err
    return told.err.splitlines()[-1]


def test_it_learns_is_stopped_goes_on_and_is_opened(tiny_gpt2, data, tmp_path, capsys, monkeypatch):
    needs("accelerate")
    out = tmp_path / "deep" / "out"
    arguments = (tiny_gpt2, "--data", data, "--out", out, "--batch", 4, "--rate", 0.05, "--save-every", 5, "--cpu")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", PressesCtrlC(sys.stderr))
        status, told = run(capsys, *arguments, "--steps", 5000)
    assert status == finetune.STOPPED and "Traceback" not in told
    assert told.endswith("Stopped: the same command with --resume goes on from the last checkpoint.\n")
    (checkpoint,) = (out / "checkpoints").glob("checkpoint-*")
    n_step = int(checkpoint.name.rpartition("-")[2])
    (out / "checkpoints" / f"checkpoint-{n_step + 1}").mkdir()  # as one that was cut off while it was written

    status, told = run(capsys, *arguments, "--steps", n_step + 4, "--resume", "--held-out", data)
    assert status == 0, told
    lines = told.splitlines()
    assert f"Going on after step {n_step:,}." in lines
    assert any(line.startswith(f"step {n_step + 4:,} of {n_step + 4:,} · loss ") for line in lines)
    assert lines[-1].startswith(f"Written to {out}.")
    assert not (out / "checkpoints").exists() and not list(out.rglob("*.bin"))

    before, after = (foreseen(model.load(folder), LINES).loss for folder in (tiny_gpt2, out))
    assert after < before - 0.5
    stated = next(line for line in lines if line.startswith("After:"))
    assert "nats a token on your texts" in stated and "on held-out texts" in stated


def test_an_adapter_alone_is_trained_and_is_opened_over_its_base(tiny_gpt2, data, tmp_path, capsys):
    needs("accelerate")
    needs("peft")
    out, base = tmp_path / "out", tmp_path / "base"
    shutil.copytree(tiny_gpt2, base)
    status, told = run(capsys, base, "--data", data, "--out", out, "--lora", "--rate", 0.05, "--epochs", 20, "--cpu")
    assert status == 0, told
    assert {path.name for path in out.glob("*.safetensors")} == {"adapter_model.safetensors"}
    trained = sum(tensor.size for tensor in load_file(out / "adapter_model.safetensors").values())
    assert f"{trained:,} of " in told
    before, after = (foreseen(model.load(folder), LINES).loss for folder in (base, out))
    assert after < before - 0.01  # a tiny model can move little without its token vectors


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read: No such file or directory. Give a text file."),
        (b"", "is empty: there is nothing to learn from. Write a line of text at least."),
        (b"\n  \r\n\n", "is empty: there is nothing to learn from. Write a line of text at least."),
        (b"\x89PNG\r\n\x1a\n\0\0", "is no text in UTF-8 (it holds bytes that no text has). Give a text file."),
        (b"caf\xe9", "is no text in UTF-8 ('utf-8' codec can't decode byte"),
    ],
)
def test_data_that_cannot_be_read(tiny_gpt2, tmp_path, capsys, content, sentence):
    path = tmp_path / "data.txt"
    if content is not None:
        path.write_bytes(content)
    told = refused(capsys, tiny_gpt2, "--data", path, "--out", tmp_path / "out")
    assert told.startswith(f"regard finetune: --data {path} ") and sentence in told
    assert not (tmp_path / "out").exists()


def test_data_that_is_a_folder(tiny_gpt2, tmp_path, capsys):
    assert "cannot be read: Is a directory" in refused(capsys, tiny_gpt2, "--data", tmp_path, "--out", tmp_path / "out")


def test_nothing_is_written_over(tiny_gpt2, data, tmp_path, capsys):
    for out in (tmp_path, data):
        told = refused(capsys, tiny_gpt2, "--data", data, "--out", out)
        assert told == f"regard finetune: --out {out} exists and is not empty. Give another folder, or empty it."
    assert data.read_text(encoding="utf-8").startswith(LINES[0])
    told = refused(capsys, tiny_gpt2, "--data", data, "--out", data / "in a file")
    assert "cannot be made: Not a directory. Give another folder." in told


def test_nothing_to_go_on_with(tiny_gpt2, data, tmp_path, capsys):
    told = refused(capsys, tiny_gpt2, "--data", data, "--out", tmp_path / "out", "--resume")
    assert told.endswith("out holds no checkpoint to go on from. Start without --resume.")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nobody/has-this", "“nobody/has-this” is not on this machine. Download it first: hf download nobody/has-this"),
        ("/no/such/folder", "There is no folder “/no/such/folder”. Check the path."),
        ("package:nothing-here", "No package “nothing-here” with a model is installed here."),
        ("lab:0123", "was trained in one visitor's session"),
    ],
)
def test_a_model_that_is_not_here(data, tmp_path, capsys, monkeypatch, name, sentence):
    needs("accelerate")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert sentence in refused(capsys, name, "--data", data, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["encoder", "encoder-decoder", "without its head"])
def test_only_a_decoder_is_trained(kind, tmp_path, data, capsys):
    needs("accelerate")
    from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2Model, T5Config, T5ForConditionalGeneration

    from tests.tiny_tokenizers import byte_level

    tokenizer, size = byte_level(), {"vocab_size": len(byte_level())}
    built = {
        "encoder": lambda: BertForMaskedLM(
            BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, **size)
        ),
        "encoder-decoder": lambda: T5ForConditionalGeneration(
            T5Config(d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2, **size)
        ),
        "without its head": lambda: GPT2Model(GPT2Config(n_embd=8, n_layer=1, n_head=2, n_positions=16, **size)),
    }
    folder = tmp_path / "model"
    network = built[kind]()
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    told = refused(capsys, folder, "--data", data, "--out", tmp_path / "out")
    assert f"is a {type(network).__name__}, and no decoder that predicts the next token" in told
    assert not (tmp_path / "out").exists()


def test_what_is_missing_is_named_with_what_to_install():
    finetune.check_packages([])
    with pytest.raises(Exception, match="It needs no_such_package") as told:
        finetune.PACKAGES["no_such_package"] = "a test"
        finetune.check_packages(["no_such_package"])
    assert str(told.value).endswith("not installed here. Install with: pip install 'regard[finetune]'")
    del finetune.PACKAGES["no_such_package"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--batch", "0"], "argument --batch: 0 is not above 0"),
        (["--epochs", "nan"], "argument --epochs: nan is not above 0"),
        (["--rate", "-1"], "argument --rate: -1.0 is below 0"),
        (["--by", "words"], "argument --by: invalid choice: 'words'"),
    ],
)
def test_options_that_cannot_be(tiny_gpt2, data, tmp_path, capsys, arguments, sentence):
    with pytest.raises(SystemExit) as ended:
        finetune.main([str(tiny_gpt2), "--data", str(data), "--out", str(tmp_path / "out"), *arguments])
    assert ended.value.code == 2 and sentence in capsys.readouterr().err


def test_the_story_model_is_written_out_to_begin_from(tmp_path, story):
    folder = finetune.resolved("story", tmp_path)
    (ours,) = story.logits(tokens := story.encode("Once upon a time"))
    (theirs,) = model.load(folder).logits(tokens)
    assert np.abs(ours - theirs).max() < 1e-4


def test_lines_are_cut_and_ended_and_blocks_are_joined(tiny_gpt2):
    needs("accelerate")
    from model.huggingface.fine_tuning import examples, side_by_side
    from tests.tiny_tokenizers import byte_level

    tokenizer = byte_level()
    ids, end = tokenizer("the cat")["input_ids"], tokenizer.eos_token_id
    ended = [*ids, *[end] * (end is not None)]
    texts = ["the cat", "the cat"]
    assert [each["input_ids"] for each in examples(tokenizer, texts, "lines", 99, "--data")] == [ended, ended]
    (block,) = examples(tokenizer, texts, "blocks", 99, "--data")
    assert block["input_ids"] == [*ended, *ended]
    assert all(len(each["input_ids"]) <= 3 for each in examples(tokenizer, texts, "lines", 3, "--data"))
    batch = side_by_side([{"input_ids": [5, 6, 7]}, {"input_ids": [8, 9]}])
    assert batch["labels"].tolist() == [[5, 6, 7], [8, 9, -100]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]


def test_a_file_that_says_where_a_run_was_is_held_against_the_next(tmp_path):
    needs("accelerate")
    from model.huggingface.fine_tuning import Asked, check_same
    from model.run import VisitorError

    (tmp_path / "checkpoints").mkdir()
    asked = Asked(tmp_path / "m", tmp_path, rate=0.1)
    check_same(asked, ["a"], resume=False)
    check_same(Asked(tmp_path / "m", tmp_path, rate=0.1, steps=9), ["a"], resume=True)
    with pytest.raises(VisitorError, match="was of another rate, texts"):
        check_same(Asked(tmp_path / "m", tmp_path, rate=0.2), ["a", "b"], resume=True)


def test_an_adapter_is_no_model_to_begin_from(tmp_path):
    from model import catalog

    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelNotAvailable, match="is an adapter"):
        catalog.checkpoint_folder(str(tmp_path))
