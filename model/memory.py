"""Memory: how much there is, what values take of it, and large pieces from the system and back to it."""

import ctypes
import mmap
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType

import numpy as np

_LARGE = 32 << 20  # bytes; what glibc takes from outside of the heap whatever came before (M_MMAP_THRESHOLD's maximum)


def room_for(shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """Memory for what a run keeps, not yet filled; a large piece lies outside the heap and is had in one go.

    In the heap it would take the room that one forward pass after the other has for its temporaries, which then have
    to be had from the system anew, page by page. Huge pages, which NumPy asks for, cost more than they save as soon as
    memory is in pieces: the system first moves others' pages out of the way.
    """
    n_byte = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if n_byte < _LARGE or not hasattr(mmap, "MAP_POPULATE"):
        return np.empty(shape, dtype)
    block = mmap.mmap(-1, n_byte, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE)
    return np.frombuffer(block, dtype).reshape(shape)


def give_back() -> None:
    """What was freed, to the system: glibc keeps it otherwise, 128 MiB after 1,024 tokens of GPT-2."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError, TypeError):  # another C library
        return


def memory_available(proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Bytes that can be had now: what the kernel counts as available, or less where a container sets a limit.

    Where there is no /proc (macOS) it is the whole memory; None where that is unknown too (Windows).
    """
    if (free := _of_the_kernel("MemAvailable", proc)) is None:
        return _of_the_machine()
    left = [limit - used + cache for limit, used, cache in _cgroups(proc, cgroup)]
    return max(0, min([free, *left]))


def memory_in_all(proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Bytes that this machine has, or less where a container sets a limit; None where that is unknown (Windows)."""
    if (whole := _of_the_kernel("MemTotal", proc)) is None:
        return _of_the_machine()
    return min([whole, *(limit for limit, _, _ in _cgroups(proc, cgroup))])


def _of_the_kernel(what: str, proc: Path) -> int | None:
    try:
        found = re.search(rf"{what}:\s+(\d+) kB", (proc / "meminfo").read_text())
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


def _of_the_machine() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _cgroups(proc: Path, cgroup: Path) -> Iterator[tuple[int, int, int]]:
    """Of each limit around this process: the limit, what is used of it, and what of that is file cache."""
    try:
        lines = (proc / "self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        top = cgroup / controllers
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if controllers else ("memory.max", "memory.current")
        here = top / path.lstrip("/")
        # a container often sees its own group as the top, whatever path it is told
        for folder in {here, *here.parents, top}:
            try:
                limit, used = ((folder / name).read_text().strip() for name in names)
                cache = re.search(r"^(?:total_)?inactive_file (\d+)$", (folder / "memory.stat").read_text(), re.M)
                if limit != "max":
                    yield int(limit), int(used), int(cache[1]) if cache else 0
            except (OSError, ValueError):
                continue


_SHARED = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)  # of the program, whoever leads to it
_LEAVES = (str, bytes, int, float, type(None))
_POINTER = 8


def n_byte(*values: object) -> int:
    """The bytes that plain data takes: arrays, and all that containers and objects lead to.

    What is there once counts once, however often it is met: the memory of an array and its views, a bias that all
    layers share. It counts whole, for a view of a corner keeps all of it.
    """
    seen: set[object] = set()
    total, left = 0, list(values)
    while left:
        value = left.pop()
        if id(value) in seen or isinstance(value, _SHARED):
            continue
        seen.add(id(value))
        total += sys.getsizeof(value)
        if isinstance(value, np.ndarray):
            where, size = _memory_of(value)
            total += (0 if where in seen else size) - (value.nbytes if value.base is None else 0)
            seen.add(where)
        parts = _parts(value)
        if not isinstance(value, dict | tuple | list | set | frozenset):  # whose size is with its pointers
            total += _POINTER * len(parts)
        left += parts
    return total


def _parts(value: object) -> list[object]:
    """What an object leads to."""
    if isinstance(value, _LEAVES):
        return []
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, tuple | list | set | frozenset):
        return list(value)
    if isinstance(value, np.ndarray):
        return list(value.flat) if value.dtype.hasobject else []
    if names := getattr(value, "__dataclass_fields__", None):  # to ask for __dict__ would make one, beside the values
        return [getattr(value, name) for name in names]
    slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    return [*getattr(value, "__dict__", {}).values(), *(getattr(value, name, None) for name in slots)]


def _memory_of(array: np.ndarray) -> tuple[object, int]:
    """What holds an array's numbers, by a key of its own, and its bytes."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    base = array.base
    if isinstance(base, memoryview):
        return ("buffer", id(base.obj)), base.nbytes
    if isinstance(base, mmap.mmap):
        return ("buffer", id(base)), len(base)
    if base is not None and "torch" in sys.modules and isinstance(base, sys.modules["torch"].Tensor):
        storage = base.untyped_storage()
        return ("storage", storage.data_ptr()), storage.nbytes()
    return ("array", id(array)), array.nbytes
