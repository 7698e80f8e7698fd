"""Configurations of hybrids, one function a kind: how their blocks are built. Which of their layers have attention is
found where a model is read (`model.run.ModelInfo.others`), not here.
"""

from dataclasses import replace
from typing import Any

from model.architecture import Architecture
from model.architectures.decoders import llama
from model.architectures.generic import Configuration, Kind, with_stack


def _qwen3_5(base: Architecture, config: Configuration, **parts: Any) -> Architecture:
    return llama(base, config, qk_norm=True, **parts)


def _qwen3_next(base: Architecture, config: Configuration) -> Architecture:
    experts = {"n_expert": config.get("num_experts", 0), "n_expert_used": config.get("num_experts_per_tok", 0)}
    return _qwen3_5(with_stack(base, d_mlp=config.get("moe_intermediate_size")), config, **experts)


def _lfm2(base: Architecture, config: Configuration) -> Architecture:
    width = base.stacks[0].d_mlp
    if width and config.get("block_auto_adjust_ff_dim"):  # two thirds, and up to a multiple
        factor, multiple = config.get("block_ffn_dim_multiplier"), config.get("block_multiple_of") or 1
        width = int((1 if factor is None else factor) * int(2 * width / 3))
        width = -(-width // multiple) * multiple
    return llama(with_stack(base, d_mlp=width), config, qk_norm=True, activation="silu")


def _without_positions(built: Architecture) -> Architecture:
    """Where the layers between those with attention tell what came before what."""
    return replace(with_stack(built, positions=("none",)), rotary_share=None)


def _jamba(base: Architecture, config: Configuration) -> Architecture:
    experts = {"n_expert": config.get("num_experts", 0), "n_expert_used": config.get("num_experts_per_tok", 0)}
    return _without_positions(llama(base, config, **experts if experts["n_expert"] > 1 else {}))


def _granite(base: Architecture, config: Configuration) -> Architecture:
    experts = {"n_expert": config.get("num_local_experts", 0), "n_expert_used": config.get("num_experts_per_tok", 0)}
    if not experts["n_expert"]:
        base = with_stack(base, d_mlp=config.get("shared_intermediate_size"))
    built = llama(base, config, **experts)
    return built if config.get("position_embedding_type") == "rope" else _without_positions(built)


HYBRIDS: dict[str, Kind] = {
    "qwen3_next": _qwen3_next,
    "qwen3_5_text": _qwen3_5,
    "lfm2": _lfm2,
    "jamba": _jamba,
    "granitemoehybrid": _granite,
    "bamba": llama,
}
