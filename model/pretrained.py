"""A folder that ``save_pretrained`` wrote: which class reads it, its weights whole or not at all, its tokenizer."""

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from model.checkpoint import NOT_AS_SAVED
from model.claims import Shapes, check_build
from model.heads import readers
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


def builder(folder: Path, config: Any, shapes: Shapes, title: str) -> tuple[Build, bool]:
    """What builds the model, and whether it was saved as one that judges texts.

    With the head that the checkpoint holds, or without one: transformers would make a missing one up at random.

    `shapes`: of the tensors in its files. Raises `ModelNotAvailable` if the configuration describes another model.
    """
    with BUILDING:
        choice = readers(config)
        check_build(getattr(choice[0].cls, "from_config", choice[0].cls), config, shapes, title)

    def build(attn_implementation: str) -> Any:
        for reader in choice:
            with BUILDING:
                transformer, loading = reader.cls.from_pretrained(
                    folder,
                    dtype=torch.float32,
                    attn_implementation=attn_implementation,
                    use_safetensors=True,
                    local_files_only=True,
                    trust_remote_code=False,
                    output_loading_info=True,
                    **NOT_AS_SAVED,
                )
            # what a pooler makes is not shown, but where a classifier reads it
            missing = sorted(key for key in loading["missing_keys"] if reader.pools or "pooler" not in key)
            if reader.body:
                missing, whole = [key for key in missing if key.startswith(transformer.base_model_prefix)], transformer
                transformer = transformer.base_model
                if transformer is whole:
                    continue
            if not missing and not (reader.takes_all and loading["unexpected_keys"]):
                return transformer
        raise ModelNotAvailable(
            f"The weights of “{title}” are incomplete: {type(transformer).__name__} needs {len(missing)} more tensors, "
            f"for example {missing[0]}. Regard does not make them up. Download the model again."
        )

    return build, choice[0].pools


def fingerprint_of(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def short(error: BaseException) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:160].rstrip(".")
