"""What lies beside the text model in a checkpoint that holds several: a part for pictures, or for sound.

It is known by not being called while a text is read, whatever it is called, and is let go: it takes memory, and its
tables of positions are not the text's.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from math import prod
from typing import Any

from torch import Tensor, nn

from model.sources.claims import Shapes

_LEFT_OUT = "regard_left_out"
_KINDS = {"vision": "pictures", "image": "pictures", "audio": "sound", "speech": "sound"}


def leave_out(transformer: Any, read: Callable[[], Tensor]) -> dict[str, int]:
    """Take out of a model what `read` does not call; what comes of `read` stays the same, or nothing is taken out.

    Returns how many parameters each part held, by its name.
    """
    if noted := getattr(transformer, _LEFT_OUT, None):
        return noted
    if not transformer.config.sub_configs:
        return {}
    called: set[nn.Module] = set()
    handles = [part.register_forward_pre_hook(lambda part, _: called.add(part)) for part in transformer.modules()]
    try:
        before = read()
    finally:
        for handle in handles:
            handle.remove()
    used = {id(weight) for part in called for weight in part.parameters(recurse=False)}
    found = {name: transformer.get_submodule(name) for name in _not_called(transformer, called, used, "")}
    held = {name: sum(weight.numel() for weight in part.parameters()) for name, part in found.items()}
    _put(transformer, {name: _Absent(part) for name, part in found.items()})
    try:
        same = bool((read() == before).all())
    except (AttributeError, TypeError, ValueError, RuntimeError):  # a class that takes its weights without calling it
        same = False
    if not same:
        _put(transformer, found)
        return {}
    return held


def note_left_out(transformer: Any, shapes: Shapes) -> None:
    """Of a text model that was loaded alone: what else its files held, as `leave_out` will say it."""
    parts: Counter[str] = Counter()
    for name, shape in shapes.items():
        parts[".".join(name.split(".")[: 2 if name.startswith("model.") else 1])] += prod(shape)
    setattr(transformer, _LEFT_OUT, dict(parts))


def sentence(config: Any, parts: dict[str, int]) -> str:
    """What is said of the parts that `leave_out` found; "" if there are none."""
    if not parts:
        return ""
    kinds = [of for name in (*config.sub_configs, *parts) for word, of in _KINDS.items() if word in name]
    what = " and ".join(dict.fromkeys(kinds)) or "something else than text"
    n = sum(parts.values())
    size = f"{n / 1e6:,.1f} million" if n >= 100_000 else f"{n:,}"
    return (
        f"Its part for {what} is in the files and is not read: Regard reads the text model beside it, as transformers "
        f"does where only text comes (left out: {', '.join(parts)}; {size} parameters)."
    )


def _not_called(part: nn.Module, called: set[nn.Module], used: set[int], path: str) -> Iterator[str]:
    """The outermost parts in which nothing was called, with parameters that no other uses (by their `id`).

    In lists lie layers and experts: they stay.
    """
    if isinstance(part, nn.ModuleList):
        return
    for name, child in part.named_children():
        if any(each in called for each in child.modules()):
            yield from _not_called(child, called, used, f"{path}{name}.")
        elif any(id(weight) not in used for weight in child.parameters()):
            yield path + name


class _Absent(nn.Module):
    """Stands for a part that was let go, and says what classes ask of it also where they read no picture."""

    def __init__(self, part: nn.Module):
        super().__init__()
        first = next(part.parameters())
        self.config, self.dtype, self.device = getattr(part, "config", None), first.dtype, first.device


def _put(transformer: nn.Module, parts: dict[str, nn.Module]) -> None:
    for path, part in parts.items():
        parent, _, name = path.rpartition(".")
        setattr(transformer.get_submodule(parent), name, part)
