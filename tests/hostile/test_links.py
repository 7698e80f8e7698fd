"""Links x pages: whatever an address asks for, a page is drawn, nothing of it is markup, and nothing elsewhere is read
or called."""

import itertools
import random
import time
from pathlib import Path

import pytest

from tests.hostile.conftest import INPUTS
from tests.hostile.pages import PAGES, faults
from tests.hostile.strings import ELSEWHERE, as_sent, texts
from tests.hostile.watch import opens
from viz.ui import choices

CHOICES = [name for name in choices.CHOICES if name != "text"]


@pytest.fixture(scope="module")
def roots(tmp_path_factory) -> tuple[Path, Path]:
    """A folder that the operator allows, and one beside it that must never be opened."""
    top = tmp_path_factory.mktemp("places").resolve()
    inside, outside = top / "inside", top / "outside"
    for place in (inside, outside):
        place.mkdir()
        (place / "config.json").write_text('{"model_type": "gpt2"}')
        (place / "model.safetensors").write_bytes(b"\0" * 100)
    (inside / "door").symlink_to(outside)
    return inside, outside


def models(inside: Path, outside: Path) -> list[str]:
    """What a link may ask for as its model."""
    paths = [
        *(outside, inside, inside / "door", inside / ".." / outside.name, outside / "config.json"),
        *("/etc", "/proc/self", "~", "", "\0", "a" * 5000, inside / "config.json"),
        *(f"{inside}/[a](http://{ELSEWHERE})", f"{inside}/<b>x</b>"),
    ]
    strange = ["package:../../etc", "package:pip", "hub:a/b", "hub:../..", "story/../story", "STORY", "story\n"]
    return [f"folder:{path}" for path in paths] + strange


def draw_links(seed: int, inside: Path, outside: Path):
    """One choice after the other, each with something that it cannot be, then several at once without end."""
    draw, hostile = random.Random(seed), texts(seed)
    for model in models(inside, outside):
        yield {"model": model}
    for name, text in zip(CHOICES, hostile, strict=False):
        yield {name: text}
    while True:
        chosen = draw.sample([*CHOICES, "text", "nonsense", "embed"], draw.randint(1, 6))
        yield {name: next(hostile) for name in chosen}


def test_no_link_breaks_a_page_or_gets_out(open_page, roots, monkeypatch, capsys):
    inside, outside = roots
    monkeypatch.setenv("REGARD_MODEL_ROOTS", str(inside))
    with opens(outside) as opened:
        slowest = (0.0, "")
        for i, link in enumerate(itertools.islice(draw_links(0, inside, outside), INPUTS or 60)):
            page, link = PAGES[i % len(PAGES)], {name: as_sent(text) for name, text in link.items()}
            start = time.process_time()
            app = open_page(page, **link)
            slowest = max(slowest, (time.process_time() - start, f"{page} {str(link)[:100]}"))
            assert faults(app, *link.values()) == [], (page, link)
            assert app.title, (page, link)
    assert opened == set()
    with capsys.disabled():
        print(f"\n{i + 1} links; the dearest answer took {slowest[0]:.1f} s of the processor: {slowest[1]}")
