"""The hybrids of the zoo: some layers have softmax attention, the others work by something else.

The layers with attention are neither the first nor all in a row, so that a number that is counted among them alone is
not the layer's own.
"""

from typing import Any

from tests.zoo_sizes import Animal


def _hybrid(n_layer: int = 3, **more: Any) -> dict[str, Any]:
    sizes = {"vocab_size": 59, "hidden_size": 32, "num_hidden_layers": n_layer, "num_attention_heads": 4}
    sizes |= {"num_key_value_heads": 2, "intermediate_size": 48, "max_position_embeddings": 64, "pad_token_id": 0}
    return sizes | more


_TYPES = ["linear_attention", "full_attention", "linear_attention"]
_DELTA = {"layer_types": _TYPES, "linear_key_head_dim": 8, "linear_value_head_dim": 8, "linear_num_key_heads": 2}
_DELTA |= {"linear_num_value_heads": 4, "head_dim": 8}
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
_MAMBA = {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_n_groups": 1, "mamba_chunk_size": 8}
_LINEAR = {0: "linear attention", 2: "linear attention"}
_STATES = {0: "state space", 2: "state space"}

HYBRIDS: dict[str, Animal] = {
    "Qwen3NextForCausalLM": Animal(
        "decoder",
        "Qwen3NextConfig",
        _hybrid(**_DELTA, **_EXPERTS, shared_expert_intermediate_size=16),
        "model.layers.1.self_attn.o_proj",
        others=_LINEAR,
        n_layer=3,
    ),
    "Qwen3_5ForCausalLM": Animal(
        "decoder", "Qwen3_5TextConfig", _hybrid(**_DELTA), "model.layers.1.self_attn.o_proj", others=_LINEAR, n_layer=3
    ),
    "OlmoHybridForCausalLM": Animal(
        "decoder",
        "OlmoHybridConfig",
        _hybrid(**_DELTA | {"linear_num_key_heads": 4}),
        "model.layers.1.self_attn.o_proj",
        others=_LINEAR,
        n_layer=3,
    ),
    "MiniMaxForCausalLM": Animal(  # it returns weights of its linear layers too, of blocks
        "decoder",
        "MiniMaxConfig",
        _hybrid(layer_types=_TYPES, head_dim=8, num_local_experts=4, num_experts_per_tok=2, block_size=8),
        "model.layers.1.self_attn.o_proj",
        others=_LINEAR,
        n_layer=3,
    ),
    "KimiLinearForCausalLM": Animal(
        "decoder",
        "KimiLinearConfig",
        _hybrid(layer_types=_TYPES, mlp_layer_types=["dense"] * 3, linear_head_dim=8, linear_num_heads=4)
        | {"num_key_value_heads": 4, "kv_lora_rank": 8, "qk_rope_head_dim": 4, "qk_nope_head_dim": 8, "v_head_dim": 6},
        "model.layers.1.self_attn.o_proj",
        others=_LINEAR,
        n_layer=3,
    ),
    "Lfm2ForCausalLM": Animal(
        "decoder",
        "Lfm2Config",
        _hybrid(layer_types=["conv", "full_attention", "conv"]),
        "model.layers.1.self_attn.out_proj",
        others={0: "convolution", 2: "convolution"},
        n_layer=3,
    ),
    "JambaForCausalLM": Animal(
        "decoder",
        "JambaConfig",
        _hybrid(attn_layer_period=3, attn_layer_offset=1, mamba_d_state=8, mamba_dt_rank=4, use_mamba_kernels=False)
        | {"num_experts": 4},
        "model.layers.1.self_attn.o_proj",
        others=_STATES,
        n_layer=3,
    ),
    "BambaForCausalLM": Animal(
        "decoder",
        "BambaConfig",
        _hybrid(attn_layer_indices=[1], **_MAMBA),
        "model.layers.1.self_attn.o_proj",
        others=_STATES,
        n_layer=3,
    ),
    "GraniteMoeHybridForCausalLM": Animal(
        "decoder",
        "GraniteMoeHybridConfig",
        _hybrid(layer_types=["mamba", "attention", "mamba"], shared_intermediate_size=16, **_MAMBA)
        | {"num_local_experts": 4, "num_experts_per_tok": 2, "logits_scaling": 3.0, "attention_multiplier": 0.2},
        "model.layers.1.self_attn.o_proj",
        others=_STATES,
        n_layer=3,
    ),
    "Zamba2ForCausalLM": Animal(  # two layers share one attention
        "decoder",
        "Zamba2Config",
        _hybrid(4, layers_block_type=["mamba", "hybrid", "mamba", "hybrid"], num_key_value_heads=4)
        | {"num_mem_blocks": 1, "mamba_d_state": 8, "mamba_headdim": 8, "n_mamba_heads": 8, "chunk_size": 8},
        others=_STATES,
        n_layer=4,
    ),
    "NemotronHForCausalLM": Animal(  # layers of one part each
        "decoder",
        "NemotronHConfig",
        _hybrid(4, layers_block_type=["mamba", "moe", "attention", "mlp"], head_dim=8, n_groups=1, chunk_size=8)
        | {"mamba_num_heads": 8, "mamba_head_dim": 8, "ssm_state_size": 8, "use_mamba_kernels": False}
        | {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
        | {"moe_shared_expert_intermediate_size": 16},
        "model.layers.2.mixer.o_proj",
        others={0: "state space", 1: "experts alone", 3: "MLP alone"},
        n_layer=4,
    ),
    "RecurrentGemmaForCausalLM": Animal(
        "decoder",
        "RecurrentGemmaConfig",
        _hybrid(block_types=["recurrent", "recurrent", "attention"], lru_width=32, attention_window_size=5),
        "model.layers.2.temporal_block.o_proj",
        others={0: "linear recurrence", 1: "linear recurrence"},
        n_layer=3,
    ),
    "FalconH1ForCausalLM": Animal(  # a state space beside the attention of each layer
        "decoder",
        "FalconH1Config",
        _hybrid(2, mamba_d_ssm=64, **_MAMBA, lm_head_multiplier=0.5),
        "model.layers.1.self_attn.o_proj",
    ),
}
