"""What is kept for the next who asks: at most so many bytes, computed once, and nobody waits for what they did not ask
for.
"""

import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from streamlit.runtime.scriptrunner import add_script_run_ctx
from streamlit.testing.v1 import AppTest

from model.run import PromptError
from viz.ui import cache
from viz.ui.cache import Store, kept

KIB = 1024


class Counted:
    """A function that is kept: how often it is called, and with what; it returns so many KiB."""

    def __init__(self, store: Store, **options):
        self.calls = []
        self.ask = kept(store, **options)(self._call)

    def _call(self, name: str, kib: int = 1) -> np.ndarray:
        self.calls.append(name)
        return np.zeros(kib * KIB, np.uint8)


def store_of(kib: int, **options) -> Store:
    return Store(lambda: kib * KIB, **options)


# the bound


def test_what_was_used_longest_ago_goes_first():
    counted = Counted(store_of(10))
    for name in ("a", "b", "a", "c"):
        counted.ask(name, 4)
    assert counted.calls == ["a", "b", "c"]
    counted.ask("a", 4)  # used after b, which made room for c
    counted.ask("b", 4)
    assert counted.calls == ["a", "b", "c", "b"]


def test_the_bound_holds_after_every_one_of_many():
    store = store_of(100)
    counted, draw = Counted(store), np.random.default_rng(0)
    most = 0
    for i in range(500):
        counted.ask(f"{i}", int(draw.integers(1, 30)))
        most = max(most, store.held)
        assert store.held <= 100 * KIB and len(store) > 0
    assert most > 70 * KIB and store.held == sum(entry.n_byte for entry in store._entries.values())


def test_what_is_larger_than_the_bound_is_given_out_and_pushes_nothing_out():
    store = store_of(10)
    counted = Counted(store)
    counted.ask("small")
    for _ in range(2):
        assert counted.ask("large", 20).nbytes == 20 * KIB
    counted.ask("small")
    assert counted.calls == ["small", "large", "large"] and len(store) == 1


def test_a_model_larger_than_the_bound_is_kept_alone():
    """It would be loaded again for every click otherwise."""
    store = store_of(10, keeps_one=True)
    counted = Counted(store)
    for name, kib in (("small", 1), ("large", 20), ("large", 20), ("small", 1)):
        counted.ask(name, kib)
    assert counted.calls == ["small", "large", "small"] and len(store) == 1


def test_a_key_counts_too():
    """What a visitor pastes is kept with what comes of it."""
    store = store_of(10)
    counted = Counted(store)
    counted.ask("x" * 8 * KIB)
    assert store.held > 9 * KIB
    counted.ask("y" * 20 * KIB)
    assert store.held < 10 * KIB and len(store) == 1


def test_what_is_too_old_is_computed_again():
    store = store_of(10)
    fresh, old = Counted(store, seconds=1000), Counted(store, seconds=0)
    for counted in (fresh, old):
        counted.ask("a")
        counted.ask("a")
    assert (len(fresh.calls), len(old.calls), len(store)) == (1, 2, 2)


def test_clearing_one_function_leaves_the_others():
    store = store_of(10)
    one, other = Counted(store), Counted(store)
    one.ask("a")
    other.ask("a")
    one.ask.clear()
    assert len(store) == 1 and 0 < store.held < 2 * KIB
    one.ask("a")
    other.ask("a")
    assert (len(one.calls), len(other.calls)) == (2, 1)


def test_shrinking_leaves_what_was_used_last():
    store = store_of(10)
    counted = Counted(store)
    for name in "abc":
        counted.ask(name, 2)
    store.shrink(5 * KIB)
    counted.ask("c", 2), counted.ask("b", 2)
    assert len(store) == 2 and counted.calls == ["a", "b", "c"]
    store.shrink(0)
    assert store.held == len(store) == 0


def test_what_went_is_gone():
    """Nothing of the mechanism holds on to it: not the lock, not who computed it, not who waited."""
    store = store_of(10)
    counted = Counted(store)
    gone = weakref.ref(counted.ask("a", 8))
    assert gone() is not None
    counted.ask("b", 8)
    assert gone() is None


def test_equal_arguments_are_the_same_however_they_are_given():
    counted = Counted(store_of(10))
    for asked in ((("a", 1), {}), (("a",), {}), ((), {"name": "a"}), (("a",), {"kib": 1})):
        counted.ask(*asked[0], **asked[1])
    assert counted.calls == ["a"]
    counted.ask("a", 2)
    assert counted.calls == ["a", "a"]


# at once


def test_two_who_ask_for_the_same_wait_for_one_computation():
    store, begun, goes_on = store_of(10), threading.Event(), threading.Event()
    calls = []

    @kept(store)
    def slow(name: str) -> object:
        calls.append(name)
        begun.set()
        assert goes_on.wait(60)
        return object()

    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(slow, "a")]
        assert begun.wait(60)
        asked += [pool.submit(slow, "a") for _ in range(2)]
        goes_on.set()
        assert len({id(one.result()) for one in asked}) == 1
    assert calls == ["a"]


def test_nobody_waits_for_what_another_asked_for():
    store, begun, goes_on = store_of(10), threading.Event(), threading.Event()

    @kept(store)
    def sometimes_slow(name: str) -> str:
        if name == "slow":
            begun.set()
            assert goes_on.wait(60)
        return name.upper()

    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(sometimes_slow, "slow")
        assert begun.wait(60)
        assert sometimes_slow("quick") == "QUICK" and sometimes_slow("quick") == "QUICK"
        assert len(store) == 1 and not slow.done()
        goes_on.set()
        assert slow.result() == "SLOW"


def test_an_error_is_told_to_all_who_wait_and_not_kept():
    begun, goes_on = threading.Event(), threading.Event()
    calls = []

    @kept(store_of(10))
    def refuses(name: str) -> str:
        calls.append(name)
        begun.set()
        assert goes_on.wait(60)
        if len(calls) == 1:
            raise PromptError("no")
        return name

    def asks() -> object:
        try:
            return refuses("a")
        except PromptError as error:
            return error

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(asks)
        assert begun.wait(60)
        second = pool.submit(asks)
        goes_on.set()
        first, second = first.result(), second.result()
    assert isinstance(first, PromptError)
    # the second came before or after the end: it was told the same, or asked anew
    assert (second is first and calls == ["a"]) or (second == "a" and calls == ["a", "a"])
    assert refuses("a") == "a" and refuses("a") == "a" and calls == ["a", "a"]


def test_one_who_is_stopped_leaves_the_work_to_the_next():
    """Streamlit ends a script that is not wanted any more by an exception that is no `Exception`."""

    class Stopped(BaseException):
        pass

    begun, goes_on = threading.Event(), threading.Event()
    calls = []

    @kept(store_of(10))
    def computed(name: str) -> str:
        calls.append(name)
        if len(calls) == 1:
            begun.set()
            assert goes_on.wait(60)
            raise Stopped
        return name

    def first() -> None:
        with pytest.raises(Stopped):
            computed("a")

    with ThreadPoolExecutor(2) as pool:
        stopped = pool.submit(first)
        assert begun.wait(60)
        waits = pool.submit(computed, "a")
        goes_on.set()
        stopped.result()
        assert waits.result() == "a" and calls == ["a", "a"]


def test_one_who_waits_may_go_on_to_something_else():
    """Else a click would wait for another visitor's model."""

    class Gone(BaseException):
        pass

    def leave() -> None:
        raise Gone

    def as_visitor(ask) -> str:
        pages = SimpleNamespace(main_script_hash="")
        add_script_run_ctx(threading.current_thread(), SimpleNamespace(yield_check=leave, pages_manager=pages))
        return ask("a")

    begun, goes_on = threading.Event(), threading.Event()

    @kept(store_of(10))
    def slow(name: str) -> str:
        begun.set()
        assert goes_on.wait(60)
        return name

    @kept(store_of(10))
    def around(name: str) -> str:
        return slow(name) + "!"

    with ThreadPoolExecutor(2) as pool:
        working = pool.submit(slow, "a")
        assert begun.wait(60)
        with pytest.raises(Gone):
            pool.submit(as_visitor, slow).result()
        within = pool.submit(as_visitor, around)  # others may wait for this one: it stays
        goes_on.set()
        assert working.result() == "a" and within.result() == "a!"


def test_a_bound_that_cannot_be_read_leaves_nobody_waiting(monkeypatch):
    monkeypatch.setenv("REGARD_MEMORY", "much")
    counted = Counted(Store(cache.bound))
    for _ in range(2):
        with pytest.raises(ValueError, match=r"“much” is no number of gigabytes"):
            counted.ask("a")
    monkeypatch.setenv("REGARD_MEMORY", "1")
    counted.ask("a")
    assert len(counted.calls) == 3


# what is said meanwhile


def test_the_outermost_says_what_is_done_and_only_while_it_is(monkeypatch):
    said = []

    @contextmanager
    def spinner(text: str, **options: object):
        said.append(text)
        yield

    monkeypatch.setattr(cache.st, "spinner", spinner)
    store = store_of(10)
    inner = Counted(store, spinner="Inner …").ask
    outer = kept(store, spinner="Outer …")(lambda name: inner(name))
    silent = kept(store)(lambda name: inner(name))
    outer("a")
    assert said == ["Outer …"]
    outer("a"), inner("a"), silent("b")
    assert said == ["Outer …"]
    inner("c")
    assert said == ["Outer …", "Inner …"]


def test_streamlits_spinner_takes_what_it_is_told():
    """`_cache` is Streamlit's own word, and not for others: should it go, this tells."""

    def script() -> None:
        import streamlit as st

        from viz.ui.cache import kept

        st.write(kept(spinner="Thinking …")(lambda name: name.upper())("a"))

    app = AppTest.from_function(script).run()
    assert not app.exception and app.markdown[0].value == "A"
