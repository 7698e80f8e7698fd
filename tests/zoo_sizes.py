"""What the tiny models of `tests.zoo` are: a class of transformers, and its configuration by the names of its kind."""

from dataclasses import dataclass, field
from typing import Any

VOCABULARY = 59


@dataclass(frozen=True)
class Animal:
    """One class of transformers, with the configuration that makes it tiny."""

    family: str  # decoder, encoder, encoder-decoder
    config: str
    options: dict[str, Any] = field(default_factory=dict)
    output: str = ""  # the module that the heads' outputs enter in layer 1; "" where there is none
    cannot: str = ""  # why the class cannot be shown
    unchangeable: dict[str, str] = field(default_factory=dict)  # by the name of a change: a pattern of why not
    unrepeatable: bool = False  # whether its head cannot be applied to single vectors
    refusal: str = ""  # a pattern of the true reason, of a class that may be refused when it is loaded
    others: dict[int, str] = field(default_factory=dict)  # a hybrid's layers without attention, and what each works by
    n_layer: int = 2


def sizes(d_model: str, n_layer: str, n_head: str, **more: Any) -> dict[str, Any]:
    return {"vocab_size": VOCABULARY, d_model: 32, n_layer: 2, n_head: 4, **more}


def usual(**more: Any) -> dict[str, Any]:
    return sizes("hidden_size", "num_hidden_layers", "num_attention_heads", max_position_embeddings=64) | more


def encoder(**more: Any) -> dict[str, Any]:
    return usual(intermediate_size=48) | more


def rotary(**more: Any) -> dict[str, Any]:
    return usual(intermediate_size=48, num_key_value_heads=2, pad_token_id=0) | more


def xlm(**more: Any) -> dict[str, Any]:
    named = {"pad_index": 0, "unk_index": 1, "bos_index": 2, "eos_index": 3, "mask_index": 4}
    return sizes("emb_dim", "n_layers", "n_heads", asm=False, n_langs=1, max_position_embeddings=64) | named | more


def pair(**more: Any) -> dict[str, Any]:
    stacks = {f"{stack}_{size}": n for stack in ("encoder", "decoder") for size, n in STACK.items()}
    return {"vocab_size": VOCABULARY, "d_model": 32, "max_position_embeddings": 64, **stacks, "pad_token_id": 1} | more


PROPHET = {"layers": 2, "attention_heads": 4}
STACK = {"layers": 2, "attention_heads": 4, "ffn_dim": 48}
MOE = {"num_local_experts": 4, "num_experts_per_tok": 2}
ROPE = {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}}
