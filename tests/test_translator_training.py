"""Training a translator on made-up pairs: it learns, goes on after an interruption, and exports with its scores."""

import io
import json
import random
from contextlib import redirect_stdout

import pytest
import torch
from safetensors.torch import load_file

from model.tokenizer import Tokenizer
from model.training import loop, pairs, translator
from model.transformer import Config, EncoderDecoder
from model.translation import greedy
from tests.trainings import assert_goes_on, write_xz

SHAPE = "--vocab 300 --layers 2 --heads 2 --d-model 16 --context 48 --batch-tokens 256 --dropout 0"
OPTIONS = f"--learning-rate 0.05 --warm-up 2 --threads 1 --device cpu --check-every 10 --steps 20 {SHAPE}".split()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Sentence pairs in which every word has one translation; some sentences have two."""
    folder, rng = tmp_path_factory.mktemp("pairs"), random.Random(0)
    words = {"cat": "chat", "dog": "chien", "black": "noir", "white": "blanc", "big": "grand"}
    for split, n in {"train": 400, "valid": 40, "test": 20}.items():
        lines = []
        for _ in range(n):
            one, other = rng.sample(list(words), 2)
            lines.append(f"The {one} {other} {rng.randrange(50)}.\tLe {words[other]} {words[one]} {rng.randrange(50)}.")
        lines.append(lines[0].split("\t")[0] + "\tUn autre mot.")
        write_xz(folder / f"tatoeba.en-fr.{split}.tsv.xz", lines)
    return folder


def arguments(data, work, *more: str) -> list[str]:
    return ["--data", str(data), "--work", str(work), *OPTIONS, *more]


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    work = tmp_path_factory.mktemp("work")
    with redirect_stdout(io.StringIO()):
        translator.main(arguments(data, work))
    return work


def test_the_loss_falls(trained):
    history = torch.load(trained / loop.CHECKPOINT, weights_only=True)["history"]
    assert [row[0] for row in history] == [10, 20]
    assert 5.5 > history[0][3] > history[1][3]


def test_an_interrupted_run_ends_where_an_uninterrupted_one_does(data, trained, tmp_path):
    assert_goes_on(translator, translator.parse(arguments(data, tmp_path)), trained)


def test_export_holds_the_weights_the_scores_and_the_command(data, trained, tmp_path, capsys):
    translator.main(arguments(data, trained, "--export", str(tmp_path)))
    config = json.loads((tmp_path / "config.json").read_text())
    assert config.pop("architecture") == "encoder-decoder"
    transformer = EncoderDecoder(Config(**config))
    transformer.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    tokenizer = Tokenizer.load(tmp_path / "tokenizer.json")
    source = [*tokenizer.encode_ids(["The cat black 7."])[0], tokenizer.end_of_text]
    assert len(greedy(transformer.eval(), [source], tokenizer.end_of_text, 40)[0]) <= 40
    card = json.loads((tmp_path / "card.json").read_text())
    test = card["test"]
    assert test["references"] == 21 and test["sentences"] <= 20
    assert 0 <= test["greedy"]["BLEU"] <= 100 and "nrefs:var" in test["beam 4"]["signatures"]
    assert card["command"].startswith("python -m model.training.translator --data DATA --work WORK --steps 20")
    assert str(data) not in json.dumps(card)
    capsys.readouterr()
    pairs.main(["--data", str(data), "--weights", str(tmp_path), "--threads", "1"])  # what was shipped, measured again
    assert json.loads(capsys.readouterr().out) == test


def test_several_references_are_all_counted():
    wanted = [["un deux trois quatre", "cinq six sept huit"], ["neuf dix onze douze"]]
    either = pairs.scores(["cinq six sept huit", "neuf dix onze douze"], wanted)
    assert either["BLEU"] == pytest.approx(100) and either["chrF"] == pytest.approx(100)
    assert pairs.scores(["cinq six sept huit", "un deux trois quatre"], wanted)["BLEU"] < 80


def test_pairs_are_in_order_of_length_and_end(data, trained):
    tokenizer = Tokenizer.load(trained / "tokenizer.json")
    encoded = translator.encode_pairs(tokenizer, pairs.sentence_pairs(data, "fr", "train"), most=48)
    lengths = [len(target) for _, target in encoded]
    assert lengths == sorted(lengths) and max(lengths) <= 48
    assert all(source[-1] == target[-1] == tokenizer.end_of_text for source, target in encoded)


def test_padding_is_not_learned(data, tmp_path):
    args = translator.parse(arguments(data, tmp_path, "--label-smoothing", "0"))
    trainer = translator.Trainer(args, translator.prepare_tokenizer(args))
    trainer.transformer.eval()
    short, long = trainer.trained[0], trainer.trained[-1]
    together = trainer.loss(trainer._tensors([short, long]))
    n = [len(target) for _, target in (short, long)]
    alone = [trainer.loss(trainer._tensors([pair])) for pair in (short, long)]
    torch.testing.assert_close(together, (alone[0] * n[0] + alone[1] * n[1]) / sum(n), rtol=1e-2, atol=1e-2)


def test_some_pairs_come_again_without_their_end_mark():
    told = [("Go!", "Va !"), ("Who knows?", "Qui sait\u202f?"), ("A list", "Une liste."), ("Wait...", "Attends…")]
    assert translator.bare(told, 1.0) == [("Go", "Va"), ("Who knows", "Qui sait"), ("Wait", "Attends")]
    assert translator.bare(told, 0.5) == [("Go", "Va")]
    assert translator.bare(told, 0.0) == []
