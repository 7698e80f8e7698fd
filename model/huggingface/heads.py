"""Which class of transformers reads a checkpoint: with the head that it was saved with, and never with another.

Many heads can be made out of nothing: where the output layer is the table of token vectors itself (GPT-2, Llama, T5,
BART), every checkpoint of the architecture can be opened as a language model, also one that was trained to classify.
"""

import inspect
from dataclasses import dataclass
from typing import Any

from model.run import ModelNotAvailable
from model.sources.claims import bounded_work

# what a class says that it mainly reads (`main_input_name`), where that is no text
_READS = {"input_features": "sound", "input_values": "sound", "audio_mel": "sound", "pixel_values": "pictures"}
_READS |= {"flattened_patches": "pictures", "pixel_values_videos": "films", "past_values": "series of numbers"}

_BROKEN = ("Llama4ForConditionalGeneration",)  # asks its text model for pictures, in transformers 5.24


@dataclass(frozen=True)
class Reader:
    """A class that may read a checkpoint, and what it must not leave over or lack to be the right one."""

    cls: Any
    takes_all: bool = False  # whether the files may hold nothing that it does not take
    pools: bool = False  # whether its pooler is a part of what is shown
    body: bool = False  # whether its head is left out
    alone: bool = False  # whether it is the text model alone of a checkpoint that holds more


def check_reads_text(config: Any, title: str) -> None:
    """Raises `ModelNotAvailable` for what reads sound or pictures (Whisper, TrOCR), also where its decoder alone could
    be opened: that would write without what it hears or sees. Of a class with a text model inside, only where it asks
    for the other in every call (BLIP).
    """
    from transformers.models.auto import modeling_auto as auto

    # of a decoder alone, too: WhisperModel
    named = [*(config.architectures or ()), *_names([auto.MODEL_MAPPING_NAMES], config.model_type)]
    if not (classes := list(filter(None, map(_class, named)))):
        lists = ("MODEL_FOR_SPEECH_SEQ_2_SEQ", "MODEL_FOR_IMAGE_TEXT_TO_TEXT")
        its = _names([getattr(auto, f"{name}_MAPPING_NAMES", {}) for name in lists], config.model_type)
        classes = list(filter(None, map(_class, its)))
    for cls in classes:
        given = cls.main_input_name
        reads = "sound" if given == "inputs" and config.is_encoder_decoder else _READS.get(given)
        asked = inspect.signature(cls.forward).parameters.get(given)
        inside = getattr(config, "text_config", None) is not None and asked and asked.default is None
        if reads and not inside:
            raise ModelNotAvailable(
                f"“{title}” belongs to {cls.__name__}, which reads {reads}: Regard reads text, and shows no decoder "
                "without what it reads. Choose a model that reads text."
            )


def readers(config: Any) -> list[Reader]:
    """The classes that may read a checkpoint, the best first; the last has no head."""
    import transformers
    from transformers.models.auto import modeling_auto as auto

    language = [
        auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
        auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
        auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        # of those with a text model inside
        auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
        getattr(auto, "MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES", {}),
    ]
    bodies = [auto.MODEL_MAPPING_NAMES, auto.MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES]  # and encoders without a decoder
    body = Reader(transformers.AutoModel)
    of_its_kind = [_class(name) for names in language for name in _names([names], config.model_type)]
    named = [cls for name in config.architectures or () if (cls := _class(name))]
    if not named:  # then the files must tell
        return [*(Reader(cls, takes_all=True) for cls in of_its_kind[:1]), body]
    cls = named[0]
    if cls.__name__ in _names(language + bodies):
        return [*_text_alone(config, cls), Reader(cls), body]
    # of an encoder-decoder, what is read is how it writes
    judges = _names([auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES])
    if cls.__name__ in judges and not config.is_encoder_decoder:
        return [Reader(cls, pools=True), body]
    if of_its_kind and _predicts_tokens(cls, config):  # BertForPreTraining
        return [Reader(of_its_kind[0]), body]
    return [Reader(cls, body=True), body]


def _text_alone(config: Any, cls: Any) -> list[Reader]:
    """The class that transformers lists for the text model in a checkpoint whose own class reads no text by itself."""
    from transformers.models.auto import modeling_auto as auto

    text, names = config.get_text_config(), {}
    if cls.__name__ in _BROKEN:
        names = _names([auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES], config.model_type)
    elif cls.__name__ in _names([auto.MODEL_MAPPING_NAMES]) and text is not config:  # CLIP: no head, nor is one made up
        names = _names([auto.MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES], text.model_type)
    listed = [_class(name) for name in names if name != cls.__name__]
    return [Reader(each, alone=True) for each in listed if each and each.config_class is type(text)][:1]


def _names(mappings: list[Any], model_type: str | None = None) -> dict[str, None]:
    """The classes in some of transformers' lists, in order; of one type of model, if told. Some types have several."""
    listed = [names for each in mappings for type, names in each.items() if model_type in (None, type)]
    return dict.fromkeys(name for names in listed for name in ([names] if isinstance(names, str) else names))


def _class(name: str) -> Any:
    """A class of models by its name; None for anything else that a stranger may have written there."""
    import transformers

    try:
        cls = getattr(transformers, name, None)
    except Exception:  # of a part of transformers that needs what is not installed
        return None
    return cls if isinstance(cls, type) and issubclass(cls, transformers.PreTrainedModel) else None


def _predicts_tokens(cls: Any, config: Any) -> bool:
    """Whether the class has an output layer over the vocabulary. It is built without memory."""
    import torch

    try:
        with bounded_work(), torch.device("meta"):
            return cls(config).get_output_embeddings() is not None
    except Exception:  # of a class that takes more than a configuration
        return False
