"""Muon's step against its plain definition, and against torch's."""

import numpy as np
import pytest
import torch

from model.training.muon import Muon, orthogonal

SHAPES = [(12, 8), (8, 12), (9, 9)]
RATE, DECAY, MOMENTUM = 0.1, 0.05, 0.95


def after(optimizer, shape, rng) -> list[torch.nn.Parameter]:
    """Two matrices after three steps on random gradients."""
    parameters = [torch.nn.Parameter(torch.from_numpy(rng.normal(size=shape)).float()) for _ in range(2)]
    muon = optimizer([{"params": parameters, "weight_decay": DECAY, "lr": RATE}])
    for _ in range(3):
        for parameter in parameters:
            parameter.grad = torch.from_numpy(rng.normal(size=shape)).float()
        muon.step()
    return parameters


def by_definition(shape, rng) -> list[np.ndarray]:
    """Momentum, Nesterov, five Newton-Schulz steps, decay: by hand in float64."""
    weights, means = [rng.normal(size=shape) for _ in range(2)], [np.zeros(shape) for _ in range(2)]
    for _ in range(3):
        for i in range(2):
            gradient = rng.normal(size=shape)
            means[i] = MOMENTUM * means[i] + (1 - MOMENTUM) * gradient
            step = MOMENTUM * means[i] + (1 - MOMENTUM) * gradient
            x = step / np.linalg.norm(step)
            for _ in range(5):
                square = x @ x.T
                x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
            weights[i] = (1 - RATE * DECAY) * weights[i] - RATE * max(1, shape[0] / shape[1]) ** 0.5 * x
    return weights


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.02)])
@pytest.mark.parametrize("shape", SHAPES)
def test_muons_step_is_that_of_its_definition(shape, dtype, tolerance):
    found = after(lambda groups: Muon(groups, dtype=dtype), shape, np.random.default_rng(0))
    for parameter, weight in zip(found, by_definition(shape, np.random.default_rng(0)), strict=True):
        np.testing.assert_allclose(parameter.detach().numpy(), weight, atol=tolerance)


@pytest.mark.parametrize("shape", SHAPES)
def test_muons_step_is_torchs(shape):
    """Which works in bfloat16 inside."""
    found, theirs = (
        after(optimizer, shape, np.random.default_rng(0))
        for optimizer in (Muon, lambda groups: torch.optim.Muon(groups, momentum=MOMENTUM, adjust_lr_fn="original"))
    )
    for parameter, other in zip(found, theirs, strict=True):
        torch.testing.assert_close(parameter, other, atol=0.02, rtol=0)


def test_a_step_is_nearly_orthogonal():
    values = torch.linalg.svdvals(orthogonal(torch.randn(4, 30, 20, generator=torch.Generator().manual_seed(0))))
    assert values.min() > 0.6 and values.max() < 1.3
