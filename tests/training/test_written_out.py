"""Attention as it is written out for training, and Muon's step, against their plain definitions."""

import pytest
import torch
from torch.nn import functional as F

from model.builtin.transformer import Config, EncoderDecoder, Transformer
from model.training.written_out import WrittenOut, attend

B, H, T, S, K = 3, 4, 17, 23, 8


def inputs(n_key: int, dtype=torch.float32) -> list[torch.Tensor]:
    torch.manual_seed(0)
    shapes = ((B, H, T, K), (B, H, n_key, K), (B, H, n_key, K))
    return [torch.randn(shape).to(dtype).requires_grad_() for shape in shapes]


def padding() -> torch.Tensor:
    return (torch.arange(S) < torch.tensor([[S], [5], [1]]))[:, None, None, :]  # (B, 1, 1, S)


@pytest.mark.parametrize(
    ("n_key", "how"),
    [(T, {"is_causal": True}), (S, {}), (S, {"attn_mask": padding()}), (S, {"scale": 0.3})],
    ids=["causal", "cross", "padded", "scaled"],
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
def test_it_is_scaled_dot_product_attention(n_key, how, dtype, tolerance):
    """Outputs and gradients, in bfloat16 to its precision: against PyTorch's own in float64."""
    own, theirs = inputs(n_key, dtype), [t.detach().double().requires_grad_() for t in inputs(n_key, dtype)]
    with WrittenOut():
        found = F.scaled_dot_product_attention(*own, **how)
    wanted = F.scaled_dot_product_attention(*theirs, **how)
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), wanted, rtol=0, atol=tolerance * wanted.abs().max().item())
    weight = torch.randn(found.shape)
    (found * weight.to(dtype)).sum().backward()
    (wanted * weight.double()).sum().backward()
    for mine, reference in zip(own, theirs, strict=True):
        largest = reference.grad.abs().max().item()
        torch.testing.assert_close(mine.grad.double(), reference.grad, rtol=0, atol=3 * tolerance * largest)


def test_outside_of_it_nothing_is_changed():
    query, key, value = inputs(T)
    inside, outside = [], []
    for kept, mode in ((inside, WrittenOut()), (outside, torch.no_grad())):
        with mode, torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            F.scaled_dot_product_attention(query, key, value, is_causal=True)
        kept += [event.key for event in profile.key_averages()]
    assert "aten::scaled_dot_product_attention" in outside
    assert "aten::scaled_dot_product_attention" not in inside


@pytest.mark.parametrize("kind", [Transformer, EncoderDecoder])
def test_a_training_step_has_the_same_gradients(kind):
    """bfloat16 autocast, with it and without: as near to each other as each is to float32."""
    torch.manual_seed(0)
    transformer = kind(Config(n_vocab=50, n_context=32, n_layer=2, n_head=2, d_model=32))
    ids = torch.randint(50, (4, 24))
    arguments = (
        (ids,) if kind is Transformer else (ids, ids[:, :11], torch.arange(24) < torch.tensor([[24], [3], [9], [1]]))
    )

    def gradient(*modes) -> torch.Tensor:
        transformer.zero_grad()
        for mode in modes:
            mode.__enter__()
        logits, _ = transformer(*arguments)
        for mode in reversed(modes):
            mode.__exit__(None, None, None)
        F.cross_entropy(logits.float().flatten(0, 1), ids[:, : logits.shape[1]].flatten()).backward()
        return torch.cat([p.grad.flatten() for p in transformer.parameters() if p.grad is not None])

    exact = gradient()
    fused = gradient(torch.autocast("cpu", torch.bfloat16))
    written = gradient(torch.autocast("cpu", torch.bfloat16), WrittenOut())
    assert (written - exact).norm() < 1e-2 * exact.norm()
    assert (written - fused).norm() < 1e-2 * exact.norm()


def test_a_query_that_sees_one_key_takes_its_value():
    query, key, value = inputs(S)
    found = attend(query, key, value, torch.arange(S) == 7)
    torch.testing.assert_close(found, value[:, :, 7:8].expand(-1, -1, T, -1))
