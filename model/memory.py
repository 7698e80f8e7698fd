"""Large memory, from the system and back to it."""

import ctypes
import mmap

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
