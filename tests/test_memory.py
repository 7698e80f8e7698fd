"""How much memory there is; and how many bytes plain data takes: as Python's allocator says, and counted by hand."""

import mmap
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.analysis.attention import pooled_overview
from model.analysis.attention_map import MapSpec, attention_map
from model.memory import memory_available, memory_in_all, n_byte, room_for
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
        "reading": lambda: attention_map(run.layers(), tokens, words, MapSpec(((0, 0), (1, 1)))),
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
