"""The loss without each head, held to runs one by one; and ranks, held to scipy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

import model
from model import catalog
from model.analysis.knock_out import Reading, cross_entropy, losses, rank_correlation, second_copy, whole
from model.intervention import Ablation, Intervention
from model.run import VisitorError
from model.text.passages import repeated_at_random
from tests.conftest import REPEATED


def every_head(lm) -> list[frozenset]:
    return [frozenset(), *(frozenset({(a, b)}) for a in range(lm.info.n_layer) for b in range(lm.info.n_head))]


def test_all_heads_together_are_what_runs_one_by_one_say(tiny):
    tokens, off = tiny.encode(REPEATED), every_head(tiny)
    found = list(losses(tiny, whole(tokens), off))
    for heads, loss in zip(off, found, strict=True):
        assert loss == pytest.approx(tiny.run(tokens, Intervention(heads_off=heads)).predictions.loss, abs=1e-4)
    assert len(set(found)) > 10  # heads differ


def test_of_transformers_models_too(tiny_gpt2):
    lm = model.load(tiny_gpt2)
    tokens, off = lm.encode(REPEATED), every_head(lm)
    for heads, loss in zip(off, losses(lm, whole(tokens), off), strict=True):
        assert loss == pytest.approx(lm.run(tokens, Intervention(heads_off=heads)).predictions.loss, abs=1e-4)


@pytest.mark.parametrize("kind", ["encoder", "cross"])
def test_the_other_attention_of_an_encoder_decoder(tiny_translator, kind):
    lm = tiny_translator
    source = lm.encode("the cat saw the dog")
    tokens = (lm.start_token(), *lm.encode("a dog sat"))
    off = [frozenset(), frozenset({(1, 2)})]
    found = list(losses(lm, whole(tokens, source), off, kind))
    changed = lm.run(tokens, Intervention(**{kind: Ablation(heads_off=off[1])}), source)
    assert found[1] == pytest.approx(changed.predictions.loss, abs=1e-4) and found[0] != found[1]


def test_of_random_tokens_only_the_second_time_counts_and_not_its_first(story):
    text = repeated_at_random(story, 1)[0]
    reading = second_copy(text)
    half = len(text) // 2
    assert reading.foreseen == tuple(range(half + 1, len(text)))
    logits = story.unembed(story.run(text).stream[-1])
    expected = cross_entropy(logits[half:-1], [token.id for token in text[half + 1 :]])
    assert next(losses(story, reading, [frozenset()])) == pytest.approx(expected, abs=1e-4)


def test_what_foresees_nothing_says_so(story):
    encoder = catalog.load("encoder")
    with pytest.raises(VisitorError, match="foresees no next token"):
        next(losses(encoder, whole(encoder.encode("the cat")), [frozenset()]))
    with pytest.raises(VisitorError, match="one token"):
        whole(story.encode("the")[:1])
    with pytest.raises(ValueError, match="cannot be foreseen"):
        Reading(tuple(story.encode("the cat")), (), (0,))


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=3, max_size=30))
def test_ranks_are_correlated_as_scipy_does(pairs):
    a, b = np.array(pairs, float).T
    if len(set(a)) < 2 or len(set(b)) < 2:
        assert np.isnan(rank_correlation(a, b))
    else:
        assert rank_correlation(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert np.isnan(rank_correlation(a[:2], b[:2]))
