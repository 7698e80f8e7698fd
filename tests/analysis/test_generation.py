"""Text written token by token: what each step tells, the same by any way, several at once."""

import ast
import re
from dataclasses import replace

import numpy as np
import pytest

from model.analysis.attention import attention_weights
from model.analysis.generation import generate, read_on, samples
from model.analysis.logits import entropy
from model.analysis.sampling import Sampling
from model.intervention import Intervention
from model.run import Token
from model.text.prompt import placed
from tests.conftest import ROOT
from viz.figures.generation import growing_text, next_token_bars
from viz.figures.numbers import decimals, how_far, percent


def test_steps_tell_what_the_run_of_the_tokens_before_them_says(tiny):
    tokens = tiny.encode("the cat saw")
    sampling = Sampling(temperature=0.8, top_k=50, top_p=0.95)
    before = list(tokens)
    for step in generate(tiny, tokens, 6, sampling, seed=3):
        run, choice = read_on(tiny, before, sampling)
        assert len(run.tokens) == len(before)
        assert choice.pick(step.number) == step.token.id
        # with a cache the last digits may be others
        assert step.probability == pytest.approx(choice.probability[step.token.id], rel=1e-5)
        assert step.chance == pytest.approx(choice.chance[step.token.id], rel=1e-5) and step.chance > 0
        assert step.rank == choice.rank(step.token.id)
        start, end = choice.stretch(step.token.id)
        assert start - 1e-6 <= step.number < end + 1e-6
        before.append(step.token)
    assert len(before) == len(tokens) + 6


def test_the_same_seed_gives_the_same_text_in_one_go_or_one_by_one(tiny):
    tokens = tiny.encode("the dog")

    def ids(n, seed, start=tokens):
        return [step.token.id for step in generate(tiny, start, n, Sampling(), seed)]

    in_one_go = ids(8, seed=7)
    assert in_one_go == ids(8, seed=7)
    assert in_one_go != ids(8, seed=8)
    assert len({step.number for step in generate(tiny, tokens, 8, Sampling(), 7)}) == 8
    grown = list(tokens)
    for _ in range(8):
        (step,) = generate(tiny, grown, 1, Sampling(), 7)
        grown.append(step.token)
    assert [token.id for token in grown[len(tokens) :]] == in_one_go


def test_what_is_written_behind_a_run_makes_it_the_run_of_all(tiny, monkeypatch):
    monkeypatch.setattr("model.builtin.decoding._ROOM", 2)  # what is kept has to be moved on the way
    text, sampling = tiny.encode("the cat saw"), Sampling(0.8)
    recording, tokens = tiny.go_on(tiny.run(text)), list(text)
    assert recording.run().tokens == text
    for n in (1, 6):  # looked at, and then gone on with
        steps = list(generate(tiny, tokens, n, sampling, 3, decoding=recording))
        alone = generate(tiny, tokens, n, sampling, 3)
        assert [step.token for step in steps] == [step.token for step in alone]
        recording.write([steps[-1].token.id])
        tokens += [step.token for step in steps]
        grown, whole = recording.run(), tiny.run(tokens)
        assert grown.tokens == whole.tokens
        np.testing.assert_allclose(grown.hidden, whole.hidden, atol=1e-5)
        for ours, theirs in zip(grown.attention, whole.attention, strict=True):
            for each in ("query", "key", "value"):
                np.testing.assert_allclose(getattr(ours, each), getattr(theirs, each), atol=1e-5)
        ours, theirs = grown.predictions, whole.predictions
        np.testing.assert_allclose(ours.next_log_prob, theirs.next_log_prob, atol=1e-4)
        np.testing.assert_allclose(ours.top_log_prob, theirs.top_log_prob, atol=1e-4)
        assert ours.next_rank.tolist() == theirs.next_rank.tolist()


def test_so_is_the_attention_of_any_text_that_is_written(tiny):
    tokens = tiny.encode("the cat saw")
    decoding = tiny.decoding(tokens[:1])
    for token in tokens[1:]:
        decoding.write([token.id])
    for ours, theirs in zip(decoding.attention(), tiny.run(tokens).attention, strict=True):
        np.testing.assert_allclose(attention_weights(ours, 0), attention_weights(theirs, 0), atol=1e-6)


def test_behind_a_run_that_was_changed_nothing_is_written(tiny):
    tokens = tiny.encode("the dog")
    changed = tiny.run(tokens, Intervention(heads_off=frozenset({(0, 0)})))
    with pytest.raises(ValueError, match="as it was trained"):
        tiny.go_on(changed)


def test_greedy_generation_follows_the_best_prediction(tiny):
    tokens = tiny.encode("the dog")
    for step in generate(tiny, tokens, 4, Sampling(temperature=0), seed=0):
        assert step.token.id == tiny.run(tokens).predictions.top_id[-1, 0]
        assert (step.rank, step.chance) == (0, 1)
        tokens = (*tokens, step.token)


def test_several_at_once_are_each_what_its_seed_makes_alone(tiny):
    tokens, seeds = tiny.encode("the dog"), [3, 7, 3, 11]
    together = list(samples(tiny, tokens, 8, Sampling(), seeds))
    for i, seed in enumerate(seeds):
        alone = [step.token for step in generate(tiny, tokens, 8, Sampling(), seed)]
        assert [steps[i].token for steps in together if steps[i]] == alone


class EndsOneInFour:
    """Of every four entries of its vocabulary, one ends a text."""

    def __init__(self, lm):
        self._lm, self.info, self.logits = lm, lm.info, lm.logits

    def token(self, id):
        return replace(self._lm.token(id), special=id % 4 == 0)


def test_of_several_one_may_end_before_the_others(tiny):
    lm, tokens, seeds = EndsOneInFour(tiny), tiny.encode("the dog"), range(8)
    together = list(samples(lm, tokens, 12, Sampling(), seeds))
    lengths = []
    for i, seed in enumerate(seeds):
        alone = list(generate(lm, tokens, 12, Sampling(), seed))
        assert [steps[i] for steps in together[: len(alone)]] == alone
        assert not any(steps[i] for steps in together[len(alone) :])
        lengths.append(len(alone))
    assert len(together) == max(lengths) > min(lengths)


def test_it_stops_once_a_stop_was_written(tiny):
    tokens, seed = tiny.encode("the dog"), 0
    whole = list(generate(tiny, tokens, 25, Sampling(), seed))
    stop = next(text for step in whole[3:] if (text := step.token.piece.decode(errors="ignore")))
    part = list(generate(tiny, tokens, 25, Sampling(), seed, stops=("never written", stop)))
    assert part == whole[: len(part)] and len(part) < len(whole)
    said, before = (b"".join(step.token.piece for step in some) for some in (part, part[:-1]))
    assert stop.encode() in said and stop.encode() not in before
    with pytest.raises(ValueError, match="an empty text"):
        list(generate(tiny, tokens, 12, Sampling(), seed, stops=("",)))


def test_candidates_are_the_best_and_the_rest_is_one_number(tiny):
    sampling = Sampling(0.7, top_k=3)
    tokens = tiny.encode("the dog")
    (step,) = generate(tiny, tokens, 1, sampling, 0)
    _, choice = read_on(tiny, tokens, sampling)
    its = step.candidates
    assert its.ids.tolist() == choice.best(len(its.ids)).tolist()
    np.testing.assert_allclose(its.probability, choice.probability[its.ids], rtol=1e-4)
    np.testing.assert_allclose(its.chance, choice.chance[its.ids], rtol=1e-4)
    assert its.cut_by == (None,) * 3 + ("top_k",) * (len(its.ids) - 3)
    assert its.entropy == pytest.approx(entropy(choice.probability), rel=1e-4)


def test_generation_ends_where_the_context_is_full(tiny):
    tokens = tiny.encode("the " * 30)[:30]
    assert len(list(generate(tiny, tokens, 10, Sampling(), seed=1))) == tiny.info.n_context - 30
    full = (*tokens, *tokens[:2])
    assert list(generate(tiny, full, 10, Sampling(), seed=1)) == []


class EndsAtOnce:
    """A model that wants to end every text."""

    def __init__(self, lm):
        self._lm, self.info = lm, lm.info

    def token(self, id):
        token = self._lm.token(id)
        return Token(token.id, token.piece, 0, 0, special=True)

    def logits(self, *args, **options):
        return self._lm.logits(*args, **options)


def test_generation_ends_with_the_end_of_the_text(tiny):
    (step,) = generate(EndsAtOnce(tiny), tiny.encode("the cat"), 10, Sampling(), seed=0)
    assert step.token.special


def test_generated_tokens_know_their_place():
    smile = "🙂".encode()
    pieces, tokens = [b"ab", smile[:2], smile[2:], b" c"], []
    for piece in pieces:
        tokens.append(placed(Token(0, piece, 0, 0), tokens))
    assert [(token.start, token.end) for token in tokens] == [(0, 2), (2, 3), (2, 3), (3, 5)]
    end = placed(Token(1, b"<|endoftext|>", 0, 0, special=True), tokens)
    assert (end.start, end.end) == (5, 5)


def test_percentages_are_readable():
    written = [percent(p) for p in (0, 0.00001, 0.0004, 0.0123, 0.1234, 0.9996, 1)]
    assert written == ["0 %", "< 0.01 %", "0.04 %", "1.2 %", "12.3 %", "> 99.9 %", "100.0 %"]


def test_a_column_has_the_digits_of_its_largest_number():
    assert [decimals(largest) for largest in (1, -0.95, 0.04, -0.0045, 1e-12)] == [3, 3, 4, 5, 6]


def test_only_equal_numbers_are_0_apart():
    assert [how_far(difference) for difference in (0.0, 1.25e-7, 3.0)] == ["0", "1.2e-07", "3.0e+00"]


@pytest.mark.parametrize("path", sorted((ROOT / "viz").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_differences_are_written_in_one_place(path):
    """Else an exact 0 would be written as 0.0e+00 somewhere again."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    forms = [
        ast.unparse(node.format_spec)
        for node in ast.walk(tree)
        if isinstance(node, ast.FormattedValue) and node.format_spec
    ]
    exponents = [form for form in forms if re.search(r"\.\d+e", form)]
    assert bool(exponents) == (path.name == "numbers.py"), exponents


def test_bars_of_a_choice():
    labels = ["␣the", "<b>", "␣the"]
    fig = next_token_bars(labels, np.array([0.5, 0.3, 0.001]), np.array([0.7, 0.3, 0.0]), chosen=1)
    probability, chance = fig.data
    assert probability.name == "the model's probability"
    assert list(probability.x) == [0.5, 0.3, 0.001]
    assert list(chance.x) == [0.7, 0.3, 0]
    assert list(chance.y) == [0, 1, 2]  # equal tokens keep their rows
    assert list(chance.text) == ["70.0 %", "30.0 %", "0 %"]
    assert list(fig.layout.yaxis.ticktext) == ["␣the", "<b>▸ &lt;b&gt;</b>", "␣the"]
    assert fig.layout.yaxis.range[0] > fig.layout.yaxis.range[1]  # the best on top


def test_the_growing_text_is_text():
    shown = growing_text("<script>alert(1)</script>\x07", "<b>\n\x00", "dark")
    assert "<script" not in shown and "<b>" not in shown
    assert "&lt;script&gt;" in shown and "␇" in shown and "␀" in shown
    assert len(growing_text("a" * 10_000, "", "light")) < 2_000
