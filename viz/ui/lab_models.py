"""Models that were trained in a visitor's session: only that session opens them, and they go with it.

Their names are random. What is kept of their runs is all visitors' (`viz.ui.cache`), and nobody finds it under a name
that nobody else was told.
"""

import copy
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

import streamlit as st

from model import catalog
from model.language_model import LanguageModel
from model.memory import memory_available
from model.run import ModelNotAvailable
from model.sources.cost import Cost, size
from model.sources.places import Entry
from viz.ui import cache

MOST, MOST_BYTES = 8, 128 * 10**6  # of one session
SHARE = 8  # all sessions' together take at most this part of what `cache.bound` says
# seconds that the models of one who left are kept: Streamlit waits two minutes for one whose connection broke
PATIENCE = 130.0
SOURCE = "trained in this session"


@dataclass(frozen=True)
class Trained:
    """A model that a session trained."""

    lm: LanguageModel
    entry: Entry
    origin: str  # sentences: from what, on what, how many steps

    @property
    def n_byte(self) -> int:
        return cache.model_size(self.lm)

    @property
    def cost(self) -> Cost:
        info = self.lm.info
        n_layer = info.n_layer * (2 if info.family == "encoder-decoder" else 1)
        return Cost(info.n_parameter, n_layer, info.n_head, info.n_context, self.n_byte, memory_available())


class Shelf:
    """What all sessions trained, each for itself: at most so many, and so many bytes; the oldest goes.

    `of_all`: bytes of all sessions together. `forget`: called with the name of each that goes. `later`: calls a
    function when a while has passed, and can be cancelled.
    """

    def __init__(
        self,
        most: int,
        most_bytes: int,
        of_all: Callable[[], int],
        forget: Callable[[str], None],
        later: Callable[[Callable[[], None]], threading.Timer],
    ):
        self.most, self.most_bytes, self.of_all = most, most_bytes, of_all
        self._forget, self._later = forget, later
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], Trained] = {}  # by session and name, the oldest first
        self._leaving: dict[str, threading.Timer] = {}

    def put(self, session: str, lm: LanguageModel, title: str, origin: str, which: str) -> str:
        """The name under which it is found from now on; the one it has, if title and weights are the same.

        `which`: what tells it from another of the same title. Raises `ModelNotAvailable` if it is larger than all that
        a session may keep.
        """
        if (n_byte := cache.model_size(lm)) > self.most_bytes:
            raise ModelNotAvailable(
                f"{title} takes {size(n_byte)}, and a session keeps {size(self.most_bytes)} of trained models at most. "
                "Train a smaller one."
            )
        same = [t for t in self.of(session) if (t.entry.title, t.lm.info.fingerprint) == (title, lm.info.fingerprint)]
        entry = same[0].entry if same else Entry(f"{catalog.LAB}{secrets.token_hex(8)}", title, SOURCE, which)
        name, lm = entry.name, copy.copy(lm)
        lm.info = replace(lm.info, name=name, title=title)
        with self._lock:
            self._kept.pop((session, name), None)
            self._kept[session, name] = Trained(lm, entry, origin)
            gone = self._drop(lambda key: key[0] == session, self.most_bytes, self.most)
            gone += self._drop(lambda key: True, self.of_all())
        for each in gone:
            self._forget(each)
        return name

    def _drop(self, among: Callable[[tuple[str, str]], bool], most_bytes: int, most: int | None = None) -> list[str]:
        """The oldest go, but for the newest; their names."""
        keys = [key for key in self._kept if among(key)]
        gone = []
        while len(keys) > 1 and (
            (most and len(keys) > most) or sum(self._kept[key].n_byte for key in keys) > most_bytes
        ):
            del self._kept[key := keys.pop(0)]
            gone.append(key[1])
        return gone

    def of(self, session: str) -> list[Trained]:
        """All that a session has, the oldest first."""
        with self._lock:
            return [trained for (whose, _), trained in self._kept.items() if whose == session]

    def find(self, session: str, name: str) -> Trained | None:
        return self._kept.get((session, name))

    def leave(self, session: str) -> None:
        """Its visitor has gone: its models go too, unless the session comes back soon."""
        with self._lock:
            self._leaving[session] = self._later(lambda: self._end(session))

    def come(self, session: str) -> None:
        """Its visitor is here, or here again."""
        with self._lock:
            timer = self._leaving.pop(session, None)
        if timer:
            timer.cancel()

    def _end(self, session: str) -> None:
        with self._lock:
            if self._leaving.pop(session, None) is None:  # came back in this moment
                return
            gone = [key for key in self._kept if key[0] == session]
            for key in gone:
                del self._kept[key]
        for _, name in gone:
            self._forget(name)


def _after_a_while(end: Callable[[], None]) -> threading.Timer:
    timer = threading.Timer(PATIENCE, end)
    timer.daemon = True
    timer.start()
    return timer


SHELF = Shelf(MOST, MOST_BYTES, lambda: cache.bound() // SHARE, cache.RESULTS.forget_about, _after_a_while)


@st.cache_resource(scope="session", on_release=SHELF.leave, show_spinner=False)
def _stay(session: str) -> str:
    SHELF.come(session)
    return session


def _session() -> str | None:
    """The session's name on the shelf, if it ever trained a model."""
    session = st.session_state.get("on_shelf")
    return session and _stay(session)


def own(lm: LanguageModel, title: str, origin: str = "") -> str:
    """Keep a finished model for this session; the name under which every page opens it.

    `lm.info` may have any name and title. Its fingerprint has to be of its own weights (`BuiltinModel.of` sees to it):
    the same title and fingerprint again is the same model. `origin`: what "The model" says of where it came from, as
    plain sentences. Raises `ModelNotAvailable` if it is too large.
    """
    state = st.session_state
    state.setdefault("on_shelf", secrets.token_hex(8))
    here = state.setdefault("trained_here", {})
    name = SHELF.put(_session(), lm, title, origin, f"no. {len(here) + 1}")
    here[name] = title
    state.setdefault("families", {})[name] = lm.info.family  # known without a look
    return name


def find(name: str) -> Trained | None:
    """A model of this session. Raises `ModelNotAvailable` for one that it had, and that is gone."""
    if not name.startswith(catalog.LAB) or (session := _session()) is None:
        return None
    if trained := SHELF.find(session, name):
        return trained
    if title := st.session_state.trained_here.get(name):
        raise ModelNotAvailable(f"“{title}” was {SOURCE} and is gone: {BOUND}. Train it again on the page Training.")
    return None


def entries() -> list[Entry]:
    """The models of this session, for whoever chooses, the newest first."""
    return [trained.entry for trained in reversed(SHELF.of(session))] if (session := _session()) else []


def gone() -> list[str]:
    """The titles of those that had to go, the newest first."""
    here = {entry.name for entry in entries()}
    return [title for name, title in reversed(st.session_state.get("trained_here", {}).items()) if name not in here]


BOUND = f"a session keeps its {MOST} newest models, {size(MOST_BYTES)} at most, and a server with many visitors fewer"
