"""The built-in encoder-decoder against torch.nn.Transformer, and decoding with a cache against decoding without."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from model.builtin.transformer import Config, DecoderCache, EncoderDecoder
from tests.builtin.test_transformer import WITHIN, copy, weights_from

CONFIG = Config(n_vocab=83, n_context=24, n_layer=3, n_head=4, d_model=32)


@pytest.fixture(scope="module")
def ours() -> EncoderDecoder:
    """Weights large enough that attention is far from uniform and no bias is zero."""
    torch.manual_seed(1)
    lm = EncoderDecoder(CONFIG).eval().requires_grad_(False)
    for parameter in lm.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.2)
    return lm


@pytest.fixture(scope="module")
def theirs(ours) -> nn.Transformer:
    """torch's own, with our weights."""
    d = CONFIG.d_model
    transformer = nn.Transformer(
        d,
        CONFIG.n_head,
        CONFIG.n_layer,
        CONFIG.n_layer,
        4 * d,
        activation=lambda x: F.gelu(x, approximate="tanh"),
        batch_first=True,
        norm_first=True,
    )
    transformer.eval().requires_grad_(False)
    for block, layer in zip(ours.encoder, transformer.encoder.layers, strict=True):
        give(block, layer, "attention", "mlp")
    for block, layer in zip(ours.decoder, transformer.decoder.layers, strict=True):
        give(block, layer, "attention", "cross", "mlp")
    copy(transformer.encoder.norm, ours.encoder_norm.weight, ours.encoder_norm.bias)
    copy(transformer.decoder.norm, ours.final_norm.weight, ours.final_norm.bias)
    return transformer


def give(block: nn.Module, layer: nn.Module, *parts: str) -> None:
    """Our block's weights to their layer."""
    for number, part in enumerate(parts, start=1):
        ours = getattr(block, f"{part}_norm")
        copy(getattr(layer, f"norm{number}"), ours.weight, ours.bias)
    for part, attention in [("attention", "self_attn"), ("cross", "multihead_attn")]:
        if part in parts:
            mine, its = getattr(block, part), getattr(layer, attention)
            its.in_proj_weight.copy_(torch.cat([mine.query.weight, mine.key.weight, mine.value.weight]))
            its.in_proj_bias.copy_(torch.cat([mine.query.bias, mine.key.bias, mine.value.bias]))
            copy(its.out_proj, mine.output.weight, mine.output.bias)
    copy(layer.linear1, block.mlp.up.weight, block.mlp.up.bias)
    copy(layer.linear2, block.mlp.down.weight, block.mlp.down.bias)


def ids(n_row: int, n_token: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(CONFIG.n_vocab, (n_row, n_token), generator=torch.Generator().manual_seed(seed))


def their_weights(attention: nn.MultiheadAttention, x, source, mask=None) -> torch.Tensor:
    return attention(x, source, source, attn_mask=mask, average_attn_weights=False)[1]


def test_torch_transformer_agrees_in_every_head_of_all_three_kinds(ours, theirs):
    source, target = ids(1, 11), ids(1, 7, seed=1)
    _, record = ours(source, target)
    x = ours.token_embedding(source) + ours.source_position.weight[:11]
    y = ours.token_embedding(target) + ours.target_position.weight[:7]
    causal = nn.Transformer.generate_square_subsequent_mask(7)
    expected = theirs(x, y, tgt_mask=causal, tgt_is_causal=True)
    torch.testing.assert_close(ours.final_norm(record.hidden[-1]), expected, **WITHIN)
    for mine, layer in zip(record.encoder, theirs.encoder.layers, strict=True):
        normed = layer.norm1(x)
        torch.testing.assert_close(weights_from(mine), their_weights(layer.self_attn, normed, normed)[0], **WITHIN)
        x = layer(x)
    memory = theirs.encoder.norm(x)
    for mine, cross, layer in zip(record.attention, record.cross, theirs.decoder.layers, strict=True):
        normed = layer.norm1(y)
        own = their_weights(layer.self_attn, normed, normed, causal)
        torch.testing.assert_close(weights_from(mine), own[0], **WITHIN)
        after = y + layer.self_attn(normed, normed, normed, attn_mask=causal)[0]
        beyond = their_weights(layer.multihead_attn, layer.norm2(after), memory)
        torch.testing.assert_close(weights_from(cross), beyond[0], **WITHIN)
        assert beyond.max() > 0.2  # not the uniform 1/11: a real test
        y = layer(y, memory, tgt_mask=causal, tgt_is_causal=True)


def test_padding_changes_nothing(ours):
    source, target = ids(1, 9), ids(1, 6, seed=1)
    alone, _ = ours(source, target)
    padded = torch.cat([source, torch.zeros(1, 4, dtype=torch.long)], dim=1)
    visible = torch.arange(13)[None] < 9
    together, _ = ours(padded, torch.cat([target, torch.ones(1, 3, dtype=torch.long)], dim=1), visible)
    torch.testing.assert_close(together[:, :6], alone, **WITHIN)


def test_decoding_with_the_cache_equals_decoding_without(ours):
    source, target = ids(3, 8), ids(3, 10, seed=1)
    whole, record = ours(source, target)
    memory, _ = ours.encode(source)
    cache = DecoderCache(CONFIG.n_layer)
    for t in range(10):
        logits, step = ours.decode(target[:, t : t + 1], memory, cache=cache)
        torch.testing.assert_close(logits[:, 0], whole[:, t], **WITHIN)
        for cached, full in zip(step.cross, record.cross, strict=True):
            torch.testing.assert_close(cached.query[:, :, 0], full.query[:, :, t], **WITHIN)
            torch.testing.assert_close(cached.key, full.key, **WITHIN)


def test_a_cache_goes_on_with_chosen_rows(ours):
    source, target = ids(3, 8), ids(3, 5, seed=1)
    memory, _ = ours.encode(source)
    cache, rows = DecoderCache(CONFIG.n_layer), torch.tensor([2, 0, 0])
    for t in range(4):
        ours.decode(target[:, t : t + 1], memory, cache=cache)
    cache.choose(rows)
    last, _ = ours.decode(target[rows, 4:], memory[rows], cache=cache)
    expected, _ = ours(source[rows], target[rows])
    torch.testing.assert_close(last[:, 0], expected[:, 4], **WITHIN)


def test_a_later_target_token_changes_nothing_before_it(ours):
    source, target = ids(1, 8), ids(1, 6, seed=1)
    changed = target.clone()
    changed[0, 4] += 1
    before, after = ours(source, target)[0], ours(source, changed)[0]
    torch.testing.assert_close(before[:, :4], after[:, :4])
    assert (before[:, 4:] - after[:, 4:]).abs().max() > 1e-3


def test_first_loss_is_the_logarithm_of_the_vocabulary():
    torch.manual_seed(0)
    logits, _ = EncoderDecoder(CONFIG)(ids(4, 8), ids(4, 9, seed=1))
    loss = F.cross_entropy(logits.flatten(0, 1), ids(4, 9, seed=2).flatten())
    assert loss.item() == pytest.approx(torch.tensor(float(CONFIG.n_vocab)).log().item(), abs=0.1)
