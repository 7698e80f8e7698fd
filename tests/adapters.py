"""LoRA adapters of tiny models, in folders as PEFT writes them; and the two run side by side, which merges nothing."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers.pytorch_utils import Conv1D

# as peft 0.21.2 writes it, with what each case changes in it
SETTINGS = {
    **dict.fromkeys(("alora_invocation_tokens", "arrow_config", "auto_mapping", "corda_config", "eva_config")),
    **dict.fromkeys(("exclude_modules", "kasa_config", "layer_replication", "layers_pattern", "layers_to_transform")),
    **dict.fromkeys(("lora_ga_config", "megatron_config", "modules_to_save", "monteclora_config", "revision")),
    **dict.fromkeys(("target_parameters", "trainable_token_indices", "use_bdlora", "velora_config")),
    **dict.fromkeys(("ensure_weight_tying", "fan_in_fan_out", "lora_bias", "use_dora", "use_qalora"), False),
    **{"alpha_pattern": {}, "rank_pattern": {}, "loftq_config": {}, "use_rslora": False, "bias": "none"},
    **{"inference_mode": True, "init_lora_weights": True, "lora_alpha": 6, "lora_dropout": 0.0, "r": 4},
    **{"megatron_core": "megatron.core", "peft_type": "LORA", "peft_version": "0.21.2", "qalora_group_size": 16},
    **{"target_modules": ["c_attn"], "task_type": "CAUSAL_LM"},
}
BEFORE = "base_model.model."


def write_adapter(
    folder: Path,
    base: Path | str,
    sizes: Mapping[str, tuple[int, ...]],
    more: Mapping[str, torch.Tensor] | None = None,
    **settings: Any,
) -> Path:
    """An adapter of some modules: `sizes` of each are out, in and, if it is another than 4, the rank. `more`: other
    tensors by what follows the usual beginning of their names. `settings` go over those that PEFT writes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    tensors = {}
    for path, (n_out, n_in, *rank) in sizes.items():
        r = rank[0] if rank else 4
        tensors[f"{path}.lora_A.weight"], tensors[f"{path}.lora_B.weight"] = torch.randn(r, n_in), torch.randn(n_out, r)
    tensors |= more or {}
    save_file({BEFORE + name: 0.2 * tensor for name, tensor in tensors.items()}, folder / "adapter_model.safetensors")
    change_settings(folder, base_model_name_or_path=str(base), **settings)
    return folder


def change_settings(folder: Path, **settings: Any) -> None:
    file = folder / "adapter_config.json"
    stated = json.loads(file.read_text()) if file.exists() else SETTINGS
    file.write_text(json.dumps(stated | settings))


@contextmanager
def beside(transformer: nn.Module, folder: Path, scales: Mapping[str, float]) -> Iterator[None]:
    """Let a model read with its adapter beside it, by hooks: what each module gives is added to, and its weight stays.

    `scales`: of each module that is changed. Parameters of the adapter's own take their places for good.
    """
    tensors = {name.removeprefix(BEFORE): its for name, its in load_file(folder / "adapter_model.safetensors").items()}
    with ExitStack() as stack, torch.no_grad():
        for path, scale in scales.items():
            module = transformer.get_submodule(path)
            parts = [tensors.pop(f"{path}.lora_{part}.weight") for part in "AB"]
            magnitude = tensors.pop(f"{path}.lora_magnitude_vector", None)
            stack.enter_context(_hook(module, *parts, scale, magnitude))
        for name, tensor in tensors.items():
            transformer.get_parameter(name.replace(".base_layer", "").replace(".modules_to_save", "")).copy_(tensor)
        yield


@contextmanager
def _hook(module: nn.Module, a: torch.Tensor, b: torch.Tensor, scale: float, magnitude: torch.Tensor | None):
    def add(_: nn.Module, args: tuple, output: torch.Tensor) -> torch.Tensor:
        added = (args[0] @ a.T @ b.T) * scale
        if magnitude is None:
            return output + added
        weight = module.weight.T if isinstance(module, Conv1D) else module.weight
        bias = 0 if module.bias is None else module.bias
        return (output - bias + added) * (magnitude / (weight + scale * b @ a).norm(dim=1)) + bias

    handle = module.register_forward_hook(add)
    try:
        yield
    finally:
        handle.remove()
