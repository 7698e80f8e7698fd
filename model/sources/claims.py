"""What a configuration claims, held against what the files' headers say, before anything is built of it.

A line of JSON can ask for ten million layers. What transformers would make of a configuration is found out in three
steps, each of which makes the next one safe: numbers that count parts are compared with the number of tensors; the
configuration is read within a bounded number of calls; the model is built without memory (torch's meta device), within
the same bound, and its size is compared with that of the files.
"""

import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from math import prod
from typing import Any

from model.run import ModelNotAvailable, short

N_CALL = 4_000_000  # of Python, to read a configuration or build a model of it; the largest known take a million
N_SHARED = 128  # layers that a model may have without tensors of their own (ALBERT has 12)
N_COUNT = 65_536  # heads, experts, labels …, where no tensor has as many rows
SPARE = 2**24  # numbers that a model may hold beside what its files do

_LAYERS = re.compile(r"(^|_)(layers?|blocks|depth|stages)$")
_COUNT = re.compile(r"^(n|num|number)_|(^|_)(heads?|experts|groups)$")
_SIZE = re.compile(r"position|ctx|context|embd|inner|words|vocab|token|param|sample|step|frame|bins")

# while it builds a model, transformers exchanges functions of torch for the whole process: two at once break each other
# (all else of a load goes on beside others'; a slow disk holds nobody up: the files have been read before)
BUILDING = threading.Lock()

Shapes = Mapping[str, tuple[int, ...]]  # of every tensor in the files, by its name


def check_counts(stated: Any, shapes: Shapes) -> None:
    """The numbers of a config.json that count parts of the model. Raises `ValueError` with the reason."""
    most = max((size for shape in shapes.values() for size in shape), default=0)
    rest = [("", stated)]
    while rest:
        name, value = rest.pop()
        if isinstance(value, dict):
            rest.extend(value.items())
        elif isinstance(value, list):
            rest.extend((name, child) for child in value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            _check_count(name, value, len(shapes), most)


def _check_count(name: str, number: float, n_tensor: int, most: int) -> None:
    if _LAYERS.search(name) and number > max(N_SHARED, n_tensor):
        raise ValueError(f"it says {name} {number:,}, and there are {n_tensor:,} tensors")
    if _COUNT.search(name) and not _SIZE.search(name) and number > max(N_COUNT, n_tensor, most):
        raise ValueError(f"it says {name} {number:,}, and no tensor has as many rows")
    # "vision_feature_layer" is no count, and -2 is the last but one
    if (_LAYERS.search(name) or _COUNT.search(name)) and number < -1 and not name.endswith("_layer"):
        raise ValueError(f"it says {name} {number:,}")
    if isinstance(number, int) and abs(number) >= 2**63:
        raise ValueError(f"{name[:40]} has {len(str(number))} digits")


def check_sizes(config: Any) -> None:
    """A configuration as transformers reads it: nothing is left of a model without heads. Raises `ValueError`."""
    for name in ("num_hidden_layers", "num_attention_heads", "hidden_size", "vocab_size"):
        number = getattr(config, name, None)
        if isinstance(number, int) and number < 1:
            raise ValueError(f"it says {name} {number}")


class _TooMuch(BaseException):
    """No `Exception`: whatever is being done, goes on to the end of none of its own `try`."""


@contextmanager
def bounded_work(n_call: int = N_CALL) -> Iterator[None]:
    """Raises `ValueError` where this thread makes more calls, of Python or of C.

    Counted by the interpreter's profiler: the same number for the same work, on any machine.
    """
    before, left = sys.getprofile(), n_call

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise _TooMuch

    sys.setprofile(count)
    try:
        yield
    except _TooMuch:
        raise ValueError(f"it takes more than {n_call:,} steps to build") from None
    finally:
        sys.setprofile(before)


def check_build(build: Callable[[Any], Any], config: Any, shapes: Shapes, source: str) -> None:
    """Build a model without its memory, and compare it with the files; `source`: where the configuration stands.

    Raises `ModelNotAvailable`.

    What is missing in the files, transformers would make up at random, in memory that nobody has counted.
    """
    import torch

    try:
        with bounded_work(), torch.device("meta"):
            built = build(deepcopy(config))
    except ImportError as error:  # Gemma 3n's pictures are read by timm
        raise ModelNotAvailable(
            f"The model of the {source} is built with a package that is not installed ({short(error)}). Install it and "
            "start Regard again, or choose another model."
        ) from error
    except Exception as error:  # of any architecture that does not like its configuration
        raise ModelNotAvailable(
            f"The {source} describes no model that can be built ({short(error)}). "
            "Download it again, or choose another model."
        ) from error
    base = f"{type(built).base_model_prefix}."
    for name, part in built.named_modules():
        if isinstance(part, torch.nn.Embedding) and (held := _held(f"{name}.weight", base, shapes)):
            wanted = tuple(part.weight.shape)
            if len(held) == 2 and held != wanted:
                raise ModelNotAvailable(
                    f"The {source} disagrees with the weights: {name} has {wanted[0]:,} × "
                    f"{wanted[1]:,} numbers by the one, {held[0]:,} × {held[1]:,} in the other. The files belong to "
                    "different models: download them again."
                )
    in_files = sum(prod(shape) for shape in shapes.values())
    head = max((prod(shape) for shape in shapes.values() if len(shape) == 2), default=0)  # as large as the vocabulary's
    in_memory = sum(prod(weight.shape) for weight in {id(w): w for w in built.parameters()}.values())
    buffers = sum(prod(buffer.shape) for buffer in {id(b): b for b in built.buffers()}.values())
    if in_memory > in_files + head + SPARE or buffers > in_files + SPARE:
        raise ModelNotAvailable(
            f"The {source} describes a model of {in_memory + buffers:,} numbers, and the files hold "
            f"{in_files:,}. The files belong to different models, or some are missing: download them again."
        )


def _held(name: str, base: str, shapes: Shapes) -> tuple[int, ...] | None:
    """The shape in the files, where names stand with or without the name of the part that all heads share."""
    return next((shapes[n] for n in (name, base + name, name.removeprefix(base)) if n in shapes), None)
