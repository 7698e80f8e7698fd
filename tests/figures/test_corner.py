"""What a picture takes along: numbers that are not rounded on their way, harmless names."""

import base64

import numpy as np
import pandas as pd
import pytest

from viz.figures.corner import CARRIED, Cube, printable, sent, size, slug


def column(sent_column: dict) -> np.ndarray:
    """As the browser reads it."""
    [(kind, text)] = sent_column.items()
    return np.frombuffer(base64.b64decode(text), f"<{kind}")


def test_floats_travel_as_the_bytes_that_they_are():
    values = np.random.default_rng(0).random((3, 4), np.float32)
    names = ["0 the", "1 the", "2 the"]
    table = sent(pd.DataFrame(values, names, [f"{i} the" for i in range(4)]))
    assert table["columns"][0] == ["", names]
    found = np.stack([column(values) for _, values in table["columns"][1:]], axis=1)
    assert found.dtype == np.float32 and np.array_equal(found, values)
    cube = sent(Cube(values, ("query", "key"), "weight", [names, ["a", "b", "c", "d"]]))
    assert cube["axes"] == [["query", 3, names], ["key", 4, ["a", "b", "c", "d"]]]
    assert np.array_equal(column(cube["values"]), values.ravel())


def test_columns_of_all_kinds():
    table = pd.DataFrame({"word": ["=1", None], "n": [1, 2], "p": [0.1, np.nan], "cut": [True, False]})
    word, n, p, cut = (values for _, values in sent(table)["columns"])
    assert (word, n, cut) == (["=1", None], [1, 2], [True, False])
    assert np.array_equal(column(p), [0.1, np.nan], equal_nan=True)
    assert sent({"token": ("a", "b"), "p": np.float32([1, 2])})["columns"][0] == ["token", ["a", "b"]]
    assert sent({"loss": [0.5, float("nan"), 2]})["columns"] == [["loss", [0.5, None, 2]]]


def test_a_cube_is_put_together_only_where_it_is_sent():
    layers = [np.zeros((2, 2), np.float32), np.ones((2, 2), np.float32)]
    cube = Cube(layers, ("layer", "query", "key"), "weight", [["a", "b"]] * 2)
    assert size(cube) == 8 and size(pd.DataFrame({"a": [1, 2]})) == 2 and size({"a": [1, 2], "b": "xy"}) == 4
    assert sent(cube)["axes"] == [["layer", 2, []], ["query", 2, ["a", "b"]], ["key", 2, ["a", "b"]]]
    assert size(Cube(np.zeros((0, 3)), ("query", "key"), "weight")) == 0 < CARRIED
    with pytest.raises(ValueError, match="3 axes, and 2 names"):
        Cube(layers, ("query", "key"), "weight")


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("regard", "story", "head map", "Layer 3, head 5", "The cat"), "regard_story_head-map_layer-3-head-5_the-cat"),
        (("regard", "folder:/etc/../passwd", "..", "CON"), "regard_folder-etc-passwd_con"),
        (("猫が", "…", ""), "picture"),
        (("Élan\u202e\x00\n",), "elan"),
    ],
)
def test_names_of_files_are_safe(parts, name):
    assert slug(*parts) == name


def test_names_and_captions_have_an_end():
    assert len(slug(*["a" * 1000] * 10)) <= 100
    assert printable("a\n  b") == "a b"
    assert len(printable("word " * 1000)) == 90
    assert printable("\x00 \ud800 \u202e") == "U+0000 U+D800 U+202E"
