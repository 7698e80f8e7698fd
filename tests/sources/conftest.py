"""Folders that an operator allows, with a model to damage."""

import shutil
from pathlib import Path

import pytest

from model.sources.places import Allowed


@pytest.fixture
def roots(tmp_path, tiny_gpt2) -> Path:
    """A folder that visitors may read, with a model of this test's own, to damage; beside it one that they may not."""
    shutil.copytree(tiny_gpt2, tmp_path / "models" / "mine")
    shutil.copytree(tiny_gpt2, tmp_path / "private")
    return tmp_path / "models"


@pytest.fixture
def allowed(roots) -> Allowed:
    return Allowed((roots.resolve(),), hub=True)
