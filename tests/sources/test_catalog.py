"""Which models exist, and what is said about one that does not."""

import shutil
from pathlib import Path

import pytest

from model import catalog
from model.run import ModelNotAvailable
from model.sources.places import Entry


def built_in(weights: Path) -> list[str]:
    """Without the packages that happen to be installed."""
    return [entry.name for entry in catalog.available(weights) if entry.source == catalog.BUILT_IN]


def test_the_shipped_model_comes_first():
    first = catalog.available()[0]
    assert (first.name, first.title, first.source) == (catalog.DEFAULT, "Story", catalog.BUILT_IN)


def test_default_first_then_by_name(tiny_folder):
    for name in ("zebra", "story", "ant"):
        shutil.copytree(tiny_folder, tiny_folder.parent / name)
    (tiny_folder.parent / "notes").mkdir()
    (tiny_folder.parent / "README").write_text("not a model")
    assert built_in(tiny_folder.parent) == ["story", "ant", "tiny", "zebra"]


def test_a_damaged_card_leaves_the_name(tiny_folder):
    for card in ("{", "[]", "{}"):
        (tiny_folder / "card.json").write_text(card)
        assert catalog.available(tiny_folder.parent)[0].title == "tiny"


def test_damaged_headers_get_a_sentence(tiny_folder):
    entry = catalog.available(tiny_folder.parent)[0]
    assert catalog.cost(entry).n_layer == 3
    (tiny_folder / "weights.safetensors").write_bytes(b"cut")
    with pytest.raises(ModelNotAvailable, match=r"The file weights\.safetensors in .* is damaged or cut short"):
        catalog.cost(entry)
    (tiny_folder / "config.json").write_text("{")
    with pytest.raises(ModelNotAvailable, match="are damaged"):
        catalog.cost(entry)


def test_load(tiny_folder):
    info = catalog.load("tiny", weights=tiny_folder.parent).info
    assert (info.name, info.title) == ("tiny", "Tiny")


@pytest.mark.parametrize("name", ["gpt5", "", "../tiny", "tiny/", "<script>", "."])
def test_unknown_name(tiny_folder, name):
    with pytest.raises(ModelNotAvailable) as raised:
        catalog.load(name, weights=tiny_folder.parent)
    assert str(raised.value) == f"There is no model “{name}” here. Available: tiny."


def test_no_models_at_all(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        assert built_in(folder) == []
        with pytest.raises(ModelNotAvailable) as raised:
            catalog.load("story", weights=folder)
        assert str(raised.value) == "There is no model “story” here. Available: none."


def test_models_are_told_apart_by_their_titles():
    entries = [
        Entry("story", "Story", "built in", "/weights/story"),
        Entry("package:a", "Same", "the installed package a", "/site/a"),
        Entry("hub:org/same", "Same", "the Hugging Face hub", "org/same"),
        Entry("folder:/x/Same", "Same", "a folder on this machine", "/x/Same"),
        Entry("folder:/y/Same", "Same", "a folder on this machine", "/y/Same"),
    ]
    assert catalog.titles(entries) == {
        "story": "Story",
        "package:a": "Same · the installed package a",
        "hub:org/same": "Same · the Hugging Face hub",
        "folder:/x/Same": "Same · /x/Same",
        "folder:/y/Same": "Same · /y/Same",
    }
    assert catalog.titles([]) == {}
