"""Choosing the next token: the numbers against transformers' own, the draw by hand."""

import ast
import re

import numpy as np
import pytest
import torch
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from model.analysis.generation import NextToken, Sampling, generate, next_token, read_on
from model.analysis.logits import entropy
from model.run import Token
from model.text.prompt import placed
from tests.conftest import ROOT
from viz.figures.generation import growing_text, next_token_bars
from viz.figures.numbers import how_far, percent

LOGITS = np.log(np.array([0.1, 0.4, 0.05, 0.3, 0.15], np.float32))


def transformers_scores(logits: np.ndarray, sampling: Sampling) -> torch.Tensor:
    scores = torch.tensor(logits, dtype=torch.float64)[None]
    scores = TemperatureLogitsWarper(sampling.temperature)(None, scores)
    if sampling.top_k:
        scores = TopKLogitsWarper(sampling.top_k)(None, scores)
    if sampling.top_p < 1:
        scores = TopPLogitsWarper(sampling.top_p)(None, scores)
    return scores[0]


def transformers_chance(logits: np.ndarray, sampling: Sampling) -> np.ndarray:
    return transformers_scores(logits, sampling).softmax(-1).numpy()


@pytest.mark.parametrize("temperature", [0.05, 0.7, 1.0, 2.0])
@pytest.mark.parametrize("top_k", [0, 1, 7, 300, 5000])
@pytest.mark.parametrize("top_p", [0.05, 0.5, 0.9, 1.0])
def test_chances_are_those_of_transformers(temperature, top_k, top_p):
    logits = np.random.default_rng(top_k).normal(0, 3, 300).astype(np.float32)
    sampling = Sampling(temperature, top_k, top_p)
    choice = next_token(logits, sampling)
    np.testing.assert_allclose(choice.chance, transformers_chance(logits, sampling), atol=1e-12)
    assert np.array_equal(choice.kept, transformers_scores(logits, sampling).isfinite())


def test_tokens_that_tie_with_the_kth_stay():
    logits = np.array([1, 3, 2, 2, 0], np.float32)
    sampling = Sampling(top_k=2)
    assert next_token(logits, sampling).kept.tolist() == [False, True, True, True, False]
    np.testing.assert_allclose(next_token(logits, sampling).chance, transformers_chance(logits, sampling))


@pytest.mark.parametrize("top_p, n_kept", [(0.25, 1), (0.5, 2), (0.6, 3), (0.75, 3)])
def test_among_equals_top_p_keeps_as_many_as_it_needs(top_p, n_kept):
    choice = next_token(np.zeros(4, np.float32), Sampling(top_p=top_p))
    assert choice.kept.tolist() == [i < n_kept for i in range(4)]
    assert (transformers_chance(np.zeros(4), Sampling(top_p=top_p)) > 0).sum() == n_kept


def test_top_p_keeps_the_smallest_set_that_holds_the_mass():
    choice = next_token(LOGITS, Sampling(top_p=0.65))
    np.testing.assert_allclose(choice.chance, [0, 4 / 7, 0, 3 / 7, 0], atol=1e-7)
    assert choice.kept.tolist() == [False, True, False, True, False]
    assert choice.mass_kept == pytest.approx(0.7)
    np.testing.assert_allclose(choice.probability, [0.1, 0.4, 0.05, 0.3, 0.15], atol=1e-7)


def test_greedy_takes_the_first_of_the_most_probable():
    choice = next_token(np.array([0, 2, 1, 2], np.float32), Sampling(temperature=0, top_k=3, top_p=0.1))
    assert choice.chance.tolist() == [0, 1, 0, 0]
    assert [choice.pick(number) for number in (0.0, 0.5, 1 - 2**-53)] == [1, 1, 1]
    assert choice.best(3).tolist() == [1, 3, 2]
    assert entropy(choice.chance) == 0


def test_large_logits_and_a_small_temperature_stay_finite():
    choice = next_token(np.array([3e4, -3e4, 2.9e4], np.float32), Sampling(temperature=1e-3))
    assert choice.chance.tolist() == [1, 0, 0]


@pytest.mark.parametrize("wrong", [{"temperature": -1}, {"top_k": -1}, {"top_p": 0}, {"top_p": 1.1}])
def test_what_cannot_be_drawn_from_is_refused(wrong):
    with pytest.raises(ValueError, match="no way to draw"):
        Sampling(**wrong)


def test_a_number_draws_the_token_whose_stretch_it_falls_in():
    choice = next_token(LOGITS, Sampling())
    # end to end, best first: token 1 to 0.4, token 3 to 0.7, token 4 to 0.85, token 0 to 0.95, token 2 to 1
    numbers = (0.0, 0.39, 0.41, 0.69, 0.71, 0.86, 0.96, 1 - 2**-53)
    assert [choice.pick(number) for number in numbers] == [1, 1, 3, 3, 4, 0, 2, 2]
    assert choice.stretch(3) == pytest.approx((0.4, 0.7))
    assert [choice.rank(id) for id in range(5)] == [3, 0, 4, 1, 2]


def test_a_stretch_begins_where_the_one_before_ends():
    choice = NextToken(*[np.array([0.5, 0.25, 0.25])] * 2, np.ones(3, bool))
    assert [choice.pick(number) for number in (0, 0.5, 0.75)] == [0, 1, 2]


def test_what_was_cut_off_is_never_drawn():
    probability = np.array([0.5, 0.3, 0.2])
    choice = NextToken(probability, np.array([1, 0, 0]) * (1 - 1e-15), np.array([True, False, False]))
    assert choice.pick(1 - 2**-53) == 0


def test_steps_tell_what_the_run_of_the_tokens_before_them_says(tiny):
    tokens = tiny.encode("the cat saw")
    sampling = Sampling(temperature=0.8, top_k=50, top_p=0.95)
    before = list(tokens)
    for step in generate(tiny, tokens, 6, sampling, seed=3):
        run, choice = read_on(tiny, before, sampling)
        assert len(run.tokens) == len(before)
        assert choice.pick(step.number) == step.token.id
        assert step.probability == choice.probability[step.token.id]
        assert step.chance == choice.chance[step.token.id] > 0
        assert step.rank == choice.rank(step.token.id)
        start, end = choice.stretch(step.token.id)
        assert start <= step.number < end
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


def test_greedy_generation_follows_the_best_prediction(tiny):
    tokens = tiny.encode("the dog")
    for step in generate(tiny, tokens, 4, Sampling(temperature=0), seed=0):
        assert step.token.id == tiny.run(tokens).predictions.top_id[-1, 0]
        assert (step.rank, step.chance) == (0, 1)
        tokens = (*tokens, step.token)


def test_generation_ends_where_the_context_is_full(tiny):
    tokens = tiny.encode("the " * 30)[:30]
    assert len(list(generate(tiny, tokens, 10, Sampling(), seed=1))) == tiny.info.n_context - 30
    full = (*tokens, *tokens[:2])
    assert list(generate(tiny, full, 10, Sampling(), seed=1)) == []


class EndsAtOnce:
    """A model that wants to end every text."""

    def __init__(self, lm):
        self._lm, self.info = lm, lm.info
        self.run = lm.run

    def token(self, id):
        token = self._lm.token(id)
        return Token(token.id, token.piece, 0, 0, special=True)

    def unembed(self, hidden):
        return self._lm.unembed(hidden)


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
    assert len(exponents) == (path.name == "numbers.py"), exponents


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
