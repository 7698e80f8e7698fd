"""A training of which every step can be opened: what is opened is what was trained; each number has a second way."""

from dataclasses import replace

import numpy as np
import pytest

from model.lab import one_step, short_course
from model.lab.by_hand import Optimizer, Schedule
from model.run import VisitorError

SMALL = short_course.Settings(Schedule(2e-2, 3, 14, falls=True), Optimizer(decay=0.2), d_model=8)
STEPS = (1, 2, 10, 11, 14)


@pytest.fixture(scope="module")
def training():
    return one_step.train(SMALL)


@pytest.fixture(scope="module")
def steps(training):
    return {t: one_step.open_step(training, t) for t in STEPS}


def test_the_same_seed_gives_the_same_training(training):
    again, other = one_step.train(SMALL), one_step.train(replace(SMALL, seed=1))
    assert np.array_equal(training.losses, again.losses) and np.array_equal(training.states, again.states)
    assert not np.array_equal(training.states[0], other.states[0])


@pytest.mark.parametrize("t", STEPS)
def test_an_opened_step_is_the_one_that_was_trained(training, steps, t):
    step = steps[t]
    assert [step.loss, step.loss_after] == training.losses[t - 1].tolist()
    assert step.norm == training.norms[t - 1] and step.rate == SMALL.schedule.rate(t)


@pytest.mark.parametrize("t", STEPS)
def test_all_that_is_made_by_hand_equals_torch(training, steps, t):
    step = steps[t]
    assert step.answer.loss == pytest.approx(step.loss, rel=1e-13)
    np.testing.assert_allclose(step.answer.gradient, step.logit_gradient, rtol=0, atol=1e-15)
    assert step.norm_by_hand == pytest.approx(step.norm, rel=1e-13)
    made = np.stack([step.update.after, step.update.m, step.update.v])
    np.testing.assert_allclose(made, step.after, rtol=0, atol=1e-14)
    assert one_step.chain_rule_off(training, step) < 1e-14
    assert np.abs(step.update.after - step.update.before).max() > 1e-4


def test_steps_follow_one_another(training, steps):
    assert np.array_equal(steps[2].update.before, steps[1].after[0])
    assert np.array_equal(steps[10].after, training.states[10])
    following = steps[11].update
    assert np.array_equal(np.stack([following.before, following.m_before, following.v_before]), steps[10].after)
    assert any(step.clipped for step in steps.values())


def test_a_gradient_is_what_the_loss_does(training, steps):
    """In every matrix, where it is largest."""
    for matrix in training.matrices:
        gradient = matrix.of(steps[2].gradient)
        row, column = np.unravel_index(np.abs(gradient).argmax(), matrix.shape)
        quotient = one_step.nudged(training, 2, matrix.at(int(row), int(column)))
        assert quotient == pytest.approx(gradient[row, column], abs=1e-8), matrix.name


def test_rows_of_a_batch_are_lines_with_what_comes_next(steps):
    vocabulary, batch = short_course.vocabulary_of(SMALL), steps[1].batch
    lines = vocabulary.encode_ids(SMALL.lines)
    for ids, targets, asked in zip(batch.ids, batch.targets, batch.asked, strict=True):
        assert ids[0] == vocabulary.end_of_text and asked.all()
        assert np.array_equal(ids[1:], targets[:-1]) and targets[:-1].tolist() in lines
        assert targets[-1] == vocabulary.end_of_text
    assert len(batch.ids) == SMALL.n_row and len({tuple(ids) for ids in batch.ids.tolist()}) == SMALL.n_row


def test_of_lines_of_several_lengths_what_is_filled_up_is_not_asked():
    settings = replace(SMALL, lines=("a b c d.", "a."), schedule=Schedule(1e-2, 1, 1))
    training = one_step.train(settings)
    step = one_step.open_step(training, 1)
    assert sorted(step.batch.asked.sum(1).tolist()) == [3, 6] and len(step.answer.targets) == 9
    assert step.answer.loss == pytest.approx(step.loss, rel=1e-13)
    assert one_step.chain_rule_off(training, step) < 1e-14


def test_it_learns():
    training = one_step.train(short_course.settings_of())
    assert training.losses[-5:, 0].mean() < 0.2 * training.losses[0, 0]


@pytest.mark.parametrize("t", [0, 15, -1])
def test_there_is_no_other_step(training, t):
    with pytest.raises(ValueError):
        one_step.open_step(training, t)


def test_the_way_of_a_weight_is_that_of_its_steps(training, steps):
    place = training.matrices[-1].at(1, 2)
    way = one_step.way_of(training, place)
    for t, step in steps.items():
        update = step.update
        assert [way.weight[t - 1], way.weight[t]] == pytest.approx(
            [update.before[place], update.after[place]], abs=1e-15
        )
        found = way.gradient[t - 1], way.m_hat[t - 1], way.v_hat[t - 1]
        assert found == pytest.approx((update.gradient[place], update.m_hat[place], update.v_hat[place]), abs=1e-14)


def test_where_nothing_is_clipped_the_gradient_is_as_it_is():
    settings = replace(SMALL, clip=short_course.settings_of(clip=0).clip, schedule=Schedule(1e-2, 1, 2))
    step = one_step.open_step(one_step.train(settings), 1)
    assert step.norm > 1 and step.share == 1 and not step.clipped
    np.testing.assert_array_equal(step.update.gradient, step.gradient)
    np.testing.assert_allclose(step.update.after, step.after[0], rtol=0, atol=1e-14)


def test_the_least_loss_is_that_of_lines_that_begin_alike():
    alike = replace(SMALL, lines=("I am a cat", "I was a dog"))  # of five tokens each, one tells which it is
    assert short_course.least_loss(alike) == pytest.approx(np.log(2) / 5)
    assert short_course.least_loss(replace(SMALL, lines=("a b", "c d"))) == pytest.approx(np.log(2) / 3)
    assert short_course.least_loss(replace(SMALL, lines=("a b c",))) == 0


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (" ", "no line to learn"),
        ("a\n" * 31, "31 lines"),
        ("x" * 65, "65 characters"),
        ("\ud800", "half of a character"),
    ],
)
def test_lines_that_cannot_be_learned_get_a_sentence(typed, said):
    with pytest.raises(VisitorError, match=said):
        short_course.settings_of(typed=typed, units=short_course.CHARACTERS)
