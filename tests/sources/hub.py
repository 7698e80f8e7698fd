"""A hub that is none: it speaks the protocol, and remembers what it was asked."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from model.run import ModelNotAvailable


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
