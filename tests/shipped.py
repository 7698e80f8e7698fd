"""The shapes of the shipped models, as their files state them: a test says none of them itself."""

import json
from types import SimpleNamespace

from model import catalog


def shape_of(name: str) -> SimpleNamespace:
    """With n_layer, n_head, d_model, n_vocab and n_context."""
    return SimpleNamespace(**json.loads((catalog.WEIGHTS / name / "config.json").read_text(encoding="utf-8")))


STORY, ENCODER, TRANSLATOR = map(shape_of, (catalog.DEFAULT, "encoder", "translator"))
