"""An adapter as PEFT writes it: a change to another model, its base. What it says, and what its tensors are for.

It is merged by ourselves (`model.huggingface.merging`), and not with `peft`: of the kinds that this knows, people have
LoRA, and merging that is a product of two matrices. `peft` brings a dozen others along, and takes from a stranger's
settings regular expressions, modules to import and files to open. What may change a weight in another way than ours is
refused by name. Nothing is unpickled.
"""

import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model.run import ModelNotAvailable
from model.sources.claims import Shapes
from model.sources.snapshot import Snapshot, damaged

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"

# settings that are followed; those that say nothing of the weights as they were saved; any other must be off
_FOLLOWED = ("peft_type", "base_model_name_or_path", "revision", "r", "lora_alpha", "rank_pattern", "alpha_pattern")
_FOLLOWED += ("use_rslora", "use_dora", "init_lora_weights")
_SILENT = ("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "modules_to_save", "bias")
_SILENT += ("lora_dropout", "lora_bias", "fan_in_fan_out", "inference_mode", "task_type", "auto_mapping")
_SILENT += ("peft_version", "megatron_core", "qalora_group_size", "eva_config", "loftq_config", "runtime_config")
# how A and B began, where the base stayed as it was; PiSSA and its like took their beginning out of it
_BEGINNINGS = ("True", "False", "None", "gaussian", "eva", "orthogonal")

_BEFORE = "base_model.model."  # every name of a tensor
_PART = re.compile(r"(.+)\.lora_(A|B|embedding_A|embedding_B|magnitude_vector)(?:\.(weight|bias))?")
_WRAPPER = re.compile(r"\.(base_layer|modules_to_save)(?=\.)")
_PATTERN = re.compile(r"\^?[\w.-]+", re.ASCII)  # of those in `alpha_pattern`, which may be any regular expressions


@dataclass(frozen=True)
class Change:
    """Of one matrix W, a module's weight: W + scale · B·A. A, B and the others are names of tensors."""

    a: str  # (rank, in)
    b: str  # (out, rank)
    scale: float
    rank: int
    shape: tuple[int, int]  # out, in
    bias: str = ""  # (out,): times the scale, added to the module's own
    magnitude: str = ""  # (out,): of DoRA, how long each row of the sum is made


@dataclass(frozen=True)
class Adapter:
    """Settings and tensors that nothing speaks against, as far as headers tell."""

    base: str  # a path, or an id of the hub
    revision: str = ""  # of the hub; "" is the usual one
    changes: Mapping[str, Change] = field(default_factory=dict)  # by the path of the module
    replaced: Mapping[str, str] = field(default_factory=dict)  # by the path of a parameter: the tensor in its place

    def __str__(self) -> str:
        ranks = sorted({change.rank for change in self.changes.values()})
        kind = "DoRA" if any(change.magnitude for change in self.changes.values()) else "LoRA"
        rank = f"rank {ranks[0]}" if len(ranks) == 1 else f"ranks {ranks[0]} to {ranks[-1]}"
        whole = f", and {len(self.replaced):,} whole parameters" if self.replaced else ""
        return f"{kind} of {rank} in {len(self.changes):,} matrices{whole}"


def is_one(names: Collection[str]) -> bool:
    """Whether files of these names are an adapter, and no whole model."""
    return CONFIG in names and not {"model.safetensors", "model.safetensors.index.json"}.intersection(names)


def settings(held: Snapshot) -> Adapter:
    """Of which base an adapter is, by its settings. Raises `ModelNotAvailable` if it is of a kind not merged here."""
    folder, stated = held.folder, held.json(CONFIG)
    kind = stated.get("peft_type")
    if kind != "LORA":
        named = f"is of the kind {kind[:40]}" if isinstance(kind, str) else "names no kind (peft_type)"
        raise _not_merged(folder, f"{named}, and Regard merges LoRA only")
    for name, value in stated.items():
        if name not in _FOLLOWED + _SILENT and value not in (None, False, "", [], {}):
            raise _not_merged(folder, f"has {name[:40]}, which Regard does not know how to merge")
    if str(begun := stated.get("init_lora_weights", True)) not in _BEGINNINGS:
        raise _not_merged(folder, f"began as {str(begun)[:40]}, in a base that was changed for it (init_lora_weights)")
    base, revision = stated.get("base_model_name_or_path"), stated.get("revision") or "main"
    if not isinstance(base, str) or not base.strip():
        raise ModelNotAvailable(
            f"“{folder}” holds an adapter (LoRA or its like), which is a change to another model, and its {CONFIG} "
            "does not name that one. Write its folder, or its hub id, there as base_model_name_or_path."
        )
    if not isinstance(revision, str):
        raise damaged(folder, CONFIG, f"its revision is {str(revision)[:40]!r}, and no name")
    return Adapter(base.strip(), "" if revision == "main" else revision)


def read(held: Snapshot, shapes: Shapes) -> Adapter:
    """What each tensor of an adapter is for; `shapes`: of all of them. Raises `ModelNotAvailable`."""
    adapter, stated = settings(held), held.json(CONFIG)
    try:
        scales = _Scales(stated)
        parts, replaced = _sorted_out(shapes)
        changes = {path: _change(path, its, shapes, scales) for path, its in parts.items()}
        if not changes:
            raise ValueError(f"its {WEIGHTS} holds no lora_A and lora_B")
    except ValueError as error:
        raise ModelNotAvailable(
            f"The adapter in “{held.folder}” cannot be merged: {error}. Download it again, or merge it into its base "
            "with peft (merge_and_unload) and save the whole."
        ) from error
    return Adapter(adapter.base, adapter.revision, changes, replaced)


def check_base(adapter: Adapter, base: Shapes, where: str, title: str) -> None:
    """Held against the headers of its base: each matrix has the shape of its change. Raises `ModelNotAvailable`.

    What is called otherwise in the files than in the model is looked at when it is merged.
    """
    for path, change in adapter.changes.items():
        wanted = f"{path}.weight"
        found = [shape for name, shape in base.items() if name == wanted or name.endswith(f".{wanted}")]
        if len(found) == 1 and len(found[0]) == 2 and sorted(found[0]) != sorted(change.shape):
            raise other_base(where, title, path, found[0], change.shape)


def other_base(where: str, title: str, path: str, found: Iterable[int], wanted: Iterable[int]) -> ModelNotAvailable:
    has, needs = (" × ".join(f"{n:,}" for n in shape) for shape in (found, wanted))
    return ModelNotAvailable(
        f"The adapter “{where}” was made for another model than “{title}”: {path[:80]} has {has} numbers there, and "
        f"its change is one of {needs}. Give the base that it was trained on (base_model_name_or_path in its {CONFIG})."
    )


def _not_merged(folder: Path, why: str) -> ModelNotAvailable:
    return ModelNotAvailable(
        f"The adapter in “{folder}” {why}. Where peft can merge it into its base, do so there (merge_and_unload), and "
        "save the whole with its tokenizer."
    )


class _Scales:
    """What a change is multiplied with: alpha / r, or by the root of r; settings may differ between modules."""

    def __init__(self, stated: Mapping[str, Any]):
        """Raises `ValueError` with what is wrong."""
        self.by_root = stated.get("use_rslora") is True
        self.dora = stated.get("use_dora") is True
        self.alpha = _number("lora_alpha", stated.get("lora_alpha", 8))
        self.ranks = {_rank("r", stated.get("r", 8))}
        self.ranks |= {_rank("rank_pattern", value) for value in _pattern(stated, "rank_pattern").values()}
        self.alphas = {key: _number("alpha_pattern", v) for key, v in _pattern(stated, "alpha_pattern").items()}
        if odd := next((key for key in self.alphas if not _PATTERN.fullmatch(key)), ""):
            raise ValueError(f"its alpha_pattern has {odd[:40]!r}, and only names of modules are followed there")

    def of(self, path: str, rank: int) -> float:
        # which module has which rank, its tensors tell; the patterns of these may be any regular expressions too
        if rank not in self.ranks:
            told = " or ".join(f"{each:,}" for each in sorted(self.ranks)[:3])
            raise ValueError(f"its change of {path[:80]} is of rank {rank:,}, and its {CONFIG} says {told}")
        alpha = next((alpha for key, alpha in self.alphas.items() if _meant(key, path)), self.alpha)
        return alpha / (math.sqrt(rank) if self.by_root else rank)


def _meant(key: str, path: str) -> bool:
    return path == key.removeprefix("^") or (not key.startswith("^") and path.endswith(f".{key}"))


def _pattern(stated: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    its = stated.get(name) or {}
    if not isinstance(its, dict):
        raise ValueError(f"its {name} is {str(its)[:40]!r}, and no object")
    return its


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e9:  # nor one that is none
        raise ValueError(f"its {name} is {str(value)[:40]}, and no number below a thousand million")
    return float(value)


def _rank(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"its {name} is {str(value)[:40]}, and no whole number from 1 on")
    return value


def _sorted_out(shapes: Shapes) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """The tensors of each change, by the path of its module and by part; and those that take a parameter's place."""
    parts: dict[str, dict[str, str]] = {}
    replaced: dict[str, str] = {}
    # a module that is saved whole may be there a second time, as it was before
    for name in sorted(shapes, key=lambda name: ".modules_to_save." in name):
        if not name.startswith(_BEFORE):
            raise ValueError(f"{name[:80]} is no name that PEFT gives a tensor")
        path = name.removeprefix(_BEFORE)
        if part := _PART.fullmatch(path):
            module, kind, of = part.groups()
            parts.setdefault(module, {})[kind if of != "bias" else f"{kind}.bias"] = name
        elif ".original_module." not in path:
            replaced[_WRAPPER.sub("", path)] = name
    return parts, replaced


def _change(path: str, parts: Mapping[str, str], shapes: Shapes, scales: _Scales) -> Change:
    """Raises `ValueError` where a part is missing, or the parts do not fit each other."""
    embedding = "embedding_A" in parts
    a, b = ("embedding_A", "embedding_B") if embedding else ("A", "B")
    if missing := [part for part in (a, b) if part not in parts]:
        raise ValueError(f"{path[:80]}.lora_{missing[0]} is not there")
    bias, magnitude = parts.get("B.bias", ""), parts.get("magnitude_vector", "")
    more = set(parts) - {a, b, "B.bias", "magnitude_vector"}
    if more or bool(magnitude) != scales.dora or (embedding and (bias or magnitude)):
        odd = min(more) if more else "magnitude_vector" if magnitude or scales.dora else "B.bias"
        raise ValueError(f"{path[:80]}.lora_{odd} does not go with its {CONFIG}")
    down, up = shapes[parts[a]], shapes[parts[b]]
    if len(down) != 2 or len(up) != 2 or down[0] != up[1] or 0 in (*down, *up):
        raise ValueError(f"A and B of {path[:80]} are {down} and {up}, and no two matrices that can be multiplied")
    for name in filter(None, (bias, magnitude)):
        if shapes[name] != (up[0],):
            raise ValueError(f"{name[:80]} is {shapes[name]}, and should be one number for each of {up[0]:,} rows")
    return Change(parts[a], parts[b], scales.of(path, down[0]), down[0], (up[0], down[1]), bias, magnitude)
