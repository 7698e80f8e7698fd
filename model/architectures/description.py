"""A transformers model described by its configuration.

Pure: dictionaries in, small frozen values out; no torch, no transformers.
What each kind of model does with its configuration was read in transformers' own source (5.23, modeling_<type>.py).
Of a kind that is not known here, nothing is guessed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from model.architecture import Architecture
from model.architectures.decoders import DECODERS
from model.architectures.encoder_decoders import ENCODER_DECODERS, of_two
from model.architectures.encoders import ENCODERS
from model.architectures.generic import Configuration, generic
from model.architectures.hybrids import HYBRIDS

_KINDS = DECODERS | HYBRIDS | ENCODERS | ENCODER_DECODERS


def describe(config: Configuration) -> Architecture:
    """Of a transformers model: its configuration as a dict (``config.to_dict()``, or a complete config.json).

    A `model_type` that is not known here gives what generic names in the configuration tell, and "unknown" or None
    for the rest. Of a model that holds a text model beside others, that; of a pair that was made of two, both.
    """
    parts = [config.get(name) for name in ("text_config", "encoder", "decoder")]
    inside, encoder, decoder = (part if isinstance(part, Mapping) else None for part in parts)
    if inside:
        return describe(dict(inside) | {"architectures": config.get("architectures")})
    if encoder and decoder:
        return of_two(describe(encoder), describe(decoder), generic(config))
    base = generic(config)
    kind = _KINDS.get(base.model_type)
    built = replace(kind(base, config), known=True) if kind else base
    return _encoder_of(built) if is_encoder_alone(config.get("architectures")) else built


def is_encoder_alone(classes: Sequence[str] | None) -> bool:
    """Whether a checkpoint holds the encoder of an encoder-decoder, whose configuration is that of both (T5)."""
    return bool(classes) and str(classes[0]).endswith("EncoderModel")


def _encoder_of(both: Architecture) -> Architecture:
    encoder = both.stacks[0]
    return replace(both, family="encoder", stacks=(encoder,), n_distinct_layer=encoder.n_layer, head="none")
