"""A transformers model described by its configuration.

Pure: dictionaries in, small frozen values out; no torch, no transformers.
What each kind of model does with its configuration was read in transformers' own source (5.23, modeling_<type>.py).
Of a kind that is not known here, nothing is guessed.
"""

from dataclasses import replace

from model.architecture import Architecture
from model.configurations.decoders import DECODERS
from model.configurations.encoder_decoders import ENCODER_DECODERS
from model.configurations.encoders import ENCODERS
from model.configurations.generic import Configuration, generic

_KINDS = DECODERS | ENCODERS | ENCODER_DECODERS


def describe(config: Configuration) -> Architecture:
    """Of a transformers model: its configuration as a dict (``config.to_dict()``, or a complete config.json).

    A `model_type` that is not known here gives what generic names in the configuration tell, and "unknown" or None
    for the rest.
    """
    base = generic(config)
    kind = _KINDS.get(base.model_type)
    return replace(kind(base, config), known=True) if kind else base
