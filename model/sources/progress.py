"""How far the loading of a model is: told by the thread that loads it, read by all who wait for it.

Each stage has the seconds that it took on a quiet machine, which say how large a part of the work it is. How long this
machine takes is measured at what is done, and what is left is said with that.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

_LEAST = 0.02  # of the work: what less took says little of the rest


@dataclass(frozen=True)
class Stage:
    """A part of the work."""

    name: str
    words: str  # what a visitor reads
    seconds: float  # of processor time, measured once
    n_byte: int = 0  # of what is counted; 0: nobody sees how far this stage is


class Progress:
    """One load. Written by one thread; what others read may be a moment old."""

    def __init__(self, stages: Sequence[Stage], clock: Callable[[], float] = time.monotonic):
        self._stages, self._clock, self._began = tuple(stages), clock, clock()
        self._all = sum(stage.seconds for stage in stages)
        self._at = self._counted = 0
        self._mark = 0.0, 0.0  # when something was done last, in seconds from the beginning, and how much by then

    def begin(self, name: str) -> None:
        """All before this stage is done. One that is behind already, or is none of these, changes nothing."""
        later = (i for i, stage in enumerate(self._stages) if stage.name == name and i > self._at)
        if (at := next(later, None)) is not None:
            self._at, self._counted = at, 0
            self._set_mark()

    def count(self, n_byte: int) -> None:
        """So many bytes more of this stage are done."""
        self._counted += n_byte
        self._set_mark()

    def _set_mark(self) -> None:
        stage = self._stages[self._at]
        part = min(1.0, self._counted / stage.n_byte) if stage.n_byte else 0.0
        behind = sum(stage.seconds for stage in self._stages[: self._at])
        self._mark = self._clock() - self._began, behind + part * stage.seconds

    @property
    def part(self) -> float:
        """What is done of all, from 0 to 1, by the time that it takes."""
        return self._mark[1] / self._all

    @property
    def seconds_left(self) -> float | None:
        """None before enough is done to tell, and where it takes longer than what is done lets expect."""
        passed, done = self._mark
        if done < _LEAST * self._all:
            return None
        left = passed / done * (self._all - done) - (self._clock() - self._began - passed)
        return left if left > 0 else None

    @property
    def counted(self) -> tuple[int, int]:
        """Bytes of this stage that are done, and all of them; (0, 0) where none are counted."""
        n_byte = self._stages[self._at].n_byte
        return min(self._counted, n_byte), n_byte

    @property
    def words(self) -> str:
        """What is being done."""
        return self._stages[self._at].words


_mine: ContextVar[Progress | None] = ContextVar("progress", default=None)  # of the load that this thread does


@contextmanager
def told_to(progress: Progress | None) -> Iterator[None]:
    """Within, `begin` and `count` tell of this load."""
    before = _mine.set(progress)
    try:
        yield
    finally:
        _mine.reset(before)


def begin(name: str) -> None:
    """As `Progress.begin`, of the load that this thread does, if somebody wants to know."""
    if progress := _mine.get():
        progress.begin(name)


def count(n_byte: int) -> None:
    """As `Progress.count`."""
    if progress := _mine.get():
        progress.count(n_byte)


def in_words(seconds: float) -> str:
    """A time that is left, no more exact than it can be known."""
    if seconds < 60:
        return f"about {max(1, round(seconds))} s left"
    return f"about {round(seconds / 60)} min left"
