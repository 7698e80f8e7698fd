"""How a layer is built, found by what flows through it: each part against torch's or transformers' own; refusals."""

import numpy as np
import pytest
import torch
from torch import nn
from transformers.models.gptj.modeling_gptj import apply_rotary_pos_emb as turn_neighbours
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from model.analysis.head import head_steps
from model.huggingface.language_model import HuggingFaceModel
from model.layer import Norm, Rotary
from model.run import VisitorError
from tests.zoo import N_TOKEN, builder, tokens


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(1, 2, shape).astype(np.float32)


def test_a_layer_norm_is_torchs():
    x, gain, shift = random(5, 8), random(8), random(8)
    theirs = nn.functional.layer_norm(*map(torch.tensor, (x,)), (8,), torch.tensor(gain), torch.tensor(shift), 1e-3)
    np.testing.assert_allclose(Norm(gain, shift, 1e-3)(x), theirs.numpy(), atol=1e-5)


def test_an_rms_norm_is_torchs():
    x, gain = random(5, 8), random(8)
    theirs = nn.functional.rms_norm(torch.tensor(x), (8,), torch.tensor(gain), 1e-3)
    np.testing.assert_allclose(Norm(gain, None, 1e-3, centred=False)(x), theirs.numpy(), atol=1e-5)


def test_heads_are_normed_each_or_together():
    x, gain = random(2, 5, 4), random(2, 4)
    each = nn.functional.rms_norm(torch.tensor(x), (4,), None, 1e-3).numpy() * gain[:, None]
    np.testing.assert_allclose(Norm(gain, None, 1e-3, centred=False).of_heads(x), each, atol=1e-5)
    joined = torch.tensor(x).transpose(0, 1).reshape(5, 8)
    both = nn.functional.rms_norm(joined, (8,), torch.tensor(gain).ravel(), 1e-3).unflatten(1, (2, 4)).transpose(0, 1)
    ours = Norm(gain, None, 1e-3, centred=False, together=True).of_heads(x)
    np.testing.assert_allclose(ours, both.numpy(), atol=1e-5)


@pytest.mark.parametrize("neighbours", [False, True])
def test_a_rotation_is_transformers(neighbours):
    x, frequencies = random(2, 5, 8), np.array([1, 0.5, 0.1, 0.01], np.float32)
    angles = torch.arange(5.0)[:, None] * torch.tensor(frequencies)
    query = torch.tensor(x)[None]
    if neighbours:
        turned = turn_neighbours(query.transpose(1, 2), angles.sin()[None], angles.cos()[None]).transpose(1, 2)
    else:
        both = torch.cat([angles, angles], -1)[None]
        turned, _ = apply_rotary_pos_emb(query, query, both.cos(), both.sin())
    ours = Rotary(frequencies, neighbours=neighbours)(x, np.arange(5))
    np.testing.assert_allclose(ours, turned[0].numpy(), atol=1e-5)


def opened(build) -> HuggingFaceModel:
    return HuggingFaceModel(build, None, name="tiny", title="Tiny", fingerprint="")


def test_only_the_layer_that_does_something_else_is_not_followed():
    def build(attn_implementation: str):
        transformer = builder("LlamaForCausalLM")(attn_implementation)
        attention = transformer.model.layers[1].self_attn
        attention.o_proj = nn.Sequential(attention.o_proj, nn.Tanh())
        return transformer

    lm = opened(build)
    assert lm.unfollowed(0) is None
    assert lm.unfollowed(1) == (
        "In Tiny, the step “Add to the residual stream” of layer 1 cannot be followed: the sum of the stream and what "
        "its heads write was not found."
    )
    with pytest.raises(VisitorError, match="Add to the residual stream"):
        lm.attention_output(lm.run(tokens(5)), 1)


def test_a_text_that_is_read_otherwise_than_the_probe_is_noticed():
    """Phi 3 turns by other angles from a length on that the few tokens of the probe do not have."""
    factors = {"short_factor": [1.0] * 4, "long_factor": [3.0] * 4, "original_max_position_embeddings": 8}
    rope = {"rope_type": "longrope", "rope_theta": 10000.0, **factors}
    lm = opened(builder("Phi3ForCausalLM", rope_parameters=rope, original_max_position_embeddings=8))
    assert lm.unfollowed(0) is None

    def wrong(n: int) -> str | None:
        found = head_steps(lm.run(tokens(n)), lm.layer_parameters(0), 0, 0, n - 1).wrong
        return found and found.step

    assert wrong(7) is None
    assert wrong(N_TOKEN) == "Query, key and value"


def test_no_attribute_of_a_layer_is_the_models_own_memory():
    lm = opened(builder("LlamaForCausalLM"))
    parameters = lm.layer_parameters(0)
    own = {parameter.data_ptr() for parameter in lm.opened.transformer.parameters()}
    given = [parameters.query_weight, parameters.output_weight, parameters.norm.gain, parameters.rotary.frequencies]
    assert not own & {array.ctypes.data for array in given}
    assert not any(array.flags.writeable for array in given)
