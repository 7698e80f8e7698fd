"""Training a translator on made-up pairs: it learns, goes on after an interruption, and exports with its scores."""

import io
import json
import random
import re
from contextlib import redirect_stdout

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from model.builtin.greedy import greedy
from model.builtin.transformer import Config, EncoderDecoder
from model.text.tokenizer import Tokenizer, train
from model.training import bpe_dropout, lexicon, loop, more_pairs, pairs, translator, typed
from tests.trainings import assert_goes_on, write_xz

SHAPE = "--vocab 300 --layers 2 --heads 2 --d-model 16 --context 48 --batch-tokens 256 --dropout 0 --batch-growth 1"
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
    assert card["valid_nats"] > 0 and card["history"]["columns"][3:] == ["valid nats per token", "valid BLEU"]
    assert card["data"]["pairs"] == 401 and card["data"]["joined"] == 20 and card["data"]["numbers"] > 0
    assert len(card["typed"]["written"]) == card["typed"]["of"] == 40
    capsys.readouterr()
    pairs.main(["--data", str(data), "--weights", str(tmp_path), "--threads", "1"])  # what was shipped, measured again
    assert json.loads(capsys.readouterr().out) == {"test": test, "typed": card["typed"]}


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
    short, long = trainer.valid[0], trainer.valid[-1]
    together = trainer.loss(trainer._tensors([short, long]))
    n = [len(target) for _, target in (short, long)]
    alone = [trainer.loss(trainer._tensors([pair])) for pair in (short, long)]
    torch.testing.assert_close(together, (alone[0] * n[0] + alone[1] * n[1]) / sum(n), rtol=1e-2, atol=1e-2)


def test_batches_hold_whole_pairs_of_like_length_and_each_pair_as_often(data, tmp_path):
    """Without dropout of merges, a batch is pairs of the training set, cut as the tokenizer does."""
    args = translator.parse(arguments(data, tmp_path, "--bpe-dropout", "0"))
    trainer = translator.Trainer(args, tokenizer := translator.prepare_tokenizer(args))
    known = {
        tuple(map(tuple, pair))
        for part in trainer.read.values()
        for pair in translator.encode_pairs(tokenizer, part, 48)
    }
    drawn, real, n_batch = [], [], 40
    for step in range(n_batch):
        (source, visible, _, wanted), n = trainer.draw(np.random.default_rng([0, step]))
        assert n == int((wanted != translator.IGNORED).sum()) and 128 < n < 512
        real += [n / wanted.numel(), visible.float().mean().item()]
        for i in range(len(source)):
            drawn.append((tuple(source[i][visible[i]].tolist()), tuple(wanted[i][wanted[i] >= 0].tolist())))
    assert set(drawn) <= known and min(real) > 0.5 and np.mean(real) > 0.9
    # a pair that was drawn more often than others is one that is there more than once
    assert len(set(drawn)) > len(known) * 0.7


def test_each_epoch_is_cut_anew_and_again_the_same(data, tmp_path):
    args = translator.parse(arguments(data, tmp_path, "--bpe-dropout", "0.3"))
    tokenizer = translator.prepare_tokenizer(args)
    one, other = (translator.Trainer(args, tokenizer) for _ in range(2))
    first = one.cut_anew()
    assert one.cut_anew() is first
    np.testing.assert_array_equal(first[0].ids, other.cut_anew()[0].ids)
    one.n_token = one.tokens_once
    assert len(one.cut_anew()[0].ids) != len(first[0].ids)


@pytest.fixture(scope="module")
def english() -> Tokenizer:
    return train(iter(["the cats chattered on the mat"] * 5 + ["banana banana"] * 3), n_vocab=290)


def test_without_dropout_a_text_is_cut_as_ever(english):
    texts = ["the cats chattered", "bananana 12", "", "çà et là"]
    whole = bpe_dropout.Cutter(english, texts, 0.0, 0).all(np.random.default_rng(0))
    assert [whole[i] for i in range(len(texts))] == english.encode_ids(texts)
    assert whole.lengths.tolist() == list(map(len, english.encode_ids(texts)))


def test_dropout_leaves_merges_out_and_loses_no_byte(english):
    texts = ["the cats chattered on the mat"] * 50
    cut = bpe_dropout.Cutter(english, texts, 0.4, 0).all(np.random.default_rng(0))
    found = [cut[i] for i in range(len(texts))]
    assert all(b"".join(english.token(id).piece for id in ids).decode() == texts[0] for ids in found)
    assert len(set(map(tuple, found))) > 25 and max(map(len, found)) > len(english.encode_ids(texts)[0])
    alone = bpe_dropout.Cutter(english, texts[:1], 1.0, 0).all(np.random.default_rng(0))
    assert len(alone[0]) == len(texts[0].encode())  # no merge at all


def test_some_pairs_come_again_without_their_end_mark():
    told = [("Go!", "Va !"), ("Who knows?", "Qui sait\u202f?"), ("A list", "Une liste."), ("Wait...", "Attends…")]
    assert more_pairs.bare(told, 1.0) == [("Go", "Va"), ("Who knows", "Qui sait"), ("Wait", "Attends")]
    assert more_pairs.bare(told, 0.5) == [("Go", "Va")]
    assert more_pairs.bare(told, 0.0) == []
    small = ({"go": "go", "who": "who", "tom": "Tom"}, {"va": "va", "qui": "qui", "tom": "Tom"})
    told = [("Who knows?", "Qui sait ?"), ("Go!", "Va !"), ("Who?", "Qui ?"), ("Tom knows.", "Tom sait.")]
    made = more_pairs.bare(told, 1.0, small)
    assert made == [("Who knows", "Qui sait"), ("go", "va"), ("Who", "Qui"), ("Tom knows", "Tom sait")]


def test_a_lexicon_is_read_off_sentences():
    nouns = {"cat": "chat", "dog": "chien", "horse": "cheval", "tree": "arbre"}
    pairs_ = [
        (f"The {e} is {i}.", f"{'L’' if f == 'arbre' else 'Le '}{f} est {i}.")
        for i in range(9)
        for e, f in nouns.items()
    ]
    for day, jour in (("Monday", "lundi"), ("Friday", "vendredi")):
        pairs_ += [(f"I saw a {e} on {day}.", f"J'ai vu un {f} {jour}.") for _ in range(2) for e, f in nouns.items()]
    found = dict(lexicon.word_pairs(pairs_))
    assert nouns.items() <= found.items() and found["Monday"] == "lundi"
    assert "i" not in found and not any(len(word) < 2 for word in (*found, *found.values()))


def test_the_translation_table_by_hand():
    """Two rounds of EM over [a b → x y], [a → x], counted out: the empty word is 0."""
    table = lexicon.translation_table([[1, 2], [1]], [[1, 2], [1]])
    p = {(s, t): 1.0 for s in (0, 1, 2) for t in (1, 2)}
    sentences = [([0, 1, 2], [1, 2]), ([0, 1], [1])]
    for _ in range(lexicon.ROUNDS):
        counts = dict.fromkeys(p, 0.0)
        for source, target in sentences:
            for t in target:
                total = sum(p[s, t] for s in source)
                for s in source:
                    counts[s, t] += p[s, t] / total
        p = {(s, t): c / sum(counts[s, u] for u in (1, 2)) for (s, t), c in counts.items()}
    assert table[1][1] == pytest.approx(p[1, 1]) and table[2][2] == pytest.approx(p[2, 2])
    assert table[1][1] > 0.8 and 0 not in table


def test_names_and_numbers_are_replaced_on_both_sides():
    rng = np.random.default_rng(0)
    told = [
        ("Tom's dog likes Mary.", "Le chien de Tom aime Mary."),
        ("Tom knows that Tom left.", "Tom le sait."),  # not as often on both sides
        ("We live in Boston.", "Nous vivons à Boston."),
    ]
    made = [pair for _ in range(60) for pair in more_pairs.other_names(told, rng)]
    assert len(made) == 120
    vowels = 0
    for english, french in made[::2]:
        one, two = english.removesuffix(".").split("'s dog likes ")
        vowel = one[0] in "AEIOUY"
        vowels += vowel
        of = f"d'{one}" if vowel else f"de {one}"
        assert french == f"Le chien {of} aime {two}."
    assert 0 < vowels < 60 and len({english for english, _ in made}) > 50
    counted = [
        ("I waited 30 minutes.", "J'ai attendu 30 minutes."),
        ("He has three cats.", "Il a trois chats."),
        ("At ten, nine came.", "À dix heures, il en vint dix-neuf."),
        ("It costs $3,000.", "Ça coûte 3000 $."),
    ]
    made = more_pairs.other_numbers(counted, rng)
    assert len(made) == 2 * more_pairs._COPIES
    for english, french in made:
        (one,), (other,) = (digits(side) for side in (english, french))
        assert one == other and ("minutes" in english) == ("minutes" in french)
    assert all(10 <= int(digits(e)[0]) < 60 for e, _ in made if "minutes" in e)


def digits(text: str) -> list[str]:
    return re.findall(r"\d+", text)


def test_nothing_typed_is_among_the_names_to_replace():
    names = {name for instead in more_pairs._REPLACED.values() for name in instead}
    typed_names = {
        word for each in typed.TYPED if each.kind == "names" for word in re.findall(r"[A-Z][a-z]+", each.english)
    }
    assert len(typed.TYPED) == 40 and not names & typed_names


def test_what_counts_as_right():
    assert typed.is_right("  J’ai  3 frères et deux soeurs !", "j'ai (3|trois) frères et (2|deux) sœurs")
    assert not typed.is_right("J'ai 3 frères.", "j'ai (3|trois) frères et (2|deux) sœurs")
    right = {"cat": "Chat.", "My name is Anna.": "Je m'appelle Anna."}
    found = typed.score(lambda text: right.get(text, "non"), [("Cat!", "Chat !"), ("dogs", "chiens")])
    assert (found["right"], found["words"], found["names"], found["digits"]) == (2, 1, 1, 0)
    assert found["in_training"] == 1 and found["written"]["cat"] == "Chat. ✓" and found["written"]["dog"] == "non ✗"


def test_sentences_stand_one_after_the_other():
    told = [("One.", "Un."), ("Two.", "Deux.")]
    for english, french in more_pairs.joined(told, 20, np.random.default_rng(0)):
        assert 2 <= len(english.split()) <= 3
        assert [dict(told)[word] for word in english.split()] == french.split()
