"""Weights laid out for the processor: the same numbers, whatever the model; and undone where they would not be."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from model.huggingface import prepacking
from model.huggingface.language_model import HuggingFaceModel
from tests.zoo import N_TOKEN, builder, tokens

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64") or not torch.backends.mkldnn.is_available(),
    reason="only where oneDNN multiplies on x86-64 is anything prepared",
)
WIDE = builder("GPT2LMHeadModel", n_embd=256, n_head=2)  # so that its matrices are worth it


@pytest.fixture
def gpt2():
    return WIDE("sdpa").requires_grad_(False)


def prepared(transformer: nn.Module) -> list[str]:
    return [name for name, module in transformer.named_modules() if "forward" in vars(module)]


@torch.inference_mode()
def logits(transformer: nn.Module) -> torch.Tensor:
    return transformer(torch.tensor([[token.id for token in tokens(N_TOKEN)]])).logits


def test_the_same_is_said_with_the_same_weights(gpt2):
    weights = {name: weight.clone() for name, weight in gpt2.named_parameters()}
    before = logits(gpt2)
    done = prepacking.prepack(gpt2)
    torch.testing.assert_close(logits(gpt2), before, rtol=1e-4, atol=1e-4)
    assert len(done) == len(prepared(gpt2)) == 2 * 5  # of both layers: four products and the GELU
    kept = gpt2.get_submodule("transformer.h.1.mlp.c_fc").weight.to_dense()
    assert torch.equal(kept.T, weights["transformer.h.1.mlp.c_fc.weight"])

    prepacking.undo(done)
    assert not prepared(gpt2) and torch.equal(logits(gpt2), before)
    for name, weight in gpt2.named_parameters():
        assert torch.equal(weight, weights[name]), name


def test_a_head_that_is_also_the_embedding_is_not_kept_twice(gpt2):
    prepacking.prepack(gpt2)
    assert gpt2.lm_head.weight is gpt2.transformer.wte.weight and "lm_head" not in prepared(gpt2)


def test_small_matrices_other_numbers_and_other_processors_stay():
    layers = nn.Sequential(nn.Linear(8, 8), nn.Linear(256, 256), nn.Linear(256, 256, dtype=torch.float64))
    assert prepacking.prepack(layers, machine="arm64") == []
    assert prepacking.prepack(layers) == [layers[1]]


def test_every_row_of_any_number_of_rows_is_the_product():
    """One row (a token at a time) to many: other kernels, the same numbers."""
    torch.manual_seed(0)
    layer = nn.Linear(300, 500)
    texts = [torch.randn(*shape, 300) for shape in [(1,), (1, 1), (1, 7), (2, 65), (1, 3, 129)]]
    with torch.inference_mode():
        before = [layer(text) for text in texts]
        assert prepacking.prepack(layer) == [layer]
        for text, theirs in zip(texts, before, strict=True):
            torch.testing.assert_close(layer(text), theirs, rtol=1e-4, atol=1e-5)


class Peeking(nn.Module):
    """Goes by what its layer's weight is: a prepared one cannot be looked into, or is taken for another."""

    def __init__(self, layer: nn.Module, adds: float):
        super().__init__()
        self.layer, self.adds = layer, adds

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.adds:
            return self.layer(x) + (self.adds if self.layer.weight.is_mkldnn else 0)
        return x @ self.layer.weight + self.layer.bias


@pytest.mark.parametrize("adds", [0.1, 0.0], ids=["other numbers", "no numbers"])
def test_a_model_that_would_say_something_else_stays_as_it_was(adds):
    def peeking(attn_implementation: str) -> nn.Module:
        transformer = WIDE(attn_implementation)
        mlp = transformer.transformer.h[0].mlp
        mlp.c_fc = Peeking(mlp.c_fc, adds)
        return transformer

    names = {"name": "tiny", "title": "Tiny", "fingerprint": ""}
    whole, lm = (HuggingFaceModel(build, None, **names) for build in (WIDE, peeking))
    assert prepared(whole.opened.transformer) and not prepared(lm.opened.transformer)
    run, same = (each.run(tokens(N_TOKEN)) for each in (lm, whole))
    torch.testing.assert_close(torch.tensor(run.hidden), torch.tensor(same.hidden), rtol=1e-4, atol=1e-4)


def test_shapes_are_told_as_the_checkpoint_has_them():
    lm = HuggingFaceModel(WIDE, None, name="tiny", title="Tiny", fingerprint="")
    theirs = WIDE("sdpa")
    assert prepared(lm.opened.transformer)
    assert lm.parameter_shapes() == {name: tuple(weight.shape) for name, weight in theirs.named_parameters()}
    assert lm.info.n_parameter == sum(weight.numel() for weight in theirs.parameters())


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system does not say what a process holds")
def test_a_large_model_is_never_there_twice():
    """Weights that another thread read, as transformers' do, lie where this thread's memory is not taken from."""
    done = subprocess.run([sys.executable, "-c", TWICE], capture_output=True, text=True, check=True)
    held, peak, weights = map(int, done.stdout.split())
    assert weights == 64 * 4096
    assert held < weights / 4 and peak < weights / 2, (held, peak)  # KiB above what the model took before


TWICE = """
import re, threading, torch
from pathlib import Path
from model.huggingface import prepacking

def status(name):
    return int(re.search(name + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

layers = []

def read():
    torch.empty(7 << 20)  # 28 MiB: glibc then takes smaller pieces from the thread's own heap
    layers.extend(torch.nn.Linear(1024, 1024, bias=False) for _ in range(64))

reader = threading.Thread(target=read)
reader.start(); reader.join()
network = torch.nn.Sequential(*layers)
prepacking.prepack(torch.nn.Sequential(torch.nn.Linear(1024, 1024)))  # what the first use loads does not count
layers.clear(); Path("/proc/self/clear_refs").write_text("5")
before = status("VmRSS")
prepacking.prepack(network)
print(status("VmRSS") - before, status("VmHWM") - before, sum(w.numel() * 4 for w in network.parameters()) // 1024)
"""
