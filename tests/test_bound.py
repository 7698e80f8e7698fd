"""How many bytes are kept at most, by which rule room is made, and that what the app computes stays within it."""

import numpy as np
import pytest

from model import memory
from model.run import ModelNotAvailable
from model.text.prompt import Prompt, RunKey
from tests.test_cache import KIB, Counted, store_of
from viz.ui import cache, session
from viz.ui.cache import Store


def test_the_bound_is_half_the_machine_unless_told_otherwise(monkeypatch):
    monkeypatch.delenv("REGARD_MEMORY", raising=False)
    half = (memory.memory_in_all() or cache.UNKNOWN) / 2
    assert cache.bound() == int(half)
    assert cache.MODELS.bound() + cache.RESULTS.bound() == cache.bound()
    monkeypatch.setenv("REGARD_MEMORY", "1.5")
    assert cache.bound() == 1_500_000_000 and cache.RESULTS.bound() == 750_000_000
    for wrong in ("0", "-1", "nan", "inf", "4 GB"):
        with pytest.raises(ValueError, match="no number of gigabytes"):
            cache.in_bytes(wrong)


@pytest.fixture
def stores(story):
    """Two, empty: one with room for one of our smaller models, one for results."""
    return Store(lambda: cache.model_size(story) * 3 // 2, keeps_one=True), store_of(300)


def test_before_a_model_comes_what_it_pushes_out_goes(stores, story):
    models, results = stores
    models.get("story", lambda: story, cache.model_size)
    Counted(results).ask("a")
    cache.make_room(cache.model_size(story) // 4, *stores)
    assert len(models) == 1
    cache.make_room(cache.model_size(story), *stores)
    assert len(models) == 0 and len(results) == 1


def test_what_is_kept_makes_way_for_a_model_that_fits_without_it_and_only_then(story):
    models, results = Store(lambda: 10 * cache.ROOM_TO_RUN), store_of(300)
    models.get("story", lambda: story, cache.model_size)
    Counted(results).ask("a")
    free, needed = 2 * cache.ROOM_TO_RUN, 2 * cache.ROOM_TO_RUN
    cache.make_room(needed, models, results, lambda: free)
    assert len(models) == len(results) == 1  # it would not fit all the same
    free += cache.ROOM_TO_RUN - (models.held + results.held) // 2
    cache.make_room(needed, models, results, lambda: free)
    assert models.held == results.held == 0


def test_a_model_counts_as_its_parameters_and_its_vocabulary(story):
    held = sum(parameter.nbytes for parameter in story.transformer.parameters())
    assert held < cache.model_size(story) < 1.5 * held


# what the app keeps


def test_a_stream_of_texts_stays_within_the_bound(monkeypatch):
    """Runs and all that is made of them; the largest things a visitor can ask for."""
    store = cache.RESULTS
    store.shrink(0)
    monkeypatch.setenv("REGARD_MEMORY", f"{2 * 2_000 * KIB / 1e9}")  # half of it is for results
    most, spec = 0, session.MapSpec(((0, 0), (1, 1)))
    for i in range(40):
        key = RunKey("story", Prompt(f"{i}: the cat sat on the mat and the dog saw it " * (1 + i % 5)))
        run = session.run_of(key)
        session.overview_of(key), session.map_of(key, spec), session.units_in(key, "words")
        most = max(most, store.held)
        assert store.held <= store.bound() == 2_000 * KIB
        assert sum(layer.n_byte for layer in run.attention) + run.hidden.nbytes < memory.n_byte(run)
    assert most > 1_000 * KIB and len(store) < 40
    store.shrink(0)


def test_models_go_for_models_and_come_back(monkeypatch):
    monkeypatch.setenv("REGARD_MEMORY", "0.02")  # half of it is less than any two of ours
    key = RunKey("story", Prompt("the cat"))
    cache.MODELS.shrink(0)
    cache.RESULTS.shrink(0)
    lm = session.language_model("story")
    hidden = session.run_of(key).hidden
    assert session.language_model("story") is lm and len(cache.MODELS) == 1
    session.language_model("encoder")
    assert len(cache.MODELS) == 1
    cache.RESULTS.shrink(0)
    np.testing.assert_array_equal(session.run_of(key).hidden, hidden)
    assert session.language_model("story") is not lm and len(cache.MODELS) == 1


def test_models_that_are_not_there_are_not_kept():
    before = cache.MODELS.held
    for i in range(3):
        with pytest.raises(ModelNotAvailable):
            session.language_model(f"none{i}")
    assert cache.MODELS.held == before
