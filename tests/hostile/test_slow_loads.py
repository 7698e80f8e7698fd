"""A load that hangs, of a model that one visitor chose: the others' pages and loads go on."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from model import catalog
from model.huggingface.checkpoint import load
from model.sources.progress import Progress, Stage
from tests.hostile import models
from tests.hostile.pages import faults
from viz.ui import cache, loads, session


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return models.write(tmp_path_factory.mktemp("slow").resolve())


def test_a_load_that_hangs_is_its_visitors_alone(open_page, folders, monkeypatch):
    monkeypatch.setenv("REGARD_MODEL_ROOTS", str(folders["decoder"].parent))
    slow, other = (f"folder:{folders[kind]}" for kind in ("encoder", "decoder"))
    hangs, goes_on = threading.Event(), threading.Event()

    def hanging(folder: Path, **options):
        hangs.set()
        assert goes_on.wait(300)
        return load(folder, **options)

    def visit():
        """As a page loads it, and then the page."""
        key = (loads.loaded.__wrapped__, slow)
        cache.MODELS.get(key, lambda: catalog.load(slow, allowed=loads.allowed(), loader=hanging))
        return open_page("attention", model=slow)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(visit)
        try:
            assert hangs.wait(60)
            for page in ("home", "attention", "translation"):
                app = open_page(page)
                assert app.title and not app.warning and not app.error, page
            app = open_page("attention", model=other, text=models.TEXT)
            assert app.session_state.model == other and not app.warning and faults(app, models.TEXT) == []
            assert not waiting.done()
        finally:
            goes_on.set()
        assert waiting.result().session_state.model == slow


class Place:
    """Where the progress is drawn: what was drawn, and an event once something was."""

    def __init__(self):
        self.drawn, self.seen = [], threading.Event()

    def empty(self) -> "Place":
        self.drawn.append(None)
        return self

    def progress(self, part: float, words: str) -> None:
        self.drawn.append((part, words))
        self.seen.set()


def test_whoever_waits_for_a_load_sees_how_far_it_is(monkeypatch):
    hangs, goes_on, place, lm = threading.Event(), threading.Event(), Place(), catalog.load("story")
    made = Progress([Stage("a", "First", 1.0), Stage("b", "Unpacking", 1.0, 4_000_000)])
    monkeypatch.setitem(loads._LOADS, "slow", made)
    made.begin("b")
    made.count(1_000_000)

    def hanging():
        hangs.set()
        assert goes_on.wait(300)
        return lm

    with ThreadPoolExecutor(2) as pool:
        pool.submit(cache.MODELS.get, (loads.loaded.__wrapped__, "slow"), hanging, cache.model_size)
        try:
            assert hangs.wait(60)
            waiting = pool.submit(session.language_model, "slow", place)
            assert place.seen.wait(60)
        finally:
            goes_on.set()
        assert waiting.result() is lm
    assert place.drawn[-1] is None
    part, words = place.drawn[0]
    assert part == 0.625 and words.startswith("Loading the model · Unpacking: 1.0 MB of 4.0 MB")
    loads.loaded.clear()
