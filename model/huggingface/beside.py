"""What lies beside the text model in a checkpoint that holds several: a part for pictures, or for sound.

It is known by not being called while a text is read, whatever it is called, and is let go: it takes memory, and its
tables of positions are not the text's.
"""

from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor, nn

_KINDS = {"vision": "pictures", "image": "pictures", "audio": "sound", "speech": "sound"}


def leave_out(transformer: Any, read: Callable[[], Tensor]) -> dict[str, int]:
    """Take out of a model what `read` does not call; what comes of `read` stays the same, or nothing is taken out.

    Returns how many parameters each part held, by its name.
    """
    if not transformer.config.sub_configs:
        return {}
    called: set[nn.Module] = set()
    handles = [part.register_forward_pre_hook(lambda part, _: called.add(part)) for part in transformer.modules()]
    try:
        before = read()
    finally:
        for handle in handles:
            handle.remove()
    found = {name: transformer.get_submodule(name) for name in _not_called(transformer, called, "")}
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


def sentence(config: Any, parts: dict[str, int]) -> str:
    """What is said of the parts that `leave_out` found; "" if there are none."""
    if not parts:
        return ""
    kinds = [of for name in config.sub_configs for word, of in _KINDS.items() if word in name]
    what = " and ".join(dict.fromkeys(kinds)) or "something else than text"
    n = sum(parts.values())
    size = f"{n / 1e6:,.1f} million" if n >= 100_000 else f"{n:,}"
    return (
        f"Its part for {what} is in the files and is not read: Regard reads the text model beside it, as transformers "
        f"does where only text comes (left out: {', '.join(parts)}; {size} parameters)."
    )


def _not_called(part: nn.Module, called: set[nn.Module], path: str) -> Iterator[str]:
    """The outermost parts with parameters in which nothing was called. In lists lie layers and experts: they stay."""
    if isinstance(part, nn.ModuleList):
        return
    for name, child in part.named_children():
        if any(each in called for each in child.modules()):
            yield from _not_called(child, called, f"{path}{name}.")
        elif any(True for _ in child.parameters()):
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
