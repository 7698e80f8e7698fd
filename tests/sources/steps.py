"""What tests of folders do again and again: be refused, change a file, act at the same moment."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from model.run import ModelNotAvailable


def refused(act: Callable, *args, **options) -> str:
    with pytest.raises(ModelNotAvailable) as raised:
        act(*args, **options)
    return str(raised.value)


def must_not_load(folder: Path, **names: str):
    raise AssertionError(f"{folder} was opened")


def change_config(folder: Path, **values: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | values))


def make(path: Path, text: str = "{}") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def at_once(*calls: Callable) -> list:
    """What each call returns, in threads that start together."""
    start = threading.Barrier(len(calls))

    def begin(call: Callable) -> object:
        start.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [running.result() for running in [pool.submit(begin, call) for call in calls]]
