"""What only some models can do is asked by small protocols; each shipped or opened model keeps those that it should."""

import pytest

from model.huggingface.checkpoint import load
from model.language_model import BeamSearcher, Captured, Translator
from tests.any_models import write_models

PROTOCOLS = (BeamSearcher, Captured, Translator)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp("models"))


def kept_by(lm) -> set[type]:
    return {protocol for protocol in PROTOCOLS if isinstance(lm, protocol)}


def test_what_our_own_models_can_do(tiny, tiny_translator):
    assert kept_by(tiny) == set()
    assert kept_by(tiny_translator) == {BeamSearcher}
    assert tiny.tokenizer.encode("the cat") == tiny.encode("the cat")


@pytest.mark.parametrize("name", ["decoder", "encoder", "encoder-decoder"])
def test_what_models_from_elsewhere_can_do(folders, name):
    lm = load(folders / name, name=name, title=name)
    more = {BeamSearcher, Translator} if name == "encoder-decoder" else set()
    assert kept_by(lm) == {Captured} | more and lm.captured == "queries and keys"


@pytest.mark.parametrize("name", ["decoder", "encoder", "encoder-decoder"])
def test_every_model_tells_how_its_tokenizer_cuts(folders, tiny, name):
    text = "the cat saw the dog"
    for lm in (tiny, load(folders / name, name=name, title=name)):
        words = lm.cutting().cut(text, lm.encode(text)).words
        assert [text[word.start : word.end].strip() for word in words] == text.split()
