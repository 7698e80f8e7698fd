"""Long work that a visitor starts, watches and stops, such as a training: one at a time for the server.

A thread beside the visitors' does it, with one thread of torch as they have; who comes later waits in a line and sees
its place there. It gives way: before each step it waits a moment for the pages that are being drawn. The work is an
iterator of steps: between two of them it is stopped, at once, by its visitor, by the bound on its time, or because its
visitor has left; the steps that are there stay. A step of None is no more than such a moment, and is not kept. To go on
later is a new work that begins behind the last step. Each tab of a browser is a session of its own; in one session
there is one work of a kind, and to start another of that kind ends the one before.
"""

import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from model import serving
from model.progress import told
from model.run import VisitorError
from viz.guard import around_sections, handler, section
from viz.plain import plain

WAITING, RUNNING, ENDED, STOPPED, FAILED = "waiting", "running", "ended", "stopped", "failed"
MOST_WAITING = 20
LOOK = 0.5  # seconds from one look of a page to the next
BREATH = 0.001  # seconds between two steps: for the threads that bring and send what pages say
PATIENCE = 0.05  # seconds at most that a step waits for pages that are being drawn
_LOG = logging.getLogger("regard")
_OWN = "trainings"  # in the session's state: this visitor's, by their kind
_SEEN = "trainings_seen"  # the same: what the present run of the page has seen of them
_END = object()
_OWN_ERROR = (
    "This ended by an error in Regard itself ({}); the log of the server says where it happened. Please report it. "
    "What was done until then is kept."
)


class Visits:
    """How many parts of pages are being drawn now, by all visitors' threads."""

    def __init__(self):
        self._n, self._changed = 0, threading.Condition()

    @contextmanager
    def one(self, key: str = "") -> Iterator[None]:
        """Around what is drawn."""
        with self._changed:
            self._n += 1
        try:
            yield
        finally:
            with self._changed:
                self._n -= 1
                self._changed.notify_all()

    def wait(self, seconds: float) -> bool:
        """Until nothing is drawn, at most so long; whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: self._n == 0, seconds)


VISITS = Visits()


class Training:
    """One work, from the moment it was asked for; any thread may look."""

    def __init__(
        self,
        kind: str,
        work: Callable[[], Iterator],
        seconds: float,
        *,
        since: Sequence = (),
        expected: int | None = None,
        visits: Visits = VISITS,
    ):
        self.kind = kind
        self.seconds = seconds  # it may run for so long
        self.expected = expected  # steps that there will be in all, if that is known
        self.steps: list[Any] = list(since)  # what the work has given so far; it only grows
        self.state = WAITING
        self.error = ""  # a sentence, if it failed or was stopped by something other than its visitor
        self._work: Callable[[], Iterator] | None = work
        self._line: Line | None = None
        self._visits = visits
        self._asked, self._over = threading.Event(), threading.Event()
        self._begun: float | None = None  # of the monotonic clock
        self._took = 0.0

    @property
    def under_way(self) -> bool:
        """Whether it waits or runs, so that there is something to look at again."""
        return self.state in (WAITING, RUNNING)

    @property
    def place(self) -> int:
        """How many are before it in the line, the running one among them."""
        return self._line.place(self) if self._line else 0

    @property
    def took(self) -> float:
        """Seconds that it has run until now, or ran."""
        return time.monotonic() - self._begun if self.state == RUNNING and self._begun else self._took

    def stop(self, why: str = "") -> None:
        """Before its next step, or at once if it still waits; returns without waiting for that. `why`: a sentence."""
        if not self.under_way:
            return
        self.error = self.error or why
        self._asked.set()
        if self._line:
            self._line.leave(self)

    def wait(self, seconds: float) -> bool:
        """Until it is over, at most so long; whether it is. For tests, and for scripts: a page looks again instead."""
        return self._over.wait(seconds)

    def _end(self, state: str, error: str = "") -> None:
        self._took, self._work = self.took, None  # what the work held on to goes
        self.error = "" if state == ENDED else error or self.error
        self.state = state
        self._over.set()

    def _run(self) -> None:
        """In the thread of the line."""
        self._begun = time.monotonic()
        try:
            serving.load_torch()  # threads of this thread; those of the visitors stay as they are
            over = self._go_through(iter(self._work()))
        except VisitorError as error:
            over = FAILED, str(error)
        except Exception as error:
            _LOG.error("an error of the program, in work beside the pages", exc_info=error)
            over = FAILED, _OWN_ERROR.format(type(error).__name__)
        self._end(*over)

    def _go_through(self, steps: Iterator) -> tuple[str, str]:
        """The state in which it is over, and a sentence on that. Work whose steps are long may `tell` between them."""
        with told(self._give_way):
            return self._until_over(steps)

    def _give_way(self, *_: int) -> None:
        time.sleep(BREATH)
        self._visits.wait(PATIENCE)

    def _until_over(self, steps: Iterator) -> tuple[str, str]:
        while not self._asked.is_set():
            self._give_way()
            step = next(steps, _END)
            if step is _END:
                return ENDED, ""
            if step is not None:
                self.steps.append(step)
            if self.took > self.seconds:
                return STOPPED, (
                    f"Stopped after {self.seconds:g} seconds, the most that it may take on the server at once. What "
                    "was done until then is kept."
                )
        return STOPPED, ""


class Line:
    """The works of all visitors, in the order in which they were asked for; the first one runs."""

    def __init__(self, most_waiting: int = MOST_WAITING):
        self._most = most_waiting
        self._lock = threading.Lock()
        self._works: list[Training] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="training")

    def join(self, training: Training) -> None:
        """Raises `VisitorError` if the line is too long."""
        with self._lock:
            if len(self._works) > self._most:
                raise VisitorError(
                    f"{self._most} others wait to train something on this server, which does one at a time: try again "
                    "in a few minutes."
                )
            self._works.append(training)
            training._line = self
        self._thread.submit(self._take, training)

    def leave(self, training: Training) -> None:
        """If it still waits."""
        with self._lock:
            if training.state == WAITING and training in self._works:
                self._works.remove(training)
                training._end(STOPPED)

    def place(self, training: Training) -> int:
        with self._lock:
            return self._works.index(training) if training in self._works else 0

    @property
    def running(self) -> Training | None:
        with self._lock:
            return next((each for each in self._works if each.state == RUNNING), None)

    def _take(self, training: Training) -> None:
        with self._lock:
            if training.state != WAITING:  # it was withdrawn
                return
            training.state = RUNNING
        try:
            training._run()
        finally:
            with self._lock:
                self._works.remove(training)


LINE = Line()  # of this server
around_sections(VISITS.one)


def start(
    kind: str,
    work: Callable[[], Iterator],
    *,
    seconds: float,
    since: Sequence = (),
    expected: int | None = None,
) -> Training:
    """Have `work()` gone through, as soon as it is its turn, for so many seconds at most.

    `kind`: what it is, in words that others who wait will read: "a copier". `since`: steps that were there before, if
    it goes on from the last of them. `expected`: how many steps there will be with those, for the bar.
    What this session has of that kind is stopped first. `work` runs in another thread: it must not use Streamlit.
    Raises `VisitorError` if too many wait.
    """
    training = Training(kind, work, seconds, since=since, expected=expected)
    own = st.session_state.setdefault(_OWN, {})
    if kind in own:
        own[kind].stop()
    LINE.join(training)
    own[kind] = training
    _seen()[kind] = True
    leaving()[kind] = training
    return training


def of_session(kind: str) -> Training | None:
    """What this visitor started last of a kind, whether it still runs or is over."""
    training = st.session_state.get(_OWN, {}).get(kind)
    if training is not None and kind not in (seen := _seen()):
        seen[kind] = training.under_way
    return training


def is_under_way(kind: str) -> bool:
    """Whether it waits or runs, or did when this run of the page first looked at it.

    A page reads its steps from then on. Were it taken for ended because it ends meanwhile, what is drawn of it would be
    half of it, and `watch` would not look again.
    """
    return of_session(kind) is not None and _seen()[kind]


def _seen() -> dict[str, bool]:
    """Of each kind that was looked at in this run of the page, or of a part of it: whether it was under way then."""
    run = get_script_run_ctx().parallel_coordinator  # the context lives on in the next run
    of, seen = st.session_state.get(_SEEN, (None, {}))
    if of is None or of() is not run:
        seen = {}
        st.session_state[_SEEN] = weakref.ref(run), seen
    return seen


def forget(kind: str) -> None:
    """Stop it, and let go of what it did."""
    if training := st.session_state.get(_OWN, {}).pop(kind, None):
        training.stop()
        leaving().pop(kind, None)


def _left(trainings: dict[str, Training]) -> None:
    for training in trainings.values():
        training.stop("Stopped, because the browser was gone. What was done until then is kept.")


@st.cache_resource(scope="session", on_release=_left, show_spinner=False)
def leaving() -> dict[str, Training]:
    """What is stopped as soon as the visitor has closed the tab, or loaded the page anew."""
    return {}


def watch(kind: str, draw: Callable[[Training | None], None]) -> None:
    """A part of the page that says how a work stands, with a way to stop it, and below that what `draw` shows of it.

    `draw` is called with the work, or None if nothing of this kind was started: again every half second while it
    waits or runs, and once more, with the whole page, when that is over.
    """
    looked_at = is_under_way(kind)

    @section(f"watch_{_name(kind)}", run_every=LOOK if looked_at else None)
    def watched() -> None:
        training = of_session(kind)
        # a fragment's clock is set when the whole page runs; a run that is broken off leaves what it drew half told
        if is_under_way(kind) != looked_at and _is_alone():
            st.rerun()
        if training is not None:
            status(training)
        draw(training)

    watched()


def _is_alone() -> bool:
    """Whether a part of the page is drawn, and not the whole."""
    context = get_script_run_ctx(suppress_warning=True)
    return context is not None and bool(context.fragment_ids_this_run)


def status(training: Training) -> None:
    """One line on how a work stands: its place or its progress, and a button to withdraw or stop it."""
    name = _name(training.kind)
    match training.state:
        case "waiting":
            running, place = LINE.running, training.place
            now = f" Now runs: {plain(running.kind)}, for {running.took:.0f} s." if running else ""
            before = "one is" if place == 1 else f"{place} are"
            _line(name, lambda: st.markdown(f"This waits for its turn: {before} before it.{now}"), "Withdraw")
        case "running":
            n, of = len(training.steps), training.expected
            if of:
                bar = min(n / of, 1.0), f"{n:,} of {of:,} · {training.took:.0f} s"
            else:
                bar = min(training.took / training.seconds, 1.0), f"{training.took:.0f} s"
            _line(name, lambda: st.progress(*bar), "Stop")
        case "stopped" | "failed" if training.error:
            st.warning(plain(training.error), icon=":material/info:")


def _line(name: str, show: Callable[[], object], word: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key=f"{name}_under_way"):
        show()
        st.button(
            word,
            key=f"{name}_stop",
            icon=":material/stop_circle:",
            on_click=handler(_stop),
            args=(name,),
            width="content",
        )


def _stop(name: str) -> None:
    for kind, training in st.session_state.get(_OWN, {}).items():
        if _name(kind) == name:
            training.stop()


def _name(kind: str) -> str:
    """As part of a widget's key."""
    return "_".join(kind.split())
