"""Configurations of encoder-decoders, one function a kind, and which of them reads which `model_type`."""

from dataclasses import replace
from typing import Any

from model.architecture import BIASES, UNKNOWN, Architecture, Stack
from model.architectures.generic import Configuration, Kind, first


def _two_stacks(base: Architecture, config: Configuration, norm: str, **parts: Any) -> Architecture:
    """BART and what follows it: each stack with its own numbers."""

    def stack(side: str) -> Stack:
        n_head = first(config, f"{side}_attention_heads") or base.stacks[0].n_head
        n_layer = first(config, f"{side}_layers") or base.stacks[0].n_layer
        return replace(
            base.stacks[0],
            role=side,
            n_layer=n_layer,
            n_head=n_head,
            n_key_head=n_head,
            d_head=base.d_model // n_head if base.d_model and n_head else None,
            d_mlp=first(config, f"{side}_ffn_dim") or base.stacks[0].d_mlp,
            positions=parts["positions"],
            windows=(None,) * (n_layer or 0),
            cross=side == "decoder",
        )

    encoder, decoder = stack("encoder"), stack("decoder")
    return replace(
        base,
        family="encoder-decoder",
        stacks=(encoder, decoder),
        norm=norm,
        norm_kind="LayerNorm",
        qk_norm=False,
        mlp="plain",
        biases=BIASES,
        n_distinct_layer=(encoder.n_layer or 0) + (decoder.n_layer or 0) or None,
        **{name: value for name, value in parts.items() if name != "positions"},
    )


def _bart(base: Architecture, config: Configuration) -> Architecture:
    return _two_stacks(base, config, "post", positions=("learned",), embedding_norm=True, final_norm=False)


def _mbart(base: Architecture, config: Configuration) -> Architecture:
    return _two_stacks(base, config, "pre", positions=("learned",), embedding_norm=True, final_norm=True)


def _marian(base: Architecture, config: Configuration) -> Architecture:
    return _two_stacks(base, config, "post", positions=("sinusoidal",), embedding_norm=False, final_norm=False)


def _pegasus(base: Architecture, config: Configuration) -> Architecture:
    return _two_stacks(base, config, "pre", positions=("sinusoidal",), embedding_norm=False, final_norm=True)


def _whisper(base: Architecture, config: Configuration) -> Architecture:
    built = _two_stacks(base, config, "pre", positions=("learned",), embedding_norm=False, final_norm=True)
    encoder, decoder = built.stacks
    encoder = replace(encoder, reads="audio", positions=("sinusoidal",), n_context=config.get("max_source_positions"))
    decoder = replace(decoder, n_context=config.get("max_target_positions"))
    return replace(built, stacks=(encoder, decoder), biases=("query", "value", "output", "MLP"))


def _t5(base: Architecture, config: Configuration) -> Architecture:
    words = (config.get("feed_forward_proj") or "").split("-")
    n_layer = {"encoder": config.get("num_layers")}
    n_layer["decoder"] = first(config, "num_decoder_layers") or n_layer["encoder"]
    stacks = tuple(
        replace(
            base.stacks[0],
            role=role,
            n_layer=n,
            n_key_head=base.stacks[0].n_head,
            n_context=None,
            positions=("relative",),
            windows=(None,) * (n or 0),
            cross=role == "decoder",
        )
        for role, n in n_layer.items()
    )
    return replace(
        base,
        family="encoder-decoder",
        stacks=stacks,
        norm="pre",
        norm_kind="RMSNorm",
        embedding_norm=False,
        final_norm=True,
        qk_norm=False,
        mlp="gated" if words[0] == "gated" else "plain" if words[0] else UNKNOWN,
        activation=config.get("dense_act_fn") or words[-1] or None,
        n_distinct_layer=sum(n or 0 for n in n_layer.values()) or None,
        biases=(),
    )


def of_two(encoder: Architecture, decoder: Architecture, base: Architecture) -> Architecture:
    """A pair that was made of two models (bert2bert, T5Gemma): what they do not share is not said of both."""
    reads, writes = (replace(each.stacks[0], role=role) for role, each in (("encoder", encoder), ("decoder", decoder)))
    unlike = {"norm": UNKNOWN, "norm_kind": UNKNOWN, "mlp": UNKNOWN, "activation": None, "biases": None}
    unlike |= {"embedding_norm": None, "final_norm": None, "qk_norm": None, "soft_cap": None, "rotary_share": None}
    n_distinct = [each.n_distinct_layer for each in (encoder, decoder)]
    return replace(
        decoder,
        name=base.name,
        model_type=base.model_type,
        family="encoder-decoder",
        stacks=(reads, replace(writes, cross=True)),
        n_distinct_layer=None if None in n_distinct else sum(n_distinct),
        head="tokens" if base.name == "EncoderDecoderModel" else base.head,  # it ends like a model without a head
        tied=decoder.tied if base.tied is None else base.tied,
        known=encoder.known and decoder.known,
        **{name: none for name, none in unlike.items() if getattr(encoder, name) != getattr(decoder, name)},
    )


ENCODER_DECODERS: dict[str, Kind] = {
    "t5": _t5,
    "mt5": _t5,
    "bart": _bart,
    "mbart": _mbart,
    "marian": _marian,
    "pegasus": _pegasus,
    "whisper": _whisper,
}
