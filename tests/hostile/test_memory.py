"""Links and texts one after the other, each another: what is kept stays within its bound, and the process as large as
it was.

In every run a few, and the bytes that are kept; with HOSTILE=2000 in the environment so many, and what the system says
that the process holds.
"""

import itertools
import time
from pathlib import Path
from statistics import median

import pytest

from model.text.prompt import Prompt, RunKey
from tests.hostile.conftest import INPUTS
from tests.hostile.pages import PAGES
from tests.hostile.strings import as_sent, texts
from tests.hostile.test_links import draw_links
from tests.hostile.test_texts import MORE
from viz.ui import cache

MB = 10**6
LITTLE, MUCH = "0.004", "0.2"  # gigabytes to keep things in; half of the larger hold our own models
STATM = Path("/proc/self/statm")


def held_by_the_process() -> float:
    """MB of real memory."""
    return int(STATM.read_text().split()[1]) * 4096 / MB


def inputs(place: Path):
    """Texts with a choice that makes much of them, and links, in turn, over all pages."""
    for i, (text, link) in enumerate(zip(texts(2), draw_links(2, place, place / "outside"), strict=True)):
        page = PAGES[i % len(PAGES)]
        choices = MORE.get(page, [{}])
        choice = choices[i // len(PAGES) % len(choices)]
        yield page, {"text": text} | {name: text if value is None else value for name, value in choice.items()}
        yield page, link


def test_what_is_kept_stays_within_its_bound(open_page, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("REGARD_MODEL_ROOTS", str(tmp_path))
    monkeypatch.setenv("REGARD_MEMORY", MUCH if INPUTS else LITTLE)  # a few fill less
    cache.MODELS.shrink(0)
    cache.RESULTS.shrink(0)
    cache.MODELS.shrink(0)  # those of other tests
    most, sizes, slowest, series, n = 0, set(), (0.0, ""), [], INPUTS or 30
    for i, (page, link) in enumerate(itertools.islice(inputs(tmp_path), n)):
        start = time.monotonic()
        open_page(page, **{name: as_sent(str(value)) for name, value in link.items()})
        slowest = max(slowest, (time.monotonic() - start, f"{page} {str(link)[:100]}"))
        assert cache.RESULTS.held <= cache.RESULTS.bound()
        assert cache.MODELS.held <= cache.MODELS.bound() or len(cache.MODELS) == 1
        assert not cache.RESULTS.busy and not cache.MODELS.busy
        most = max(most, cache.RESULTS.held)
        sizes.add(cache.RESULTS.held)
        if INPUTS and STATM.exists() and (i + 1) % (n // 20) == 0:
            series.append(held_by_the_process())
            with capsys.disabled():
                print(
                    f"\n{i + 1} inputs: {series[-1]:,.0f} MB, {cache.held() / MB:.0f} of them kept", end="", flush=True
                )
    assert most > cache.RESULTS.bound() / 2 and len(sizes) > n / 4  # it was kept, and went again
    with capsys.disabled():
        print(f"\n{n} inputs; {most / MB:.1f} MB kept at most; the slowest took {slowest[0]:.1f} s: {slowest[1]}")
    if INPUTS >= 2000 and series:  # by a quarter of them, all pages, models and libraries were there
        assert max(series[15:20]) < 1.1 * median(series[5:10]), series


def test_so_does_a_stream_of_large_runs():
    """As above where one run is a good part of the bound."""
    from viz.ui import session

    store = cache.RESULTS
    store.shrink(0)
    text = "the cat sat on the mat and the dog saw it. " * 40
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REGARD_MEMORY", "0.06")
        for i in range(12):
            run = session.run_of(RunKey("story", Prompt(f"{i} {text}")))
            assert run.hidden.nbytes > 2 * MB and store.held <= store.bound() == 30 * MB
        assert store.held > 15 * MB and 1 <= len(store) < 6
