"""Training a copier: each number of a checkpoint against a plain way to it. That heads form takes seconds, and is shown
by `python -m model.lab.copier`.
"""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from model.lab import copying, course

SHORT = course.Settings(d_model=8, n_step=6, every=3)


def test_a_checkpoint_before_the_first_step_and_one_after_the_last():
    assert [checkpoint.step for checkpoint in course.train(replace(SHORT, n_step=7))] == [0, 3, 6, 7]


def test_the_same_seed_gives_the_same_weights():
    first, second, other = (list(course.train(replace(SHORT, seed=seed)))[-1].weights for seed in (3, 3, 4))
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert not all(np.array_equal(first[name], other[name]) for name in first)


def test_its_losses_are_those_of_the_symbols_alone():
    checkpoint = list(course.train(SHORT))[-1]
    transformer = course.restored(SHORT, checkpoint)
    rows = copying.draw(course.N_JUDGED, np.random.default_rng(1), course.FIRST)
    known, unknown, right = [], [], []
    with torch.no_grad():
        for ids, may in zip(rows.ids, rows.known, strict=True):
            log_p = F.log_softmax(transformer(torch.from_numpy(ids)[None])[0][0, :, course.FIRST :].double(), -1)
            for t in range(1, len(ids)):
                (known if may[t] else unknown).append(-float(log_p[t - 1, ids[t] - course.FIRST]))
                if may[t]:
                    right.append(int(log_p[t - 1].argmax()) == ids[t] - course.FIRST)
    assert checkpoint.known == pytest.approx(np.mean(known), abs=2e-3)  # weights are kept in half precision
    assert checkpoint.unknown == pytest.approx(np.mean(unknown), abs=2e-3)
    assert checkpoint.copied == pytest.approx(np.mean(right), abs=0.01)


def test_without_mlp_the_blocks_are_attention_alone():
    checkpoints = list(course.train(SHORT))
    assert not any("mlp" in name for name in checkpoints[-1].weights)
    assert course.restored(SHORT, checkpoints[-1]).blocks[0].mlp is None
    with_one = list(islice(course.train(replace(SHORT, mlp=True)), 2))
    assert any("mlp" in name for name in with_one[-1].weights)


def test_a_head_taken_out_writes_nothing():
    checkpoint = list(course.train(SHORT))[-1]
    transformer, rows = course.restored(SHORT, checkpoint), copying.draw(8, np.random.default_rng(2), course.FIRST)
    found = course.without(transformer, rows, 1, 0)
    attention = transformer.blocks[1].attention
    attention.output.weight[:, : attention.d_head] = 0
    by_hand = course.losses(transformer, rows).numpy()[rows.known[:, 1:]].mean()
    assert found == pytest.approx(by_hand, abs=1e-5)


def test_the_size_of_what_heads_write_by():
    transformer = course.network(SHORT)
    plain = sum(
        float(torch.linalg.matrix_norm(block.attention.output.weight[:, 4 * head : 4 * head + 4].detach()))
        for block in transformer.blocks
        for head in range(2)
    )
    assert float(course.written(transformer).detach()) == pytest.approx(plain, rel=1e-6)


def test_heads_are_locked_from_where_they_stay():
    def checkpoint(step: int, previous: float, induction: float) -> course.Checkpoint:
        scores = np.array([[previous, 0.0]]), np.array([[0.0, induction]])
        return course.Checkpoint(step, 0.0, 0.0, 0.0, 0.0, *scores, {})

    found = [checkpoint(0, 0.1, 0.1), checkpoint(1, 0.4, 0.9), checkpoint(2, 0.4, 0.5), checkpoint(3, 0.3, 0.9)]
    assert course.locked(found).step == 3
    assert course.locked([*found, checkpoint(4, 0.3, 0.95)]).step == 3
    assert course.locked(found[:3]) is None and course.locked([]) is None


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"n_step": 0}, "n_step is 0: a copier takes 1 to 2000."),
        ({"d_model": 9}, "A width of 9 cannot be shared evenly by 2 heads."),
        ({"rate": 0.0}, "The learning rate is 0.0: it has to be above 0, and at most 10."),
        ({"rate": float("nan")}, "The learning rate is nan: it has to be above 0, and at most 10."),
    ],
)
def test_what_cannot_be_trained_gets_a_sentence(changed, sentence):
    with pytest.raises(course.LabError) as raised:
        replace(SHORT, **changed)
    assert str(raised.value) == sentence


def test_a_loss_that_runs_away_ends_the_training_and_keeps_what_was_before():
    kept, steps = [], course.train(replace(SHORT, rate=10.0, n_step=200))
    with pytest.raises(
        course.LabError, match=r"^The loss is ([\d,]+|no number) at step [\d,]+, where to guess costs 3\.5: a learning"
    ):
        for checkpoint in steps:
            kept.append(checkpoint)
    assert kept and kept[-1].trained < course.LOST


def test_a_loss_that_is_no_number_is_called_so():
    checkpoint = list(course.train(replace(SHORT, n_step=1)))[-1]
    course.check(checkpoint, 10.0)
    with pytest.raises(course.LabError) as raised:
        course.check(replace(checkpoint, trained=float("nan")), 10.0)
    assert str(raised.value) == (
        "The loss is no number at step 1, where to guess costs 3.5: a learning rate of 10 is likely too high. The "
        "checkpoints before are kept."
    )
