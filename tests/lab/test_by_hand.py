"""Cross-entropy, clipping and AdamW by hand, against PyTorch's in double precision."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from model.lab.by_hand import Optimizer, Schedule, adamw, clipping, cross_entropy


@pytest.mark.parametrize("size", [1.0, 30.0, 800.0])  # the last would be too large for e to its power
def test_cross_entropy_and_its_gradient_are_autograds(size):
    rng = np.random.default_rng(0)
    logits, targets = size * rng.normal(size=(7, 5)), rng.integers(5, size=7)
    made = cross_entropy(logits, targets)
    theirs = torch.from_numpy(logits).requires_grad_()
    loss = F.cross_entropy(theirs, torch.from_numpy(targets))
    loss.backward()
    np.testing.assert_allclose(made.gradient, theirs.grad.numpy(), rtol=0, atol=1e-15)
    np.testing.assert_allclose(made.probability.sum(-1), 1, rtol=0, atol=1e-14)
    assert made.loss == pytest.approx(loss.item(), rel=1e-13)


def test_twenty_steps_of_adamw_with_decay_and_clipping_are_those_of_torch():
    """Each way goes on from its own weights, so that what differs adds up."""
    settings, most = Optimizer((0.9, 0.95), 1e-8, 0.1), 1.0
    schedule = Schedule(3e-2, 5, 20, falls=True)
    rng = np.random.default_rng(1)
    inputs, wanted = torch.from_numpy(rng.normal(size=(16, 6))), torch.from_numpy(3 * rng.normal(size=(16, 4)))
    weights = rng.normal(size=24)
    theirs = torch.nn.Parameter(torch.from_numpy(weights.copy()))
    optimizer = torch.optim.AdamW(
        [theirs], lr=0.0, betas=settings.betas, eps=settings.epsilon, weight_decay=settings.decay
    )

    def gradient_at(parameter: torch.Tensor) -> torch.Tensor:
        loss = torch.tanh(inputs @ parameter.view(6, 4)).sub(wanted).square().sum(1).mean()
        return torch.autograd.grad(loss, parameter)[0]

    m = v = np.zeros(24)
    shares = []
    for t in range(1, 21):
        theirs.grad = gradient_at(theirs)
        norm = torch.nn.utils.clip_grad_norm_([theirs], most)
        optimizer.param_groups[0]["lr"] = schedule.rate(t)
        optimizer.step()
        gradient = gradient_at(torch.from_numpy(weights).requires_grad_()).numpy()
        by_norm, share = clipping(gradient, most)
        made = adamw(weights, share * gradient, m, v, t=t, rate=schedule.rate(t), settings=settings)
        weights, m, v = made.after, made.m, made.v
        shares.append(share)
        assert by_norm == pytest.approx(norm.item(), rel=1e-12)
        np.testing.assert_allclose(weights, theirs.detach().numpy(), rtol=0, atol=1e-12)
    assert min(shares) < 1 and np.abs(weights - made.before).max() > 1e-6  # it was clipped, and it moved
    kept = optimizer.state[theirs]
    np.testing.assert_allclose(m, kept["exp_avg"].numpy(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(v, kept["exp_avg_sq"].numpy(), rtol=0, atol=1e-12)


def test_a_short_gradient_is_left_as_it_is():
    assert clipping(np.array([0.3, -0.4]), 1.0) == (pytest.approx(0.5), 1.0)
    norm, share = clipping(np.array([3.0, -4.0]), 1.0)
    assert norm == 5 and share == 1 / (5 + 1e-6)


def test_the_rate_rises_then_stays_or_falls():
    rises = [0.25, 0.5, 0.75, 1.0]
    assert [Schedule(1.0, 4, 8).rate(t) for t in range(1, 9)] == [*rises, 1, 1, 1, 1]
    assert [Schedule(1.0, 4, 8, falls=True).rate(t) for t in range(1, 9)] == [*rises, 0.8, 0.6, 0.4, 0.2]
