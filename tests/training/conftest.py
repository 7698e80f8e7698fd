"""The tiny encoder that its own tests and those of the layer that judges read; only read."""

from pathlib import Path

import pytest

from model.training import encoder
from tests.encoder_texts import arguments, run, write_texts


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    return write_texts(tmp_path_factory.mktemp("texts"))


@pytest.fixture(scope="session")
def trained(data, tmp_path_factory) -> Path:
    """A work folder."""
    work = tmp_path_factory.mktemp("work")
    run(encoder, arguments(data, work))
    return work


@pytest.fixture(scope="session")
def exported(data, trained, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("weights") / "encoder"
    run(encoder, arguments(data, trained, "--export", str(folder)))
    return folder
