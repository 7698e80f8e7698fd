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
