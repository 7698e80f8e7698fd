"""How far a model has read a text: told, layer after layer, to whoever asked in this thread."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_told: ContextVar[Callable[[int, int], None] | None] = ContextVar("told", default=None)


@contextmanager
def told(of: Callable[[int, int], None]) -> Iterator[None]:
    """Have `of(done, total)` called with the layers that are read, and how many there are; what it raises ends that."""
    before = _told.set(of)
    try:
        yield
    finally:
        _told.reset(before)


def tell(done: int, total: int) -> None:
    """For models: so many layers are read, of so many."""
    if of := _told.get():
        of(done, total)
