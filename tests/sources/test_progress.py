"""How far a load is, and how long it will take, by what was measured so far."""

import threading

import gguf as library
import pytest

from model import catalog
from model.sources import gguf, progress
from model.sources.gguf_reader import read_once
from model.sources.places import Allowed
from model.sources.progress import Progress, Stage, in_words, told_to


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


STAGES = [Stage("a", "First", 2.0), Stage("b", "Second", 6.0, 1000), Stage("c", "Third", 2.0)]


def test_a_machine_twice_as_slow_needs_twice_as_long():
    clock = Clock()
    made = Progress(STAGES, clock)
    assert (made.part, made.seconds_left, made.words, made.counted) == (0, None, "First", (0, 0))
    clock.now += 4  # where 2 were expected
    made.begin("b")
    assert (made.part, made.seconds_left, made.words) == (0.2, 16, "Second")
    clock.now += 6
    made.count(500)
    assert (made.part, made.seconds_left, made.counted) == (0.5, 10, (500, 1000))
    clock.now += 3  # nothing was done meanwhile
    assert (made.part, made.seconds_left) == (0.5, 7)
    clock.now += 3
    made.count(700)  # more than was said
    assert (made.part, made.seconds_left, made.counted) == (0.8, 4, (1000, 1000))
    made.begin("c")
    clock.now += 5
    assert (made.part, made.seconds_left, made.words) == (0.8, None, "Third")  # longer than expected: no lie


def test_no_stage_begins_twice():
    made = Progress(STAGES, Clock())
    made.begin("c")
    made.begin("b")
    made.begin("none")
    assert (made.part, made.words) == (0.8, "Third")


def test_a_thread_tells_of_its_own_load():
    one, other = Progress(STAGES), Progress(STAGES)

    def load(made: Progress) -> None:
        with told_to(made):
            progress.begin("b")
            progress.count(500)

    thread = threading.Thread(target=load, args=(one,))
    thread.start()
    thread.join()
    progress.begin("c")  # nobody wants to know
    assert (one.part, other.part) == (0.5, 0)


def test_a_time_is_said_as_exactly_as_it_is_known():
    assert [in_words(seconds) for seconds in (0.2, 12.4, 59.9, 65, 200)] == [
        "about 1 s left",
        "about 12 s left",
        "about 60 s left",
        "about 1 min left",
        "about 3 min left",
    ]


def test_a_gguf_file_is_read_once_and_counted(llama_gguf, tmp_path):
    """The same files as transformers makes alone, and nothing of the library is changed afterwards."""
    before = library.GGUFReader, library.dequantize, library.get_tensor_name_map
    counted = []
    header = gguf.read_header(llama_gguf)
    alone, ours = tmp_path / "alone", tmp_path / "ours"
    gguf._convert(llama_gguf, alone, header.shapes)
    with read_once(llama_gguf, counted.append):
        gguf._convert(llama_gguf, ours, header.shapes)
    assert before == (library.GGUFReader, library.dequantize, library.get_tensor_name_map)
    assert len(counted) == len(header.shapes) and sum(counted) <= llama_gguf.stat().st_size
    assert {path.name: path.read_bytes() for path in alone.iterdir()} == {
        path.name: path.read_bytes() for path in ours.iterdir()
    }


def test_a_load_goes_through_all_its_stages(llama_gguf, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    allowed = Allowed((llama_gguf.parent.resolve(),))
    entry = catalog.find(f"folder:{llama_gguf}", allowed)
    stages = catalog.stages(entry)
    assert [stage.name for stage in stages if stage.name != "libraries"] == [
        "header",
        "unpack",
        "keep",
        "weights",
        "check",
    ]
    seen = []

    class Watched(Progress):
        def begin(self, name: str) -> None:
            super().begin(name)
            seen.append((name, self.words))

    with told_to(Watched(stages)):
        catalog.load(entry.name, allowed=allowed)
    assert list(dict(seen)) == ["header", "unpack", "keep", "weights", "check"]
    assert seen[-1][1] == "Checking them"
    assert [stage.name for stage in catalog.stages(entry)] == ["weights", "check"]  # the second time
    assert [stage.name for stage in catalog.stages(catalog.find("story"))] == ["weights"]
    with pytest.raises(ValueError), read_once(llama_gguf, seen.append):
        raise ValueError
    assert library.GGUFReader.__module__ == "gguf.gguf_reader"
