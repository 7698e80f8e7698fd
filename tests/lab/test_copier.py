"""The copier as a model at each checkpoint, and the folder that keeps them."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from model import catalog
from model.analysis.attention import layer_weights
from model.lab import copier, copying, course
from model.lab.course import Settings
from model.run import ModelNotAvailable

SMALL = Settings(n_layer=2, n_head=2, d_model=8, n_step=6, every=3)


@pytest.fixture(scope="module")
def small() -> copier.Run:
    checkpoints = tuple(course.train(SMALL))
    return copier.Run(SMALL, checkpoints, copier.ablated(SMALL, checkpoints[-1]))


@pytest.fixture
def folder(small, tmp_path):
    copier.write(tmp_path / "copier", small, 2.0)
    return tmp_path / "copier"


def test_a_folder_keeps_all_checkpoints(small, folder):
    kept = copier.read(folder)
    assert kept.settings == SMALL and [each.step for each in kept.checkpoints] == [0, 3, 6]
    for one, other in zip(small.checkpoints, kept.checkpoints, strict=True):
        assert all(np.array_equal(one.weights[name], other.weights[name]) for name in one.weights)
        assert other.known == pytest.approx(one.known, abs=1e-4)
        assert other.induction == pytest.approx(one.induction, abs=1e-4)
    assert kept.without == pytest.approx(small.without, abs=1e-4)
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in folder.iterdir())


def test_each_checkpoint_is_a_model(small, folder):
    text, _ = copier.examples()[0]
    last = catalog.load("copier", weights=folder.parent)
    for checkpoint, name in zip(small.checkpoints, ("copier@0", "copier@3", "copier@6"), strict=True):
        lm = catalog.load(name, weights=folder.parent)
        assert (lm.info.name, lm.info.title) == (name, f"Copier, step {checkpoint.step}")
        run = lm.run(lm.encode(text))
        transformer = course.restored(SMALL, checkpoint)
        with torch.no_grad():
            logits = transformer(torch.tensor([[token.id for token in run.tokens]]))[0][0]
        assert lm.unembed(run.hidden[-1]) == pytest.approx(logits.numpy(), abs=1e-5)
        assert max(lm.recompute_layer(run, layer) for layer in range(2)) < 1e-5
        assert lm.layer_parameters(0).alone  # no MLP reads what its heads write
    assert (
        lm.info.fingerprint == last.info.fingerprint != catalog.load("copier@3", weights=folder.parent).info.fingerprint
    )
    assert last.info.n_parameter == catalog.cost(catalog.find("copier@3", weights=folder.parent)).n_parameter


def test_its_maps_are_those_of_its_runs(small):
    text, _ = copier.examples()[1]
    found = copier.maps(small, text)
    assert found.shape == (3, 2, 2, len(text), len(text))
    lm = copier.Copier.at(SMALL, small.checkpoints[1], "")
    for layer, weights in enumerate(map(layer_weights, lm.run(lm.encode(text)).attention)):
        assert found[1, layer] == pytest.approx(weights, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "copier@4",
            "Copier was not kept after step “4”: there are 3 checkpoints, from step 0 to 6, the nearest 3. Choose one "
            "of them on the page Training.",
        ),
        (
            "copier@last",
            "Copier was not kept after step “last”: there are 3 checkpoints, from step 0 to 6. Choose one of them on "
            "the page Training.",
        ),
        ("tiny@3", "There is no model “tiny@3” here. Available: copier, tiny."),
    ],
)
def test_a_step_that_was_not_kept_gets_a_sentence(folder, tiny_folder, name, sentence):
    assert tiny_folder.parent == folder.parent
    with pytest.raises(ModelNotAvailable) as raised:
        catalog.find(name, weights=folder.parent)
    assert str(raised.value) == sentence


def _without_a_tensor(folder):
    tensors = load_file(folder / "weights.safetensors")
    del tensors["3/final_norm.bias"]
    save_file(tensors, folder / "weights.safetensors")


def _with_other_steps(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"steps": [0, 3]}))


def _cut_short(folder):
    (folder / "weights.safetensors").write_bytes((folder / "weights.safetensors").read_bytes()[:900])


def _of_another_shape(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"d_model": 16}))


@pytest.mark.parametrize("damage", [_without_a_tensor, _with_other_steps, _cut_short, _of_another_shape])
def test_a_damaged_folder_gets_a_sentence(folder, damage):
    damage(folder)
    with pytest.raises(ModelNotAvailable, match="The model “copier” cannot be read: a file in"):
        catalog.load("copier", weights=folder.parent)


def test_what_is_no_symbol_is_unknown():
    lm = copier.Copier.at(SMALL, next(course.train(replace(SMALL, n_step=1))), "Mine")
    tokens = lm.encode("The cat")
    assert [token.id == lm.unknown for token in tokens] == [True, False, False, True, False, False, False]
    assert (lm.info.title, len(lm.info.remarks)) == ("Mine", 1)


def test_texts_of_its_kind_go_on_with_what_they_began_with():
    assert len({text for text, _ in copier.examples()}) == copier.N_TEXT
    for text, known in copier.examples():
        assert len(text) == len(known) == copying.N_TOKEN and not any(known[: copying.N_DIFFERENT])
        for t in np.flatnonzero(known):
            assert text[t - 1 : t + 1] in text[: copying.N_DIFFERENT]


def test_what_is_shipped_is_what_its_card_says():
    """Whatever that is: its scores are read off the weights again."""
    run = copier.read(catalog.WEIGHTS / "copier")
    rows = copying.draw(course.N_JUDGED, np.random.default_rng(1), course.FIRST)
    for checkpoint in (run.checkpoints[0], run.locked, run.checkpoints[-1]):
        again = course.judge(checkpoint.step, course.restored(run.settings, checkpoint), rows, rows)
        assert again.known == pytest.approx(checkpoint.known, abs=0.01)
        assert again.previous == pytest.approx(checkpoint.previous, abs=0.01)
        assert again.induction == pytest.approx(checkpoint.induction, abs=0.01)
    card = json.loads((catalog.WEIGHTS / "copier/card.json").read_text())
    assert card["locked"] == {"step": run.locked.step, "from": course.LOCKED}
    assert catalog.texts_of(catalog.find("copier")) == tuple(text for text, _ in copier.examples())


def test_the_command_writes_a_folder(tmp_path, capsys):
    copier.main(["--d-model", "8", "--n-step", "2", "--every", "1", "--export", str(tmp_path / "mine")])
    said = capsys.readouterr().out
    assert "step     2" in said and "the two heads did not come to stay" in said
    assert said.count("without it the loss on spans is") == 4
    assert [each.step for each in copier.read(tmp_path / "mine").checkpoints] == [0, 1, 2]
    copier.main(["--d-model", "8", "--n-step", "2", "--every", "1", "--compare", str(tmp_path / "mine")])
    assert "no score at any checkpoint differs by more than 0.000" in capsys.readouterr().out


def test_runs_are_compared_by_the_score_that_differs_most(small):
    other = replace(small.checkpoints[1], previous=small.checkpoints[1].previous + np.array([[0, 0.25], [0, 0]]))
    changed = copier.Run(SMALL, (small.checkpoints[0], other))
    assert copier.difference(small, small) == 0
    assert copier.difference(small, changed) == pytest.approx(0.25)


def test_a_training_that_cannot_be_ends_the_command_with_a_sentence():
    with pytest.raises(SystemExit, match=r"^A width of 9 cannot be shared evenly by 2 heads"):
        copier.main(["--d-model", "9"])
