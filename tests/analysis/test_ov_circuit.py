"""Copying from the parameters, held to the whole V x V matrix; and refused where it would not be true."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from model.analysis.ov_circuit import copying
from model.grid import Grid
from model.layer import LayerParameters, Norm
from model.run import VisitorError

V, D, H, K = 30, 12, 2, 3
BENT = np.random.default_rng(1).normal(size=(D, V)).astype(np.float32)


def hand_made(sign: float, unembed=None) -> SimpleNamespace:
    """A model without norms whose heads write back, times a sign, what of a token vector lies along K directions."""
    rng = np.random.default_rng(0)
    embedding = rng.normal(size=(V, D)).astype(np.float32)
    along = rng.normal(size=(H, K, D)).astype(np.float32)
    parameters = LayerParameters(
        None, along, None, along, None, along, None, np.ascontiguousarray(sign * along.transpose(0, 2, 1)), None
    )
    info = SimpleNamespace(n_layer=1, n_head=H, n_vocab=V, d_model=D, family="decoder", grid=Grid(1, H))
    return SimpleNamespace(
        info=info,
        embeddings=lambda: (embedding, None),
        unembed=unembed or (lambda x: x @ embedding.T + 1),
        layer_parameters=lambda layer: parameters,
    )


def test_a_head_that_writes_back_what_it_read_copies_and_its_opposite_does_the_contrary():
    np.testing.assert_allclose(copying(hand_made(1.0)).value, 1, atol=1e-5)
    np.testing.assert_allclose(copying(hand_made(-1.0)).value, -1, atol=1e-5)


def test_it_is_what_the_eigenvalues_of_the_whole_matrix_say(tiny):
    found = copying(tiny)
    embedding = tiny.embeddings()[0].astype(np.float64)
    embedding -= embedding.mean(-1, keepdims=True)
    embedding /= np.sqrt((embedding**2).mean(-1, keepdims=True))
    centred = np.eye(tiny.info.d_model) - 1 / tiny.info.d_model
    unembedding = tiny.unembed(1000 * np.eye(tiny.info.d_model, dtype=np.float32)) - tiny.unembed(
        np.zeros((1, tiny.info.d_model), np.float32)
    )  # (D, V)
    for layer in range(tiny.info.n_layer):
        parameters = tiny.layer_parameters(layer)
        for head in range(tiny.info.n_head):
            value = parameters.value_weight[head] * parameters.norm.gain @ centred  # (K, D)
            whole = embedding @ value.T @ parameters.output_weight[head].T @ unembedding  # (V, V)
            eigenvalues = np.linalg.eigvals(whole)
            expected = eigenvalues.sum().real / np.abs(eigenvalues).sum()
            assert found.value[layer, head] == pytest.approx(expected, abs=2e-3)
    assert found.why == ()


def test_a_bent_way_to_the_logits_is_refused():
    with pytest.raises(VisitorError, match="more than a norm and one matrix"):
        copying(hand_made(1.0, lambda x: np.tanh(x @ BENT)))


def test_a_layer_with_a_norm_behind_it_and_one_that_is_not_followed_have_none():
    lm = hand_made(1.0)
    parameters = lm.layer_parameters(0)
    lm.layer_parameters = lambda layer: replace(parameters, norm_behind=a_norm())
    found = copying(lm)
    assert np.isnan(found.value).all() and "norm stands behind" in found.why[0]


def a_norm():
    return Norm(np.ones(D, np.float32), None, 1e-5)


def test_what_would_take_too_long_says_so():
    lm = hand_made(1.0)
    lm.info.n_vocab, lm.info.d_model = 200_000, 8_192
    with pytest.raises(VisitorError, match="the most that is done here"):
        copying(lm)
