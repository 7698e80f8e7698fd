"""Whom a piece of work calls, and what it starts, by an audit hook: nothing that Python code does is missed."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_CALLS = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "urllib.Request"}
_STARTS = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "pty.spawn"}
_watched: list[list[str]] = []  # an audit hook stays for as long as the process: there is one, of these


def _hook(event: str, about: tuple) -> None:
    if _watched and (event in _STARTS or (event in _CALLS and not (event == "socket.connect" and _here(about[1])))):
        for calls in _watched:
            calls.append(f"{event} {about[-1]!r}")


def _here(address: object) -> bool:
    """Whether it is this machine, as asyncio calls itself."""
    return not isinstance(address, tuple) or address[0] in ("127.0.0.1", "::1")


sys.addaudithook(_hook)


@contextmanager
def calls() -> Iterator[list[str]]:
    """What is called and started meanwhile."""
    made: list[str] = []
    _watched.append(made)
    try:
        yield made
    finally:
        _watched.remove(made)
