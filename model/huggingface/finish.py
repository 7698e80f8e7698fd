"""What classes do to the result of their last module before they call it logits: each way that there is, as a value."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Finish:
    """cap · tanh(factor · x / cap) + shift, as far as there is such a thing."""

    factor: float = 1.0
    cap: float | None = None  # soft (Gemma 2)
    shift: Tensor | None = None  # (V,)

    def __call__(self, x: Tensor) -> Tensor:
        """(…, V) -> (…, V)"""
        if self.factor != 1:
            x = x * self.factor
        if self.cap is not None:
            x = self.cap * torch.tanh(x / self.cap)
        return x if self.shift is None else x + self.shift


def finishes(transformer: nn.Module, config: Any) -> Iterator[Finish]:
    """What a class may do, by what its configuration names, the usual first."""
    yield Finish()
    factors = [getattr(config, "logit_scale", None), getattr(config, "d_model", 1) ** -0.5]
    factors.append(getattr(config, "lm_head_multiplier", None))
    stated = (getattr(config, name, None) for name in ("logits_scaling", "logits_mup_width_multiplier"))
    factors += [1 / scaling for scaling in stated if scaling]
    for factor in factors:
        if isinstance(factor, float):
            yield Finish(factor=factor)
    for name in ("final_logit_softcapping", "logits_soft_cap", "softcap"):
        if cap := getattr(config, name, None):
            yield Finish(cap=cap)
    if (bias := getattr(transformer, "final_logits_bias", None)) is not None:
        yield Finish(shift=bias[0])
