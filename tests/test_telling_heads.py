"""The cards of the built-in models name the head that is shown first."""

import json

import pytest

from model import catalog
from tests.telling_heads import found

BUILT_IN = [entry for entry in catalog.available() if entry.source == catalog.BUILT_IN]


@pytest.mark.parametrize("entry", BUILT_IN, ids=lambda entry: entry.name)
def test_the_card_names_the_head_that_says_most(entry):
    """If this fails, weights were replaced: run `python -m tests.telling_heads`."""
    assert catalog.telling_head_of(entry) == tuple(found(entry))


@pytest.mark.parametrize("said", [None, [1], [1, 2, 3], ["1", 2], {"layer": 1, "head": 2}, 5])
def test_what_names_no_head_is_not_read(tiny_folder, said):
    (tiny_folder / "card.json").write_text(json.dumps({"title": "Tiny", "telling_head": said}))
    assert catalog.telling_head_of(catalog.find("tiny", weights=tiny_folder.parent)) is None
