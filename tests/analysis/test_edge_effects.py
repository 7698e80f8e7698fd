"""What taking an edge away does: estimates held to exact differences, on models of several kinds."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

import model
from model.analysis import edge_effects
from model.analysis.edge_effects import MOST_TOKENS, Asked, HeadAt, agreement, all_next, estimate, key_rises, removable
from model.attention_call import Changes
from model.intervention import Ablation, Intervention
from model.language_model import Said
from model.run import Attention, PromptError, Token, VisitorError
from tests.any_models import write_models
from tests.conftest import REPEATED
from tests.head_models import write

TEXT = "the cat saw the dog"


class Nudged(Changes):
    """As trained, but a little is added to the scores of one head."""

    nothing = False
    layer, head, by = 0, 0, None

    def of_call(self, call, kind, layer):
        if (kind, layer) != ("self", self.layer):
            return call
        bias = torch.zeros(1, call.query.shape[1], *self.by.shape)
        bias[:, self.head] = self.by
        return call._replace(bias=bias if call.bias is None else call.bias + bias)


def loss_when_nudged(lm, asked, layer, head, by) -> float:
    changes = Nudged()
    vars(changes).update(layer=layer, head=head, by=by)
    rows, ids = ([getattr(each, name) for each in asked.said] for name in ("position", "id"))
    ids_read = [token.id for token in asked.tokens]
    if hasattr(lm, "opened"):
        logits = lm.opened.logits_alone(ids_read, (), changes, places=rows)[0].numpy()
    else:
        with torch.inference_mode():
            logits = lm.transformer(torch.tensor([ids_read]), changes)[0][0, rows].numpy()
    return edge_effects.cross_entropy(logits, ids)


@pytest.fixture(scope="module", params=["tiny", "gpt2", "llama", "gemma2", "opt"])
def lm(request, tiny, tmp_path_factory):
    """Learned positions, rotations with shared keys, a soft cap with a window."""
    if request.param == "tiny":
        return tiny
    return model.load(write(request.param, tmp_path_factory.mktemp("models")))


def gradient_of(lm, asked, at) -> np.ndarray:
    return edge_effects.head_gradient(lm, asked, at.kind, at.layer)[at.head]


def test_the_gradient_is_what_a_little_less_of_each_score_does(lm):
    """Exact differences: -(∂loss/∂z) / (1 - a) is what the estimate says."""
    run = lm.run(lm.encode(TEXT))
    asked, at = all_next(run), HeadAt("self", 0, 2)
    found = estimate(run.layer(0), 2, gradient_of(lm, asked, at))
    there, step = removable(run.layer(0), 2), 0.05
    for query, key in np.argwhere(there)[::3].tolist():
        by = torch.zeros(there.shape)
        by[query, key] = step
        slope = (loss_when_nudged(lm, asked, 0, 2, by) - loss_when_nudged(lm, asked, 0, 2, -by)) / (2 * step)
        expected = -slope / (1 - found.weights[query, key])
        assert found.rise[query, key] == pytest.approx(expected, rel=0.02, abs=1e-4)
    assert np.nanmax(np.abs(found.rise)) > 1e-3


def test_it_orders_all_edges_as_the_exact_effects_do(lm):
    run = lm.run(lm.encode(TEXT))
    asked, at = all_next(run), HeadAt("self", 0, 1)
    found, there = estimate(run.layer(0), 1, gradient_of(lm, asked, at)), removable(run.layer(0), 1)
    exact = np.full(there.shape, np.nan)
    for query in np.flatnonzero(there.any(1)).tolist():
        keys = np.flatnonzero(there[query]).tolist()
        exact[query, keys] = key_rises(lm, asked, at, query, keys)[1]
    assert (np.isnan(found.rise) == np.isnan(exact)).all()
    assert agreement(found.rise, exact).signed > 0.8


@pytest.mark.parametrize("kind", ["self", "encoder", "cross"])
def test_every_attention_of_an_encoder_decoder(tiny_translator, kind):
    lm = tiny_translator
    run = lm.run((lm.start_token(), *lm.encode("a dog sat")), source=lm.encode(TEXT))
    asked, at = all_next(run), HeadAt(kind, 2, 1)
    found = estimate(run.layers(kind)[2], 1, gradient_of(lm, asked, at))
    trained, (rise,) = key_rises(lm, asked, at, 3, [1])
    edge = frozenset({(2, 1, 3, 1)})
    change = Intervention(edges_off=edge) if kind == "self" else Intervention(**{kind: Ablation(edges_off=edge)})
    changed = lm.run(run.tokens, change, run.source)
    assert trained == pytest.approx(run.predictions.loss, abs=1e-4)
    assert rise == pytest.approx(changed.predictions.loss - trained, abs=1e-4)
    assert found.rise[3, 1] == pytest.approx(rise, rel=0.5, abs=0.02)


def test_an_encoder_s_guess_and_two_texts_of_transformers(tmp_path):
    bert, t5 = (model.load(write(name, tmp_path)) for name in ("bert", "t5"))
    run = bert.run(bert.encode("the cat saw the [MASK]"))
    place = next(t for t, token in enumerate(run.tokens) if token.id == bert.mask_token().id)
    asked, at = edge_effects.one(run, Said(int(run.predictions.top_id[place, 0]), place)), HeadAt("self", 0, 1)
    found = estimate(run.layer(0), 1, gradient_of(bert, asked, at))
    keys = list(range(len(run.tokens)))
    trained, rises = key_rises(bert, asked, at, place, keys)
    assert trained == pytest.approx(-run.predictions.top_log_prob[place, 0], abs=1e-4)
    assert agreement(found.rise[place], np.array(rises)).signed > 0.8
    run = t5.run((t5.start_token(), *t5.encode("the dog")), source=t5.encode(TEXT))
    asked, at = all_next(run), HeadAt("cross", 1, 0)
    found = estimate(run.layers("cross")[1], 0, gradient_of(t5, asked, at))
    rise = key_rises(t5, asked, at, 1, [2])[1][0]
    assert found.rise[1, 2] == pytest.approx(rise, rel=0.5, abs=0.02)


def random_layer(seed: int, sink: bool = False) -> tuple[Attention, np.ndarray]:
    """Sharp attention, and a gradient."""
    rng = np.random.default_rng(seed)
    query, key, value = rng.normal(size=(3, 2, 5, 4)).astype(np.float32)
    score = rng.normal(size=(2, 1)).astype(np.float32) if sink else None
    return Attention(4 * query, 4 * key, value, 1.0, True, sink_score=score), rng.normal(size=(5, 4))


@pytest.mark.parametrize("sink", [False, True])
def test_where_all_behind_the_head_is_linear_the_estimate_is_exact(sink):
    for seed in range(20):
        layer, gradient = random_layer(seed, sink)
        found = estimate(layer, 1, gradient)
        values = np.concatenate([layer.value[1], np.zeros((int(sink), 4))])
        for query, key in np.argwhere(~np.isnan(found.rise)):
            scores = np.log(found.weights[query].clip(1e-300))
            scores[key] = -np.inf
            without = np.exp(scores - scores.max())
            change = (without / without.sum() - found.weights[query]) @ values
            assert found.rise[query, key] == pytest.approx(gradient[query] @ change, rel=1e-5, abs=1e-6)


def test_a_weight_that_is_almost_all_of_a_row_has_its_full_effect():
    """The gradient of its score is almost none."""
    query = np.array([[[1.0]] * 3], np.float32)
    key = np.array([[[0.0], [30.0], [0.0]]], np.float32)
    layer = Attention(query, key, np.array([[[1.0], [5.0], [3.0]]], np.float32), 1.0, True)
    found = estimate(layer, 0, np.ones((3, 1)))
    assert found.weights[2, 1] == 1  # in single precision
    assert found.rise[2, 1] == pytest.approx(2 - 5, rel=1e-6)  # the mean of 1 and 3 in place of 5
    assert np.isnan(found.rise[0]).all()  # it sees itself alone
    assert np.isnan(found.rise[1, 2]) and found.counts.all()


def test_queries_on_which_nothing_depends_are_told(tiny):
    run = tiny.run(tiny.encode(REPEATED))
    asked = edge_effects.one(run, Said(3, 4))
    assert estimate(run.layer(2), 0, gradient_of(tiny, asked, HeadAt("self", 2, 0))).counts.nonzero()[0].tolist() == [4]
    counts = estimate(run.layer(1), 0, gradient_of(tiny, asked, HeadAt("self", 1, 0))).counts
    assert counts.nonzero()[0].tolist() == [0, 1, 2, 3, 4]


@given(st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), min_size=3, max_size=20))
def test_agreement_is_scipy_s(pairs):
    a, b = np.array([*pairs, (np.nan, 1)], float).T
    found = agreement(a, b)
    assert found.n == len(pairs)
    for ours, one, other in ((found.signed, a, b), (found.size, np.abs(a), np.abs(b))):
        if len(set(one[:-1])) > 1 and len(set(other[:-1])) > 1:
            assert ours == pytest.approx(spearmanr(one[:-1], other[:-1]).statistic)
        else:
            assert np.isnan(ours)


def test_what_cannot_be_asked_is_a_sentence(tiny, tmp_path):
    with pytest.raises(PromptError, match="no next token to foresee"):
        all_next(tiny.run(tiny.encode("the")[:1]))
    with pytest.raises(PromptError, match=f"300 tokens here, and of {MOST_TOKENS} at most"):
        Asked((Token(1, b"", 0, 0),) * 300, (), (Said(0, 0),))
    bloom = model.load(write("bloom", tmp_path))
    run = bloom.run(bloom.encode(TEXT))
    asked, at = all_next(run), HeadAt("self", 0, 0)
    for ask in (partial(key_rises, bloom, asked, at, 1, [0]), partial(gradient_of, bloom, asked, at)):
        with pytest.raises(VisitorError, match="attention in code of its own"):
            ask()
    with pytest.raises(VisitorError, match="no values are kept"):
        estimate(run.layer(0), 0, np.zeros((5, 8)))
    assert len(list(edge_effects.losses(bloom, asked, [at.off()]))) == 1  # whole heads can be taken away
    headless = model.load(write_models(tmp_path / "more") / "headless")
    with pytest.raises(VisitorError, match="no language-model head"):
        gradient_of(headless, all_next(headless.run(headless.encode(TEXT))), at)
