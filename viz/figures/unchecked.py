"""A figure whose parts are taken as they are.

plotly's own Figure looks at every property it is given, adds its template, and copies all of it once more when it is
drawn: 8 of 10 ms of a heatmap. That is worth it where a figure is put together; not for one that is made the same way
with every step of a visitor, and that a test holds to what plotly makes of it.
"""

import base64
from functools import cache
from typing import Any

import numpy as np
import plotly.io as pio
from plotly.basedatatypes import BaseFigure


class Unchecked(BaseFigure):
    """Drawn by whatever asks a figure for `to_dict` alone, as Streamlit does."""

    def __init__(self, spec: dict[str, Any]):
        """`spec`: data and layout as the browser's part of plotly knows them, and NumPy arrays (no short forms, such as
        a title that is a text)."""
        self._spec = spec

    def to_dict(self) -> dict[str, Any]:
        data = [{name: _typed(value) for name, value in trace.items()} for trace in self._spec["data"]]
        return {"data": data, "layout": {"template": _template(pio.templates.default), **self._spec["layout"]}}


def _typed(value: Any) -> Any:
    """Arrays as the bytes that they are."""
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.kind in "iu":
        value = value.astype(np.int16 if np.abs(value).max(initial=0) < 2**15 else np.int32)
    typed = {
        "dtype": f"{value.dtype.kind}{value.dtype.itemsize}",
        "bdata": base64.b64encode(np.ascontiguousarray(value).tobytes()).decode(),
    }
    return typed if value.ndim == 1 else typed | {"shape": ", ".join(map(str, value.shape))}


@cache
def _template(name: str) -> dict[str, Any]:
    return pio.templates[name].to_plotly_json()
