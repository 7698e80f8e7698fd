"""Configurations of decoders, one function a kind, and which of them reads which `model_type`."""

from dataclasses import replace
from typing import Any

from model.architecture import BIASES, Architecture
from model.architectures.generic import Configuration, Kind, first, one_stack, stated_biases, with_stack


def _windows(architecture: Architecture, config: Configuration) -> tuple[int | None, ...]:
    """The window of each layer: by `layer_types` where a configuration has them, else one for all."""
    size, types = config.get("sliding_window"), config.get("layer_types")
    if types:
        return tuple(size if kind == "sliding_attention" else None for kind in types)
    return (size,) * (architecture.stacks[0].n_layer or 0)


def _by_layer(built: Architecture, config: Configuration) -> Architecture:
    """Only `layer_types` decide which layers have a window."""
    return with_stack(built, windows=_windows(built, config)) if config.get("layer_types") else built


def _rotary_share(config: Configuration) -> float:
    parameters = config.get("rope_parameters") or {}
    return float(first(parameters, "partial_rotary_factor") or first(config, "partial_rotary_factor") or 1)


def _gpt2(base: Architecture, config: Configuration) -> Architecture:
    return one_stack(base, "decoder", "pre", positions=("learned",))


def _gpt_neo(base: Architecture, config: Configuration) -> Architecture:
    built = one_stack(base, "decoder", "pre", positions=("learned",), biases=("output", "MLP"))
    layers = config.get("attention_layers")
    if layers is None and (types := config.get("attention_types")):
        layers = [name for names, n in types for name in names * n]
    size = config.get("window_size")
    return with_stack(built, windows=tuple(size if name == "local" else None for name in layers) if layers else None)


def _gpt_neox(base: Architecture, config: Configuration) -> Architecture:
    parallel = config.get("use_parallel_residual", True)
    biases = BIASES if config.get("attention_bias", True) else ("MLP",)
    share = first(config.get("rope_parameters") or {}, "partial_rotary_factor") or config.get("rotary_pct")
    return one_stack(
        base, "decoder", "parallel" if parallel else "pre", positions=("rotary",), rotary_share=share, biases=biases
    )


def _gptj(base: Architecture, config: Configuration) -> Architecture:
    stack, turned = base.stacks[0], config.get("rotary_dim")
    share = turned / stack.d_head if turned and stack.d_head else None
    return one_stack(
        base, "decoder", "parallel", positions=("rotary",), rotary_share=share, shared_norm=True, biases=("MLP",)
    )


def _opt(base: Architecture, config: Configuration) -> Architecture:
    before = config.get("do_layer_norm_before", True)
    return one_stack(
        base,
        "decoder",
        "pre" if before else "post",
        positions=("learned",),
        final_norm=bool(before and not config.get("_remove_final_layer_norm")),
        biases=BIASES if config.get("enable_bias", True) else (),
    )


def _bloom(base: Architecture, config: Configuration) -> Architecture:
    return one_stack(base, "decoder", "pre", positions=("ALiBi",), embedding_norm=True, activation="gelu")


def _falcon(base: Architecture, config: Configuration) -> Architecture:
    new, alibi = config.get("new_decoder_architecture"), config.get("alibi")
    parallel = new or config.get("parallel_attn", True)
    n_norm = config.get("num_ln_in_parallel_attn") or (2 if new else 1)
    n_key_head = base.stacks[0].n_key_head
    if not new and config.get("multi_query", True):
        n_key_head = 1
    if width := config.get("ffn_hidden_size"):
        base = with_stack(base, d_mlp=width)
    return one_stack(
        base,
        "decoder",
        "parallel" if parallel else "pre",
        positions=("ALiBi",) if alibi else ("rotary",),
        rotary_share=None if alibi else _rotary_share(config),
        shared_norm=bool(parallel and not (new and n_norm == 2)),
        n_key_head=n_key_head,
        biases=BIASES if config.get("bias") else (),
    )


def llama(base: Architecture, config: Configuration, **parts: Any) -> Architecture:
    """Llama, and what follows it but for `parts`: pre-norm RMSNorm, rotary positions, a gated MLP."""
    return one_stack(
        base,
        "decoder",
        **{
            "norm": "pre",
            "norm_kind": "RMSNorm",
            "positions": ("rotary",),
            "rotary_share": _rotary_share(config),
            "mlp": "gated",
            "biases": stated_biases(config),
        }
        | parts,
    )


def _mistral(base: Architecture, config: Configuration, **parts: Any) -> Architecture:
    built = llama(base, config, **({"biases": ()} | parts))
    return with_stack(built, windows=_windows(built, config))


def _mixtral(base: Architecture, config: Configuration) -> Architecture:
    experts = {"n_expert": config.get("num_local_experts", 0), "n_expert_used": config.get("num_experts_per_tok", 0)}
    return _mistral(base, config, **experts)


def _gpt_oss(base: Architecture, config: Configuration) -> Architecture:
    experts = {"n_expert": config.get("num_local_experts", 0), "n_expert_used": config.get("num_experts_per_tok", 0)}
    biases = (*stated_biases(config), "MLP")
    return _by_layer(llama(base, config, biases=biases, has_sink=True, **experts), config)


def _qwen2(base: Architecture, config: Configuration) -> Architecture:
    return _by_layer(llama(base, config, biases=BIASES[:3]), config)


def _qwen3(base: Architecture, config: Configuration) -> Architecture:
    return _by_layer(llama(base, config, qk_norm=True), config)


def _gemma(base: Architecture, config: Configuration, **parts: Any) -> Architecture:
    built = llama(base, config, **parts)
    if config.get("use_bidirectional_attention"):
        built = replace(with_stack(built, role="encoder"), family="encoder")
    return built


def _gemma2(base: Architecture, config: Configuration) -> Architecture:
    built = _gemma(base, config, norm="sandwich", soft_cap=config.get("attn_logit_softcapping"))
    return _by_layer(built, config)


def _gemma3(base: Architecture, config: Configuration) -> Architecture:
    return replace(_gemma2(base, config), qk_norm=True)


def _phi(base: Architecture, config: Configuration) -> Architecture:
    return one_stack(
        base,
        "decoder",
        "parallel",
        shared_norm=True,
        positions=("rotary",),
        rotary_share=_rotary_share(config),
        qk_norm=bool(config.get("qk_layernorm")),
    )


def _cohere(base: Architecture, config: Configuration) -> Architecture:
    parts = {"norm": "parallel", "shared_norm": True, "norm_kind": "LayerNorm"}
    return llama(base, config, qk_norm=bool(config.get("use_qk_norm")), **parts)


def _stablelm(base: Architecture, config: Configuration) -> Architecture:
    parallel = bool(config.get("use_parallel_residual"))
    return llama(
        base,
        config,
        norm="parallel" if parallel else "pre",
        shared_norm=parallel,
        norm_kind="LayerNorm",
        qk_norm=bool(config.get("qk_layernorm")),
        biases=BIASES[:3] if config.get("use_qkv_bias") else (),
    )


def _starcoder2(base: Architecture, config: Configuration) -> Architecture:
    biases = BIASES if config.get("use_bias", True) else ()
    return _mistral(base, config, norm_kind="LayerNorm", mlp="plain", biases=biases)


def _mpt(base: Architecture, config: Configuration) -> Architecture:
    return one_stack(base, "decoder", "pre", positions=("ALiBi",), activation="gelu", biases=())


def _olmo2(base: Architecture, config: Configuration) -> Architecture:
    return llama(base, config, norm="output", qk_norm=True)


DECODERS: dict[str, Kind] = {
    "gpt2": _gpt2,
    "gpt_neo": _gpt_neo,
    "gpt_neox": _gpt_neox,
    "gptj": _gptj,
    "opt": _opt,
    "bloom": _bloom,
    "falcon": _falcon,
    "llama": llama,
    "mistral": _mistral,
    "mixtral": _mixtral,
    "gpt_oss": _gpt_oss,
    **dict.fromkeys(("qwen2", "qwen2_vl_text", "qwen2_5_vl_text"), _qwen2),
    **dict.fromkeys(("qwen3", "qwen3_vl_text"), _qwen3),
    "gemma": _gemma,
    **dict.fromkeys(("gemma2", "t5_gemma_module"), _gemma2),
    "gemma3_text": _gemma3,
    "phi": _phi,
    "phi3": _mistral,
    "granite": llama,
    "cohere": _cohere,
    "stablelm": _stablelm,
    "starcoder2": _starcoder2,
    "mpt": _mpt,
    "olmo2": _olmo2,
}
