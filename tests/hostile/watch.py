"""Which files of a folder a piece of work opens, whoever opens them.

Python tells of its own opens by an audit hook. Libraries in Rust tell nobody; on Linux the kernel does (inotify).
"""

import ctypes
import os
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_IN_OPEN, _IN_NONBLOCK = 0x20, os.O_NONBLOCK if hasattr(os, "O_NONBLOCK") else 0
_watched: list[tuple[Path, set[str]]] = []  # an audit hook stays for as long as the process: there is one, of these


def _hook(event: str, about: tuple) -> None:
    if event == "open" and _watched and isinstance(about[0], str | bytes | os.PathLike):
        path = os.path.realpath(os.fsdecode(about[0]))
        for folder, opened in _watched:
            if path.startswith(f"{folder}{os.sep}"):
                opened.add(os.path.relpath(path, folder))


sys.addaudithook(_hook)


@contextmanager
def opens(folder: Path) -> Iterator[set[str]]:
    """The files in `folder` and below it that are opened meanwhile, complete when it ends."""
    folder, opened = folder.resolve(), set()
    kernel = _Kernel([folder, *(place for place in folder.rglob("*") if place.is_dir())]) if _has_inotify() else None
    _watched.append((folder, opened))
    try:
        yield opened
    finally:
        _watched.remove((folder, opened))
        if kernel:
            opened |= {os.path.relpath(path, folder) for path in kernel.opened()}


def _has_inotify() -> bool:
    return sys.platform.startswith("linux")


class _Kernel:
    """inotify(7), as far as opens go."""

    def __init__(self, folders: list[Path]):
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(_IN_NONBLOCK)
        watches = ((self._libc.inotify_add_watch(self._fd, os.fsencode(f), _IN_OPEN), f) for f in folders)
        self._folders = dict(watches)
        assert self._fd >= 0 and -1 not in self._folders, os.strerror(ctypes.get_errno())

    def opened(self) -> list[Path]:
        """So far, and for the last time. Listing a folder is no open of a file."""
        try:
            events = os.read(self._fd, 1 << 20)
        except BlockingIOError:
            events = b""
        finally:
            os.close(self._fd)
        found = []
        while events:
            watch, _, _, n_byte = struct.unpack("iIII", events[:16])
            name, events = events[16 : 16 + n_byte].rstrip(b"\0"), events[16 + n_byte :]
            if name and watch in self._folders and not (path := self._folders[watch] / os.fsdecode(name)).is_dir():
                found.append(path)
        return found
