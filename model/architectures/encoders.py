"""Configurations of encoders, one function a kind, and which of them reads which `model_type`."""

from dataclasses import replace
from typing import Any

from model.architecture import BIASES, Architecture
from model.architectures.generic import Configuration, Kind, one_stack, stated_biases, with_stack


def _bert(base: Architecture, config: Configuration, **parts: Any) -> Architecture:
    """BERT, and what follows it but for `parts`: post-norm, learned positions, no norm at the end."""
    family = "decoder" if config.get("is_decoder") else "encoder"
    return one_stack(
        base, family, "post", **({"positions": ("learned",), "embedding_norm": True, "final_norm": False} | parts)
    )


def _roberta(base: Architecture, config: Configuration) -> Architecture:
    built, padding = _bert(base, config), config.get("pad_token_id")
    n_context = built.stacks[0].n_context
    if n_context and padding is not None:
        n_context -= padding + 1  # positions are counted from after the padding's
    return with_stack(built, n_context=n_context)


def _distilbert(base: Architecture, config: Configuration) -> Architecture:
    return _bert(base, config, positions=("sinusoidal" if config.get("sinusoidal_pos_embds") else "learned",))


def _albert(base: Architecture, config: Configuration) -> Architecture:
    n_distinct = config.get("num_hidden_groups")
    if n_distinct:
        n_distinct *= config.get("inner_group_num") or 1
    return replace(_bert(base, config), n_distinct_layer=n_distinct)


def _deberta(base: Architecture, config: Configuration) -> Architecture:
    positions = ("learned",) if config.get("position_biased_input", True) else ()
    if config.get("relative_attention") and config.get("pos_att_type"):
        positions += ("disentangled",)
    return _bert(base, config, positions=positions or ("none",))


def _xlnet(base: Architecture, config: Configuration) -> Architecture:
    built = one_stack(
        base,
        "decoder" if config.get("attn_type") == "uni" else "encoder",
        "post",
        positions=("relative",),
        final_norm=False,
        activation=config.get("ff_activation"),
        biases=("query", "MLP"),
    )
    return with_stack(built, n_context=None)


def _modernbert(base: Architecture, config: Configuration) -> Architecture:
    built = one_stack(
        base,
        "encoder",
        "pre",
        positions=("rotary",),
        rotary_share=1.0,
        embedding_norm=True,
        mlp="gated",
        biases=stated_biases(config),
    )
    reach, types = config.get("local_attention"), config.get("layer_types")
    if not (reach and types):
        return with_stack(built, windows=None)
    # half of it on each side, and the token itself
    return with_stack(built, windows=tuple(reach // 2 + 1 if t == "sliding_attention" else None for t in types))


def _vit(base: Architecture, config: Configuration) -> Architecture:
    biases = (BIASES[:3] if config.get("qkv_bias", True) else ()) + BIASES[3:]
    built = one_stack(base, "encoder", "pre", positions=("learned",), biases=biases)
    image, patch = config.get("image_size"), config.get("patch_size")
    n_context = None
    if isinstance(image, int) and isinstance(patch, int):
        n_context = (image // patch) ** 2 + 1  # and one token for the whole picture
    return replace(with_stack(built, reads="patches", n_context=n_context), n_vocab=None, d_embedding=None, tied=None)


ENCODERS: dict[str, Kind] = {
    "bert": _bert,
    "roberta": _roberta,
    "xlm-roberta": _roberta,
    "camembert": _roberta,
    "distilbert": _distilbert,
    "albert": _albert,
    "electra": _bert,
    "deberta-v2": _deberta,
    "xlnet": _xlnet,
    "modernbert": _modernbert,
    "vit": _vit,
}
