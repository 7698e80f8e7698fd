"""Texts that are too long for an address, kept by their hash."""

import hashlib
import threading
from collections import OrderedDict
from functools import lru_cache


@lru_cache(4)
def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class LongTexts:
    """Texts that are too long for an address, by their hash: for whoever has the link, while there is room."""

    def __init__(self, most: int):
        self._most, self._lock, self._texts = most, threading.Lock(), OrderedDict[str, str]()

    def keep(self, text: str) -> str:
        """Returns its hash, 32 hexadecimal digits of SHA-256: nobody finds a text by guessing."""
        id = _hash(text)
        with self._lock:
            self._texts[id] = text
            self._texts.move_to_end(id)
            while sum(map(len, self._texts.values())) > self._most:
                self._texts.popitem(last=False)
        return id

    def find(self, id: str) -> str | None:
        with self._lock:
            return self._texts.get(id)
