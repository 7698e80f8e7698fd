"""The path through one head: against arrays worked out by hand, against torch, and as a visitor reads it."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from model.analysis.attention import attention_weights
from model.analysis.head import Path, head_steps
from model.builtin.language_model import BuiltinModel
from model.intervention import Intervention
from model.layer import LayerParameters, Norm
from model.run import Attention, ModelInfo, ModelRun, Predictions, Token
from tests.conftest import REPEATED, write_tiny
from viz.figures import theme
from viz.figures.head import HUES, drawn_rows, head_formula, head_sentences

LN3 = math.log(3)


def f32(*values) -> np.ndarray:
    return np.array(values, np.float32)


def worked_parameters() -> LayerParameters:
    """Two heads of one number each, in a stream of two; the second head only ever hands over a 1."""
    return LayerParameters(
        norm=Norm(f32(1, 1), f32(0, 0), 0.0),
        query_weight=f32([[1, 0]], [[0, 0]]),
        query_bias=f32([2], [0]),
        key_weight=f32([[LN3, 0]], [[0, 0]]),
        key_bias=f32([LN3], [0]),
        value_weight=f32([[0, 1]], [[0, 0]]),
        value_bias=f32([0], [1]),
        output_weight=f32([[2], [4]], [[1], [1]]),
        output_bias=f32(0.5, 0.5),
    )


def worked_run(*, causal: bool = True, scale: float = 0.5) -> ModelRun:
    """Tokens (1, -1) and (-1, 3), whose layer norms are (1, -1) and (-1, 1)."""
    info = ModelInfo("w", "Worked", 1, 2, 2, 2, 1, 9, 8, 0, causal, "")
    hidden = f32([[1, -1], [-1, 3]], [[0, 0], [0, 0]])
    zeros, ids = np.zeros((2, 1), np.float32), np.zeros((2, 1), np.int64)
    flat = zeros[:, 0].copy()
    return ModelRun(
        info=info,
        tokens=(Token(0, b"a", 0, 1), Token(1, b"b", 1, 2)),
        attention=(
            Attention(
                f32([[3], [1]], [[0], [0]]),
                f32([[2 * LN3], [0]], [[0], [0]]),
                f32([[-1], [1]], [[1], [1]]),
                scale,
                causal,
            ),
        ),
        hidden=hidden,
        predictions=Predictions(ids, zeros, flat, ids[:, 0].copy(), flat.copy()),
        intervention=Intervention(),
    )


def test_every_step_by_hand():
    steps = head_steps(worked_run(), worked_parameters(), 0, 0, 1)
    assert (steps.mean, steps.deviation) == (1, 2)
    expected = {
        "hidden": [-1, 3],
        "normed": [-1, 1],
        "q": [1],  # -1 + 2
        "keys": [[2 * LN3], [0]],
        "values": [[-1], [1]],
        "dots": [2 * LN3, 0],
        "scaled": [LN3, 0],
        "visible": [True, True],
        "scores": [LN3, 0],
        "exponentials": [1, 1 / 3],
        "weights": [0.75, 0.25],
        "mixed": [-0.5],  # 0.75 · -1 + 0.25 · 1
        "projected": [-1, -2],
        "others": [1, 1],
        "output_bias": [0.5, 0.5],
        "after": [-0.5, 2.5],  # -1 - 1 + 1 + 0.5, 3 - 2 + 1 + 0.5
    }
    for name, values in expected.items():
        found = getattr(steps, name)
        np.testing.assert_allclose(found.end if isinstance(found, Path) else found, values, atol=1e-6, err_msg=name)
    assert steps.denominator == pytest.approx(4 / 3)
    assert steps.wrong is None and len(steps.differences) == 4


def test_the_mask_forbids_what_comes_after():
    steps = head_steps(worked_run(), worked_parameters(), 0, 0, 0)
    assert steps.visible.tolist() == [True, False]
    assert steps.scaled[1] == 0 and steps.scores[1] == -np.inf
    assert steps.weights.tolist() == [1, 0]
    np.testing.assert_allclose(steps.after, [1 - 2 + 1 + 0.5, -1 - 4 + 1 + 0.5], atol=1e-6)


def test_without_a_mask_every_token_is_seen():
    steps = head_steps(worked_run(causal=False), worked_parameters(), 0, 0, 0)
    assert steps.visible.all()
    np.testing.assert_allclose(steps.weights, f32(27, 1) / 28, atol=1e-6)  # scores 3 ln 3 and 0


def test_the_scale_is_the_records():
    steps = head_steps(worked_run(scale=1.0), worked_parameters(), 0, 0, 1)
    np.testing.assert_allclose(steps.weights, [0.9, 0.1], atol=1e-6)  # 9 : 1


def test_a_head_alone_has_no_others():
    parameters = worked_parameters()
    parts = ("weight", "bias")
    by_head = [f"{of}_{part}" for of in ("query", "key", "value") for part in parts] + ["output_weight"]
    alone = dataclasses.replace(parameters, **{name: getattr(parameters, name)[:1] for name in by_head})
    run = worked_run()
    record = run.attention[0]
    attention = Attention(record.query[:1], record.key[:1], record.value[:1], 0.5, True)
    run = dataclasses.replace(run, info=dataclasses.replace(run.info, n_head=1, n_key_head=1), attention=(attention,))
    steps = head_steps(run, alone, 0, 0, 1)
    assert steps.others.tolist() == [0, 0]
    np.testing.assert_allclose(steps.after, [-1.5, 1.5], atol=1e-6)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> BuiltinModel:
    return BuiltinModel.load(write_tiny(tmp_path_factory.mktemp("encoder") / "tiny", seed=3, causal=False))


@pytest.mark.parametrize("name", ["tiny", "encoder", "story"])
def test_every_head_writes_what_torch_writes(request, name):
    """All shares together are what the model's own layer adds, and each head's path ends where the layer ends."""
    lm = request.getfixturevalue(name)
    run = lm.run(lm.encode(REPEATED))
    n = len(run.tokens)
    for layer in range(run.info.n_layer):
        parameters = lm.layer_parameters(layer)
        block = lm._transformer.blocks[layer]
        x = torch.tensor(run.hidden[layer])[None]
        with torch.inference_mode():
            after = (x + block.attention(block.attention_norm(x))[0])[0].numpy()
        for query in {0, n // 2, n - 1}:
            paths = [head_steps(run, parameters, layer, head, query) for head in range(run.info.n_head)]
            for head, steps in enumerate(paths):
                np.testing.assert_allclose(steps.after, after[query], atol=1e-4)
                weights = attention_weights(run.attention[layer], head)[query]
                np.testing.assert_allclose(steps.weights, weights, atol=1e-5)
                assert steps.wrong is None
                assert all(each.small for each in steps.against(lm.attention_output(run, layer)))
            total = run.hidden[layer][query] + sum(steps.projected for steps in paths) + parameters.output_bias
            np.testing.assert_allclose(total, after[query], atol=1e-4)


def grouped(parameters: LayerParameters, n_key_head: int) -> LayerParameters:
    """The same with only the first key heads, which the heads then share."""
    names = ("key_weight", "key_bias", "value_weight", "value_bias")
    return dataclasses.replace(parameters, **{name: getattr(parameters, name)[:n_key_head] for name in names})


def test_heads_that_share_keys(tiny, tiny_run):
    full = tiny.layer_parameters(1)
    shared = grouped(full, 2)  # heads 0 and 1 share the first, 2 and 3 the second
    names = ("key_weight", "key_bias", "value_weight", "value_bias")
    spelled_out = dataclasses.replace(full, **{name: getattr(full, name)[[0, 0, 1, 1]] for name in names})
    record = tiny_run.attention[1]
    few = dataclasses.replace(record, key=record.key[:2], value=record.value[:2])
    info = dataclasses.replace(tiny_run.info, n_key_head=2)
    run = dataclasses.replace(tiny_run, info=info, attention=(few,) * 3)
    for head in range(4):
        steps = head_steps(run, shared, 1, head, 9)
        assert steps.wrong is None
        again = head_steps(run, spelled_out, 1, head, 9)
        np.testing.assert_allclose(steps.after, again.after, atol=1e-5)
        np.testing.assert_array_equal(steps.keys.end, again.keys.end)


@pytest.mark.parametrize("name", ["query", "key", "value"])
def test_a_record_that_differs_is_noticed(tiny, tiny_run, name):
    record = tiny_run.attention[1]
    moved = getattr(record, name).copy()
    moved[2, 3, 4] += 0.25
    run = dataclasses.replace(tiny_run, attention=(dataclasses.replace(record, **{name: moved}),) * 3)
    steps = head_steps(run, tiny.layer_parameters(1), 1, 2, 3)
    assert steps.wrong.step == "Query, key and value"
    assert steps.wrong.largest == pytest.approx(0.25, abs=1e-3)
    assert steps.differences[-1].step == "Softmax" and steps.differences[-1].small == (name == "value")


def test_a_changed_run_is_refused(tiny, tiny_run):
    run = tiny.run(tiny_run.tokens, Intervention(frozenset({(0, 1)})))
    with pytest.raises(ValueError, match="the steps of a head are those of an unchanged run"):
        head_steps(run, tiny.layer_parameters(0), 0, 0, 0)


@pytest.mark.parametrize(("place", "word"), [((3, 0, 0), "layer 3"), ((0, -1, 0), "head -1"), ((0, 0, 99), "query 99")])
def test_what_does_not_exist_is_refused(tiny, tiny_run, place, word):
    with pytest.raises(IndexError, match=f"no {word} among"):
        head_steps(tiny_run, tiny.layer_parameters(0), *place)


def test_parameters_that_do_not_fit():
    parameters = worked_parameters()
    with pytest.raises(ValueError, match=r"key_bias \(2,\), expected \(2, 1\)"):
        dataclasses.replace(parameters, key_bias=f32(0, 0))
    with pytest.raises(ValueError, match="2 heads cannot share 3 key heads evenly"):
        names = ("key_weight", "key_bias", "value_weight", "value_bias")
        dataclasses.replace(parameters, **{name: getattr(parameters, name)[[0, 1, 1]] for name in names})
    with pytest.raises(ValueError, match="kept in float32"):
        dataclasses.replace(parameters, output_bias=np.zeros(2))


def test_nobody_can_change_the_model_through_its_parameters(tiny):
    parameters = tiny.layer_parameters(0)
    for field in dataclasses.fields(parameters):
        if isinstance(values := getattr(parameters, field.name), np.ndarray):
            with pytest.raises(ValueError, match="read-only"):
                values[...] = 0


# ---- words and rows ----


def sentences_of(steps, label: str = "b", **changes) -> list[str]:
    options = {"n_head": 2, "n_key_head": 2, "causal": True, "entering": ("it", "it")} | changes
    return ["".join(step.sentence) for step in head_sentences(steps, label, **options)]


def test_the_sentences_hold_this_runs_numbers(story):
    run = story.run(story.encode(REPEATED))
    steps = head_steps(run, story.layer_parameters(3), 3, 1, 4)
    info = story.info
    said = sentences_of(steps, run.labels[4], n_head=info.n_head, n_key_head=info.n_head)
    assert len(said) == 9
    assert said[0].startswith(f"Token 4, “␣dog”, comes to layer 3 as {info.d_model} numbers, x:")
    d_head = info.d_model // info.n_head
    assert (
        f"divided by √{d_head} = {d_head**0.5:.4f}" in said[4]
        and f"here {len(run.tokens) - 5} of {len(run.tokens)}" in said[4]
    )
    assert f"those of the {info.n_head - 1} other heads" in said[8]


def test_the_sentences_say_what_another_model_does_otherwise():
    last = head_steps(worked_run(scale=1.0), worked_parameters(), 0, 0, 1)
    assert "here none: the query is the last" in sentences_of(last)[4]
    assert "share one k and one v" not in sentences_of(last)[2]
    other = head_steps(worked_run(causal=False, scale=0.25), worked_parameters(), 0, 0, 1)
    said = sentences_of(other, n_head=6, n_key_head=2, causal=False)
    assert "3 heads in a row share one k and one v: heads 0 to 2 are group 0 of 2." in said[2]
    assert "multiplied by this model's own scale, 0.25" in said[4] and "every token sees every token" in said[4]
    assert "other head" not in sentences_of(last, n_head=1)[8]
    assert "goes on to the layer's MLP." in sentences_of(last)[8]
    assert "goes on to the layer's cross-attention, and then its MLP." in sentences_of(last, cross=True)[8]


@pytest.mark.parametrize(("deviation", "said"), [(4.0, "shrunk"), (0.25, "stretched")])
def test_a_norm_shrinks_or_stretches(deviation, said):
    steps = head_steps(worked_run(), worked_parameters(), 0, 0, 1)
    sentence = sentences_of(dataclasses.replace(steps, deviation=deviation))[1]
    assert f"{said} to deviation 1, divided by their own, {deviation:.4f}" in sentence


def test_a_token_cannot_write_symbols_into_a_sentence():
    steps = head_steps(worked_run(), worked_parameters(), 0, 0, 1)
    first = head_sentences(steps, "[q]{layer}", n_head=2, n_key_head=2, causal=True, entering=("it", "it"))[0]
    assert "“[q]{layer}”" in first.sentence[0]
    assert first.sentence[1::2] == ("x",)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_the_formula_has_the_colours_of_the_pictures(mode):
    steps = head_steps(worked_run(scale=1.0), worked_parameters(), 0, 0, 1)
    formula = " ".join(head_formula(steps, mode, causal=True))
    for symbol, hue in HUES.items():
        assert rf"\textcolor{{{theme.CATEGORICAL[mode][hue]}}}{{{symbol}" in formula
    assert r"\sqrt{1}" in formula  # one number in a head
    own = head_steps(worked_run(scale=0.5), worked_parameters(), 0, 0, 1)
    without = " ".join(head_formula(own, mode, causal=False))
    assert "0.5" in without and r"\sqrt" not in without
    assert "mask" in formula and "mask" not in without


def test_of_a_long_text_the_important_rows_are_drawn():
    weights = np.full(100, 0.001, np.float32)
    weights[[7, 30, 31]] = 0.2
    rows = drawn_rows(weights, (50, 99), most=8)
    assert rows.tolist() == [7, 30, 31, 49, 50, 51, 98, 99]
    assert drawn_rows(weights[:8], (0, 7), most=8).tolist() == list(range(8))
    assert drawn_rows(weights, (0, 99), most=2).tolist() == [0, 1, 98, 99]  # what was asked for is always there
