"""What any transformers configuration says by the usual names, and what a known kind of model is built from it with."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from model.architecture import BIASES, UNKNOWN, Architecture, Stack, both

Configuration = Mapping[str, Any]
Kind = Callable[
    [Architecture, Configuration], Architecture
]  # what generic names told, made complete for one kind of model


def first(config: Configuration, *names: str) -> Any:
    return next((config[name] for name in names if config.get(name) is not None), None)


def generic(config: Configuration) -> Architecture:
    """What the usual names say, whatever the model; all that is known of an unknown one."""
    d_model = first(config, "hidden_size", "d_model", "n_embd", "dim")
    n_head = first(config, "num_attention_heads", "n_head", "n_heads", "num_heads")
    n_layer = first(config, "num_hidden_layers", "n_layer", "n_layers", "num_layers")
    d_head = first(config, "head_dim", "d_kv", "d_head")
    if d_head is None and d_model and n_head and d_model % n_head == 0:
        d_head = d_model // n_head
    model_type = str(config.get("model_type") or UNKNOWN)
    classes = config.get("architectures") or ()
    two = bool(config.get("is_encoder_decoder"))
    stack = Stack(
        role=UNKNOWN,
        reads="tokens",
        n_layer=n_layer,
        n_head=n_head,
        n_key_head=first(config, "num_key_value_heads", "num_kv_heads"),
        d_head=d_head,
        d_mlp=first(config, "intermediate_size", "ffn_dim", "n_inner", "d_ff", "d_inner", "hidden_dim"),
        n_context=first(config, "max_position_embeddings", "n_positions", "max_seq_len"),
        positions=(),
        windows=None,
    )
    return Architecture(
        name=str(classes[0]) if classes else model_type,
        model_type=model_type,
        family="encoder-decoder" if two else UNKNOWN,
        stacks=both(stack) if two else (stack,),
        d_model=d_model,
        d_embedding=first(config, "embedding_size", "word_embed_proj_dim") or d_model,
        n_vocab=config.get("vocab_size"),
        norm=UNKNOWN,
        shared_norm=False,
        norm_kind="RMSNorm" if "rms_norm_eps" in config else UNKNOWN,
        embedding_norm=None,
        final_norm=None,
        qk_norm=None,
        soft_cap=None,
        rotary_share=None,
        mlp=UNKNOWN,
        activation=first(config, "activation_function", "hidden_act", "hidden_activation", "activation"),
        n_expert=0,
        n_expert_used=0,
        n_distinct_layer=n_layer,
        head=_head(str(classes[0])) if classes else UNKNOWN,
        tied=config.get("tie_word_embeddings"),
        biases=None,
        known=False,
    )


def _head(name: str) -> str:
    if re.search(r"LMHead|ForCausalLM|ForMaskedLM|ForConditionalGeneration|ForPreTraining|MTModel", name):
        # ELECTRA's pretraining head tells real tokens from replaced ones
        return "other" if name == "ElectraForPreTraining" else "tokens"
    return "other" if "For" in name else "none" if name.endswith("Model") else UNKNOWN


def one_stack(base: Architecture, family: str, norm: str, norm_kind: str = "LayerNorm", **parts: Any) -> Architecture:
    """A model of one stack; `parts` are of the architecture, or of its stack."""
    stack = base.stacks[0]
    of_stack = {name: parts.pop(name) for name in ("positions", "n_key_head", "d_mlp") if name in parts}
    of_stack = {
        "role": family,
        "n_key_head": stack.n_key_head or stack.n_head,
        "windows": (None,) * (stack.n_layer or 0),
        "d_mlp": stack.d_mlp or (4 * base.d_model if base.d_model else None),
    } | of_stack
    usual = {"embedding_norm": False, "final_norm": True, "qk_norm": False, "mlp": "plain", "biases": BIASES}
    return replace(
        base,
        family=family,
        stacks=(replace(stack, **of_stack),),
        norm=norm,
        norm_kind=norm_kind,
        **usual | parts,
    )


def with_stack(architecture: Architecture, **parts: Any) -> Architecture:
    """The same with other `parts` of its one stack."""
    return replace(architecture, stacks=(replace(architecture.stacks[0], **parts),))


def stated_biases(config: Configuration) -> tuple[str, ...]:
    """Those that `attention_bias` and `mlp_bias` turn on."""
    return (BIASES[:4] if config.get("attention_bias") else ()) + (("MLP",) if config.get("mlp_bias") else ())
