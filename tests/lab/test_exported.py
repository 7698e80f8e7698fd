"""A built-in decoder as a GPT-2 folder: transformers, and Regard itself, read the same model from it."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

import model
from model.lab.exported import files_of, zipped
from model.run import ModelNotAvailable

TEXTS = ("Once upon a time there was a little girl.", "Zoë’s naïve  café\n\n…", " the cat")


@pytest.fixture(scope="module")
def folder(story, tmp_path_factory) -> Path:
    """The story model, downloaded and unpacked."""
    there = tmp_path_factory.mktemp("downloads")
    packed = zipped("mine", files_of(story, "Made by a test.", Path(model.__file__).parent / "weights/story"))
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        archive.extractall(there)
    return there / "mine"


def test_transformers_computes_the_same_logits(folder, story):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, network = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    assert type(network).__name__ == "GPT2LMHeadModel"
    assert sum(parameter.numel() for parameter in network.parameters()) == story.info.n_parameter
    for text in (TEXTS[0], TEXTS[2]):
        tokens = story.encode(text)
        read = tokenizer(text, return_tensors="pt").input_ids
        assert read[0].tolist() == [token.id for token in tokens]
        with torch.no_grad():
            theirs = network(read).logits[0].numpy()
        (ours,) = story.logits(tokens)
        assert np.abs(theirs - ours).max() < 1e-4
    assert tokenizer.decode(tokenizer("Two  words , .").input_ids) == "Two  words , ."
    assert tokenizer.eos_token_id == network.config.eos_token_id == story.tokenizer.end_of_text


def test_regard_opens_it_as_a_folder_of_ones_own(folder, story):
    lm = model.load(folder)
    for size in ("n_layer", "n_head", "n_context"):
        assert getattr(lm.info, size) == getattr(story.info, size)
    for text in TEXTS:
        tokens = lm.encode(text)
        assert [token.id for token in tokens] == [token.id for token in story.encode(text)]
        run, ours = lm.run(tokens), story.run(tokens)
        assert np.abs(run.stream[-2] - ours.stream[-2]).max() < 1e-3
        for theirs, mine in zip(run.attention, ours.attention, strict=True):
            assert np.abs(theirs.query - mine.query).max() < 1e-4


def test_notices_go_with_the_weights(folder):
    assert "storybooks" in (folder / "NOTICE.md").read_text(encoding="utf-8").lower()
    assert (folder / "storybooks-attribution.tsv").stat().st_size > 1000
    assert "Made by a test." in (folder / "README.md").read_text(encoding="utf-8")


def test_only_a_decoder_is_written_so():
    from model import catalog

    with pytest.raises(ModelNotAvailable, match="is no decoder: only decoders are written as GPT-2 folders"):
        files_of(catalog.load("encoder"), "")
