"""A folder that ``save_pretrained`` wrote: which class reads it, its weights whole or not at all, its tokenizer."""

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from model.checkpoint import NOT_AS_SAVED
from model.claims import Shapes, check_build
from model.run import ModelNotAvailable
from model.snapshot import Snapshot
from model.tokenizer_file import as_an_exception, check_loaded

# while it builds a model, transformers exchanges functions of torch for the whole process: two at once break each other
BUILDING = threading.Lock()

Build = Callable[[str], Any]  # attn_implementation -> a PreTrainedModel with its weights


def read_tokenizer(held: Snapshot, config: Any) -> Any:
    from transformers import AutoTokenizer

    reason = "it is of the slow kind, which does not say where a token stands in the text"
    try:
        with as_an_exception():
            tokenizer = AutoTokenizer.from_pretrained(
                held.path, config=config, local_files_only=True, trust_remote_code=False
            )
        if tokenizer.is_fast:
            check_loaded(tokenizer.backend_tokenizer)
            return tokenizer
    except Exception as error:  # of any library that reads one of the formats
        reason = short(error).replace(str(held.path), str(held.folder))
    raise ModelNotAvailable(
        f"The tokenizer in “{held.folder}” cannot be used ({reason}). Add the tokenizer.json that belongs to these "
        "weights."
    )


def builder(folder: Path, config: Any, shapes: Shapes, title: str) -> Build:
    """With the head that the checkpoint holds, or without one: transformers would make a missing one up at random.

    `shapes`: of the tensors in its files. Raises `ModelNotAvailable` if the configuration describes another model.
    """
    classes = _classes(config)
    with BUILDING:
        check_build(getattr(classes[0], "from_config", classes[0]), config, shapes, title)

    def build(attn_implementation: str) -> Any:
        for cls in classes:
            with BUILDING:
                transformer, loading = cls.from_pretrained(
                    folder,
                    dtype=torch.float32,
                    attn_implementation=attn_implementation,
                    use_safetensors=True,
                    local_files_only=True,
                    trust_remote_code=False,
                    output_loading_info=True,
                    **NOT_AS_SAVED,
                )
            # what a pooler makes is not shown
            if not (missing := sorted(key for key in loading["missing_keys"] if "pooler" not in key)):
                return transformer
        raise ModelNotAvailable(
            f"The weights of “{title}” are incomplete: {type(transformer).__name__} needs {len(missing)} more tensors, "
            f"for example {missing[0]}. Regard does not make them up. Download the model again."
        )

    return build


def _classes(config: Any) -> list[Any]:
    """Which classes may read the checkpoint: with the head it was saved with, or its kind's; without any."""
    import transformers
    from transformers.models.auto import modeling_auto as auto

    heads = (
        auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
        auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
        auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    )
    known = {name for names in heads for name in names.values()} | {str(n) for n in auto.MODEL_MAPPING_NAMES.values()}
    saved_as = [name for name in config.architectures or () if name in known]
    of_its_kind = [names[config.model_type] for names in heads if config.model_type in names]
    return [*(getattr(transformers, name) for name in (saved_as or of_its_kind)[:1]), transformers.AutoModel]


def fingerprint_of(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def short(error: BaseException) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:160].rstrip(".")
