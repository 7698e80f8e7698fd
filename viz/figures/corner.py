"""What a picture takes along when it leaves the page: its numbers, the lines below it, and the name of its file.

Pure: tables and words in, plain values out that a browser's script can read (viz/components/corner_*.js).
"""

import base64
import re
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from viz.plain import visible

if TYPE_CHECKING:
    import pandas as pd

CARRIED = 20_000  # numbers that travel with a picture; more are sent when they are asked for
MOST = 2_000_000  # that are sent at all
_LONGEST = 90  # characters of a text below a picture
_LONGEST_NAME = 100  # of a file, without its ending


class Cube:
    """Numbers with several axes, such as (L, H, Q, K): told as one row for each, behind the numbers of its place."""

    def __init__(
        self, values: Sequence[np.ndarray], axes: Sequence[str], name: str, labels: Sequence[Sequence[str]] = ()
    ):
        """`values`: an array, or the parts of one, which are put together only where they are sent.

        `labels`: of the last axes, as many as are given; the others are counted."""
        n_axis = values.ndim if isinstance(values, np.ndarray) else np.ndim(values[0]) + 1
        if n_axis != len(axes):
            raise ValueError(f"{n_axis} axes, and {len(axes)} names of them")
        self.values, self.axes, self.name = values, list(axes), name
        self.labels = [[]] * (len(axes) - len(labels)) + [list(each) for each in labels]

    @property
    def size(self) -> int:
        return sum(np.size(each) for each in self.values)


Table: TypeAlias = "pd.DataFrame | Cube | dict[str, Sequence]"


def size(table: Table) -> int:
    """How many numbers or words it has."""
    return sum(map(len, table.values())) if isinstance(table, dict) else int(table.size)


def sent(table: Table) -> dict:
    """As the browser gets it: floats as the bytes that they are, so that nothing is rounded on the way."""
    if isinstance(table, Cube):
        values = np.asarray(table.values)
        axes = [[name, n, labels] for name, n, labels in zip(table.axes, values.shape, table.labels, strict=True)]
        return {"axes": axes, "name": table.name, "values": _column(values.ravel())}
    if isinstance(table, dict):
        return {"columns": [[name, _column(values)] for name, values in table.items()]}
    index = table.index
    first = str(index.name or "") if index.nlevels == 1 else " ".join(map(str, index.names))
    one_kind = len(set(table.dtypes)) == 1  # then pandas has all as one array
    arrays = table.to_numpy().T if one_kind else [column.to_numpy() for _, column in table.items()]
    columns = [[str(name), _column(values)] for name, values in zip(table.columns, arrays, strict=True)]
    counted = (
        index.nlevels == 1 and index.dtype.kind in "iu" and not index.name and list(index) == list(range(len(table)))
    )
    return {"columns": columns if counted else [[first, _column(index.to_numpy())], *columns]}


def _column(values: np.ndarray | Sequence) -> dict | list:
    """Floats in their own precision as base64, little end first; whole numbers as such; all else as text."""
    if not isinstance(values, np.ndarray):
        return [_cell(value) for value in values]
    if values.dtype.kind == "f":
        kind = "f4" if values.dtype.itemsize <= 4 else "f8"
        return {kind: base64.b64encode(np.ascontiguousarray(values, f"<{kind}").tobytes()).decode()}
    if values.dtype.kind in "iu":
        return values.tolist()
    return [_cell(value) for value in values.tolist()]


def _cell(value: object) -> object:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float | np.number):
        return None if value != value else value if isinstance(value, int | float) else value.item()
    return str(value)


def printable(text: str, most: int = _LONGEST) -> str:
    """A text on one line, cut; what XML cannot hold, or would turn the line around, stands as its number."""
    line = visible(" ".join(text.split()))
    return line if len(line) <= most else line[: most - 1] + "…"


def slug(*parts: object) -> str:
    """Words as the name of a file on any system: small letters, digits and hyphens, not too many of them."""
    words = []
    for part in parts:
        plain = unicodedata.normalize("NFKD", str(part)).encode("ascii", "ignore").decode().lower()
        if word := re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].strip("-"):
            words.append(word)
    return "_".join(words)[:_LONGEST_NAME].strip("-_") or "picture"
