"""Several interventions on one text read at once, where a model comes out of that as it does of one."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from model.attention_call import Changes
from model.run import VisitorError


def one_by_one(
    read: Callable[[Changes], Tensor], unembed: Callable[[Tensor], Tensor], some: Iterable[Changes], at_once: int
) -> Iterator[np.ndarray]:
    """The logits (P, V) of what is read for each intervention, of `at_once` at a time.

    Several are read together if, of the first that are, those that begin to differ first and last come out as they do
    alone.
    """
    together, seen = True, False
    for changes in some:
        alone = [Changes((each,)) for each in changes.interventions]
        if together and len(alone) > 1:
            last = _or_none(read, changes)
            together = last is not None and (seen or _as_alone(read, unembed, changes, last))
            seen = True
            if together:
                for part in last.split(at_once):
                    yield from unembed(part).numpy()
                continue
        for each in alone:
            yield from unembed(read(each)).numpy()


def _or_none(read: Callable[[Changes], Tensor], changes: Changes) -> Tensor | None:
    try:
        return read(changes)
    except VisitorError:  # of transformers' code, which may know one text only
        return None


def _as_alone(
    read: Callable[[Changes], Tensor], unembed: Callable[[Tensor], Tensor], changes: Changes, last: Tensor
) -> bool:
    order = sorted(range(len(last)), key=lambda i: changes.interventions[i].beginning)
    return all(
        _same(unembed(last[i : i + 1]), unembed(read(Changes((changes.interventions[i],)))))
        for i in (order[0], order[-1])
    )


def _same(ours: Tensor, theirs: Tensor) -> bool:
    return ours.shape == theirs.shape and torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4 * float(theirs.abs().max()))
