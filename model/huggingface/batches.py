"""Several interventions on one text read at once, where a model comes out of that as it does of one."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from model.attention_call import Changes
from model.run import VisitorError


def one_by_one(read: Callable[[Changes], Tensor], some: Iterable[Changes]) -> Iterator[np.ndarray]:
    """What is read for each intervention: of several at once, if the first of them comes out as it does alone, which is
    looked at once for each layer in which they begin.
    """
    together, seen = True, set()
    for changes in some:
        alone, beginning = [Changes((each,)) for each in changes.interventions], changes.interventions[0].beginning
        if together and len(alone) > 1:
            logits = _or_none(read, changes)
            together = logits is not None and (beginning in seen or _same(logits[:1], read(alone[0])))
            seen.add(beginning)
            if together:
                yield from logits.numpy()
                continue
        for each in alone:
            yield from read(each).numpy()


def _or_none(read: Callable[[Changes], Tensor], changes: Changes) -> Tensor | None:
    try:
        return read(changes)
    except VisitorError:  # of transformers' code, which may know one text only
        return None


def _same(ours: Tensor, theirs: Tensor) -> bool:
    return ours.shape == theirs.shape and torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4 * float(theirs.abs().max()))
