"""A load that hangs, of a model that one visitor chose: the others' pages and loads go on."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from model.huggingface import language_model as huggingface
from tests.hostile import models
from tests.hostile.pages import faults


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return models.write(tmp_path_factory.mktemp("slow").resolve())


def test_a_load_that_hangs_is_its_visitors_alone(open_page, folders, monkeypatch):
    monkeypatch.setenv("REGARD_MODEL_ROOTS", str(folders["decoder"].parent))
    slow, other = (f"folder:{folders[kind]}" for kind in ("encoder", "decoder"))
    hangs, goes_on, load = threading.Event(), threading.Event(), huggingface.load

    def sometimes_hanging(folder: Path, **options):
        if folder == folders["encoder"]:
            hangs.set()
            assert goes_on.wait(300)
        return load(folder, **options)

    monkeypatch.setattr(huggingface, "load", sometimes_hanging)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(open_page, "attention", model=slow)
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
