"""The second way to a number: by arithmetic of its own, so that it sees what the first does wrong."""

import ast
from dataclasses import replace

import numpy as np
import pytest

from model.analysis.attention import attention_weights
from model.analysis.attention_map import MapSpec, attention_map
from model.analysis.explanation import exact_rows, explain
from model.run import Attention, DenseAttention, Token
from model.text.units import units_of
from tests.conftest import ROOT
from viz.figures.provenance import Check, dense_card

N = 7
TOKENS = [Token(i, b"x", i, i + 1) for i in range(N)]


@pytest.fixture
def record() -> Attention:
    """Every part that scores can have: grouped heads, a window, a cap and a bias of each head's own."""
    rng = np.random.default_rng(0)
    query, key = (rng.standard_normal((n_head, N, 4)).astype(np.float32) for n_head in (4, 2))
    bias = rng.standard_normal((4, N, N)).astype(np.float32)
    return Attention(query, key, key.copy(), 0.6, causal=True, window=4, soft_cap=1.5, bias=bias)


def by_hand(record: Attention, head: int, query: int) -> list[float]:
    """One row, number by number."""
    key = record.key[head // 2]
    scores = {}
    for k in range(N):
        if k <= query and query - k < 4:
            z = sum(float(a) * float(b) for a, b in zip(record.query[head, query], key[k], strict=True)) * 0.6
            scores[k] = 1.5 * np.tanh(z / 1.5) + float(record.bias[head, query, k])
    total = sum(np.exp(z) for z in scores.values())
    return [float(np.exp(scores[k]) / total) if k in scores else 0.0 for k in range(N)]


def test_it_is_the_formula(record):
    for head in range(4):
        ours = exact_rows(record, head, np.arange(N))
        assert ours.dtype == np.float64
        for query in range(N):
            assert ours[query] == pytest.approx(by_hand(record, head, query), abs=1e-12)


def compared(first: Attention, second: Attention, head: int = 3, query: int = 5, key: int = 3) -> Check:
    """What the card compares, if the first way had read `first` where the run holds `second`."""
    spec, units = MapSpec(((0, head),)), units_of(TOKENS, "", "tokens")
    shown = attention_map([first], TOKENS, units, spec).weights[query, key]
    return Check(float(shown), explain([second], TOKENS, spec, [range(query, query + 1)], [range(key, key + 1)]).value)


def test_the_two_ways_agree(record):
    assert all(compared(record, record, head, 5, key).passed for head in range(4) for key in range(N))


def one_off(bias: np.ndarray) -> np.ndarray:
    changed = bias.copy()
    changed[3, 5, 3] += 1e-4
    return changed


@pytest.mark.parametrize(
    "fault",
    [
        lambda r: {"scale": r.scale * 1.0001},
        lambda r: {"causal": False, "window": 0},
        lambda r: {"window": 3},
        lambda r: {"window": 0},
        lambda r: {"soft_cap": 0.0},
        lambda r: {"bias": None},
        lambda r: {"bias": one_off(r.bias)},
        lambda r: {"bias": r.bias[:1].copy()},
        lambda r: {"key": r.key[::-1].copy()},
        lambda r: {"query": np.roll(r.query, 1, axis=0)},
    ],
    ids="scale mask window no-window cap bias one-bias another's-bias another's-keys another's-queries".split(),
)
def test_a_fault_of_the_first_way_is_seen(record, fault):
    """As if the first way took one part of the record for another."""
    assert not compared(replace(record, **fault(record)), record).passed


def test_what_single_precision_cannot_tell_is_seen():
    """Keys far from 0 and close to each other: their large common part takes no part in a softmax, but single
    precision has no digits left for the rest. The first way reads this record wrongly, and the second says so.
    """
    rng = np.random.default_rng(1)
    query = rng.standard_normal((1, N, 4)).astype(np.float32)
    key = (1e6 + np.round(8 * rng.standard_normal((1, N, 4))) / 8).astype(np.float32)  # exact in single precision
    far = Attention(query, key, key.copy(), 0.5, causal=False)
    near = replace(far, key=(key - np.float32(1e6)).copy())  # the same weights: each row's scores less one number
    assert exact_rows(far, 0, np.arange(N)) == pytest.approx(exact_rows(near, 0, np.arange(N)), abs=1e-8)
    assert np.abs(attention_weights(far, 0) - attention_weights(near, 0)).max() > 0.01
    checks = [compared(far, far, 0, query, key) for query in range(N) for key in range(N)]
    assert not all(check.passed for check in checks)
    assert all(compared(near, near, 0, query, key).passed for query in range(N) for key in range(N))


def test_it_takes_nothing_from_the_first_way_but_the_rule():
    tree = ast.parse((ROOT / "model/analysis/explanation.py").read_text(encoding="utf-8"))
    taken = {
        (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module.startswith("model")
        for alias in node.names
    }
    nouns = {("model.run", name) for name in ("DenseAttention", "Layer", "Token")}
    assert taken == nouns | {("model.analysis.attention_map", "MapSpec")}


def test_weights_that_were_given_are_not_said_to_be_made_again():
    """There is nothing to make them from: the check can only say that what is drawn is what was given."""
    weights = np.full((1, 2, 2), 0.5, np.float32)
    value = explain([DenseAttention(weights)], TOKENS[:2], MapSpec(((0, 0),)), [range(1)], [range(1)]).value
    card = dense_card(0.5, 0, 2, Check(0.5, value, dense=True), "a", "b", "")
    assert "read again from the weights that the model gave" in card and "queries and keys in double" not in card
