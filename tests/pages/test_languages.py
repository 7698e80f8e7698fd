"""Translators as the hub has them, on the app's pages: their languages are chosen, and stand in the address."""

from itertools import product
from pathlib import Path

import pytest

from tests.pages.reading import address, component, said
from tests.sentence_pieces import write_translators

TEXT = "The cats sat on the mat."
PAGES = ("home", "tokenization", "embeddings", "attention", "head", "mechanism", "generation", "translation", "model")


@pytest.fixture(scope="module")
def translators(tmp_path_factory) -> Path:
    return write_translators(tmp_path_factory.mktemp("translators"))


@pytest.fixture
def open_one(open_page, translators, monkeypatch):
    """`open_one("m2m100", "translation", target_language="de")`"""
    monkeypatch.setenv("REGARD_MODEL_ROOTS", str(translators))

    def open(kind: str, page: str, **link):
        app = open_page(page, **{"model": f"folder:{translators / kind}", "text": TEXT} | link)
        assert not app.exception
        assert "**Check failed" not in said(app)
        return app

    return open


def languages(app) -> dict[str, str]:
    return {box.label: box.value for box in app.selectbox if box.label.startswith("Language")}


def labels(app) -> list[str]:
    """Of the tokens that the page shows as chips."""
    return [chip["label"] for chip in component(app, "token_chips")["chips"]]


@pytest.mark.parametrize(
    ("kind", "page"),
    [*product(["marian", "nllb"], PAGES), *product(["m2m100", "t5"], ["tokenization", "translation"])],
)
def test_every_page_opens(open_one, kind, page):
    app = open_one(kind, page)
    assert not app.error


@pytest.mark.parametrize("section", ["blank", "both", "similarity"])
def test_an_encoder_with_such_a_file_is_understood(open_one, section):
    app = open_one("xlmr", "understanding", section=section, text="The cats <mask> on the mat.")
    assert not app.error
    assert section != "blank" or "**The blank at position 7**" in said(app)


def test_languages_at_first(open_one):
    assert languages(open_one("m2m100", "translation")) == {
        "Language of the source": "en",
        "Language of the translation": "fr",
    }
    assert languages(open_one("nllb", "translation")) == {
        "Language of the source": "eng_Latn",
        "Language of the translation": "fra_Latn",
    }
    assert languages(open_one("marian", "translation")) == {"Language of the translation": "fra"}
    assert languages(open_one("t5", "translation")) == {}


def test_a_language_is_chosen_and_stands_in_the_address(open_one):
    app = open_one("m2m100", "translation")
    assert labels(app)[0] == "__fr__"
    app.selectbox(key="target_language").set_value("de").run()
    assert not app.exception
    assert address(app)["target_language"] == "de" and "source_language" not in address(app)
    assert labels(app)[0] == "__de__"


def test_a_link_brings_languages(open_one):
    assert labels(open_one("m2m100", "tokenization"))[0] == "__en__"
    assert labels(open_one("m2m100", "tokenization", source_language="fr"))[0] == "__fr__"
    assert labels(open_one("marian", "tokenization", target_language="deu"))[0] == ">>deu<<"
    assert labels(open_one("marian", "tokenization", text=">>fra<< The cat"))[:2] == [">>fra<<", "␣"]


def test_a_language_that_the_model_does_not_know(open_one):
    app = open_one("m2m100", "translation", target_language="xx")
    assert languages(app)["Language of the translation"] == "fr"
    assert "The link asked for target_language “xx”, which does not exist here: showing fr." in said(app)
