"""Translators as the hub has them: what is shown of a translation is what transformers makes of the same ids, and what
is written is what its ``generate`` writes.
"""

import json
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, MBart50Tokenizer, MBartTokenizer, NllbTokenizer
from transformers.models.mbart import tokenization_mbart
from transformers.models.mbart50 import tokenization_mbart50

from model.analysis.attention import layer_weights
from model.huggingface.checkpoint import load
from model.huggingface.translator import HuggingFaceTranslator
from model.run import ModelNotAvailable, PromptError
from model.sources.sentence_piece import read
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
FILE = "sentencepiece.bpe.model"
KINDS = ("marian", "m2m100", "nllb", "t5", "mbart", "mbart50")


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = write_translators(tmp_path_factory.mktemp("translators"))
    write_lone(root / "mbart", "MBartTokenizer", unigram(ENGLISH + FRENCH, 120))
    write_lone(root / "mbart50", "MBart50Tokenizer", unigram(ENGLISH + FRENCH, 120))
    return root


@pytest.fixture(scope="module")
def loaded(root):
    """`loaded("marian")`: one of the folders, read once."""
    return cache(lambda kind: load(root / kind, name=kind, title="Tiny"))


@pytest.fixture(scope="module", params=KINDS)
def both(root, loaded, request):
    """The kind of a folder; ours, and transformers'."""
    theirs = AutoModelForSeq2SeqLM.from_pretrained(root / request.param, attn_implementation="eager")
    return loaded(request.param), theirs


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
    for target in lm.languages.target[:1] if lm.languages else ("",):
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
    for text in ("The cats sat on the mat.", "A cat"):
        source = lm.encode(text)
        for width, penalty in ((1, 1.0), (3, 0.5), (4, 1.0)):
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


def test_the_chosen_language_stands_around_the_source_and_before_the_target(loaded):
    chosen = {"m2m100": ("fr", "de"), "nllb": ("fra_Latn", "deu_Latn"), "mbart50": ("fr_XX", "de_DE")}
    for kind, languages in chosen.items():
        lm = loaded(kind)
        tokens, source = tokens_of(lm, Prompt(TEXT, target="The", languages=languages))
        assert tuple(token.label.strip("_") for token in (source[0], tokens[1])) == languages
        assert source[-1].label == tokens[0].label == "</s>"
    lm = loaded("mbart")
    tokens, source = tokens_of(lm, Prompt(TEXT, target="The", languages=("fr_XX", "de_DE")))
    assert [token.label for token in (*source[-2:], tokens[0])] == ["</s>", "fr_XX", "de_DE"]
    lm = loaded("marian")
    _, source = tokens_of(lm, Prompt(TEXT, target="The", languages=("", "deu")))
    assert source[0].label == ">>deu<<" and (source[0].start, source[0].end) == (0, 0)
    _, source = tokens_of(lm, Prompt(f">>fra<<{TEXT}", target="The", languages=("", "deu")))  # what is typed counts
    assert [token.label for token in source if token.special] == [">>fra<<", "</s>"]


@pytest.mark.parametrize("kind", ["nllb", "mbart50", "mbart"])
def test_languages_of_a_tokenizer_json_are_chosen_too(root, tmp_path, kind):
    """As most of them come: what transformers writes, and reads with a language of the source."""
    folder = shutil.copytree(root / kind, tmp_path / kind)
    pieces = [(piece.text, piece.score) for piece in read((folder / FILE).read_bytes()).pieces[3:]]
    first = [(mark, 0.0) for mark in ("<s>", "<pad>", "</s>", "<unk>")]
    if kind == "nllb":
        ids = {entry: id for id, (entry, _) in enumerate([*first, *pieces])}
        merges = [(entry[:at], entry[at:]) for entry in ids for at in range(1, len(entry))]
        merges = [(left, right) for left, right in merges if left in ids and right in ids]
        tokenizer, codes = NllbTokenizer(vocab=ids, merges=merges), ("fra_Latn", "deu_Latn")
    else:
        kinds = {"mbart50": (MBart50Tokenizer, tokenization_mbart50), "mbart": (MBartTokenizer, tokenization_mbart)}
        of, module = kinds[kind]
        marks = [(code, 0.0) for code in (*module.FAIRSEQ_LANGUAGE_CODES, "<mask>")]
        tokenizer, codes = of(vocab=[*first, *pieces, *marks]), ("fr_XX", "de_DE")
    (folder / FILE).unlink()
    tokenizer.save_pretrained(folder)
    lm = load(folder, name=kind, title=kind)
    theirs = AutoTokenizer.from_pretrained(folder, src_lang=codes[0], tgt_lang=codes[1])
    tokens, source = tokens_of(lm, Prompt("The cats", languages=codes))
    assert [token.id for token in source] == theirs("The cats").input_ids
    assert theirs.convert_tokens_to_ids(codes[1]) == tokens[kind != "mbart"].id
    _, by_itself = tokens_of(lm, Prompt("The cats"))
    assert [token.id for token in by_itself] == AutoTokenizer.from_pretrained(folder)("The cats").input_ids


def test_a_typed_target_is_cut_by_the_targets_tokenizer(loaded):
    lm = loaded("marian")
    tokens, _ = tokens_of(lm, Prompt("The", target="Noël"))
    assert [token.id for token in tokens[1:]] == [token.id for token in lm.encode_target("Noël") if not token.special]
    assert [token.id for token in lm.encode("crêpe")] != [token.id for token in lm.encode_target("crêpe")]


def test_a_language_that_it_does_not_know(loaded):
    lm = loaded("m2m100")
    with pytest.raises(PromptError) as raised:
        tokens_of(lm, Prompt(TEXT, languages=("en", "xx")))
    assert str(raised.value) == (
        "Tiny cannot write the language “xx”. It knows af, am, ar, ast, az, ba, be, bg, bn, br, bs, ca and 88 more: "
        "choose one on the Translation page."
    )


def test_what_its_settings_never_write_is_not_written(root, loaded, tmp_path):
    folder = shutil.copytree(root / "marian", tmp_path / "marian")
    first = tokens_of(loaded("marian"), Prompt(TEXT))[0][1].id
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


def test_a_vocabulary_without_its_pieces(root, tmp_path):
    folder = shutil.copytree(root / "m2m100", tmp_path / "mine")
    (folder / FILE).unlink()
    assert refusal(folder) == (
        f"A part of the tokenizer is missing in “{folder}”: an M2M100 model has sentencepiece.bpe.model, vocab.json, "
        "and sentencepiece.bpe.model is not there. Copy or download it again."
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
