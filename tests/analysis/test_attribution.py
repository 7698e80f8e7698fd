"""A logit taken apart, against what the modules of transformers write themselves; and refused where it is no sum."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from model.analysis.attribution import attribution, reading
from model.run import VisitorError
from tests.head_models import MODELS
from tests.huggingface.checkpoints import byte_level, load, save

TEXT = "the cat saw the dog"
KINDS = ("gpt2", "llama", "qwen3", "gemma2", "phi", "opt", "granite")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    root, there = tmp_path_factory.mktemp("models"), {}

    def of(kind: str):
        if kind not in there:
            cls, config, _ = MODELS[kind]
            there[kind] = save(root / kind, cls, byte_level(), config)
        return there[kind]

    return of


def taken_apart(lm, position=-1):
    tokens = lm.encode(TEXT)
    run = lm.run(tokens)
    position %= len(tokens)
    id = int(run.predictions.top_id[position, 0])
    its = reading(lm, id)
    return run, its, attribution(lm, run, position, its, id)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "gemma2"])
def test_the_parts_add_up_to_the_logit(saved, kind):
    lm = load(saved(kind))
    for position in (1, -1):
        run, _, found = taken_apart(lm, position)
        size = max(1, abs(found.logit), np.abs(found.heads).max(), np.abs(found.rest).max())
        assert abs(found.total - found.logit) < 1e-4 * size
        assert found.why == () and not np.isnan(found.heads).any()
        (logits,) = lm.logits(run.tokens, positions=[found.position])
        assert found.logit == pytest.approx(float(logits[0, found.id]), abs=1e-4 * size)


def test_of_gpt2_each_part_is_what_its_module_wrote_through_the_frozen_norm(saved):
    lm, transformer = load(saved("gpt2")), AutoModelForCausalLM.from_pretrained(saved("gpt2")).eval()
    run, its, found = taken_apart(lm)
    kept = {}
    for layer, block in enumerate(transformer.transformer.h):
        block.attn.c_proj.register_forward_pre_hook(lambda _, x, i=layer: kept.update({("z", i): x[0][0, -1]}))
        block.mlp.register_forward_hook(lambda _, x, y, i=layer: kept.update({("mlp", i): y[0, -1]}))
    transformer.transformer.ln_f.register_forward_pre_hook(lambda _, x: kept.update(last=x[0][0, -1]))
    with torch.inference_mode():
        transformer(torch.tensor([[token.id for token in run.tokens]]))
        norm, last = transformer.transformer.ln_f, kept["last"]
        size = (last.var(unbiased=False) + norm.eps).sqrt()
        assert its.centred and its.size(last.numpy()) == pytest.approx(float(size), rel=1e-5)

        def through(part):
            return float((part - part.mean()) / size * norm.weight @ transformer.lm_head.weight[found.id])

        for layer, block in enumerate(transformer.transformer.h):
            z = kept["z", layer].view(4, -1)  # (H, K)
            weight = block.attn.c_proj.weight.view(4, -1, len(last))  # (H, K, D)
            own = [through(z[head] @ weight[head]) for head in range(4)]
            np.testing.assert_allclose(found.heads[layer], own, atol=1e-4)
            assert found.bias[layer] == pytest.approx(through(block.attn.c_proj.bias), abs=1e-4)
            assert found.rest[layer] == pytest.approx(through(kept["mlp", layer]), abs=1e-4)
        shift = float(norm.bias @ transformer.lm_head.weight[found.id])
        assert found.constant == pytest.approx(shift, abs=1e-4)
        assert found.embedding == pytest.approx(through(torch.tensor(run.hidden[0, -1])), abs=1e-4)


def test_of_llama_the_norm_leaves_the_mean(saved):
    lm, transformer = load(saved("llama")), AutoModelForCausalLM.from_pretrained(saved("llama"))
    _, its, found = taken_apart(lm)
    assert not its.centred and found.constant == pytest.approx(0, abs=1e-6)
    weight = (transformer.model.norm.weight * transformer.lm_head.weight[found.id]).detach().numpy()
    np.testing.assert_allclose(its.weight, weight, atol=1e-5)


def test_of_the_built_in_model_with_and_without_its_layers(tiny):
    run, its, found = taken_apart(tiny)
    assert abs(found.total - found.logit) < 1e-4 * max(1, abs(found.logit), np.abs(found.heads).max())
    refusing = SimpleNamespace(info=tiny.info, unembed=tiny.unembed)

    def layer_parameters(layer):
        raise VisitorError("not to be had")

    refusing.layer_parameters = layer_parameters
    whole = attribution(refusing, run, found.position, its, found.id)
    assert np.isnan(whole.heads).all() and whole.why == ("not to be had",)
    np.testing.assert_allclose(whole.rest, found.attention + found.rest, atol=1e-9)
    assert whole.total == pytest.approx(found.total)


def test_bent_logits_are_no_sum(saved):
    lm = load(saved("gemma2"))  # a soft cap on its logits
    with pytest.raises(VisitorError, match="more than a norm and one matrix"):
        taken_apart(lm)


def test_too_much_work_is_refused(tiny):
    large = SimpleNamespace(info=SimpleNamespace(n_vocab=10**6, d_model=10**4, title="Large"))
    with pytest.raises(VisitorError, match="A smaller model"):
        reading(large, 0)


def test_without_a_norm_a_logit_is_read_as_it_is():
    matrix = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)
    straight = SimpleNamespace(
        info=SimpleNamespace(n_vocab=7, d_model=4, title="Straight"), unembed=lambda x: x @ matrix.T + 1
    )
    its = reading(straight, 3)
    assert its.size(np.arange(4.0)) == 1 and its.constant == 1
    np.testing.assert_allclose(its.weight, matrix[3], rtol=1e-5)
