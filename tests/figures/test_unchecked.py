"""A figure that plotly does not check is the one that it would have made."""

import base64
import json

import numpy as np
import plotly.graph_objects as go
import plotly.io as pio
import pytest

from viz.figures.attention import heatmap_spec
from viz.figures.scale import ColourScale
from viz.figures.unchecked import Unchecked


def as_read(value: object) -> object:
    """As the browser reads it: arrays out of their bytes, no number for what is none."""
    match value:
        case {"dtype": kind, "bdata": text, **more}:
            shape = [int(n) for n in more.get("shape", "-1").split(",")]
            numbers = np.frombuffer(base64.b64decode(text), kind).reshape(shape)
            return np.where(np.isnan(numbers), None, numbers).tolist()
        case dict():
            return {name: as_read(each) for name, each in value.items()}
        case list():
            return [as_read(each) for each in value]
    return value


@pytest.mark.parametrize(
    ("n", "options"),
    [
        (5, {}),
        (5, {"selected": (1, 2), "first": (1, 0), "scale": ColourScale(1e-4, 1, log=True)}),
        (70, {"sink": True}),  # too many to be clicked
        (300, {"sink": True}),  # pooled
    ],
)
def test_a_heatmap_is_what_plotly_makes_of_it(n: int, options: dict):
    weights = np.random.default_rng(0).random((n, n), np.float32)
    weights[0, 3] = np.nan
    spec = heatmap_spec(weights, [f"<{i}>" for i in range(n)], **options)
    checked, unchecked = (json.loads(pio.to_json(fig, validate=False)) for fig in (go.Figure(spec), Unchecked(spec)))
    assert as_read(unchecked) == as_read(checked)
