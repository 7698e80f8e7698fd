"""What is kept for whoever asks the same again, bounded by the bytes it takes.

Streamlit's caches are bounded by entries, and one run of a long text can take a gigabyte. Here two stores share what
`bound` says: loaded models, and what was computed with them. In each, what was used longest ago goes first. What is
kept is all visitors', so nobody changes it.
Two who ask for the same wait for one computation; nobody waits for a computation that somebody else asked for.
"""

import inspect
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import CancelledError, Future, wait
from contextlib import nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache, wraps
from math import inf
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from model.language_model import LanguageModel
from model.memory import give_back, memory_available, memory_in_all, n_byte
from model.sources.cost import ROOM_TO_RUN

MEMORY = "REGARD_MEMORY"  # in the environment: how many gigabytes both stores may take together
SHARE = 0.5  # of the machine's memory, or its container's: what both stores may take unless the operator says otherwise
UNKNOWN = 8 * 10**9  # bytes that a machine is taken to have where the system does not say (Windows)
_TOKENIZER = 400  # bytes for each entry of a vocabulary, measured: in Rust, where nobody can look
_LOOK_UP = 0.1  # seconds after which one who waits sees whether their visitor has gone on

_computing: ContextVar[bool] = ContextVar("computing", default=False)  # something to be kept, in this thread


def bound() -> int:
    """Bytes that both stores may take together. ValueError if the operator says what is no number."""
    if limit := os.environ.get(MEMORY):
        return in_bytes(limit)
    return int(SHARE * (_in_all() or UNKNOWN))


_in_all = lru_cache(1)(memory_in_all)  # a dozen files to read, which is asked for with everything that is computed


def in_bytes(gigabytes: str) -> int:
    """ValueError, with a sentence for the operator, if it is no number above 0."""
    try:
        number = float(gigabytes)
    except ValueError:
        number = -1
    if not 0 < number < inf:
        raise ValueError(f"“{gigabytes}” is no number of gigabytes to keep models and runs in: say 4, or 0.5")
    return int(number * 1e9)


@dataclass(frozen=True)
class Entry:
    """One thing that is kept."""

    value: Any
    n_byte: int
    until: float  # of the monotonic clock


class Store:
    """What some functions returned: at most `bound()` bytes together, what was used longest ago goes first.

    What is larger than the bound alone is handed out and not kept; or, if `keeps_one`, kept without anything beside it.
    """

    def __init__(self, bound: Callable[[], int], *, keeps_one: bool = False):
        self.bound, self._keeps_one = bound, keeps_one
        self._lock = threading.Lock()  # never held while anything is computed
        self._entries: OrderedDict[Hashable, Entry] = OrderedDict()  # the one used last, last
        self._coming: dict[Hashable, Future] = {}
        self._held = 0

    @property
    def held(self) -> int:
        """Bytes that are kept now."""
        return self._held

    @property
    def busy(self) -> bool:
        """Whether something is being computed."""
        return bool(self._coming)

    def __len__(self) -> int:
        return len(self._entries)

    def has(self, key: Hashable) -> bool:
        entry = self._entries.get(key)
        return entry is not None and entry.until > time.monotonic()

    def get(
        self, key: Hashable, compute: Callable[[], Any], size: Callable[[Any], int] = n_byte, seconds: float = inf
    ) -> Any:
        """What is kept under a key, or else what `compute` returns; kept for so many seconds.

        What it raises is raised for all who wait, and not kept.
        """
        while True:
            with self._lock:
                entry = self._entries.get(key)
                if entry and entry.until > time.monotonic():
                    self._entries.move_to_end(key)
                    return entry.value
                future = self._coming.get(key)
                if first := future is None:
                    future = self._coming[key] = Future()
            if first:
                return self._compute(key, future, compute, size, seconds)
            try:
                return _wait(future)
            except CancelledError:  # who computed it was stopped: another must
                continue

    def _compute(
        self,
        key: Hashable,
        future: Future,
        compute: Callable[[], Any],
        size: Callable[[Any], int],
        seconds: float,
    ) -> Any:
        before = _computing.set(True)
        try:
            value = compute()
            entry = Entry(value, size(value) + n_byte(key), time.monotonic() + seconds)
            most = self.bound()
        except Exception as error:
            self._end(key)
            future.set_exception(error)
            raise
        except BaseException:  # Streamlit stops a script so: whoever waits did not ask for that
            self._end(key)
            future.cancel()
            raise
        finally:
            _computing.reset(before)
        self._end(key, entry, most)
        future.set_result(value)
        return value

    def _end(self, key: Hashable, entry: Entry | None = None, most: int = 0) -> None:
        """A computation is over. What it returned is kept, if it may be, and what stood in its way goes."""
        with self._lock:
            del self._coming[key]
            dropped = [self._drop(key)] if key in self._entries else []  # too old
            if entry and (self._keeps_one or entry.n_byte <= most):
                self._entries[key] = entry
                self._held += entry.n_byte
                dropped += self._drop_to(most, but=1)
        del dropped  # not under the lock: to give gigabytes back takes its time

    def _drop_to(self, most: int, but: int = 0) -> list[Entry]:
        """What was used longest ago goes until `most` bytes are left, or so many entries. Returns what went."""
        dropped = []
        while self._held > most and len(self._entries) > but:
            dropped.append(self._drop(next(iter(self._entries))))
        return dropped

    def _drop(self, key: Hashable) -> Entry:
        entry = self._entries.pop(key)
        self._held -= entry.n_byte
        return entry

    def shrink(self, most: int) -> None:
        """Keep so many bytes at most, of what was used last."""
        with self._lock:
            dropped = self._drop_to(most)
        del dropped

    def forget_about(self, model: str) -> None:
        """All that was computed with the model of this name."""

        def about(part: Hashable) -> bool:
            return model in (part, getattr(part, "model", None))  # itself, or within a `model.text.prompt.RunKey`

        with self._lock:
            dropped = [self._drop(key) for key in list(self._entries) if any(map(about, key))]
        del dropped

    def forget(self, of: Callable) -> None:
        """All that one function returned."""
        with self._lock:
            dropped = [self._drop(key) for key in list(self._entries) if key[0] is of]
        del dropped


def _wait(future: Future) -> Any:
    """What another thread computes. Where this one's visitor goes on to something else, it ends as Streamlit ends it.

    Within a computation it does not: others wait for that.
    """
    context = None if _computing.get() else get_script_run_ctx(suppress_warning=True)
    while context and not wait([future], _LOOK_UP).done:
        context.yield_check()
    return future.result()


MODELS = Store(lambda: bound() // 2, keeps_one=True)
RESULTS = Store(lambda: bound() - bound() // 2)


def kept(
    store: Store = RESULTS, *, spinner: str = "", seconds: float = inf, size: Callable[[Any], int] = n_byte
) -> Callable[[Callable], Callable]:
    """Keep what a function returns, under its arguments; equal arguments are the same.

    `spinner`: what is said while it is computed. Where one such function calls another, the outer one speaks.
    """

    def decorate(function: Callable) -> Callable:
        signature = inspect.signature(function)

        @wraps(function)
        def cached(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            key = (function, *bound.arguments.values())

            def compute() -> Any:
                return function(*args, **kwargs)

            speaks = spinner and not _computing.get() and not store.has(key)
            # as Streamlit's own caches do it: such a spinner lies over the page and moves nothing
            with st.spinner(spinner, _cache=True) if speaks else nullcontext():
                return store.get(key, compute, size, seconds)

        cached.clear = lambda: store.forget(function)
        cached.has = lambda *args: store.has((function, *args))
        # what is known to come of these arguments, without the function
        cached.know = lambda value, *args: store.get((function, *args), lambda: value, size, seconds)
        return cached

    return decorate


def is_computing() -> bool:
    """Whether this thread computes something that others may wait for."""
    return _computing.get()


def model_size(lm: LanguageModel) -> int:
    """The bytes of a loaded model: its parameters in single precision, and its tokenizer."""
    return 4 * lm.info.n_parameter + _TOKENIZER * lm.info.n_vocab


def make_room(
    needed: int,
    models: Store = MODELS,
    results: Store = RESULTS,
    available: Callable[[], int | None] = memory_available,
) -> None:
    """Before a model of so many bytes is loaded: what it would push out goes now, so that both are never there.

    Where it would not fit into what is free, all that is kept goes, if that helps.
    """
    models.shrink(max(0, models.bound() - needed))
    free = available()
    if free is not None and free < needed + ROOM_TO_RUN <= free + models.held + results.held:
        results.shrink(0)
        models.shrink(0)
        give_back()


def held() -> int:
    """Bytes that are kept in all: what can be had besides what is free."""
    return MODELS.held + RESULTS.held
