"""What tests of several subjects need: a text with a repeated word, a tiny model with weights of its own, the app.

No test depends on what the shipped weights predict; what only a real tokenizer can show uses the shipped one (`story`).
"""

import gc
import json
import os
import tomllib
from collections import Counter
from dataclasses import asdict
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings
from safetensors.torch import save_file
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest, local_script_runner

from model import catalog, serving
from model.builtin.language_model import BuiltinModel
from model.builtin.transformer import Config, EncoderDecoder, Transformer
from model.language_model import LanguageModel
from model.run import ModelRun
from model.text.tokenizer import train

ROOT = Path(__file__).parent.parent
REPEATED = "the cat saw the dog and the dog saw the cat"

# the same examples on any day, and however busy the machine is
settings.register_profile("tests", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")
serving.load_torch()  # threads as the app sets them; tiny models are fastest so

gc.disable()  # nothing of what is imported is garbage, and looking for it takes half of the time


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """What takes longest comes first, so that no worker is left with it at the end (see addopts in pyproject.toml).

    Raises UsageError where a test's name has a set in it: a set that was read from a compiled file may have another
    order than the same set compiled anew, so two workers could know one test by two names and run none at all.
    """
    if named_by_sets := [item.nodeid for item in items if "set({" in item.nodeid]:
        raise pytest.UsageError(f"give these names of their own (ids=): {named_by_sets}")
    items.sort(key=lambda item: "browser" not in item.path.parts)


def pytest_collection_finish():
    """Tests look through their own objects alone."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def prepared_once():
    """What a server does once, each `AppTest` would do again: look through all installed packages for components, three
    quarters of a visit, and compile the pages, a tenth."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests))
        patch.setattr(local_script_runner, "ScriptCache", cache(local_script_runner.ScriptCache))
        yield


def write_tiny(
    folder: Path, *, seed: int = 0, n_context: int = 32, causal: bool = True, architecture: str | None = None
) -> Path:
    """A model folder as training exports it: 3 layers of 4 heads, random weights large enough for clear attention."""
    tokenizer = train(iter([REPEATED, "a cat and a dog sat on the mat"] * 3), n_vocab=280)
    torch.manual_seed(seed)
    config = Config(tokenizer.n_vocab, n_context, n_layer=3, n_head=4, d_model=32, causal=causal)
    transformer = (EncoderDecoder if architecture == "encoder-decoder" else Transformer)(config)
    for parameter in transformer.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    folder.mkdir(parents=True)
    save_file({k: v.half() for k, v in transformer.state_dict().items()}, folder / "weights.safetensors")
    tokenizer.save(folder / "tokenizer.json")
    (folder / "config.json").write_text(
        json.dumps(asdict(config) | ({"architecture": architecture} if architecture else {}))
    )
    (folder / "card.json").write_text(json.dumps({"title": "Tiny"}))
    return folder


@pytest.fixture
def tiny_folder(tmp_path) -> Path:
    """A model folder of this test's own, to damage."""
    return write_tiny(tmp_path / "tiny")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> BuiltinModel:
    """3 layers, 4 heads, d_model 32, reads at most 32 tokens."""
    return catalog.load("tiny", weights=write_tiny(tmp_path_factory.mktemp("weights") / "tiny").parent)


@pytest.fixture(scope="session")
def tiny_run(tiny) -> ModelRun:
    """The tiny model reading a text whose words come again."""
    return tiny.run(tiny.encode(REPEATED))


@pytest.fixture(scope="session")
def tiny_translator(tmp_path_factory) -> LanguageModel:
    """An encoder-decoder, 3 + 3 layers, 4 heads, d_model 32, reads and writes at most 32 tokens."""
    folder = write_tiny(tmp_path_factory.mktemp("weights") / "pair", architecture="encoder-decoder")
    return catalog.load("pair", weights=folder.parent)


@pytest.fixture(scope="session")
def as_declared(tmp_path_factory) -> str:
    """As a PYTHONPATH: Regard from here, with the entry points that pyproject.toml declares now; an editable
    installation has those of the day when it was made."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    made = tmp_path_factory.mktemp("declared")
    (made / "declared-0.dist-info").mkdir()
    (made / "declared-0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: declared\nVersion: 0\n")
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {at}\n" for name, at in doors.items()) for group, doors in told.items()
    ]
    (made / "declared-0.dist-info/entry_points.txt").write_text("".join(lines))
    return os.pathsep.join([str(made), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])


@pytest.fixture(scope="session")
def story() -> LanguageModel:
    """The shipped model."""
    return catalog.load("story")


@pytest.fixture(scope="session")
def tiny_gpt2(tmp_path_factory) -> Path:
    """A GPT-2 of 2 layers and 2 heads as save_pretrained writes it; read only."""
    from transformers import GPT2Config, GPT2LMHeadModel  # seconds, which most single tests need not wait

    from tests.tiny_tokenizers import byte_level

    folder = tmp_path_factory.mktemp("gpt2") / "tiny-gpt2"
    tokenizer = byte_level()
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=len(tokenizer), n_positions=64, n_embd=8, n_layer=2, n_head=2)
    GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def llama_gguf(tmp_path_factory) -> Path:
    """A tiny Llama in a GGUF file; read only."""
    from tests.gguf_files import write_llama

    for package in ("gguf", "accelerate"):
        pytest.importorskip(package, reason="pip install 'regard[gguf]'")
    return write_llama(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture
def open_page():
    """`open_page("attention", layer=2)`: the page as a visitor with that link gets it, after its first run."""

    def open(name: str = "home", **link: object) -> AppTest:
        at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        for key, value in link.items():
            at.query_params[key] = str(value)
        if name != "home":
            at.switch_page(f"viz/pages/{name}.py")  # before the first run, which is when a link is read
        return at.run()

    return open


def pytest_terminal_summary(terminalreporter):
    """Tell by which way the classes of transformers were read, which depends on its version (see test_zoo.py)."""
    reports = [report for report in terminalreporter.getreports("passed") if report.when == "call"]
    ways = Counter(way for report in reports for name, way in report.user_properties if name == "shown from")
    if ways:
        import transformers

        said = ", ".join(f"{n} {way if way == 'refused' else f'from {way}'}" for way, n in ways.items())
        terminalreporter.write_line(f"classes of transformers {transformers.__version__}: {said}")
