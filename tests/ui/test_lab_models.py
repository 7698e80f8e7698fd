"""What sessions trained: each has its own, so many and so many bytes; the oldest goes, and all go with the session."""

from dataclasses import replace

import pytest

from model.run import ModelNotAvailable
from viz.ui import cache
from viz.ui.lab_models import Shelf

A, B = "session a", "session b"


class Timers:
    """What was to be done later, done when a test says so."""

    def __init__(self):
        self.waiting = []

    def __call__(self, end):
        self.waiting.append(end)
        timer = type("Timer", (), {"cancel": lambda _: self.waiting.remove(end)})()
        return timer

    def pass_by(self):
        for end in list(self.waiting):
            end()
        self.waiting.clear()


@pytest.fixture
def forgotten() -> list[str]:
    return []


@pytest.fixture
def timers() -> Timers:
    return Timers()


@pytest.fixture
def shelf(forgotten, timers, tiny):
    """Room for three tiny models in a session, and for five in all."""
    each = cache.model_size(tiny)
    return Shelf(3, 10 * each, lambda: 5 * each, forgotten.append, timers)


@pytest.fixture
def put(shelf, tiny):
    """`put(A, "first")`: a model with weights of its own, by its title."""

    def put(session: str, title: str) -> str:
        lm = type(tiny)(replace(tiny.info, fingerprint=title), tiny.transformer, tiny.tokenizer)
        return shelf.put(session, lm, title, "from nothing", "no. 1")

    return put


def titles(shelf: Shelf, session: str) -> list[str]:
    return [trained.entry.title for trained in shelf.of(session)]


def test_only_its_own_session_finds_it(shelf, put, tiny):
    name = put(A, "mine")
    found = shelf.find(A, name)
    assert name.startswith("lab:") and len(name) > 16
    assert (found.lm.info.name, found.lm.info.title, found.origin) == (name, "mine", "from nothing")
    assert shelf.find(B, name) is None and shelf.of(B) == []
    assert tiny.info.name == "tiny"  # what was handed over stays what it was


def test_the_same_twice_is_one_and_in_two_sessions_two(shelf, put):
    assert put(A, "mine") == put(A, "mine") != put(B, "mine")
    assert titles(shelf, A) == ["mine"]


def test_the_oldest_of_a_session_goes(shelf, put, forgotten):
    names = [put(A, title) for title in "abcd"]
    assert titles(shelf, A) == ["b", "c", "d"] and forgotten == names[:1]
    put(A, "b")  # trained again: the newest now
    assert titles(shelf, A) == ["c", "d", "b"]


def test_the_oldest_of_all_goes_where_a_server_is_full(shelf, put, forgotten):
    first = put(A, "a1")
    for title in "xyz":
        put(B, title)
    put(A, "a2")
    assert not forgotten
    put(A, "a3")
    assert forgotten == [first] and titles(shelf, A) == ["a2", "a3"] and titles(shelf, B) == ["x", "y", "z"]


def test_bytes_count_too(tiny, forgotten, timers):
    each = cache.model_size(tiny)
    shelf = Shelf(9, 2 * each, lambda: 99 * each, forgotten.append, timers)
    for title in "abc":
        shelf.put(A, type(tiny)(replace(tiny.info, fingerprint=title), tiny.transformer, tiny.tokenizer), title, "", "")
    assert titles(shelf, A) == ["b", "c"]
    narrow = Shelf(9, each - 1, lambda: 99 * each, forgotten.append, timers)
    with pytest.raises(ModelNotAvailable, match=r"large takes .* and a session keeps .* at most"):
        narrow.put(A, tiny, "large", "", "")


def test_they_go_with_the_session(shelf, put, forgotten, timers):
    mine, other = put(A, "mine"), put(B, "other")
    shelf.leave(A)
    assert shelf.find(A, mine)  # a connection may have broken for a moment
    timers.pass_by()
    assert shelf.of(A) == [] and forgotten == [mine] and shelf.find(B, other)


def test_who_comes_back_soon_finds_them(shelf, put, forgotten, timers):
    mine = put(A, "mine")
    shelf.leave(A)
    shelf.come(A)
    timers.pass_by()
    assert shelf.find(A, mine) and not forgotten


def test_what_was_computed_with_one_is_forgotten(tiny):
    from model.text.prompt import Prompt, RunKey

    store = cache.Store(lambda: 10**6)

    def compute(of):
        return store.get(of, lambda: 1)

    of_it, of_other = (max, RunKey("lab:1", Prompt("a"))), (max, RunKey("lab:2", Prompt("a")))
    for key in (of_it, of_other, (min, "lab:1", "a"), (min, "a")):
        compute(key)
    store.forget_about("lab:1")
    assert not store.has(of_it) and not store.has((min, "lab:1", "a"))
    assert store.has(of_other) and store.has((min, "a"))
