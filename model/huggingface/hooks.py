"""Finding one's way in a transformers model of any class, and watching it at the places found.

Hooks are set once, when a model is loaded; what they do and take down is the business of the thread's `Recorder`.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from model.growing import Growing
from model.huggingface.capture import CallRecord, NotCaptured, Recorder, active
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


def stacks_of(transformer: nn.Module, n_layer: int, pair: bool) -> list[list[nn.Module]]:
    """Every list of as many modules as there are layers: of blocks, or of one part of each."""
    return [
        list(part)
        for name, part in transformer.named_modules()
        if isinstance(part, nn.ModuleList) and len(part) == n_layer and (not pair or "decoder" in name)
    ]


@dataclass(frozen=True)
class Stream:
    """Where the residual stream is seen: before each of `blocks`, and what `last` makes of it in the end."""

    blocks: Sequence[nn.Module]  # L of them; the same one again where layers share it
    enters: bool  # it is what enters each block; else, after the first, what left the one before
    last: nn.Module
    n_last: int  # how often it is called until then
    behind: Sequence["Step"]  # the outermost modules called after that, in order
    pads: bool  # whether the class adds tokens behind the text, to fill its window: they are left out


def find_stream(
    stacks: Sequence[Sequence[nn.Module]],
    transformer: nn.Module,
    read: Callable[[], object],
    theirs: Sequence[Tensor],
    pads: bool,
) -> Stream | None:
    """The residual stream, known by being `theirs`: L + 1 of transformers' hidden states while it reads what `read`
    makes it read. The last may stand behind what comes after all blocks (a final norm). None if it is nowhere.

    pads: whether the class adds tokens behind the text; `theirs` are without.
    """
    n_token = theirs[0].numel() // theirs[0].shape[-1] if pads else None
    entering, leaving = _seen(stacks, read, n_token)
    for blocks in stacks:
        entered, left = (_in_order(seen, blocks) for seen in (entering, leaving))
        for enters, states in ((True, entered), (False, entered[:1] + left[:-1])):
            if len(states) != len(theirs) - 1 or not all(map(_same, states, theirs[:-1])):
                continue
            for last in dict.fromkeys([blocks[-1], *(other[-1] for other in stacks)]):
                if not leaving.get(last):
                    continue
                n_last, x = len(leaving[last]), leaving[last][-1]
                behind = modules_behind(last, n_last, transformer, read)
                if _same(x, theirs[-1]) or any(_leads_to(x, path, theirs[-1]) for path in paths(behind)):
                    return Stream(blocks, enters, last, n_last, behind, pads)
    return None


def _seen(
    stacks: Sequence[Sequence[nn.Module]], read: Callable[[], object], n_token: int | None
) -> tuple[dict[nn.Module, list[Tensor]], dict[nn.Module, list[Tensor]]]:
    """What enters and what leaves each module of the stacks, of the first tokens, once for each of its calls."""
    entering: dict[nn.Module, list[Tensor]] = {}
    leaving: dict[nn.Module, list[Tensor]] = {}

    def before(module: nn.Module, args: tuple, kwargs: dict) -> None:
        if (stream := _stream(_taken(args, kwargs))) is not None:
            entering.setdefault(module, []).append(stream[:n_token].clone())

    def after(module: nn.Module, args: tuple, output: object) -> None:
        if (stream := _stream(output)) is not None:
            leaving.setdefault(module, []).append(stream[:n_token].clone())

    handles = []
    for module in dict.fromkeys(module for stack in stacks for module in stack):
        handles += [module.register_forward_pre_hook(before, with_kwargs=True), module.register_forward_hook(after)]
    try:
        read()
    finally:
        for handle in handles:
            handle.remove()
    return entering, leaving


def _in_order(seen: dict[nn.Module, list[Tensor]], blocks: Sequence[nn.Module]) -> list[Tensor]:
    """What was seen of these blocks; nothing unless each was called once for each time that it is there."""
    if any(len(seen.get(block, ())) != n for block, n in Counter(blocks).items()):
        return []
    left = {block: iter(seen[block]) for block in blocks}
    return [next(left[block]) for block in blocks]


def _stream(values: object) -> Tensor | None:
    """The vectors among what a module is given or gives, (T, D); XLNet's are (T, 1, D), others (1, T, D)."""
    for each in values if isinstance(values, tuple | list) else (values,):
        if _is_stream(each):
            return each.reshape(-1, each.shape[-1])
    return None


def _is_stream(value: object) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.ndim == 3


def _taken(args: tuple, kwargs: dict[str, object]) -> tuple:
    """What a module is given, the hidden vectors first where they are called so: Reformer has another stream beside."""
    return (*args, kwargs.get("hidden_states"), *kwargs.values())


def _widened(args: tuple, kwargs: dict[str, object], growing: Growing, layer: int) -> tuple[tuple, dict[str, object]]:
    """What a block is given, with the vectors of the first text once more for each that joins there."""
    few = next(each for each in _taken(args, kwargs) if _is_stream(each))  # (B, T, D)
    start = 0 if growing.keeps_first(layer) else 1
    many = torch.cat([few[start:], few[:1].expand(len(growing.joining(layer)), -1, -1)])
    return tuple(many if x is few else x for x in args), {name: many if x is few else x for name, x in kwargs.items()}


def _same(ours: Tensor, theirs: Tensor) -> bool:
    theirs = theirs.reshape(-1, theirs.shape[-1])
    return ours.shape == theirs.shape and torch.allclose(ours, theirs, rtol=1e-4, atol=1e-5 * float(theirs.abs().max()))


def _leads_to(x: Tensor, behind: Sequence[nn.Module], theirs: Tensor) -> bool:
    x = x[None]  # (1, T, D)
    for part in behind:
        try:
            x = part(x)
        except (TypeError, ValueError, RuntimeError, IndexError, AttributeError):
            return False
        if not isinstance(x, Tensor):
            return False
        if x.ndim == 3 and _same(x[0], theirs):
            return True
    return False


def watch_stream(stream: Stream) -> None:
    """Let this thread's recorder, where there is one, take down the residual stream at the places found."""

    def of_text(values: object, recorder: Recorder) -> Tensor:
        return _stream(values)[: recorder.n_token if stream.pads else None]

    def before(_: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict] | None:
        if (recorder := active()) is None:
            return None
        recorder.n_block += 1
        if not recorder.keeps:
            growing, layer = recorder.growing, recorder.n_block - 1
            return _widened(args, kwargs, growing, layer) if growing and growing.joining(layer) else None
        entering = of_text(_taken(args, kwargs), recorder)
        if recorder.hidden is None:
            shape = (len(stream.blocks) + 1, *entering.shape)  # (L + 1, T, D)
            recorder.hidden = torch.from_numpy(room_for(shape, np.float32))
        if recorder.n_block == 1 or stream.enters:
            recorder.hidden[recorder.n_block - 1] = entering
        return None

    def leave(_: nn.Module, args: tuple, output: object) -> None:
        if (recorder := active()) and recorder.keeps and recorder.n_block < len(stream.blocks):
            recorder.hidden[recorder.n_block] = of_text(output, recorder)

    def end(_: nn.Module, args: tuple, output: object) -> None:
        if recorder := active():
            recorder.n_last += 1
            if recorder.n_last == stream.n_last and recorder.keeps:
                recorder.hidden[-1] = of_text(output, recorder)
            elif recorder.n_last == stream.n_last:
                each = _stream(output).unflatten(0, (recorder.n_text(len(stream.blocks)), -1))  # (B, T, D)
                recorder.last = each[:, : recorder.n_token if stream.pads else None]

    for block in dict.fromkeys(stream.blocks):
        block.register_forward_pre_hook(before, with_kwargs=True)
        if not stream.enters:
            block.register_forward_hook(leave)
    stream.last.register_forward_hook(end)


def watch_outputs(model_type: str, blocks: Sequence[nn.Module], n_head: int) -> bool:
    """Make heads of a class that never calls `attend` ones that can be switched off. False: not known where."""
    path = _OUTPUT_PROJECTIONS.get(model_type)
    if path is None or any(path not in dict(block.named_modules()) for block in blocks):
        return False

    def switch(layer: int):
        def before(_: nn.Module, args: tuple) -> tuple | None:
            recorder = active()
            heads = args[0].unflatten(-1, (n_head, -1))  # (B, T, H, K)
            gain = recorder and recorder.changes.output_gain("self", layer, n_head, range(heads.shape[1]))
            if gain is None:
                return None
            heads = heads * gain.transpose(1, 2)[..., None]
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
        return torch.zeros_like(output) if recorder and not recorder.changes.everywhere.positions else None

    def no_rotation(module: nn.Module, args: tuple, output: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor] | None:
        recorder = active()
        if not recorder or recorder.changes.everywhere.positions:
            return None
        if not (isinstance(output, tuple) and len(output) == 2):
            raise VisitorError("This model turns its queries and keys in a way of its own; that cannot be left out.")
        cosine, sine = output
        strength = getattr(module, "attention_scaling", 1.0)  # YaRN's, which is no rotation
        return torch.full_like(cosine, strength), torch.zeros_like(sine)

    found = False
    for name, part in transformer.named_modules():
        if is_position_table(name, part) or type(part).__name__.endswith("SinusoidalPositionalEmbedding"):
            part.register_forward_hook(no_vectors)
        elif type(part).__name__.endswith("RotaryEmbedding"):
            part.register_forward_hook(no_rotation)
        else:
            continue
        found = True
    return found


def query_scales(calls: Sequence[CallRecord], read: Callable[[], Sequence[CallRecord]]) -> tuple[float | None, ...]:
    """What the queries of each attention call come multiplied with; None where that is not known.

    A call that is to multiply scores by 1 either belongs to a model without a scale (T5), or its queries were scaled
    before (OPT, ESM). Then they are a projection's result times one number: the same for all heads and tokens, since
    a rotation between the two changes no length. `read` reads the text of `calls` again.
    """
    suspects = dict.fromkeys(call.module for call in calls if call.attention.scale == 1)
    if not suspects:
        return (1.0,) * len(calls)
    projections: dict[nn.Module, list[list[Tensor]]] = {module: [] for module in suspects}  # of each call

    def begin(module: nn.Module, *_: object) -> None:
        projections[module].append([])

    handles = []
    for module in suspects:
        handles.append(module.register_forward_pre_hook(begin))
        for part in module.modules():
            if isinstance(part, nn.Linear | Conv1D):
                handles.append(
                    part.register_forward_hook(lambda _, args, output, its=projections[module]: its[-1].append(output))
                )
    try:
        calls = read()
    finally:
        for handle in handles:
            handle.remove()
    return tuple(
        _factor(call.attention.query, projections[call.module].pop(0)) if call.attention.scale == 1 else 1.0
        for call in calls
    )


def _factor(query: np.ndarray, projections: Sequence[Tensor]) -> float | None:
    """The number by which queries (H, T, K) are longer than one of the projections (1, T, n·H·K) that they may be."""
    n_head, n_token, d_head = query.shape
    lengths = torch.tensor(query).norm(dim=-1).T  # (T, H)
    for projected in projections:
        if projected.shape[:2] != (1, n_token) or projected.shape[2] % (n_head * d_head):
            continue
        for part in projected[0].split(n_head * d_head, dim=-1):  # (T, H·K): of fused ones too
            ratio = lengths / part.unflatten(-1, (n_head, d_head)).norm(dim=-1)
            if ratio.isfinite().all() and ratio.max() - ratio.min() < 1e-4 * ratio.max():
                factor = float(ratio.double().mean())
                return next((usual for usual in (1.0, d_head**-0.5) if abs(factor / usual - 1) < 1e-4), factor)
    return None


def is_position_table(name: str, part: nn.Module) -> bool:
    """Whether this is the table of position vectors that are added to token vectors."""
    if not isinstance(part, nn.Embedding) or type(part).__name__.startswith("RoFormer"):  # which turns by it
        return False
    last = name.rpartition(".")[2]
    return last in ("wpe", "position_embeddings", "position_embedding", "embed_positions", "positions_embed")


def modules_behind(last: nn.Module, n_last: int, transformer: nn.Module, read: Callable[[], object]) -> list["Step"]:
    """The outermost modules that `read` calls after `last` was called for the n-th time, in order."""
    behind: list[Step] = []
    depth = n_call = 0

    def count(*_: object) -> None:
        nonlocal n_call
        n_call += 1

    def before(part: nn.Module, args: tuple) -> None:
        nonlocal depth
        if n_call >= n_last:
            if depth == 0:
                behind.append(Step(part, _memory(args)))
            depth += 1

    def after(_: nn.Module, args: tuple, output: object) -> None:
        nonlocal depth
        if n_call >= n_last and depth > 0:
            depth -= 1
            if depth == 0:
                behind[-1].gave = _memory(output)

    handles = []
    inside = set(last.modules())
    for part in transformer.modules():
        if part not in inside:
            handles += [part.register_forward_pre_hook(before), part.register_forward_hook(after)]
    handles.append(last.register_forward_hook(count))
    try:
        read()
    finally:
        for handle in handles:
            handle.remove()
    return behind


@dataclass
class Step:
    """One module called, and in which memory lay what it took and gave: that of a tensor and of all views of it."""

    part: nn.Module
    took: torch.UntypedStorage | None
    gave: torch.UntypedStorage | None = None


def paths(steps: Sequence[Step]) -> Iterator[list[nn.Module]]:
    """Which modules may lead to the last one's result: all of them; or without those beside the way, as poolers are."""
    yield [step.part for step in steps]
    path = list(steps[-1:])
    for step in reversed(steps[:-1]):
        if step.gave is not None and path[0].took is not None and step.gave.data_ptr() == path[0].took.data_ptr():
            path.insert(0, step)
    yield [step.part for step in path]


def _memory(values: object) -> torch.UntypedStorage | None:
    first = values[0] if isinstance(values, tuple | list) and values else values
    return first.untyped_storage() if isinstance(first, Tensor) else None
