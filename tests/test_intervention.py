"""Parts of the mechanism taken away: each run against the same model written out once more, by hand, in NumPy."""

import itertools
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from model.analysis.attention import cell_arithmetic, layer_weights
from model.attention_call import Changes
from model.builtin.language_model import BuiltinModel
from model.builtin.transformer import Config, Transformer
from model.intervention import UNCHANGED, Intervention
from model.text.prompt import Prompt, RunKey
from tests.conftest import REPEATED, write_tiny
from viz.ui.session import run_of

HEAD = frozenset({(1, 2)})
CHANGES = {
    "no mask": {"causal_mask": False},
    "no scale": {"scale": False},
    "cold": {"temperature": 0.4},
    "hot": {"temperature": 5.0},
    "no positions": {"positions": False},
    "uniform": {"heads_uniform": HEAD | {(0, 0)}},
    "off": {"heads_off": HEAD | {(2, 3)}},
    "rows": {"rows_off": frozenset({(1, 2, 4), (1, 2, 5), (0, 3, 0)})},
    "edges": {"edges_off": frozenset({(1, 2, 4, 0), (1, 2, 4, 3), (0, 3, 2, 2), (2, 0, 7, 9)})},
}
PAIRS = {
    f"{first} and {second}": CHANGES[first] | CHANGES[second]
    for first, second in itertools.combinations(CHANGES, 2)
    if CHANGES[first].keys() != CHANGES[second].keys()
}
ALL_AT_ONCE = {
    "causal_mask": False,
    "scale": False,
    "temperature": 3.0,
    "positions": False,
    "heads_uniform": HEAD,
    "heads_off": frozenset({(0, 1)}),
    "rows_off": frozenset({(2, 1, 3)}),
    "edges_off": frozenset({(2, 1, 5, 1), (1, 2, 6, 0)}),
}
ALONE = {"nothing": {}, **CHANGES, "all at once": ALL_AT_ONCE}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny(tmp_path_factory.mktemp("decoder") / "tiny")


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory):
    return write_tiny(tmp_path_factory.mktemp("encoder") / "tiny", causal=False)


@pytest.fixture(scope="module")
def lm(folder):
    return BuiltinModel.load(folder)


@pytest.fixture(scope="module")
def encoder(encoder_folder):
    return BuiltinModel.load(encoder_folder)


def by_hand(folder, ids: list[int], change: Intervention, causal: bool) -> tuple[np.ndarray, np.ndarray]:
    """Every head's weights (L, H, T, T) and the logits (T, V), in float64, head by head and with an explicit mask."""
    w = {name: tensor.double().numpy() for name, tensor in load_file(folder / "weights.safetensors").items()}
    n_token, n_layer, n_head, d_head = len(ids), 3, 4, 8
    x = w["token_embedding.weight"][ids]
    if change.positions:
        x = x + w["position_embedding.weight"][:n_token]
    all_weights = np.zeros((n_layer, n_head, n_token, n_token))
    for layer in range(n_layer):
        part = {name.removeprefix(f"blocks.{layer}."): tensor for name, tensor in w.items()}
        normed = norm(x, part, "attention_norm")
        q, k, v = (linear(normed, part, f"attention.{name}") for name in ("query", "key", "value"))
        joined = np.zeros_like(x)
        for head in range(n_head):
            own = slice(head * d_head, (head + 1) * d_head)
            may_look = np.tril(np.ones((n_token, n_token), bool)) if causal and change.causal_mask else True
            may_look = np.broadcast_to(may_look, (n_token, n_token)).copy()
            for its_layer, its_head, query, key in change.edges_off:
                if (its_layer, its_head) == (layer, head):
                    may_look[query, key] = False
            if (layer, head) in change.heads_uniform:
                weights = may_look / may_look.sum(axis=1, keepdims=True)
            else:
                scores = q[:, own] @ k[:, own].T / (np.sqrt(d_head) if change.scale else 1) / change.temperature
                exponentials = np.where(may_look, np.exp(scores - scores.max(axis=1, keepdims=True)), 0)
                weights = exponentials / exponentials.sum(axis=1, keepdims=True)
            all_weights[layer, head] = weights
            joined[:, own] = 0 if (layer, head) in change.heads_off else weights @ v[:, own]
            for its_layer, its_head, query in change.rows_off:
                if (its_layer, its_head) == (layer, head):
                    joined[query, own] = 0
        x = x + linear(joined, part, "attention.output")
        up = linear(norm(x, part, "mlp_norm"), part, "mlp.up")
        gelu = up / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (up + 0.044715 * up**3)))
        x = x + linear(gelu, part, "mlp.down")
    return all_weights, norm(x, w, "final_norm") @ w["token_embedding.weight"].T


def linear(x: np.ndarray, w: dict, name: str) -> np.ndarray:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def norm(x: np.ndarray, w: dict, name: str) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * w[f"{name}.weight"] + w[f"{name}.bias"]


@pytest.mark.parametrize("change", (ALONE | PAIRS).values(), ids=ALONE | PAIRS)
def test_a_changed_run_by_hand(lm, folder, change):
    assert_as_by_hand(lm, folder, Intervention(**change), causal=True)


@pytest.mark.parametrize("change", ALONE.values(), ids=ALONE)
def test_a_changed_encoder_by_hand(encoder, encoder_folder, change):
    """It has no mask, and nothing gives it one."""
    assert_as_by_hand(encoder, encoder_folder, Intervention(**change), causal=False)


def assert_as_by_hand(lm, folder, change: Intervention, causal: bool) -> None:
    run = lm.run(lm.encode(REPEATED), change)
    assert run.intervention == change
    expected_weights, expected_logits = by_hand(folder, [token.id for token in run.tokens], change, causal)
    for attention, expected in zip(run.attention, expected_weights, strict=True):
        np.testing.assert_allclose(layer_weights(attention), expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(lm.unembed(run.hidden[-1]), expected_logits, rtol=0, atol=1e-5)
    assert max(lm.recompute_layer(run, layer) for layer in range(3)) < 1e-5


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_each_change_changes_the_prediction(lm, change):
    """So none of the comparisons above is of a run as trained with itself."""
    tokens = lm.encode(REPEATED)
    as_trained, changed = (lm.unembed(lm.run(tokens, each).hidden[-1]) for each in (UNCHANGED, Intervention(**change)))
    assert np.abs(changed - as_trained).max() > 0.01


@pytest.mark.parametrize(
    ("change", "scale", "causal"),
    [
        ({}, 8**-0.5, True),
        ({"causal_mask": False}, 8**-0.5, False),
        ({"scale": False}, 1.0, True),
        ({"temperature": 4.0}, 8**-0.5 / 4, True),
        ({"scale": False, "temperature": 4.0}, 0.25, True),
    ],
)
def test_the_record_says_what_was_done(lm, change, scale, causal):
    run = lm.run(lm.encode(REPEATED), Intervention(**change))
    assert [(attention.scale, attention.causal) for attention in run.attention] == [(scale, causal)] * 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rows_off": frozenset({(0, 9, 0)})}, "no head 9 in layer 0"),
        ({"rows_off": frozenset({(0, 0, 99)})}, r"no tokens \[99\] in a text of"),
        ({"edges_off": frozenset({(0, 0, 1, -1)})}, r"no tokens \[1, -1\]"),
        ({"edges_off": frozenset({(2, 1, 0, 0)})}, "query 0 of layer 2, head 1 would see no key any more"),
        ({"edges_off": frozenset({(0, 0, 1, 0), (0, 0, 1, 1), (0, 0, 1, 5)})}, "query 1 of layer 0, head 0 would see"),
    ],
)
def test_what_is_not_there_cannot_be_switched_off(lm, change, said):
    with pytest.raises(ValueError, match=said):
        lm.run(lm.encode(REPEATED), Intervention(**change))


def test_an_edge_that_is_off_shares_its_weight_among_the_others(lm):
    tokens = lm.encode(REPEATED)
    before, after = (
        layer_weights(lm.run(tokens, each).attention[0])[1, 5]
        for each in (UNCHANGED, Intervention(edges_off=frozenset({(0, 1, 5, 2)})))
    )
    assert after[2] == 0
    others = np.arange(len(tokens)) != 2
    np.testing.assert_allclose(after[others], before[others] / (1 - before[2]), atol=1e-6)


def test_a_uniform_head_has_no_queries(lm):
    """So the arithmetic of each of its cells, 0 · scale = 0, is what happened."""
    run = lm.run(lm.encode(REPEATED), Intervention(heads_uniform=HEAD))
    none = [(layer, head) for layer in range(3) for head in range(4) if not run.attention[layer].query[head].any()]
    assert none == [(1, 2)]
    assert cell_arithmetic(run.attention[1], 2, 3, 1).weight == 0.25


def test_without_positions_the_first_hidden_state_is_the_tokens(lm):
    run = lm.run(lm.encode(REPEATED), Intervention(positions=False))
    np.testing.assert_array_equal(run.hidden[0], lm.embeddings()[0][[token.id for token in run.tokens]])


def test_no_scale_is_a_temperature(lm):
    """Not to multiply by 1/√d_head is to divide by a temperature of 1/√d_head."""
    tokens = lm.encode(REPEATED)
    no_scale, cold = lm.run(tokens, Intervention(scale=False)), lm.run(tokens, Intervention(temperature=8**-0.5))
    np.testing.assert_allclose(no_scale.hidden, cold.hidden, rtol=0, atol=1e-5)


def test_changes_that_change_nothing_cost_no_bit(folder):
    transformer = Transformer(Config(**json.loads((folder / "config.json").read_text()))).eval()
    ids = torch.arange(20)[None]
    elsewhere = Changes((Intervention(heads_off=frozenset({(7, 0)}), edges_off=frozenset({(7, 0, 1, 0)})),))
    with torch.inference_mode():
        for as_trained, same in zip(parts(transformer(ids)), parts(transformer(ids, elsewhere)), strict=True):
            assert torch.equal(as_trained, same)


def parts(result: tuple) -> list[torch.Tensor]:
    logits, record = result
    return [logits, *record.hidden, *(tensor for layer in record.attention for tensor in layer[:3])]


@pytest.mark.parametrize("field", ["heads_off", "heads_uniform"])
@pytest.mark.parametrize(("layer", "head"), [(3, 0), (0, 4), (-1, 0), (0, -1)])
def test_a_head_that_does_not_exist(lm, field, layer, head):
    with pytest.raises(ValueError, match=f"no head {head} in layer {layer}: 3 layers of 4 heads"):
        lm.run(lm.encode(REPEATED), Intervention(**{field: frozenset({(layer, head)})}))


@pytest.mark.parametrize("temperature", [0, -1, float("nan"), float("inf")])
def test_a_temperature_that_is_none(temperature):
    with pytest.raises(ValueError, match="a softmax temperature must be a positive number"):
        Intervention(temperature=temperature)


def test_each_intervention_is_a_run_of_its_own():
    changes = [{}, *CHANGES.values()]
    keys = [RunKey("story", Prompt(REPEATED), Intervention(**change)) for change in changes]
    runs = [run_of(key) for key in keys]
    assert len({id(run) for run in runs}) == len(keys)
    assert [run.intervention for run in runs] == [key.intervention for key in keys]
    assert all(run_of(key) is run for key, run in zip(keys, runs, strict=True))
