"""Loads at the same moment, by two visitors or more; and one for which memory does not suffice."""

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from model import catalog
from model.sources.cost import ROOM_TO_RUN, cost_of
from tests.conftest import REPEATED
from tests.sources.steps import at_once, refused


def test_a_load_that_hangs_holds_nobody_up(allowed, roots):
    shutil.copytree(roots / "mine", roots / "other")
    hangs, goes_on = threading.Event(), threading.Event()

    def loader(folder: Path, **names: str) -> str:
        if folder.name == "mine":
            hangs.set()
            assert goes_on.wait(60)
        return names["name"]

    def load(name: str) -> str:
        return catalog.load(f"folder:{roots / name}", allowed=allowed, loader=loader)

    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(load, "mine")
        assert hangs.wait(60)
        assert load("other") == f"folder:{roots / 'other'}" and catalog.load("story").info.name == "story"
        assert not slow.done()
        goes_on.set()
        assert slow.result() == f"folder:{roots / 'mine'}"


def test_what_does_not_fit_beside_another_waits_for_it(allowed, roots):
    """Each alone fits, so neither is refused; and there are never two."""
    shutil.copytree(roots / "mine", roots / "other")
    needed = cost_of(roots / "mine").needed
    free, steps = needed * 3 // 2 + ROOM_TO_RUN, []

    def loader(folder: Path, **names: str) -> None:
        steps.append(f"{folder.name} begins")
        assert not catalog._fits_beside(needed, free)
        steps.append(f"{folder.name} ends")

    def load(name: str) -> None:
        catalog.load(f"folder:{roots / name}", allowed=allowed, loader=loader, available=lambda: free)

    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(load, name) for name in ("mine", "other")]
        for loading in both:
            loading.result()
    first, second = steps[0].split()[0], steps[2].split()[0]
    assert steps == [f"{name} {does}" for name in (first, second) for does in ("begins", "ends")]
    assert catalog._fits_beside(needed, free)


def test_two_that_fit_are_loaded_side_by_side(allowed, roots):
    shutil.copytree(roots / "mine", roots / "other")
    both_here = threading.Barrier(2)

    def loader(folder: Path, **names: str) -> str:
        both_here.wait(60)  # broken, and an error, if only one ever comes
        return folder.name

    calls = [
        lambda name=name: catalog.load(f"folder:{roots / name}", allowed=allowed, loader=loader)
        for name in ("mine", "other")
    ]
    assert at_once(*calls) == ["mine", "other"]


def test_models_loaded_at_once_are_what_they_are_alone(roots, allowed):
    """transformers exchanges functions of torch while it builds one: weights tied or made up in another would tell."""
    names = [f"folder:{shutil.copytree(roots / 'mine', roots / f'n{i}')}" for i in range(3)]
    alone = catalog.load(names[0], allowed=allowed)
    tokens = alone.encode(REPEATED)
    hidden = alone.run(tokens).hidden
    for lm in at_once(*[lambda name=name: catalog.load(name, allowed=allowed) for name in names]):
        np.testing.assert_array_equal(lm.run(tokens).hidden, hidden)
        np.testing.assert_array_equal(lm.unembed(hidden[-1]), alone.unembed(hidden[-1]))


def test_memory_that_runs_out(allowed, roots):
    def loader(folder: Path, **names: str):
        raise MemoryError

    said = refused(catalog.load, f"folder:{roots / 'mine'}", allowed=allowed, loader=loader)
    assert said == "mine does not fit: the memory ran out while it was loaded. Choose a smaller model."
