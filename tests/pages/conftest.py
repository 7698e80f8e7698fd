"""The page Understanding, read by encoders that were never ours."""

from pathlib import Path

import pytest

from tests.pages.reading import said


@pytest.fixture(scope="session")
def encoders(tmp_path_factory) -> Path:
    """`encoder`, with the head that guesses words, and `headless`, without; read only."""
    from tests.any_models import write_encoders  # seconds, for transformers, which other pages need not wait

    return write_encoders(tmp_path_factory.mktemp("models"))


@pytest.fixture
def understand(open_page, encoders, monkeypatch):
    """`understand("both", text="a cat")`: one section of the page, read by the tiny encoder."""
    monkeypatch.setenv("REGARD_MODEL_ROOTS", str(encoders))

    def open(section: str, kind: str = "encoder", **link):
        link = {"text": "the cat saw the dog", "model": f"folder:{encoders / kind}"} | link
        app = open_page("understanding", section=section, **link)
        assert not app.exception
        assert "**Check failed" not in said(app)
        return app

    return open


@pytest.fixture(scope="module")
def folder(request, tmp_path_factory) -> Path:
    """A tiny decoder of the kind that the test's file names as MODEL; read only."""
    import torch

    from tests.any_models import built
    from tests.tiny_tokenizers import of_family

    kind, name = request.module.MODEL
    folder, transformer = tmp_path_factory.mktemp("models") / name, built(kind)
    for parameter in transformer.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    transformer.save_pretrained(folder)
    of_family("decoder").save_pretrained(folder)
    return folder


@pytest.fixture
def open_with(open_page, folder, monkeypatch):
    """`open_with("attention", layer=1)`: a page read by that model."""
    monkeypatch.setenv("REGARD_MODEL_ROOTS", str(folder.parent))

    def open(page: str, **link):
        app = open_page(page, model=f"folder:{folder}", **({"text": "the cat saw the dog"} | link))
        assert not app.exception and not app.error and "**Check failed" not in said(app)
        return app

    return open
