"""What flows through a transformers model while it reads a few tokens: which vectors each module took, and gave.

From this `model.huggingface.layers` finds out what the modules of a layer are for, whatever they are called.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from model.huggingface.capture import active

_SAME = 2e-5  # of two float32 ways to the same vectors, as a part of the largest number


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a module, in the order in which they ended."""

    module: nn.Module
    took: tuple[np.ndarray, ...]  # without the axis of texts: (T, N), or of heads
    gave: np.ndarray | None  # the first that it returned
    block: int  # in which of the blocks; -1 before the first
    n_attention: int  # calls of self-attention until then


def calls_of(transformer: nn.Module, read: Callable[[], object]) -> list[Call]:
    """All calls of all modules while `read` lets the model read one text under a recorder."""
    calls: list[Call] = []

    def after(module: nn.Module, args: tuple, kwargs: dict[str, object], output: object) -> None:
        if recorder := active():
            took, gave = (tuple(map(kept, vectors(each))) for each in ((*args, *kwargs.values()), output))
            calls.append(Call(module, took, gave[0] if gave else None, recorder.n_block - 1, recorder.n_self))

    handles = [part.register_forward_hook(after, with_kwargs=True) for part in transformer.modules()]
    try:
        read()
    finally:
        for handle in handles:
            handle.remove()
    return calls


def vectors(values: object) -> list[Tensor]:
    """What may be vectors of tokens among what a module takes or gives; those of one text.

    OPT takes its text without an axis of texts there.
    """
    values = values if isinstance(values, tuple | list) else (values,)
    return [
        each
        for each in values
        if isinstance(each, Tensor) and each.is_floating_point() and (each.ndim == 2 or len(each) == 1 < each.ndim)
    ]


def kept(tensor: Tensor) -> np.ndarray:
    """A copy, without the axis of texts."""
    return (tensor if tensor.ndim == 2 else tensor[0]).detach().float().numpy().copy()


def same(ours: np.ndarray | None, theirs: np.ndarray | None) -> bool:
    """Whether they are the same vectors, but for rounding."""
    if ours is None or theirs is None or ours.shape != theirs.shape:
        return False
    return bool(np.abs(ours - theirs).max(initial=0) <= _SAME * np.abs(theirs).max(initial=0))
