"""Translators as the hub has them: what is shown of a translation is what transformers makes of the same ids, and what
is written is what its ``generate`` writes.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForSeq2SeqLM

from model.analysis.attention import layer_weights
from model.huggingface.language_model import load
from model.huggingface.translator import HuggingFaceTranslator
from model.run import ModelNotAvailable, PromptError
from model.text.prompt import MOST_WRITTEN, Prompt, speaking, tokens_of
from tests.sentence_pieces import (
    ENGLISH,
    FRENCH,
    MARKS,
    unigram,
    write_lone,
    write_m2m100,
    write_translators,
    written,
)
from tests.zoo import attentions_of

TEXT = "The cats sat on the mat."
KINDS = ("marian", "m2m100", "nllb", "t5", "mbart", "mbart50")


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = write_translators(tmp_path_factory.mktemp("translators"))
    write_lone(root / "mbart", "MBartTokenizer", unigram(ENGLISH + FRENCH, 120))
    write_lone(root / "mbart50", "MBart50Tokenizer", unigram(ENGLISH + FRENCH, 120))
    return root


@pytest.fixture(scope="module", params=KINDS)
def both(root, request):
    """Ours, and transformers', of one folder."""
    folder = root / request.param
    lm = load(folder, name=request.param, title=request.param)
    return lm, AutoModelForSeq2SeqLM.from_pretrained(folder, attn_implementation="eager")


def options(lm: HuggingFaceTranslator, target: str) -> dict[str, int]:
    """How transformers is told the language that it is to write; of Marian the source begins with it."""
    kind = lm.info.name
    if lm.languages is None or kind == "marian":
        return {}
    name = f"__{target}__" if kind == "m2m100" else target
    ids = [id for id in range(lm.info.n_vocab) if lm.token(id).piece.decode() == name]
    return {"decoder_start_token_id" if kind == "mbart" else "forced_bos_token_id": ids[0]}


def test_weights_and_hidden_vectors_are_those_of_transformers(both):
    lm, theirs = both
    tokens, source = tokens_of(lm, Prompt(TEXT))
    run = lm.run(tokens, source=source)
    ids, source_ids = (torch.tensor([[token.id for token in text]]) for text in (tokens, source))
    with torch.inference_mode():
        said = theirs(source_ids, decoder_input_ids=ids, output_attentions=True, output_hidden_states=True)
    for kind, weights in attentions_of(said, theirs.config).items():
        for layer, its in zip(run.layers(kind), weights, strict=True):
            np.testing.assert_allclose(layer_weights(layer), its.numpy(), atol=1e-5)
    for ours, its in zip(run.hidden[:-1], said.decoder_hidden_states[:-1], strict=True):  # the last is behind a norm
        np.testing.assert_allclose(ours, its[0].numpy(), rtol=1e-5, atol=1e-5 * float(its.abs().max()))
    logits = said.logits[0].numpy()
    np.testing.assert_allclose(lm.unembed(run.hidden[-1]), logits, atol=1e-5 * np.abs(logits).max())


def test_greedy_translations_are_those_of_generate(both):
    lm, theirs = both
    targets = lm.languages.target[:3] if lm.languages else ("",)
    for target in targets:
        tokens, source = tokens_of(lm, Prompt(TEXT, languages=("", target)))
        source_ids = torch.tensor([[token.id for token in source]])
        generated = theirs.generate(
            source_ids, num_beams=1, do_sample=False, max_new_tokens=MOST_WRITTEN, **options(lm, target)
        )[0].tolist()
        ids = [token.id for token in tokens]
        assert generated[: len(ids)] == ids or generated[:-1] == ids[:-1]  # at the end it forces the end
        assert len(ids) > 1 + bool(lm.writing().forced)


@pytest.mark.parametrize("kind", KINDS)
def test_beams_are_those_of_generate(root, tmp_path, kind):
    folder = shutil.copytree(root / kind, tmp_path / kind)
    theirs = AutoModelForSeq2SeqLM.from_pretrained(folder)
    ends_soon(theirs)
    theirs.save_pretrained(folder)
    lm, ended = speaking(load(folder, name=kind, title=kind), None), 0
    target = lm.languages.default[1] if lm.languages else ""
    for text in ("The cats sat on the mat.", "A cat", "the mat, and the cat didn't move"):
        source = lm.encode(text)
        for width, penalty in ((1, 1.0), (2, 1.0), (4, 0.5), (4, 1.0)):
            best = lm.beam_search(source, width, penalty).finished[0]
            generated = theirs.generate(
                torch.tensor([[token.id for token in source]]), num_beams=width, do_sample=False,
                max_new_tokens=MOST_WRITTEN, length_penalty=penalty, **options(lm, target),
            )[0].tolist()  # fmt: skip
            written = [lm.start_token().id, *best.ids, *([*lm.writing().ends] if best.finished else [])]
            assert generated[: len(written) - (not best.finished)] == written[: len(written) - (not best.finished)]
            assert len(generated) == len(written)
            ended += best.finished
    assert ended


def ends_soon(transformer: torch.nn.Module) -> None:
    """Let the end be more probable: random weights write on. By its own bias, or by a row that is longer."""
    end, head = transformer.generation_config.eos_token_id, transformer.get_output_embeddings()
    if hasattr(transformer, "final_logits_bias"):
        transformer.final_logits_bias[0, end] += 3
        return
    with torch.no_grad():
        head.weight[end] *= 10


def test_the_chosen_language_stands_around_the_source_and_before_the_target(root):
    for kind, source, target in (
        ("m2m100", "fr", "de"),
        ("nllb", "fra_Latn", "deu_Latn"),
        ("mbart50", "fr_XX", "de_DE"),
    ):
        lm = load(root / kind, name=kind, title=kind)
        tokens, read = tokens_of(lm, Prompt(TEXT, languages=(source, target)))
        named = [token.label.strip("_") for token in (read[0], tokens[1])]
        assert named == [source, target] and read[-1].label == tokens[0].label == "</s>"
    lm = load(root / "mbart", name="mbart", title="mbart")
    tokens, read = tokens_of(lm, Prompt(TEXT, languages=("fr_XX", "de_DE")))
    assert [token.label for token in (*read[-2:], tokens[0])] == ["</s>", "fr_XX", "de_DE"]
    lm = load(root / "marian", name="marian", title="marian")
    _, read = tokens_of(lm, Prompt(TEXT, languages=("", "deu")))
    assert read[0].label == ">>deu<<" and (read[0].start, read[0].end) == (0, 0)
    _, read = tokens_of(lm, Prompt(f">>fra<<{TEXT}", languages=("", "deu")))  # what is typed counts
    assert [token.label for token in read if token.special] == [">>fra<<", "</s>"]


def test_a_typed_target_is_cut_by_the_targets_tokenizer(root):
    lm = load(root / "marian", name="marian", title="marian")
    tokens, _ = tokens_of(lm, Prompt("The", target="Noël"))
    assert [token.id for token in tokens[1:]] == [token.id for token in lm.encode_target("Noël") if not token.special]
    assert [token.id for token in lm.encode("crêpe")] != [token.id for token in lm.encode_target("crêpe")]


def test_a_language_that_it_does_not_know(root):
    lm = load(root / "m2m100", name="m2m100", title="Tiny")
    with pytest.raises(PromptError) as raised:
        tokens_of(lm, Prompt(TEXT, languages=("en", "xx")))
    assert str(raised.value) == (
        "Tiny cannot write the language “xx”. It knows af, am, ar, ast, az, ba, be, bg, bn, br, bs, ca and 88 more: "
        "choose one on the Translation page."
    )


def test_what_its_settings_never_write_is_not_written(root, tmp_path):
    folder = shutil.copytree(root / "marian", tmp_path / "marian")
    lm = load(folder, name="marian", title="marian")
    first = tokens_of(lm, Prompt(TEXT))[0][1].id
    settings = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps(settings | {"bad_words_ids": [[first]]}))
    lm = load(folder, name="marian", title="marian")
    tokens, source = tokens_of(lm, Prompt(TEXT))
    theirs = AutoModelForSeq2SeqLM.from_pretrained(folder)
    ids = torch.tensor([[token.id for token in source]])
    generated = theirs.generate(ids, num_beams=1, do_sample=False, max_new_tokens=MOST_WRITTEN)[0].tolist()
    assert first not in generated and generated[: len(tokens) - 1] == [token.id for token in tokens[:-1]]


# --- what cannot be read ---


def refusal(folder: Path) -> str:
    with pytest.raises(ModelNotAvailable) as raised:
        load(folder, name="mine", title="Mine")
    return str(raised.value)


@pytest.fixture
def marian(root, tmp_path) -> Path:
    return shutil.copytree(root / "marian", tmp_path / "mine")


def test_a_source_that_is_cut_short(marian):
    content = (marian / "source.spm").read_bytes()
    (marian / "source.spm").write_bytes(content[: len(content) // 2])
    assert refusal(marian) == (
        f"The source.spm in “{marian}” cannot be used (it is cut short). Download it again, or choose another model."
    )


def test_half_of_the_files(marian):
    (marian / "target.spm").unlink()
    assert refusal(marian) == (
        f"A part of the tokenizer is missing in “{marian}”: a Marian model has source.spm, target.spm, vocab.json, and "
        "target.spm is not there. Copy or download it again."
    )


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        ({"</s>": 0, "<unk>": 1, "a": 2000}, "disagrees with the weights: it has 2,001 entries, the embedding"),
        ({"</s>": 0, "a": 1}, "has no entry for the unk_token, '<unk>'. Download it again."),
        ({"</s>": 0, "<unk>": "1"}, "cannot be used (not every entry has an id). Download it again."),
    ],
)
def test_a_vocabulary_that_does_not_fit(marian, ids, said):
    (marian / "vocab.json").write_text(json.dumps(ids))
    assert said in refusal(marian)


def test_two_vocabularies(marian):
    settings = {"tokenizer_class": "MarianTokenizer", "separate_vocabs": True}
    (marian / "tokenizer_config.json").write_text(json.dumps(settings))
    assert "it has one vocabulary for what is read and another for what is written" in refusal(marian)


def test_pieces_that_are_not_followed(tmp_path):
    file = written([*MARKS, ("▁a", -1.0, 4), ("b", -2.0, 1)], kind=2)
    assert "it is BPE with pieces that are cut before all else" in refusal(write_m2m100(tmp_path / "m2m100", file))
    spaced = written([*MARKS, ("▁a", -1.0, 1)]) + b"\x1a\x02\x28\x00"
    assert "(it keeps spaces as they are)" in refusal(write_m2m100(tmp_path / "spaced", spaced))


def test_languages_that_are_not_known(root, tmp_path):
    folder = shutil.copytree(root / "m2m100", tmp_path / "mine")
    settings = {"tokenizer_class": "M2M100Tokenizer", "language_codes": "of my own"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    assert refusal(folder) == (
        f"The tokenizer in “{folder}” has languages that are not known here (language_codes of my own). Choose another "
        "model."
    )
