"""Generated folders: each is read, or refused in a sentence; nothing outside is opened, nothing runs, and a claim takes
no memory."""

import shutil
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from model import catalog
from model.run import ModelNotAvailable, VisitorError
from model.sources.places import Allowed
from tests.any_models import write_models
from tests.hostile import folders
from tests.hostile.conftest import INPUTS
from tests.hostile.pages import PAGES, faults
from tests.hostile.watch import opens

TEXT = "the cat sat"
MOST = 2**30  # bytes that the process may grow by; a claim asks for thousands of times as much


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> list[Path]:
    """What is damaged: tiny models of each family; one with a part for pictures, and one that was made of two."""
    root = write_models(tmp_path_factory.mktemp("sound"))
    return [root / kind for kind in ("decoder", "encoder", "classifier", "encoder-decoder", "window", "of two")]


@pytest.fixture
def room(tmp_path, sound) -> Path:
    """`inside`, which may be read, and `outside`, which may not."""
    shutil.copytree(sound[0], tmp_path / "outside")
    (tmp_path / "inside").mkdir()
    return tmp_path.resolve()


def peak() -> int:
    """Bytes of memory that this process has had at most."""
    resource = pytest.importorskip("resource", reason="no figures of memory on Windows")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def test_no_folder_breaks_out(room, sound, capsys):
    allowed, before, slowest = Allowed((room / "inside",)), peak(), (0.0, "")
    n_read = 0
    with opens(room / "outside") as opened:
        for seed in range(INPUTS or 120):
            folder = room / "inside" / str(seed)
            what = folders.write(sound[seed % len(sound)], folder, seed)
            start = time.process_time()
            said = outcome(folder, allowed, what)
            slowest = max(slowest, (time.process_time() - start, what))
            assert said is None or 20 < len(said) < 1000, (what, said)
            n_read += said is None
            shutil.rmtree(folder)
    assert opened == set()
    assert not (room / "ran").exists()
    assert peak() - before < MOST
    with capsys.disabled():
        print(f"\n{seed + 1} folders, {n_read} of them read; the dearest took {slowest[0]:.1f} s: {slowest[1]}")
    assert 0 < n_read < seed + 1


def test_no_gguf_file_breaks_out(room, llama_gguf, monkeypatch):
    """Of the header, any byte; in its place a pipe, a device, a link."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(room / "cache"))
    allowed, before, n_read = Allowed((room / "inside",)), peak(), 0
    sound = room / "gguf"
    sound.mkdir()
    shutil.copy(llama_gguf, sound / "x.gguf")
    with opens(room / "outside") as opened:
        for seed in range(INPUTS or 60):
            folder = room / "inside" / str(seed)
            what = folders.write(sound, folder, seed, folders.OF_ONE_FILE)
            said = outcome(folder, allowed, what)
            assert said is None or 20 < len(said) < 1000, (what, said)
            n_read += said is None
            shutil.rmtree(folder)
    assert opened == set() and not (room / "ran").exists()
    assert peak() - before < MOST and 0 < n_read < seed + 1


def outcome(folder: Path, allowed: Allowed, what: str) -> str | None:
    """What is said of a folder; None if a text was read with it."""
    try:
        lm = catalog.load(f"folder:{folder}", allowed=allowed)
    except ModelNotAvailable as error:
        return str(error)
    except BaseException as error:
        raise AssertionError(f"{what}: {type(error).__name__}") from error
    try:
        chat = lm.chat_text(TEXT)
        tokens = lm.encode(TEXT if chat is None else chat)
        start = lm.start_token()
        lm.run(tokens if start is None else (start,), source=() if start is None else tokens)
    except VisitorError as error:
        return str(error)
    except BaseException as error:
        raise AssertionError(f"{what}: {type(error).__name__} when a text is read") from error
    return None


def test_the_watch_of_this_file(room, sound):
    """The test of the test: a sound folder is read, and what lies outside is seen when it is opened."""
    shutil.copytree(sound[0], room / "inside/sound")
    assert outcome(room / "inside/sound", Allowed((room / "inside",)), "sound") is None
    with opens(room / "outside") as opened:
        load_file(room / "outside/model.safetensors")
        (room / "outside/config.json").read_text()
    assert "config.json" in opened


def test_pages_tell_of_folders(open_page, room, sound, monkeypatch):
    """Through a link and through the sidebar."""
    monkeypatch.setenv("REGARD_MODEL_ROOTS", str(room / "inside"))
    for seed in range(10_000, 10_000 + (INPUTS or 60) // 6):
        folder = room / "inside" / str(seed)
        what = folders.write(sound[seed % len(sound)], folder, seed)
        app = open_page(PAGES[seed % len(PAGES)], model=f"folder:{folder}", text=TEXT)
        assert faults(app) == [] and app.title, what
        app.sidebar.text_input(key="own_model").set_value(str(folder)).run()
        assert faults(app) == [], what
