"""JSON that a stranger wrote, read within limits: so large, so deep, every name said once, and numbers that are some.

Python's own reader makes half a gigabyte of lists from a file of 10 MB, follows a nesting until its stack ends, and
lets the last of two equal names win where another library lets the first.
"""

import json
from typing import Any

DEPTH = 64  # lists and objects within each other; a configuration has about 5


def parse(content: bytes, n_value: int) -> Any:
    """At most `n_value` values, counted before anything is made of them. Raises `ValueError` with the reason."""
    marks = sum(content.count(mark) for mark in (b",", b":", b"[", b"{"))  # at least one for each value
    if marks > 2 * n_value:
        raise ValueError(f"it has more than {n_value:,} values")
    try:
        tree = json.loads(content.decode(), object_pairs_hook=_once_each, parse_constant=_constant)
    except RecursionError:
        raise ValueError(f"it is nested deeper than {DEPTH} levels") from None
    level = [tree]
    for _ in range(DEPTH):
        level = [child for node in level for child in _children(node) if isinstance(child, dict | list)]
        if not level:
            return tree
    raise ValueError(f"it is nested deeper than {DEPTH} levels")


def _children(node: Any) -> Any:
    return node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    held = dict(pairs)
    if len(held) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1) if len(names) < 1000 else ""
        raise ValueError(f"it says {twice[:40]!r} twice" if twice else "it says something twice")
    return held


def _constant(name: str) -> float:
    if name == "NaN":
        raise ValueError("it says NaN, which is no number")
    return float(name)  # infinities: some architectures have a limit that is none
