"""A folder that ``save_pretrained`` wrote: which class reads it, its weights whole or not at all, its tokenizer."""

import hashlib
import importlib.util
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import torch

from model.huggingface.beside import note_left_out
from model.huggingface.heads import check_reads_text, readers
from model.huggingface.pieces import check_files, is_tiktoken, read_pieces
from model.run import ModelNotAvailable, short
from model.sources import progress
from model.sources.claims import BUILDING, Shapes, check_build
from model.sources.cost import NOT_AS_SAVED
from model.sources.snapshot import Snapshot
from model.sources.tokenizer_file import as_an_exception, check_loaded

_SENTENCEPIECE = ("SentencePiece", "sentencepiece", "'regard[sentencepiece]'")
Build = Callable[[str], Any]  # attn_implementation -> a PreTrainedModel with its weights


def read_tokenizer(held: Snapshot, config: Any) -> Any:
    """Raises `ModelNotAvailable` if it cannot be used, with what would help."""
    from transformers import AutoTokenizer

    if pieces := read_pieces(held, config):
        return pieces
    if not held.has("tokenizer.json"):
        check_files(held)
    reason = "it is of the slow kind, which does not say where a token stands in the text"
    try:
        with as_an_exception():
            tokenizer = AutoTokenizer.from_pretrained(
                held.path, config=config, local_files_only=True, trust_remote_code=False
            )
        if tokenizer.is_fast and len(tokenizer) > len(tokenizer.all_special_ids):
            check_loaded(tokenizer.backend_tokenizer)
            return tokenizer
        if tokenizer.is_fast:  # transformers makes an empty one where it does not find the files that the class wants
            wanted = ", ".join(dict.fromkeys(type(tokenizer).vocab_files_names.values()))
            reason = f"it is empty: a {type(tokenizer).__name__} is made from {wanted}"
    except ImportError:
        pass  # of a package that only the slow ones need
    except Exception as error:  # of any library that reads one of the formats
        _check_library(held)
        reason = short(error).replace(str(held.path), str(held.folder))
    raise ModelNotAvailable(
        f"The tokenizer in “{held.folder}” cannot be used ({reason}). Add the tokenizer.json that belongs to these "
        "weights."
    )


def _check_library(held: Snapshot) -> None:
    """Raises `ModelNotAvailable` if what turns older files into a tokenizer is missing: a package, or one of them."""
    if held.has("tokenizer.json"):
        return
    if held.has("vocab.json") and not held.of("merges.txt", "*.model"):
        raise ModelNotAvailable(
            f"Half of the tokenizer is missing in “{held.folder}”: it holds vocab.json without merges.txt. Add that "
            "file, or the tokenizer.json that belongs to these weights."
        )
    for name in held.of("*.model"):
        plain = is_tiktoken(held, name)
        kind, package, install = ("tiktoken",) * 3 if plain else _SENTENCEPIECE
        if importlib.util.find_spec(package) is None:
            raise ModelNotAvailable(
                f"The tokenizer in “{held.folder}” is a {kind} model ({name}), and the package that reads it is not "
                f"installed. Add the tokenizer.json that belongs to these weights; or install it with: pip install "
                f"{install}, and start Regard again."
            )


def builder(
    folder: Path, config: Any, shapes: Shapes, title: str, merge: Callable[[Any], None] | None = None
) -> tuple[Build, bool]:
    """What builds the model, and whether it was saved as one that judges texts. `merge` puts an adapter into it.

    With the head that the checkpoint holds, or without one: transformers would make a missing one up at random.

    `shapes`: of the tensors in its files. Raises `ModelNotAvailable` if the configuration describes another model.
    """
    with BUILDING:
        check_reads_text(config, title)
        choice = readers(config)
        first, its_config = choice[0].cls, config.get_text_config() if choice[0].alone else config
        check_build(getattr(first, "from_config", first), its_config, shapes, f"config.json of “{title}”")

    def build(attn_implementation: str) -> Any:
        progress.begin("weights")
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
                    ignore_mismatched_sizes=True,  # else it raises, and says where only in its log
                    **NOT_AS_SAVED,
                )
            progress.begin("check")
            _check_fit(loading["mismatched_keys"], title)
            _check_numbers(transformer, title)
            if patched := sorted(key for key in loading["unexpected_keys"] if ".lora_" in key):
                raise ModelNotAvailable(
                    f"The files of “{title}” hold an adapter beside the weights that it changes, as in {patched[0]}. "
                    "Merge the two with peft (merge_and_unload), and save the whole."
                )
            # what a pooler makes is not shown, but where a classifier reads it
            missing = sorted(key for key in loading["missing_keys"] if reader.pools or "pooler" not in key)
            whole = transformer
            if reader.body:
                missing = [key for key in missing if key.startswith(transformer.base_model_prefix)]
                transformer = transformer.base_model
                if transformer is whole:
                    continue
            if reader.alone:
                note_left_out(transformer, {key: shapes.get(key, ()) for key in loading["unexpected_keys"]})
            if not missing and not (reader.takes_all and loading["unexpected_keys"]):
                if merge:
                    merge(whole)
                    _check_numbers(whole, title)
                return transformer
        raise ModelNotAvailable(
            f"The weights of “{title}” are incomplete: {type(transformer).__name__} needs {len(missing)} more tensors, "
            f"for example {missing[0]}. Regard does not make them up. Download the model again."
        )

    return build, choice[0].pools


def _check_fit(mismatched: Collection[tuple[str, Sequence[int], Sequence[int]]], title: str) -> None:
    """Raises `ModelNotAvailable` with the first tensor that has another shape than its configuration asks for."""
    for name, held, needed in sorted(mismatched):
        shapes = [" × ".join(map(str, shape)) for shape in (held, needed)]
        raise ModelNotAvailable(
            f"The weights of “{title}” do not fit its config.json: {name} is {shapes[0]}, and should be {shapes[1]}. "
            "The files belong to different models, or the weights are packed: download the model again, or another."
        )


def _check_numbers(transformer: Any, title: str) -> None:
    """Raises `ModelNotAvailable` with the first tensor that holds what is no number."""
    for name, weight in transformer.named_parameters():
        if not weight.sum().isfinite() and not weight.isfinite().all():
            n_wrong = int((~weight.isfinite()).sum())
            raise ModelNotAvailable(
                f"The weights of “{title}” are not all numbers: {name} holds {n_wrong:,} that are infinite or none "
                "(NaN). The file is damaged, or the training went astray: download it again, or choose another model."
            )


def fingerprint_of(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def quoted(error: BaseException) -> str:
    """An error of a library, as what it is: the words of others."""
    kind, message = type(error).__name__, short(error)
    return f"an error of its own, {kind}" + (f": “{message}”" if message != kind else "")
