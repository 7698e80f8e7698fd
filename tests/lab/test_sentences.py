"""A few lines learned by heart: that they are, what is said of each token, and what is refused with a sentence."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from model.lab import finished, sentences
from model.lab.course import LabError
from model.lab.sentences import LINES, UNITS, Checkpoint, Run, Settings

FAST = Settings(rate=3e-3, n_step=60)


def trained(settings: Settings) -> tuple[Run, list[Checkpoint]]:
    run = sentences.begin(settings)
    return run, list(run.learner.steps(settings.n_step))


@pytest.fixture(scope="module")
def learned() -> tuple[Run, list[Checkpoint]]:
    return trained(FAST)


def labels(run: Run, ids) -> list[str]:
    return [run.vocabulary.token(id).label for id in ids]


def names(tokens) -> list[str]:
    return [token.label.lstrip("␣↵") for token in tokens]


@pytest.mark.parametrize(("units", "n_step"), [("words", 60), ("characters", 150), ("pieces", 60)])
def test_each_line_is_continued_from_its_first_word(units, n_step):
    run, checkpoints = trained(replace(FAST, units=units, n_step=n_step))
    (written,) = checkpoints[-1].written
    rows = [[token.id for token in row] for row in run.text.rows]
    assert [list(ids) for ids in written] == [rows[line.row][line.given : line.end] for line in run.text.lines]
    begun = [row[line.first : line.given] for line in run.text.lines for row in [run.text.rows[line.row]]]
    assert [names(tokens) for tokens in begun] == [["I"]] * 3
    assert checkpoints[-1].loss() < 0.1 < 2 < checkpoints[0].loss()
    assert list(checkpoints[0].written) != list(checkpoints[-1].written)


@pytest.mark.parametrize("units", UNITS)
def test_where_lines_begin_and_end(units):
    lines = ["Die Öfen ☺ glühen!", "x", "naïve, don't"]
    vocabulary = sentences.vocabulary_of(lines, units)
    for apart in (False, True):
        text = sentences.text_of(vocabulary, lines, apart=apart)
        assert len(text.rows) == (3 if apart else 1) and len(text.lines) == 3
        for line, place, first_word in zip(lines, text.lines, ("Die", "x", "naïve"), strict=True):
            tokens = [token for token in text.rows[place.row][place.first : place.end] if not token.special]
            said = b"".join(token.piece for token in tokens).decode().strip()
            assert said == line
            given = text.rows[place.row][place.first : place.given]
            assert b"".join(token.piece for token in given).decode().strip() == first_word
        assert all(row[-1].id == vocabulary.end_of_text for row in text.rows)


def test_losses_are_cross_entropies(learned):
    run, checkpoints = learned
    transformer = sentences.language_model(run, "Lines").transformer
    ids = torch.tensor([[token.id for token in run.text.rows[0]]])
    with torch.no_grad():
        log_p = F.log_softmax(transformer(ids)[0][0].double(), -1)
    by_hand = [-float(log_p[t - 1, ids[0, t]]) for t in range(1, ids.shape[1])]
    assert checkpoints[-1].losses[0] == pytest.approx(by_hand, abs=1e-4)
    assert len(run.text.targets) == len(by_hand)


def test_lines_by_themselves_have_a_least_loss():
    run, checkpoints = trained(replace(FAST, apart=True, n_step=150))
    best = run.text.best()
    alike = [i for i, nats in enumerate(best) if nats]
    assert names(run.text.targets[i] for i in alike) == ["am", "love", "will"]
    assert best[alike] == pytest.approx(np.log(3))
    assert best.mean() <= checkpoints[-1].loss() < best.mean() + 0.1
    assert not sentences.begin(Settings()).text.best().any()


def test_a_row_alone_is_read_as_it_is_in_a_batch():
    run, _ = trained(replace(FAST, apart=True, n_step=2))
    transformer = sentences.language_model(run, "Lines").transformer
    alone = [sentences.text_of(run.vocabulary, [line]) for line in LINES]
    with torch.no_grad():
        together = sentences.losses(transformer, run.text)
        assert torch.allclose(together, torch.cat([sentences.losses(transformer, text) for text in alone]), atol=1e-5)


def test_a_word_that_it_never_saw_is_the_unknown_token(learned):
    run, _ = learned
    lm = sentences.language_model(run, "Lines")
    one, other = (lm.encode(f"I am a {word}.") for word in ("teacher", "zebra"))
    assert names(one) == ["I", "am", "a", "[UNK]", "."]
    assert [token.id for token in one] == [token.id for token in other]
    assert run.vocabulary.unk_token_id == one[3].id
    assert np.array_equal(lm.run(one).hidden, lm.run(other).hidden)


def test_pages_read_it_as_it_was_trained(learned):
    run, checkpoints = learned
    lm = sentences.language_model(run, "Lines")
    read = lm.run(lm.encode("\n".join(LINES)))
    assert -read.predictions.next_log_prob[:-1] == pytest.approx(checkpoints[-1].losses[0][:-1], abs=1e-4)
    assert lm.info.n_parameter == sum(tensor.numel() for tensor in run.learner.kept.values())
    other = sentences.language_model(trained(replace(FAST, n_step=1))[0], "Lines")
    assert other.info.fingerprint != lm.info.fingerprint


def test_to_go_on_is_to_have_gone_on():
    straight, _ = trained(replace(FAST, n_step=20))
    run, checkpoints = trained(replace(FAST, n_step=12))
    checkpoints += islice(run.learner.each_step(8, every=5), 4)
    checkpoints += run.learner.each_step(4, every=5)
    assert [each and each.step for each in checkpoints] == [*range(13), None, None, 15, None, None, None, None, 20]
    assert all(torch.equal(run.learner.kept[name], tensor) for name, tensor in straight.learner.kept.items())


@pytest.mark.parametrize("n_step", [0, 1, 30, 31, 61, 2000])
def test_there_are_as_many_checkpoints_as_are_said(n_step):
    every = sentences.every_few(n_step)
    steps = {0, n_step, *range(0, n_step + 1, every)}
    assert sentences.n_checkpoints(n_step) == len(steps) <= 32


def test_zero_steps_leave_random_numbers():
    run, checkpoints = trained(replace(FAST, n_step=0))
    assert [checkpoint.step for checkpoint in checkpoints] == [0]
    assert checkpoints[0].loss() == pytest.approx(np.log(run.vocabulary.n_vocab), abs=0.5)


def test_fine_tuned_on_another_sentence_it_gains_there_and_forgets(learned):
    run, checkpoints = learned
    before = {name: tensor.clone() for name, tensor in run.learner.kept.items()}
    tuned = sentences.fine_tuned(run, sentences.OTHER, 1e-3)
    course = list(tuned.learner.steps(20))
    assert course[0].loss(0) == pytest.approx(checkpoints[-1].loss(), abs=1e-5)
    assert course[-1].loss(1) < 0.1 < course[0].loss(1) and course[-1].loss(0) > course[0].loss(0) + 0.5
    assert labels(run, course[-1].written[1][0])[:4] == ["love", "to", "graduate", "soon"]
    assert all(torch.equal(run.learner.kept[name], tensor) for name, tensor in before.items())


def test_fine_tuning_adds_no_word(learned):
    run, _ = learned
    tuned = sentences.fine_tuned(run, "I am a teacher", 1e-3)
    assert names(tuned.text.rows[0]) == ["I", "am", "a", "[UNK]", "<s>"]


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("", "There is no line to learn: type at least one, of two words or more."),
        (" \n\n  \t", "There is no line to learn: type at least one, of two words or more."),
        ("one line\n" * 10_000, "These are 10,000 lines of 80,000 characters: at most 30 lines of 2,000 characters"),
        ("x" * 2001, "These are 1 lines of 2,001 characters"),
    ],
)
def test_lines_that_cannot_be_learned_are_refused(typed, sentence):
    with pytest.raises(LabError, match=sentence):
        sentences.lines_of(typed)


def test_empty_lines_are_dropped():
    assert sentences.lines_of("  one two \r\n\n three") == ("one two", "three")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"lines": ("word",)}, "Of one token, nothing is left to predict but the end"),
        ({"lines": ("word", "other"), "apart": True}, "Of one token, nothing is left"),
        ({"lines": ("x " * 200,), "units": "characters"}, "These are 401 tokens with the end: at most 256"),
        ({"rate": 0.0}, "The learning rate is 0: it has to be above 0, and at most 10."),
        ({"rate": float("nan")}, "The learning rate is nan"),
        ({"n_step": 2001}, "These are 2,001 steps: at most 2,000"),
    ],
)
def test_what_cannot_be_trained_is_refused(change, sentence):
    with pytest.raises(LabError, match=sentence):
        sentences.begin(replace(Settings(), **change))


def test_a_word_of_many_characters_is_enough():
    run, checkpoints = trained(replace(FAST, lines=("word",), units="characters", n_step=4))
    assert len(run.text.targets) == 4 and checkpoints[-1].written[0] == ((run.vocabulary.end_of_text,),)


@pytest.mark.parametrize("rate", [1.0, 10.0])
def test_a_rate_that_is_too_high_is_said_and_the_last_good_checkpoint_kept(rate):
    run, seen = sentences.begin(replace(FAST, rate=rate)), []
    with pytest.raises(LabError, match=rf"the loss is .* a learning rate of {rate:g} is likely too high\. The last"):
        for checkpoint in run.learner.steps(60, every=1):
            seen.append((checkpoint, run.learner.kept))
    checkpoint, weights = seen[-1]
    assert run.learner.step == checkpoint.step and run.learner.kept is weights
    assert all(tensor.isfinite().all() for tensor in weights.values())
    again = sentences.losses(sentences.language_model(run, "Lines").transformer, run.text)
    assert again.numpy() == pytest.approx(checkpoint.losses[0], rel=1e-4)


def test_a_loss_that_is_no_number_is_said():
    run = sentences.begin(FAST)
    course = run.learner.steps(10, every=1)
    next(course), next(course)
    with torch.no_grad():
        run.learner._transformer.final_norm.weight[0] = torch.nan
    with pytest.raises(LabError, match="After 1 step the loss is no number"):
        next(course)
    assert run.learner.step == 1 and all(tensor.isfinite().all() for tensor in run.learner.kept.values())


def test_the_same_seed_gives_the_same_numbers_whatever_torch_draws_elsewhere():
    first = sentences.network(20, 64, seed=3)
    torch.rand(5)
    second, other = sentences.network(20, 64, seed=3), sentences.network(20, 64, seed=4)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first.token_embedding.weight, other.token_embedding.weight)
    stds = {name: float(p.detach().std()) for name, p in first.named_parameters() if p.dim() == 2}
    assert stds["blocks.0.attention.output.weight"] == pytest.approx(0.01, rel=0.1)
    assert stds["blocks.1.mlp.up.weight"] == pytest.approx(0.02, rel=0.1)


def test_the_kept_run_is_of_its_weights():
    kept = finished.finished()
    run, last = kept.run, kept.checkpoints[-1]
    read = sentences.losses(sentences.language_model(run, "Lines").transformer, run.text).numpy()
    assert read == pytest.approx(last.losses[0], abs=2e-3)  # weights are kept in half precision
    assert (
        sentences.write(sentences.language_model(run, "Lines").transformer, run.text, run.vocabulary.end_of_text)
        == (last.written[0])
    )
    assert kept.checkpoints[0].step == 0 and last.step == kept.settings.n_step
    assert kept.tuned[0].losses[0] == pytest.approx(last.losses[0], abs=1e-4)


def test_the_kept_run_is_what_its_settings_give():
    kept = finished.finished()
    run = sentences.begin(kept.settings)
    every = sentences.every_few(kept.settings.n_step)
    again = list(run.learner.steps(2 * every, every=every))
    assert finished.difference(kept.checkpoints, again) < 0.01  # another machine has other last digits
