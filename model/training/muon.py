"""Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon): the momentum of a matrix, made orthogonal, is its step.

`torch.optim.Muon` works in bfloat16 inside, which a CPU without such instructions emulates at a thirtieth of its speed,
and on one matrix at a time. This one works in the precision that it is given, on all matrices of a shape at once.
"""

from collections import defaultdict

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the Newton-Schulz iteration: the steepest start that stays bounded
N_ITERATION = 5


class Muon(torch.optim.Optimizer):
    """For matrices (n, m): Nesterov momentum, decoupled weight decay, steps √(n / m) as large where they are tall."""

    def __init__(self, groups, momentum: float = 0.95, dtype: torch.dtype = torch.float32):
        """`dtype`: of the Newton-Schulz iteration; the learning rate `lr` of a group is to be set before each step."""
        super().__init__(groups, {"lr": 0.0, "weight_decay": 0.0, "momentum": momentum})
        self.dtype = dtype

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            of_shape = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    of_shape[parameter.shape].append(parameter)
            for (n, m), parameters in of_shape.items():
                updates = torch.stack([self._update(parameter, group["momentum"]) for parameter in parameters])
                for parameter, step in zip(parameters, orthogonal(updates.to(self.dtype)), strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(step, alpha=-group["lr"] * max(1, n / m) ** 0.5)

    def _update(self, parameter: Tensor, momentum: float) -> Tensor:
        """The gradient, drawn towards the running mean of all gradients."""
        state = self.state[parameter]
        mean = state.setdefault("momentum_buffer", torch.zeros_like(parameter.grad))
        mean.lerp_(parameter.grad, 1 - momentum)
        return parameter.grad.lerp(mean, momentum)


def orthogonal(matrices: Tensor) -> Tensor:
    """(B, n, m): about U Vᵀ of each one's U Σ Vᵀ; all singular values come to lie between 0.7 and 1.2."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    a, b, c = COEFFICIENTS
    for _ in range(N_ITERATION):
        square = x @ x.mT  # (B, n, n)
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x
