"""What sampling does to logits: the numbers against transformers' own, the draw by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import (
    GenerationConfig,
    GPT2Config,
    GPT2LMHeadModel,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from model.analysis.logits import entropy
from model.analysis.sampling import NextToken, Sampling, next_token

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
    choice = NextToken((), *[np.array([0.5, 0.25, 0.25])] * 2)
    assert [choice.pick(number) for number in (0, 0.5, 0.75)] == [0, 1, 2]


def test_what_was_cut_off_is_never_drawn():
    probability = np.array([0.5, 0.3, 0.2])
    choice = NextToken((), probability, np.array([1, 0, 0]) * (1 - 1e-15))
    assert choice.pick(1 - 2**-53) == 0


@pytest.fixture(scope="module")
def theirs() -> GPT2LMHeadModel:
    torch.manual_seed(0)
    theirs = GPT2LMHeadModel(GPT2Config(vocab_size=60, n_positions=64, n_embd=16, n_layer=1, n_head=2)).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return theirs


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": 0.7, "top_k": 20, "top_p": 0.9, "min_p": 0.02, "typical_p": 0.8},
        {"repetition_penalty": 1.7, "no_repeat_ngram": 2, "temperature": 3.0},
        {"repetition_penalty": 0.6, "no_repeat_ngram": 1, "top_p": 0.95, "min_p": 0.2},
        {"typical_p": 0.3, "no_repeat_ngram": 3},
        {"temperature": 0.0, "repetition_penalty": 1.5, "no_repeat_ngram": 2},
        {"temperature": 1.4, "min_p": 1.0},
    ],
    ids=str,
)
def test_all_that_is_done_is_done_in_transformers_order(theirs, settings):
    sampling, ids = Sampling(**settings), torch.tensor([[5, 9, 5, 9, 7, 5]])
    names = {"no_repeat_ngram": "no_repeat_ngram_size"}
    greedy = sampling.temperature == 0
    asked = {names.get(name, name): value for name, value in settings.items() if not (greedy and name == "temperature")}
    torch.manual_seed(1)
    said = theirs.generate(
        ids,
        GenerationConfig(
            **{"top_k": 0, **asked} if not greedy else asked,
            do_sample=not greedy,
            max_new_tokens=20,
            output_scores=True,
            output_logits=True,
            return_dict_in_generate=True,
            pad_token_id=0,
            eos_token_id=None,
        ),
    )
    for i, (logits, scores) in enumerate(zip(said.logits, said.scores, strict=True)):
        before = said.sequences[0, : ids.shape[1] + i].tolist()
        choice = next_token(logits[0].numpy(), sampling, before)
        if greedy:
            assert choice.pick(0.5) == int(scores[0].argmax()) == int(said.sequences[0, len(before)])
        else:
            np.testing.assert_allclose(choice.chance, scores[0].softmax(-1).numpy(), atol=1e-6)
            assert np.array_equal(choice.kept, scores[0].isfinite().numpy())


def test_each_step_on_the_way_is_told_with_what_it_cut():
    choice = next_token(LOGITS, Sampling(0.5, top_k=4, top_p=0.9, no_repeat_ngram=2), [3, 1, 0, 3])
    assert [name for name, _ in choice.stages] == ["model", "no_repeat_ngram", "temperature", "top_k", "top_p"]
    # 3, 1 was there already; the squares of the others are as 9 : 2.25 : 1 : 0.25, of which the first two hold 0.9
    assert list(choice.cut_by(np.arange(5))) == ["top_p", "no_repeat_ngram", "top_p", None, None]
    assert [each is None for each in choice.cut_by(np.arange(5))] == choice.kept.tolist()


@given(
    st.lists(st.floats(-20, 20), min_size=1, max_size=12),
    st.floats(0.05, 5),
    st.integers(0, 14),
    st.floats(0.01, 1),
    st.floats(0, 1),
    st.floats(0.01, 1),
)
def test_something_can_always_be_drawn_and_chances_sum_to_one(logits, temperature, top_k, top_p, min_p, typical_p):
    choice = next_token(np.array(logits, np.float32), Sampling(temperature, top_k, top_p, min_p, typical_p))
    assert choice.kept.any() and choice.chance.sum() == pytest.approx(1)
    assert choice.kept[choice.pick(0.999)]
    greedy = next_token(np.array(logits, np.float32), Sampling(0.0))
    assert next_token(np.array(logits, np.float32), Sampling(top_k=1)).kept[greedy.pick(0)]


@pytest.mark.parametrize(
    "wrong",
    [{"min_p": -0.1}, {"min_p": 1.1}, {"typical_p": 0}, {"repetition_penalty": 0}, {"no_repeat_ngram": -1}]
    + [{name: float("nan")} for name in ("temperature", "top_p", "min_p", "typical_p", "repetition_penalty")]
    + [{"temperature": float("inf")}],
    ids=str,
)
def test_neither_can_these(wrong):
    with pytest.raises(ValueError, match="no way to draw"):
        Sampling(**wrong)
