"""Which models exist, and what is said about one that does not."""

import shutil

import pytest

from model import catalog
from model.run import ModelNotAvailable


def test_the_shipped_model_comes_first():
    assert catalog.available()[0] == catalog.DEFAULT == "story"


def test_default_first_then_by_name(tiny_folder):
    for name in ("zebra", "story", "ant"):
        shutil.copytree(tiny_folder, tiny_folder.parent / name)
    (tiny_folder.parent / "notes").mkdir()
    (tiny_folder.parent / "README").write_text("not a model")
    assert catalog.available(tiny_folder.parent) == ["story", "ant", "tiny", "zebra"]


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
        assert catalog.available(folder) == []
        with pytest.raises(ModelNotAvailable) as raised:
            catalog.load("story", weights=folder)
        assert str(raised.value) == "There is no model “story” here. Available: none."
