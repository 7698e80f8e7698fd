"""Fine-tuning: bounds in sentences, losses by another way, and that what was good stays."""

import copy
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from model.analysis.perplexity import foreseen
from model.lab import fine_tuning
from model.lab.course import LabError
from model.lab.fine_tuning import FineTuning, Settings, lines_of
from model.lab.held_out import STORIES

LINES = ("the cat sat", "a dog saw the mat and the cat", "the dog")
SETTINGS = Settings(n_step=7, rate=1e-2)


@pytest.fixture
def tuning(small) -> FineTuning:
    return FineTuning(small, LINES, SETTINGS)


@pytest.fixture(scope="module")
def small(tiny_folder_for_long_texts):
    return tiny_folder_for_long_texts


@pytest.fixture(scope="module")
def tiny_folder_for_long_texts(tmp_path_factory):
    """As `tiny`, and reads the stories that were held out."""
    from model import catalog
    from tests.conftest import write_tiny

    return catalog.load("t", weights=write_tiny(tmp_path_factory.mktemp("w") / "t", n_context=400).parent)


def weights(lm) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in lm.transformer.state_dict().items()}


def same(one: dict, other: dict) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_a_checkpoint_before_the_first_step_every_few_and_after_the_last(tuning):
    assert [checkpoint.step for checkpoint in tuning.steps(7)] == [0, 5, 7]
    assert [checkpoint.step for checkpoint in tuning.steps(4)] == [10, 11]  # gone on with


def test_it_learns_the_lines_and_leaves_the_model_that_it_began_with_as_it_was(tuning, small):
    before = weights(small)
    found = list(tuning.steps(7))
    assert found[-1].lines < found[0].lines - 0.5
    assert same(before, weights(small)) and not small.transformer.token_embedding.weight.requires_grad
    assert not same(before, weights(tuning.finished("after")))


def test_its_losses_are_those_of_the_finished_model_read_line_by_line(tuning, small):
    first, *_, last = tuning.steps(7)
    for lm, checkpoint in ((small, first), (tuning.finished("after"), last)):
        assert foreseen(lm, LINES).loss == pytest.approx(checkpoint.lines, abs=1e-4)
        assert foreseen(lm, STORIES).loss == pytest.approx(checkpoint.held_out, abs=1e-4)


def test_a_step_is_one_of_adamw_on_the_mean_over_all_lines(small):
    tuning = FineTuning(small, LINES, SETTINGS)
    (_, after) = islice(tuning.steps(1), 2)
    by_hand = copy.deepcopy(small.transformer).requires_grad_(True)
    end, total, n = small.tokenizer.end_of_text, 0, 0
    for line in LINES:
        ids = torch.tensor([[*(token.id for token in small.encode(line)), end]])
        total = total - by_hand(ids)[0][0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None]).sum()
        n += ids.shape[1] - 1
    (total / n).backward()
    torch.nn.utils.clip_grad_norm_(by_hand.parameters(), fine_tuning.CLIP)
    options = {"betas": fine_tuning.BETAS, "weight_decay": fine_tuning.WEIGHT_DECAY}
    torch.optim.AdamW(by_hand.parameters(), lr=SETTINGS.rate / fine_tuning.WARM_UP, **options).step()
    made = weights(tuning.finished("after"))
    assert after.step == 1
    for name, tensor in by_hand.state_dict().items():
        if name.endswith(
            "key.bias"
        ):  # adds the same to all scores of a row: its gradient is rounding, which Adam grows
            continue
        assert torch.allclose(made[name], tensor, atol=1e-5), name


def test_the_same_seed_gives_the_same_weights(small):
    many = [f"the {word} saw a {other}" for word in ("cat", "dog", "mat") for other in ("cat", "dog", "mat", "sat")]
    found = []
    for seed in (1, 1, 2):
        tuning = FineTuning(small, many, replace(SETTINGS, seed=seed))
        list(tuning.steps(3))
        found.append(weights(tuning.finished("after")))
    assert same(found[0], found[1]) and not same(found[0], found[2])


def test_what_was_good_is_kept_when_the_loss_is_lost(small):
    tuning = FineTuning(small, LINES, replace(SETTINGS, rate=10.0))
    with pytest.raises(LabError, match="a learning rate of 10 is likely too high") as told:
        list(tuning.steps(50))
    assert "At step " in str(told.value) and str(told.value).endswith("The model of step 0 is kept.")
    assert same(weights(small), weights(tuning.finished("after")))


def test_who_stops_goes_on_behind_the_last_checkpoint(small):
    whole = FineTuning(small, LINES, SETTINGS)
    list(whole.steps(10))
    stopped = FineTuning(small, LINES, SETTINGS)
    steps = stopped.steps(10)
    assert [next(steps).step, next(steps).step] == [0, 5]
    steps.close()
    list(stopped.steps(5))
    assert stopped.n_step == 10 and same(weights(whole.finished("")), weights(stopped.finished("")))


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("", "There are no lines to learn from: write one at least, or choose an example."),
        (" \n\n\t\n", "There are no lines to learn from: write one at least, or choose an example."),
        ("a\n" * 10_000, "There are 10,000 lines: at most 40 are learned here. Remove some."),
        ("one\n" + "x" * 301, "Line 2 has 301 characters: at most 300 can be read at once here. Break it."),
        (f"{'x' * 290}\n" * 14, "The lines have 4,060 characters: at most 4,000 are learned here. Remove some."),
    ],
)
def test_lines_that_cannot_be_learned(typed, sentence):
    with pytest.raises(LabError) as told:
        lines_of(typed)
    assert str(told.value) == sentence


def test_empty_lines_are_left_out():
    assert lines_of("  one \n\n two\r\n") == ("one", "two")


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"n_step": 0}, "0 steps are asked for: a fine-tuning takes 1 to 200."),
        ({"n_step": 201}, "201 steps are asked for: a fine-tuning takes 1 to 200."),
        ({"rate": 0.0}, "The learning rate is 0: it has to be above 0, and at most 10."),
        ({"rate": float("nan")}, "The learning rate is nan: it has to be above 0, and at most 10."),
    ],
)
def test_settings_that_cannot_be(changed, sentence):
    with pytest.raises(LabError) as told:
        replace(SETTINGS, **changed)
    assert str(told.value) == sentence


def test_one_word_is_too_little_only_where_it_is_one_token(small):
    with pytest.raises(LabError, match="Each line is a single token, and of one nothing can be foreseen"):
        FineTuning(small, ["a"], SETTINGS)
    assert next(FineTuning(small, ["a", "the cat"], SETTINGS).steps(1)).lines > 0


def test_bits_for_each_character_do_not_depend_on_the_cut(small):
    found = foreseen(small, LINES)
    characters = sum(len(line) - small.encode(line)[0].end for line in LINES)
    assert found.bits_per_character == pytest.approx(found.nats / np.log(2) / characters)
    assert found.perplexity == pytest.approx(np.exp(found.loss))
    assert np.isnan(foreseen(small, ["a"]).loss)
