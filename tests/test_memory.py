"""How many bytes plain data takes, held against what Python's allocator says, and against arrays counted by hand."""

import mmap
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.analysis.attention import pooled_overview
from model.analysis.attention_map import Rule, read_attention
from model.memory import n_byte, room_for
from model.text.units import units_of

TEXT = "The cat sat on the mat and looked at the dog. " * 20


def traced(make: Callable[[], object]) -> tuple[int, object]:
    """What Python's allocator says of what is made, and that."""
    make()  # what is made once and stays does not count
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    made = make()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return after - before, made


@pytest.mark.parametrize("what", ["tokens", "overview", "words", "reading"])
def test_it_is_what_the_allocator_says(story, what):
    tokens = story.encode(TEXT)
    run, words = story.run(tokens), units_of(tokens, TEXT, "words")
    make = {
        "tokens": lambda: story.encode(TEXT),
        "overview": lambda: pooled_overview(run.layers()),
        "words": lambda: units_of(tokens, TEXT, "words"),
        "reading": lambda: read_attention(run.layers(), tokens, words, Rule(((0, 0), (1, 1)))),
    }[what]
    taken, made = traced(make)
    shared = n_byte(words) if what == "reading" else 0  # was there before
    assert n_byte(made) - shared == pytest.approx(taken, rel=0.15)


def test_a_run_is_its_arrays(story):
    """They lie in torch's memory, of which Python's allocator knows nothing."""
    run = story.run(story.encode(TEXT))
    by_hand = run.hidden.nbytes + sum(layer.n_byte for layer in run.attention)
    by_hand += sum(array.nbytes for array in vars(run.predictions).values() if isinstance(array, np.ndarray))
    assert by_hand < n_byte(run) < by_hand + n_byte(run.tokens, run.info) + 20_000


def test_what_is_shared_counts_once(tiny_run):
    bias = np.zeros((1, len(tiny_run.tokens), len(tiny_run.tokens)), np.float32)
    shared = replace(tiny_run, attention=tuple(replace(layer, bias=bias) for layer in tiny_run.attention))
    apart = replace(tiny_run, attention=tuple(replace(layer, bias=bias.copy()) for layer in tiny_run.attention))
    assert n_byte(apart) - n_byte(shared) == pytest.approx(2 * bias.nbytes, abs=400)
    assert n_byte(tiny_run, tiny_run) == n_byte(tiny_run)


def test_a_view_counts_whole_and_once():
    large = np.zeros(10_000)
    assert n_byte(large[:1]) == pytest.approx(large.nbytes, abs=300)
    assert n_byte([large[i : i + 1] for i in range(5)]) == pytest.approx(large.nbytes, abs=1500)
    assert n_byte(large[:5][1:], large) == pytest.approx(large.nbytes, abs=500)


def test_memory_from_outside_the_heap_counts_once(tmp_path: Path):
    block = room_for((12, 1 << 20), np.float32)  # 48 MiB
    assert n_byte(*block) == pytest.approx(block.nbytes, abs=3000)
    mapped = mmap.mmap(-1, 1 << 20)
    assert n_byte(np.frombuffer(mapped, np.uint8)[:10]) == pytest.approx(1 << 20, abs=500)
    filed = np.memmap(tmp_path / "weights", np.uint8, "w+", shape=1 << 20)
    assert n_byte(filed, filed[3:]) == pytest.approx(1 << 20, abs=1000)


def test_torchs_memory_counts_once():
    import torch

    tensor = torch.zeros(4, 1000)
    assert n_byte(*(row.numpy() for row in tensor)) == pytest.approx(16_000, abs=1000)


def test_what_belongs_to_the_program_does_not_count():
    assert n_byte({"of": test_a_view_counts_whole_and_once, "kind": Path, "module": np}) < 1000
    assert n_byte(Path("/a/b")) < 1500
