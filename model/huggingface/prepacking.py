"""A loaded model made faster without being made another: its weights laid out for this processor, once.

Nine tenths of a forward pass are products of vectors with weights, and for each of them the library first copies the
weights into blocks that suit the processor. oneDNN, which PyTorch brings, can keep them in that order ("weight
prepacking", oneDNN's Memory Format Propagation): the same numbers, the same products in float32, another sequence of
additions. `model.huggingface.adapter` compares what the model says before and after, and undoes it where that is not
the same.
"""

import platform
from collections import Counter
from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.activations import FastGELUActivation, NewGELUActivation
from transformers.pytorch_utils import Conv1D

from model.memory import give_back

_SMALLEST = 1 << 16  # numbers of a weight matrix; the products of smaller ones are over at once
_AT_ONCE = 64 << 20  # bytes laid out anew before the old ones are given back: a large model never stands there twice


def prepack(transformer: nn.Module, *, machine: str = platform.machine()) -> list[nn.Module]:
    """Prepare the linear layers, and GPT-2's GELU, in place; those that were. The others stay as they are.

    A matrix that several modules share (the token embedding that is also the head) would have to be kept twice: it
    stays. A prepared layer's `weight` keeps its shape, (out, in), and its numbers (`Tensor.to_dense`), and can only be
    multiplied with; a gradient passes through to what it multiplies, and none to it. Measured on x86-64 only: on
    another `machine` PyTorch multiplies by other libraries, and nothing is prepared.
    """
    if machine not in ("x86_64", "AMD64") or not torch.backends.mkldnn.is_available():
        return []
    users = Counter(id(weight) for module in transformer.modules() for weight in module.parameters(recurse=False))
    prepared, n_byte = [], 0
    for module in transformer.modules():
        # one operation instead of eight that each write a tensor
        if isinstance(module, NewGELUActivation | FastGELUActivation):
            module.forward = partial(F.gelu, approximate="tanh")
        elif type(module) in (nn.Linear, Conv1D) and users[id(module.weight)] == 1:
            weight = out_in(module, module.weight)
            if weight.dtype != torch.float32 or weight.numel() < _SMALLEST:
                continue
            packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), None)
            module.weight = nn.Parameter(packed, requires_grad=False)
            module.forward = partial(_linear, module.weight, module.bias)
            if (n_byte := n_byte + 4 * weight.numel()) > _AT_ONCE:
                del weight
                give_back()
                n_byte = 0
        else:
            continue
        prepared.append(module)
    give_back()
    return prepared


def undo(prepared: Sequence[nn.Module]) -> None:
    """The modules as they were."""
    for module in prepared:
        del module.forward
        if (weight := getattr(module, "weight", None)) is not None:
            module.weight = nn.Parameter(out_in(module, weight.to_dense()).contiguous(), requires_grad=False)


def out_in(module: nn.Module, weight: Tensor) -> Tensor:
    """GPT-2's Conv1D keeps (in, out)."""
    return weight.T if isinstance(module, Conv1D) else weight


def _linear(weight: Tensor, bias: Tensor | None, x: Tensor) -> Tensor:
    if torch.is_grad_enabled() and x.requires_grad:
        return _Packed.apply(x, weight, bias)
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")  # "none": nothing behind the product


class _Packed(torch.autograd.Function):
    """The same product, for which the library knows no derivative: with respect to x alone, as weights stay."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.weight = weight
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient @ ctx.weight.to_dense(), None, None
