"""Finding one's way in a transformers model of any class, and watching it at the places found.

Hooks are set once, when a model is loaded; what they do and take down is the business of the thread's `Recorder`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model.capture import NotCaptured, active, head_gain
from model.memory import room_for
from model.run import VisitorError

_OUTPUT_PROJECTIONS = {  # where the heads' outputs come together, in a block of a class that never calls `attend`
    "bloom": "self_attention.dense",
    "deberta-v2": "attention.output.dense",
    "falcon": "self_attention.dense",
    "gpt_neo": "attn.attention.out_proj",
    "gptj": "attn.out_proj",
    "mpnet": "attention.attn.o",
    "mpt": "attn.out_proj",
}


def blocks_of(modules: Sequence[nn.Module], transformer: nn.Module) -> list[nn.Module]:
    """For each attention module, the element of the outermost list of modules that it is in: the layer's block."""
    path = {part: name for name, part in transformer.named_modules()}
    blocks = []
    for module in modules:
        names = path[module].split(".")
        steps = [".".join(names[:n]) for n in range(len(names) + 1)]
        inside = [n for n in range(1, len(steps)) if isinstance(transformer.get_submodule(steps[n - 1]), nn.ModuleList)]
        if not inside:
            raise NotCaptured(f"its attention {path[module]} lies in no list of layers")
        blocks.append(transformer.get_submodule(steps[inside[0]]))
    return blocks


def stack_of(transformer: nn.Module, n_layer: int, pair: bool) -> list[nn.Module]:
    """The list of the layers' blocks in a class that does not say where its attention is."""
    for name, part in transformer.named_modules():
        if isinstance(part, nn.ModuleList) and len(part) == n_layer and (not pair or "decoder" in name):
            return list(part)
    raise NotCaptured(f"it has no list of {n_layer} layers")


def watch_blocks(blocks: Sequence[nn.Module]) -> None:
    """Let this thread's recorder, where there is one, take down the residual stream before and after each block."""

    def before(_: nn.Module, args: tuple, kwargs: dict) -> None:
        recorder = active()
        if recorder and recorder.hidden is None:
            stream = args[0] if args else kwargs["hidden_states"]  # (1, T, D); XLNet's (T, 1, D)
            d_model = stream.shape[-1]
            hidden = room_for((len(blocks) + 1, stream.numel() // d_model, d_model), np.float32)  # (L + 1, T, D)
            recorder.hidden = torch.from_numpy(hidden)
            recorder.hidden[0] = stream.reshape(-1, d_model)

    def after(_: nn.Module, args: tuple, output: Tensor | tuple) -> None:
        if recorder := active():
            stream = output[0] if isinstance(output, tuple) else output
            recorder.n_block += 1
            recorder.hidden[recorder.n_block] = stream.reshape(-1, stream.shape[-1])

    blocks[0].register_forward_pre_hook(before, with_kwargs=True)
    for block in dict.fromkeys(blocks):
        block.register_forward_hook(after)


def watch_outputs(model_type: str, blocks: Sequence[nn.Module], n_head: int) -> bool:
    """Make heads of a class that never calls `attend` ones that can be switched off. False: not known where."""
    if (path := _OUTPUT_PROJECTIONS.get(model_type)) is None:
        return False

    def switch(layer: int):
        def before(_: nn.Module, args: tuple) -> tuple | None:
            recorder = active()
            gain = recorder and head_gain(recorder.intervention.heads_off, layer, n_head)
            if gain is None:
                return None
            heads = args[0].unflatten(-1, (n_head, -1)) * gain[0, :, 0]  # (1, T, H, K)
            return (heads.flatten(-2), *args[1:])

        return before

    for layer, block in enumerate(blocks):
        block.get_submodule(path).register_forward_pre_hook(switch(layer))
    return True


def watch_positions(transformer: nn.Module) -> bool:
    """Make positions something that can be taken away: learned or sinusoidal vectors, and rotations.

    A position bias is taken away in `attend`. False if the model has none of the first two.
    """

    def no_vectors(_: nn.Module, args: tuple, output: Tensor) -> Tensor | None:
        recorder = active()
        return torch.zeros_like(output) if recorder and not recorder.intervention.positions else None

    def no_rotation(module: nn.Module, args: tuple, output: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor] | None:
        recorder = active()
        if not recorder or recorder.intervention.positions:
            return None
        if not (isinstance(output, tuple) and len(output) == 2):
            raise VisitorError("This model turns its queries and keys in a way of its own; that cannot be left out.")
        cosine, sine = output
        strength = getattr(module, "attention_scaling", 1.0)  # YaRN's, which is no rotation
        return torch.full_like(cosine, strength), torch.zeros_like(sine)

    found = False
    for name, part in transformer.named_modules():
        if is_position_table(name, part):
            part.register_forward_hook(no_vectors)
        elif type(part).__name__.endswith("RotaryEmbedding"):
            part.register_forward_hook(no_rotation)
        else:
            continue
        found = True
    return found


def is_position_table(name: str, part: nn.Module) -> bool:
    """Whether this is the table of position vectors that are added to token vectors."""
    return isinstance(part, nn.Embedding) and name.rpartition(".")[2] in (
        "wpe",
        "position_embeddings",
        "embed_positions",
    )


@contextmanager
def modules_behind(blocks: Sequence[nn.Module], transformer: nn.Module) -> Iterator[list[nn.Module]]:
    """While a forward pass runs in the context: the outermost modules called after the last block, in order."""
    behind: list[nn.Module] = []
    depth = 0

    def is_behind() -> bool:
        return (recorder := active()) is not None and recorder.n_block == len(blocks)

    def before(part: nn.Module, _: tuple) -> None:
        nonlocal depth
        if is_behind():
            if depth == 0:
                behind.append(part)
            depth += 1

    def after(*_: object) -> None:
        nonlocal depth
        depth -= is_behind() and depth > 0

    inside = {part for block in blocks for part in block.modules()}
    handles = []
    for part in transformer.modules():
        if part not in inside:
            handles += [part.register_forward_pre_hook(before), part.register_forward_hook(after)]
    try:
        yield behind
    finally:
        for handle in handles:
            handle.remove()


def finishes(transformer: nn.Module, config: Any) -> Iterator[Callable[[Tensor], Tensor]]:
    """What classes do to the result of their last module, the usual first."""
    yield lambda x: x
    factors = [getattr(config, "logit_scale", None), getattr(config, "d_model", 1) ** -0.5]
    if scaling := getattr(config, "logits_scaling", None):
        factors.append(1 / scaling)
    for factor in factors:
        if isinstance(factor, float):
            yield lambda x, factor=factor: x * factor
    if cap := getattr(config, "final_logit_softcapping", None):
        yield lambda x: cap * torch.tanh(x / cap)
    if (bias := getattr(transformer, "final_logits_bias", None)) is not None:
        yield lambda x: x + bias[0]
