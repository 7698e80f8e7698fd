"""What flows through a transformers model while it reads a few tokens: which vectors each module took, and gave.

From this `model.huggingface.layers` finds out what the modules of a layer are for, whatever they are called; and a
decoder that was cut off from its encoder is known by what does not flow.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn

from model.huggingface.capture import active
from model.run import ModelNotAvailable

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


_CROSS = re.compile(r"(.*\.)?(encoder_attn|cross_?att(n|ention)|EncDecAttention|encoder_decoder_attention)")


def check_fed(opened: Any, title: str) -> None:
    """Raises `ModelNotAvailable` for the decoder of a pair without what it reads (TrOCR's, BART's): one with parts that
    look at what an encoder read, none of which is called when a text is read.
    """
    parts = {name: part for name, part in opened.transformer.named_modules() if _CROSS.fullmatch(name)}
    parts = {name: part for name, part in parts.items() if not isinstance(part, nn.ModuleList)}  # never called
    if opened.pair or not parts:
        return
    called: list[nn.Module] = []
    handles = [part.register_forward_pre_hook(lambda module, _: called.append(module)) for part in parts.values()]
    try:
        opened.forward(*opened.probe)
    finally:
        for handle in handles:
            handle.remove()
    if not called:
        raise ModelNotAvailable(
            f"“{title}” is a decoder alone ({opened.class_name}): its cross-attention ({next(iter(parts))}) is there "
            "to look at what an encoder reads, and no encoder is in it. Choose the whole model that it is a part of."
        )


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
