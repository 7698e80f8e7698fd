"""A text is measured before it is cut into tokens: what cannot fit costs no time."""

import json
import shutil
from pathlib import Path

import pytest

from model.huggingface.checkpoint import load
from model.language_model import LanguageModel
from model.run import PromptError
from model.sources.claims import bounded_work
from model.text.lengths import MOST_CHARACTERS, check_characters
from tests.any_models import write_models

FEW = 2_000  # calls; cutting makes more, for each token


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Path:
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(params=["built in", "translator", "decoder", "encoder", "encoder-decoder"])
def lm(request, tiny, tiny_translator, folders) -> LanguageModel:
    ours = {"built in": tiny, "translator": tiny_translator}
    return ours.get(request.param) or load(folders / request.param, name=request.param, title="Tiny")


@pytest.mark.parametrize("part", ["the cat sat on the mat. ", "a", " ", "猫", "\n\n", "[MASK]", "e\u0301"])
def test_a_text_that_cannot_fit_is_refused_uncut(lm, part):
    text = part * (1_000_000 // len(part))
    with bounded_work(FEW), pytest.raises(PromptError, match=f"The text has {len(text):,} characters") as refused:
        lm.encode(text)
    assert f"{lm.info.n_context:,} tokens" in str(refused.value)


def test_cutting_takes_more_than_measuring(tiny):
    """The test of the test above."""
    text = "a b" * (tiny.info.n_context * tiny.tokenizer.longest // 3)
    with pytest.raises(ValueError, match="takes more than"), bounded_work(FEW // 10):
        tiny.encode(text)


def test_no_text_that_fits_is_refused(lm):
    """Of as many of its longest entries as it reads."""
    longest = max((lm.token(id).piece.decode(errors="replace") for id in range(lm.info.n_vocab)), key=len)
    assert lm.encode(longest * (lm.info.n_context - 4))


def test_two_texts_are_measured_together(folders):
    lm = load(folders / "encoder", name="encoder", title="Tiny")
    half = "a " * 100
    assert lm.info.reads_pairs and lm.encode(half, "b")
    with pytest.raises(PromptError, match="can be given at most"):
        lm.encode(half, "b" * 1_000_000)


def test_a_message_is_measured_before_a_template_is_filled(folders):
    lm = load(folders / "decoder", name="decoder", title="Tiny")
    assert lm.chat_text("a b")
    with bounded_work(FEW), pytest.raises(PromptError, match="The text has 1,000,000 characters"):
        lm.chat_text("a" * 1_000_000)


def test_there_is_a_limit_whatever_a_model_reads():
    check_characters("Large", 10**9, 10**6, "a" * MOST_CHARACTERS)
    with pytest.raises(PromptError, match=f"at most {MOST_CHARACTERS:,}: that many are cut into tokens at a time"):
        check_characters("Large", 10**9, 10**6, "a" * MOST_CHARACTERS, "a")


def test_a_tokenizer_that_fails_says_so(folders, tmp_path):
    """Words that are no entry, and no entry for what is unknown: the library raises an error without a class."""
    folder = shutil.copytree(folders / "decoder", tmp_path / "decoder")
    stated = json.loads((folder / "tokenizer.json").read_text())
    known = {entry["content"]: entry["id"] for entry in stated["added_tokens"]}
    stated |= {
        "model": {"type": "WordLevel", "vocab": known | {"a": len(known), "b": len(known) + 1}, "unk_token": "nothing"}
    }
    stated |= {"normalizer": None, "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": None}
    (folder / "tokenizer.json").write_text(json.dumps(stated | {"decoder": None}))
    lm = load(folder, name="decoder", title="Tiny")
    assert [token.label for token in lm.encode("a a")] == ["a", "␣a"]
    with pytest.raises(PromptError, match=r"tokenizer cannot cut this text \(WordLevel error.*\)\. Write it otherwise"):
        lm.encode("a c")
