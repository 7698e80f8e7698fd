"""Training on a made-up mix: it learns, goes on after an interruption, and exports what the app can load."""

import io
import json
import lzma
import math
import random
import shutil
import subprocess
import sys
from collections import Counter
from contextlib import redirect_stdout
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from model import catalog
from model.builtin.transformer import Config, Transformer
from model.text.tokenizer import END_OF_TEXT, Tokenizer
from model.training import greedy_text, lessons, loop, rivals, story
from model.training.data import STORY_MIX, Source, Stream, documents
from tests.conftest import ROOT
from tests.trainings import assert_goes_on, counting_stream

SHAPE = "--vocab 300 --layers 2 --heads 2 --d-model 16 --context 128 --batch-tokens 512"
REST = "--learning-rate 0.1 --warm-up 2 --threads 1 --device cpu --check-every 5 --steps 12"
OPTIONS = f"{SHAPE} {REST}".split()


def sentence(rng: random.Random) -> str:
    who, did, where = (
        rng.choice(["cat", "dog", "bird"]),
        rng.choice(["sat", "ran"]),
        rng.choice(["mat", "hill", "roof"]),
    )
    return f"The {who} number {rng.randrange(10_000)} {did} on the {where}."


@pytest.fixture(scope="module")
def mix(tmp_path_factory):
    """A folder of documents that are all different, enough of them that some are held out."""
    folder = tmp_path_factory.mktemp("mix")
    rng = random.Random(0)
    for source in STORY_MIX:
        texts = [sentence(rng) for _ in range(1200)]
        text = "\n".join(texts) if source.sentences else f"\n{END_OF_TEXT}\n".join(texts)
        with lzma.open(folder / f"{source.name}.txt.xz", "wt", encoding="utf-8", preset=0) as file:
            file.write(text)
    return folder


@pytest.fixture(scope="module")
def trained(mix, tmp_path_factory):
    """The work folder of one uninterrupted run, and what it printed."""
    work = tmp_path_factory.mktemp("work")
    with redirect_stdout(io.StringIO()) as printed:
        story.main(["--data", str(mix), "--work", str(work), *OPTIONS])
    return work, printed.getvalue()


def checkpoint(work) -> dict:
    return torch.load(work / loop.CHECKPOINT, weights_only=True)


def arguments(mix, work, *more: str):
    return story.parse(["--data", str(mix), "--work", str(work), *OPTIONS, *more])


def trainer(mix, work, *more: str, kind=story.Trainer) -> story.Trainer:
    args = arguments(mix, work, *more)
    work.mkdir(exist_ok=True)
    return kind(args, story.prepare_tokenizer(args))


def test_the_loss_falls_from_the_logarithm_of_the_vocabulary(mix, trained):
    work, printed = trained
    untrained = trainer(mix, work)
    for stream in untrained.held_out:
        assert story.held_out_loss(untrained.transformer, stream)[0] == pytest.approx(math.log(300), abs=0.1)
    before = untrained.check()[0]
    history = checkpoint(work)["history"]
    assert [row[0] for row in history] == [5, 10, 12]
    assert before - 0.1 > history[0][3] > history[1][3] > history[2][3]
    assert f"held-out {history[2][3]:.4f}" in printed
    assert all(len(row) == 4 + len(STORY_MIX) for row in history)


def test_an_interrupted_run_ends_where_an_uninterrupted_one_does(mix, trained, tmp_path):
    assert_goes_on(story, arguments(mix, tmp_path), whole=trained[0])
    resumed, whole = checkpoint(tmp_path), checkpoint(trained[0])
    assert (resumed["step"], resumed["n_token"]) == (whole["step"], whole["n_token"])
    assert resumed["history"][-1][3] == pytest.approx(whole["history"][-1][3], abs=1e-6)


def test_another_rate_than_before_is_told(mix, trained):
    again = trainer(mix, trained[0], "--learning-rate", "0.001")
    assert again.resume()
    first, second = again.command.split(", then ")
    assert first == checkpoint(trained[0])["command"] + " --stop-at 12" and "--learning-rate 0.001" in second


def test_commands_that_made_a_model_make_it_again(mix, tmp_path):
    """Stopped and resumed with other options, which is told once, at the step where it was."""
    work, again = tmp_path / "work", tmp_path / "again"
    first = ["--data", str(mix), "--work", str(work), *OPTIONS]
    second = [*first, "--learning-rate", "0.001"]
    story.main([*first, "--stop-at", "4"])
    for step in ("6", "9"):
        story.main([*second, "--stop-at", step])
    story.main([*second, "--stop-at", "7"])  # it is past that already
    made = checkpoint(work)
    commands = [command.split()[3:] for command in made["command"].split(", then ")]
    assert [command[command.index("--stop-at") + 1 :] for command in commands if "--stop-at" in command] == [["4"]]
    for command in commands:
        typed = [{"DATA": str(mix), "WORK": str(again)}.get(word, word) for word in command]
        story.main([*typed, *(["--stop-at", "9"] if command is commands[-1] else [])])
    assert (made["step"], len(commands)) == (9, 2)
    for name, weights in checkpoint(again)["transformer"].items():
        torch.testing.assert_close(weights, made["transformer"][name])


def test_another_shape_is_not_resumed(mix, trained):
    other = trainer(mix, trained[0], "--layers", "3")
    with pytest.raises(SystemExit, match=r"holds another shape, .*n_layer=2.*: choose another --work"):
        other.resume()


def test_export_can_be_loaded(mix, trained, tmp_path, capsys):
    work, _ = trained
    story.main(["--data", str(mix), "--work", str(work), *OPTIONS, "--export", str(tmp_path / "tiny-story")])
    lm = catalog.load("tiny-story", weights=tmp_path)
    assert (lm.info.title, lm.info.n_layer, lm.info.n_context) == ("Story", 2, 128)
    stored = load_file(tmp_path / "tiny-story/weights.safetensors")
    for name, weights in checkpoint(work)["transformer"].items():
        assert stored[name].dtype == torch.float16
        torch.testing.assert_close(stored[name], weights.half())
    run = lm.run(lm.encode("The cat number 7 sat on the mat."))
    assert all(lm.recompute_layer(run, layer) < 1e-4 for layer in range(2))
    card = json.loads((tmp_path / "tiny-story/card.json").read_text())
    assert card["steps"] == 12
    assert card["command"] == (
        "python -m model.training.story --data DATA --work WORK --steps 12 "
        f"--learning-rate 0.1 --warm-up 2 --check-every 5 {SHAPE}"
    )
    assert str(mix) not in json.dumps(card)
    parts = [card["held_out"][source.name] for source in STORY_MIX if source.counted]
    total = card["held_out"]["all"]
    weights = np.array([len(story.kept_stream(work / f"{s.name}.held_out.npz", None, ()).ids) for s in STORY_MIX])
    weights = weights[[source.counted for source in STORY_MIX]]
    assert total["tokens"] == weights.sum()
    nats = np.average([part["nats_per_token"] for part in parts], weights=weights)
    assert total["nats_per_token"] == pytest.approx(nats, abs=1e-3)
    assert total["perplexity"] == pytest.approx(math.exp(nats), rel=1e-2)
    assert card["greedy"] == greedy_text.greedy_texts(lm.transformer, lm.tokenizer)
    assert card["lessons"] == lessons.whole(lm.tokenizer)
    assert_beats_what_it_says(card["held_out"], mix, work)
    assert_a_larger_one_begins_there(mix, work, tmp_path / "tiny-story", lm.info.fingerprint)


def assert_a_larger_one_begins_there(mix, work, small, fingerprint: str) -> None:
    """A larger model knows at its first step what the smaller one learned, and its card says from where."""
    larger = small.parent / "larger"
    shutil.copytree(work, larger, ignore=shutil.ignore_patterns("*.pt"))
    shape = "--heads 4 --d-model 32 --layers 3".split()
    grown, fresh = trainer(mix, larger, *shape, "--grow-from", str(small)), trainer(mix, larger, *shape)
    grown.start()
    after, before, learned = grown.check()[0], fresh.check()[0], checkpoint(work)["history"][-1][3]
    assert abs(after - learned) < 0.1 * (before - learned)
    card = json.loads((small / "card.json").read_text())
    told = grown.facts()["grown_from"]
    assert "own_stories" not in card
    assert told == {"fingerprint": fingerprint} | {name: card[name] for name in told if name != "fingerprint"}


def assert_beats_what_it_says(held_out: dict, mix, work) -> None:
    """The 5-gram and xz of each source: made again here, the one from its probabilities, the other from the texts."""
    trained, read = (
        [story.kept_stream(work / f"{source.name}.{part}.npz", None, ()) for source in STORY_MIX]
        for part in ("train", "held_out")
    )
    probabilities = rivals.five_gram([s.ids for s in trained], [s.ids for s in read], 300)
    bits, n_byte = 0.0, 0.0
    for source, stream, probability in zip(STORY_MIX, read, probabilities, strict=True):
        assert len(probability) == held_out[source.name]["tokens"]
        own = -np.log2(probability).sum(), stream.n_byte * len(probability) / len(stream.ids)
        assert held_out[source.name]["five_gram"] == pytest.approx(own[0] / own[1], abs=1e-4)
        text = "\0".join(documents(mix, source, held_out=True)).encode()
        assert 8 * len(lzma.compress(text)) / stream.n_byte == pytest.approx(held_out[source.name]["xz"], rel=0.05)
        if source.counted:
            bits, n_byte = bits + own[0], n_byte + own[1]
    assert held_out["all"]["five_gram"] == pytest.approx(bits / n_byte, abs=1e-4)
    apart = [held_out[source.name]["xz"] for source in STORY_MIX if source.counted]
    assert held_out["all"]["xz"] < np.mean(apart)  # texts alike are packed better together


def test_bits_per_byte():
    row = story._loss_row(nats=300.0, n_token=100, n_byte=400)
    assert row == {"tokens": 100, "nats_per_token": 3.0, "perplexity": 20.09, "bits_per_byte": 1.082}  # 0.75 / ln 2


def test_nothing_to_export(mix, trained, tmp_path):
    for name in ("tokenizer.json", *(path.name for path in trained[0].glob("*.npz"))):
        (tmp_path / name).write_bytes((trained[0] / name).read_bytes())
    with pytest.raises(SystemExit, match=r"nothing to export: there is no checkpoint\.pt in "):
        story.main(["--data", str(mix), "--work", str(tmp_path), *OPTIONS, "--export", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_held_out_documents_are_never_trained_on(mix, trained):
    tokenizer = Tokenizer.load(trained[0] / "tokenizer.json")
    for source in STORY_MIX:
        parts = {}
        for kind in ("train", "held_out"):
            with np.load(trained[0] / f"{source.name}.{kind}.npz") as saved:
                raw = b"".join(tokenizer.token(int(id)).piece for id in saved["ids"])
            parts[kind] = set(raw.decode().split(END_OF_TEXT)) - {""}
        assert parts["train"] == set(documents(mix, source, held_out=False))
        assert parts["held_out"] == set(documents(mix, source, held_out=True))
        assert not parts["train"] & parts["held_out"]
        assert 0 < len(parts["held_out"]) < len(parts["train"]) / 20


def test_every_sentence_is_in_one_document(mix):
    source = next(source for source in STORY_MIX if source.sentences)
    with lzma.open(mix / f"{source.name}.txt.xz", "rt") as file:
        sentences = file.read().splitlines()
    source = replace(source, lessons=0)
    found = [*documents(mix, source, held_out=False), *documents(mix, source, held_out=True)]
    assert sum(text.count(".") for text in found) == len(sentences)
    assert all(1 <= text.count(".") <= 8 for text in found)
    assert all(any(sentence in text for text in found) for sentence in sentences[:50])


def test_sentences_with_the_words_of_lessons_are_read_but_never_held_out(mix):
    source = Source(STORY_MIX[0].name, 1.0, lessons=3)
    trained = Counter(documents(mix, source, held_out=False))
    assert all(trained[sentence] == 3 for sentence in lessons.SENTENCES) and len(lessons.SENTENCES) > 50
    assert not set(lessons.SENTENCES) & set(documents(mix, source, held_out=True))


def test_a_source_with_nothing_to_hold_out(mix, tmp_path):
    for source in STORY_MIX:
        with lzma.open(tmp_path / f"{source.name}.txt.xz", "wt") as file:
            file.write("only this")
    assert not list(documents(tmp_path, Source(STORY_MIX[0].name, 1.0), held_out=True))
    with pytest.raises(SystemExit, match=f"no {STORY_MIX[0].name}.held_out documents: about one in a hundred"):
        trainer(tmp_path, tmp_path / "work")


def test_held_out_loss_by_hand():
    torch.manual_seed(0)
    transformer = Transformer(Config(n_vocab=50, n_context=8, n_layer=1, n_head=2, d_model=16)).eval()
    ids = torch.randint(50, (21,))
    stream = Stream(ids.numpy().astype(np.uint16), np.array([0]), 21)
    loss, count = story.held_out_loss(transformer, stream)
    # every token but the first is predicted once, from those before it in its row of 8
    total = 0.0
    with torch.inference_mode():
        for position in range(1, 21):
            first = (position - 1) // 8 * 8
            logits, _ = transformer(ids[None, first:position])
            total -= F.log_softmax(logits[0, -1].double(), -1)[ids[position]].item()
    assert count == 20
    assert loss == pytest.approx(total / 20, abs=1e-5)
    assert story.held_out_loss(transformer, stream, most=9)[1] == 8


def test_learning_rates_warm_up_stay_and_fall_to_zero(mix, trained):
    planned = trainer(mix, trained[0], "--steps", "1000", "--warm-up", "100")
    factors = []
    for planned.step in range(1001):
        factors.append(planned.schedule())
    np.testing.assert_allclose(factors[:100], np.arange(1, 101) / 100)
    assert set(factors[100:601]) == {1.0}
    np.testing.assert_allclose(factors[600:], np.linspace(1, 0, 401), atol=1e-12)


def test_batches_grow_after_a_third(mix, trained):
    planned = trainer(mix, trained[0], "--steps", "1000", "--batch-growth", "2")
    sizes = []
    for planned.step in (0, 333, 334):
        rows, n_token = planned.draw(np.random.default_rng(0))
        sizes.append(n_token)
        assert rows[:, 1:].numel() == n_token
    assert sizes == [512, 512, 1024]


@pytest.mark.parametrize("chosen", [None, "0.1,0.1,0.2,0,0.6"])
def test_the_mix_moves_while_the_rates_fall(mix, trained, chosen):
    planned = trainer(mix, trained[0], "--steps", "1000", *(("--late-shares", chosen) if chosen else ()))
    late = [float(share) for share in chosen.split(",")] if chosen else [source.late for source in STORY_MIX]
    share = [source.share for source in STORY_MIX]
    planned.trained = [counting_stream(500, [0], first=1000 * i) for i in range(len(STORY_MIX))]
    for step, wanted in ((0, share), (599, share), (601, late)):
        planned.step = step
        rows = np.concatenate([planned.draw(np.random.default_rng([step, i]))[0][:, 0] for i in range(400)])
        drawn = np.bincount(rows // 1000, minlength=len(STORY_MIX)) / len(rows)
        np.testing.assert_allclose(drawn, wanted, atol=0.04)


def test_stories_of_our_own_come_in_at_the_end(mix, trained):
    planned = trainer(mix, trained[0], "--steps", "1000", "--own-stories", "0.25")
    known = {tuple(row) for row in np.lib.stride_tricks.sliding_window_view(planned.own.ids, 8)}
    for step, wanted in ((599, 0.0), (601, 0.25)):
        planned.step = step
        rows = np.concatenate([planned.draw(np.random.default_rng([step, i]))[0][:, :8] for i in range(400)])
        assert np.mean([tuple(row) in known for row in rows.tolist()]) == pytest.approx(wanted, abs=0.04)


def test_what_muon_and_what_adamw_teaches(mix, trained):
    both = trainer(mix, trained[0])
    adamw, muon = both.optimizers
    names = {id(p): name for name, p in both.transformer.named_parameters()}
    matrices, tables, vectors = (
        {names[id(p)] for p in group["params"]} for group in (*muon.param_groups, *adamw.param_groups)
    )
    assert tables == {"token_embedding.weight", "position_embedding.weight"}
    assert len(matrices) == 2 * 6 and all(name.startswith("blocks.") for name in matrices)
    assert matrices | tables | vectors == set(names.values())
    assert [group["weight_decay"] for group in adamw.param_groups] == [0.1, 0.0]
    (alone,) = trainer(mix, trained[0], "--optimizer", "adamw").optimizers
    assert {names[id(p)] for p in both.transformer.parameters()} == set(names.values())
    assert sum(len(group["params"]) for group in alone.param_groups) == len(names)


def test_a_prolonged_run_goes_on_from_before_the_decay(mix, tmp_path):
    """12 steps, of which the last 5 decay: the last checkpoint before is kept, and is that of a longer run."""
    short = tmp_path / "short"
    trainer(mix, short).carry_out()
    kept = torch.load(short / loop.BEFORE_DECAY, weights_only=True)
    assert kept["step"] == 5 and checkpoint(short)["step"] == 12
    (short / loop.BEFORE_DECAY).replace(short / loop.CHECKPOINT)
    trainer(mix, short, "--steps", "15").carry_out()
    long = tmp_path / "long"
    trainer(mix, long, "--steps", "15").carry_out()
    for name, weights in checkpoint(long)["transformer"].items():
        torch.testing.assert_close(checkpoint(short)["transformer"][name], weights, rtol=0, atol=1e-6)


def test_the_mean_of_the_last_checkpoints_is_exported(mix, tmp_path):
    work, out = tmp_path / "work", tmp_path / "out"
    trainer(mix, work, "--mean", "2").carry_out()
    kept = sorted(work.glob("weights-*.pt"))
    assert [path.stem for path in kept] == ["weights-0000010", "weights-0000012"]
    first, second = (torch.load(path, weights_only=True) for path in kept)
    trainer(mix, work, "--mean", "2", "--export", str(out)).carry_out()
    for name, stored in load_file(out / "weights.safetensors").items():
        torch.testing.assert_close(stored, ((first[name] + second[name]) / 2).half())
    with pytest.raises(SystemExit, match=r"--mean 3: .* holds the weights of 2 checkpoints"):
        trainer(mix, work, "--mean", "3", "--export", str(out)).carry_out()


def test_dropout_only_while_training(mix, trained):
    dropping = trainer(mix, trained[0], "--dropout", "0.5").transformer
    ids = torch.arange(20)[None]
    assert not torch.equal(dropping(ids)[0], dropping(ids)[0])
    dropping.eval()
    plain = trainer(mix, trained[0]).transformer
    torch.testing.assert_close(dropping(ids)[0], plain(ids)[0], rtol=0, atol=0)


def test_the_words_of_lessons_are_whole(mix, trained):
    """Though the stories hold none of them: they were learned from the list."""
    words = lessons.lesson_words()
    assert {"cat", "Once", "visualization", "didn"} <= set(words) and "t" not in words
    texts = list(story.tokenizer_texts(mix))
    for word in ("visualization", "Data"):
        assert texts.count(word) == texts.count(f"a {word}") == 400


def test_held_out_losses_and_exports_know_no_dropout(mix, trained, tmp_path):
    class Checked(story.Trainer):
        def check(self):
            assert not self.transformer.training
            return super().check()

        def export(self, folder):
            assert not self.transformer.training

    work = tmp_path / "work"
    training = trainer(mix, work, "--dropout", "0.1", kind=Checked)
    training.carry_out()
    assert training.transformer.training
    trainer(mix, work, "--dropout", "0.1", "--export", str(tmp_path / "out"), kind=Checked).carry_out()


def test_a_budget_is_needed(capsys):
    with pytest.raises(SystemExit):
        story.parse(["--data", "x", "--work", "y"])
    assert "say how long: --steps, --tokens or --hours" in capsys.readouterr().err


def test_it_is_a_command():
    command = [sys.executable, "-m", "model.training.story", "--help"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "usage: python -m model.training.story" in answer.stdout
