"""The built-in transformer against transformers' GPT-2, torch's encoder and torch's multi-head attention."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from model.analysis import attention as reading
from model.attention_call import Changes
from model.builtin.transformer import Attention, Config, Transformer
from model.intervention import Intervention
from model.run import Attention as KeptAttention

CONFIG = Config(n_vocab=97, n_context=24, n_layer=3, n_head=4, d_model=32)
ENCODER = Config(n_vocab=97, n_context=24, n_layer=3, n_head=4, d_model=32, causal=False)
WITHIN = {"rtol": 0, "atol": 1e-5}


def random_transformer(config: Config) -> Transformer:
    """Weights and norms large enough that attention is far from uniform and no bias is zero."""
    torch.manual_seed(1)
    transformer = Transformer(config).eval().requires_grad_(False)
    for parameter in transformer.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.3)
    return transformer


def random_ids(n_token: int = 19, seed: int = 2) -> torch.Tensor:
    return torch.randint(CONFIG.n_vocab, (1, n_token), generator=torch.Generator().manual_seed(seed))


def weights_from(record) -> torch.Tensor:
    """(H, T, S) every head's weights, as the reader sees them: computed from the record."""
    kept = KeptAttention(
        record.query[0].numpy(), record.key[0].numpy(), record.value[0].numpy(), record.scale, record.causal
    )
    return torch.from_numpy(np.stack([reading.attention_weights(kept, head) for head in range(kept.n_head)]))


@pytest.fixture(scope="module")
def gpt2():
    """A random tiny GPT-2 of the transformers library, and ours with its weights."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    theirs = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=CONFIG.n_vocab,
            n_positions=CONFIG.n_context,
            n_embd=CONFIG.d_model,
            n_layer=CONFIG.n_layer,
            n_head=CONFIG.n_head,
            activation_function="gelu_new",
            attn_implementation="eager",
            bos_token_id=None,
            eos_token_id=None,
        )
    )
    theirs.eval().requires_grad_(False)
    for parameter in theirs.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.3)
    ours = Transformer(CONFIG).eval().requires_grad_(False)
    body = theirs.transformer
    ours.token_embedding.weight.copy_(body.wte.weight)
    ours.position_embedding.weight.copy_(body.wpe.weight)
    copy(ours.final_norm, body.ln_f.weight, body.ln_f.bias)
    for block, layer in zip(ours.blocks, body.h, strict=True):
        copy(block.attention_norm, layer.ln_1.weight, layer.ln_1.bias)
        copy(block.mlp_norm, layer.ln_2.weight, layer.ln_2.bias)
        # their Conv1D keeps (in, out), and query, key and value side by side
        qkv = zip(layer.attn.c_attn.weight.T.chunk(3), layer.attn.c_attn.bias.chunk(3), strict=True)
        for linear, (weight, bias) in zip(projections(block.attention), qkv, strict=True):
            copy(linear, weight, bias)
        copy(block.attention.output, layer.attn.c_proj.weight.T, layer.attn.c_proj.bias)
        copy(block.mlp.up, layer.mlp.c_fc.weight.T, layer.mlp.c_fc.bias)
        copy(block.mlp.down, layer.mlp.c_proj.weight.T, layer.mlp.c_proj.bias)
    return theirs, ours


def projections(attention: Attention) -> tuple[nn.Linear, nn.Linear, nn.Linear]:
    return attention.query, attention.key, attention.value


def copy(ours: nn.Module, weight: torch.Tensor, bias: torch.Tensor) -> None:
    ours.weight.copy_(weight)
    ours.bias.copy_(bias)


def test_gpt2_agrees(gpt2):
    theirs, ours = gpt2
    ids = random_ids()
    expected = theirs(ids, output_hidden_states=True, output_attentions=True)
    logits, record = ours(ids)
    torch.testing.assert_close(logits, expected.logits, **WITHIN)
    # their last hidden state is after the final norm, ours before
    hidden = *record.hidden[:-1], ours.final_norm(record.hidden[-1])
    for mine, their_hidden in zip(hidden, expected.hidden_states, strict=True):
        torch.testing.assert_close(mine, their_hidden, **WITHIN)
    for mine, weights in zip(record.attention, expected.attentions, strict=True):
        torch.testing.assert_close(weights_from(mine), weights[0], **WITHIN)
    assert max(weights[0, :, 18].max() for weights in expected.attentions) > 0.3  # not the uniform 1/19: a real test


def copy_attention(ours: Attention, theirs: nn.MultiheadAttention) -> None:
    qkv = zip(theirs.in_proj_weight.chunk(3), theirs.in_proj_bias.chunk(3), strict=True)
    for linear, (weight, bias) in zip(projections(ours), qkv, strict=True):
        copy(linear, weight, bias)
    copy(ours.output, theirs.out_proj.weight, theirs.out_proj.bias)


def test_torch_encoder_agrees():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(
        ENCODER.d_model,
        ENCODER.n_head,
        4 * ENCODER.d_model,
        activation=lambda x: F.gelu(x, approximate="tanh"),
        batch_first=True,
        norm_first=True,
    )
    encoder = nn.TransformerEncoder(layer, ENCODER.n_layer, nn.LayerNorm(ENCODER.d_model), enable_nested_tensor=False)
    encoder.eval().requires_grad_(False)
    for parameter in encoder.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.15)
    ours = random_transformer(ENCODER)
    copy(ours.final_norm, encoder.norm.weight, encoder.norm.bias)
    for block, theirs in zip(ours.blocks, encoder.layers, strict=True):
        copy_attention(block.attention, theirs.self_attn)
        copy(block.attention_norm, theirs.norm1.weight, theirs.norm1.bias)
        copy(block.mlp_norm, theirs.norm2.weight, theirs.norm2.bias)
        copy(block.mlp.up, theirs.linear1.weight, theirs.linear1.bias)
        copy(block.mlp.down, theirs.linear2.weight, theirs.linear2.bias)
    ids = random_ids()
    _, record = ours(ids)
    torch.testing.assert_close(ours.final_norm(record.hidden[-1]), encoder(ours.embed(ids)), **WITHIN)
    x = ours.embed(ids)
    for mine, hidden, theirs in zip(record.attention, record.hidden, encoder.layers, strict=False):
        torch.testing.assert_close(hidden, x, **WITHIN)
        normed = theirs.norm1(x)
        _, weights = theirs.self_attn(normed, normed, normed, average_attn_weights=False)
        torch.testing.assert_close(weights_from(mine), weights[0], **WITHIN)
        x = theirs(x)


def test_cross_attention_agrees_with_torch():
    torch.manual_seed(0)
    theirs = nn.MultiheadAttention(CONFIG.d_model, CONFIG.n_head, batch_first=True).eval().requires_grad_(False)
    theirs.in_proj_bias.normal_()
    ours = Attention(CONFIG, causal=False).requires_grad_(False)
    copy_attention(ours, theirs)
    x, source = torch.randn(1, 5, CONFIG.d_model), torch.randn(1, 8, CONFIG.d_model)
    output, record = ours(x, source)
    expected, weights = theirs(x, source, source, average_attn_weights=False)
    torch.testing.assert_close(output, expected, **WITHIN)
    torch.testing.assert_close(weights_from(record), weights[0], **WITHIN)
    assert record.query.shape == (1, 4, 5, 8)
    assert record.key.shape == record.value.shape == (1, 4, 8, 8)


@pytest.mark.parametrize("config", [CONFIG, ENCODER], ids=["decoder", "encoder"])
def test_weights_are_softmax_of_scaled_dot_products(config):
    _, record = random_transformer(config)(random_ids())
    for layer in record.attention:
        assert layer.scale == pytest.approx(1 / math.sqrt(config.d_head))
        scores = layer.query[0].double() @ layer.key[0].double().transpose(1, 2) / math.sqrt(config.d_head)
        if config.causal:
            scores.masked_fill_(torch.ones(19, 19, dtype=torch.bool).triu(1), -math.inf)
        weights = weights_from(layer)
        torch.testing.assert_close(weights.double(), scores.softmax(-1), rtol=0, atol=1e-6)
        torch.testing.assert_close(weights.sum(-1), torch.ones(4, 19), rtol=0, atol=1e-6)
        future = weights[:, torch.ones(19, 19, dtype=torch.bool).triu(1)]
        assert bool((future == 0).all()) == config.causal


def test_a_later_token_changes_nothing_before_it():
    transformer, ids = random_transformer(CONFIG), random_ids()
    changed = ids.clone()
    changed[0, 12] = (ids[0, 12] + 1) % CONFIG.n_vocab
    before, after = transformer(ids)[0], transformer(changed)[0]
    assert torch.equal(before[0, :12], after[0, :12])
    assert (before[0, 12:] != after[0, 12:]).any(-1).all()


def test_in_an_encoder_a_later_token_changes_everything():
    transformer, ids = random_transformer(ENCODER), random_ids()
    changed = ids.clone()
    changed[0, 12] = (ids[0, 12] + 1) % CONFIG.n_vocab
    assert (transformer(ids)[0] != transformer(changed)[0]).any(-1).all()


def test_first_loss_is_the_logarithm_of_the_vocabulary():
    torch.manual_seed(0)
    config = Config(n_vocab=4096, n_context=64, n_layer=4, n_head=4, d_model=64)
    rows = torch.randint(config.n_vocab, (16, 65))
    with torch.inference_mode():
        logits, _ = Transformer(config)(rows[:, :-1])
    assert F.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten()).item() == pytest.approx(
        math.log(4096), abs=0.05
    )


HEAD_OFF = Changes((Intervention(heads_off=frozenset({(1, 2)})),))


def test_forward_stores_nothing():
    transformer = random_transformer(CONFIG)

    def state() -> list[tuple[str, str, object]]:
        return [
            (name, attribute, {k: id(v) for k, v in value.items()} if isinstance(value, dict) else value)
            for name, module in transformer.named_modules()
            for attribute, value in vars(module).items()
        ]

    before = state()
    transformer(random_ids(), HEAD_OFF)
    assert state() == before


def test_record_shapes():
    logits, record = random_transformer(CONFIG)(random_ids())
    assert logits.shape == (1, 19, 97)
    assert [h.shape for h in record.hidden] == [(1, 19, 32)] * 4
    assert [a.query.shape for a in record.attention] == [(1, 4, 19, 8)] * 3


def test_hidden_states_and_logits_fit_together():
    transformer, ids = random_transformer(CONFIG), random_ids()
    logits, record = transformer(ids)
    assert torch.equal(record.hidden[0], transformer.embed(ids))
    assert torch.equal(transformer.unembed(record.hidden[-1]), logits)
    at_3 = transformer.token_embedding.weight[ids[0, 3]] + transformer.position_embedding.weight[3]
    assert torch.equal(record.hidden[0][0, 3], at_3)


def test_a_head_that_is_off_is_its_slice_set_to_zero_by_hand():
    transformer, ids = random_transformer(CONFIG), random_ids()
    without, record = transformer(ids, HEAD_OFF)
    x = transformer.embed(ids)
    for layer, block in enumerate(transformer.blocks):
        attention = record.attention[layer]
        mixed = weights_from(attention) @ attention.value[0]  # (H, T, K)
        joined = mixed.transpose(0, 1).flatten(1)  # (T, D)
        if layer == 1:
            joined[:, 2 * 8 : 3 * 8] = 0
        x = x + block.attention.output(joined)
        x = x + block.mlp(block.mlp_norm(x))
    torch.testing.assert_close(without, transformer.unembed(x), **WITHIN)
    assert not torch.allclose(without, transformer(ids)[0], atol=1e-2)


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="d_model 30 cannot be shared evenly by 4 heads"):
        Config(n_vocab=97, n_context=24, n_layer=3, n_head=4, d_model=30)


def test_output_is_tied_to_the_embedding():
    names = [name for name, _ in Transformer(CONFIG).named_parameters()]
    assert len(names) == 2 + 3 * 16 + 2  # two embeddings, sixteen a block, the final norm: no output matrix
