"""A folder with a transformers checkpoint, judged by its headers: what it costs to load, or why it cannot be read.

No weights are loaded, nothing is unpickled, no code that comes with a checkpoint is run.
"""

import re
from contextlib import nullcontext
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from model.architectures.description import is_encoder_alone
from model.memory import memory_available
from model.run import ModelNotAvailable, short
from model.sources import adapters, builtin_files, claims, foreign, gguf, tokenizer_file
from model.sources.adapters import Adapter
from model.sources.claims import Shapes
from model.sources.snapshot import INDEX, Snapshot, Within, damaged, snapshot

ROOM_TO_RUN = 256 * 2**20  # bytes that a run, and the app beside it, need besides the weights

# What a config.json says of how a call answers, as transformers' from_pretrained is told instead: each call says itself
# what it wants, and some of what may be saved (output_attentions) goes with one implementation of attention alone.
# Chunks of an MLP save memory, change no number, and allow only some lengths of text.
NOT_AS_SAVED = {
    "output_attentions": False,
    "output_hidden_states": False,
    "return_dict": True,
    "chunk_size_feed_forward": 0,
}

_PLAIN = ("F64", "F32", "F16", "BF16")
_HEADER_BYTES, _N_TENSOR = 32 * 2**20, 2**17  # of all files of a model; the largest known have 14 MB and 92,000
_VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")
# the names of the token embedding in transformers' models
_EMBEDDING = re.compile(r"(wte|embed_tokens|word_embeddings?|tokens_embed|embed_in|tok_embeddings|shared)\.weight$")


@dataclass(frozen=True)
class Cost:
    """What a model is and takes, known before it is loaded."""

    n_parameter: int
    n_layer: int  # of encoder and decoder together
    n_head: int
    n_context: int | None  # None: positions are relative, and the architecture sets no limit
    on_disk: int  # bytes of the weights
    available: int | None  # bytes of memory free now; None: this system does not say

    @property
    def needed(self) -> int:
        """Bytes of the weights in memory: four for each parameter, in single precision."""
        return 4 * self.n_parameter

    def check(self, title: str) -> None:
        """Raise `ModelNotAvailable` with the numbers if the model does not fit into memory now."""
        if self.available is not None and self.needed + ROOM_TO_RUN > self.available:
            raise ModelNotAvailable(
                f"{title} does not fit: {self.n_parameter / 1e6:,.1f} million parameters need {size(self.needed)} of "
                f"memory in single precision, and {size(ROOM_TO_RUN)} to run; {size(self.available)} are free. "
                "Choose a smaller model, or free some memory."
            )

    @property
    def memory(self) -> str:
        free = "" if self.available is None else f" of {size(self.available)} free"
        return f"needs {size(self.needed)} of memory{free}"

    def __str__(self) -> str:
        context = f"reads up to {self.n_context:,} tokens" if self.n_context else "no limit to the text's length"
        return (
            f"{self.n_parameter / 1e6:,.1f} M parameters · {self.n_layer} layers × {self.n_head} heads · {context} · "
            f"{self.memory}"
        )


def size(n_byte: int) -> str:
    """Bytes as people read them, in powers of ten: 1.2 GB."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_byte >= scale:
            return f"{n_byte / scale:,.1f} {unit}" if n_byte < 10 * scale else f"{n_byte / scale:,.0f} {unit}"
    return f"{n_byte} bytes"


def gguf_file(place: Path) -> Path | None:
    """The GGUF file that is meant: the one named, or the only one in a folder without safetensors."""
    if place.is_file():
        return place
    # an "mmproj" is what shows pictures to the model beside it
    files = [file for file in sorted(place.glob("*.gguf")) if not file.name.startswith("mmproj")]
    return files[0] if len(files) == 1 and not any(place.glob("*.safetensors")) else None


def cost_of(place: Path, within: Within = None, adapter: tuple[Path, Within] | None = None) -> Cost:
    """What the model in a folder, or in a GGUF file, takes. `within`: where its files may lie (see
    `model.sources.snapshot`). `adapter`: the folder of one that is to be merged into it, and where that one's may.

    Raises `ModelNotAvailable` if it cannot be read, and says why.
    """
    if file := gguf_file(place):
        if foreign.is_piece(file.name):
            raise ModelNotAvailable(foreign.sentence(f"“{file.parent}”", foreign.names_in(file.parent), {}))
        header = gguf.read_header(file, within)
        return Cost(
            header.n_parameter,
            header.number("block_count"),
            header.number("attention.head_count"),
            header.number("context_length") or None,
            file.stat().st_size,
            memory_available(),
        )
    with snapshot(place, within) as held, snapshot(*adapter) if adapter else nullcontext() as patch:
        return judge(held, patch).cost


@dataclass(frozen=True)
class Judged:
    """A transformers checkpoint that nothing speaks against, as far as headers tell."""

    cost: Cost
    config: Any  # of transformers
    shapes: Shapes  # of every tensor in its files, by name
    tokenizer: Snapshot  # the folder that holds it
    adapter: Adapter | None  # to be merged into it


def judge(held: Snapshot, patch: Snapshot | None = None) -> Judged:
    """`patch`: the folder of an adapter of this model. Raises `ModelNotAvailable` with what speaks against it."""
    folder = held.folder
    if not held.has("config.json"):
        raise ModelNotAvailable(
            foreign.sentence(f"“{folder}”", foreign.names_in(folder), held.json("adapter_config.json"))
        )
    shapes, on_disk = _shapes(held)
    if held.has("adapter_config.json"):
        raise ModelNotAvailable(
            f"“{folder}” holds a model and an adapter, which changes it. Move adapter_config.json elsewhere to read "
            "the model as it is, or merge the two with peft (merge_and_unload) and save the whole."
        )
    config = _config(held, shapes)
    text = config.get_text_config()
    two = config.is_encoder_decoder and not is_encoder_alone(config.architectures)
    # of a pair that was made of two models
    encoder = getattr(config, "encoder", None) if text is not config and config.is_encoder_decoder else None
    # of one that hears, it is said once the class is known
    _check_reads_text(held, text, None if config.model_type == "speech-encoder-decoder" else encoder)
    adapter, its_shapes = _adapter(patch, held, shapes) if patch else (None, {})
    its_tokenizer = patch if patch and patch.of(*_VOCABULARIES) else held
    _check_tokenizer(its_tokenizer, text, shapes)
    cost = Cost(
        # old GPT-2 files carry their masks (1, 1, T, T) as "bias"
        sum(prod(shape) for name, shape in shapes.items() if not (name.endswith("bias") and len(shape) == 4))
        + sum(map(prod, its_shapes.values())),
        _number(text, "num_hidden_layers")
        + (_number(text, "num_decoder_layers", "decoder_layers") if two else 0)
        + (_number(encoder.get_text_config(), "num_hidden_layers") if encoder else 0),
        _number(text, "num_attention_heads"),
        _number(text, "max_position_embeddings") or None,
        on_disk,
        memory_available(),
    )
    return Judged(cost, config, shapes, its_tokenizer, adapter)


def _adapter(patch: Snapshot, held: Snapshot, shapes: Shapes) -> tuple[Adapter, Shapes]:
    """What is to be merged, and the shape of each of its tensors. Raises `ModelNotAvailable`."""
    if not patch.has(adapters.WEIGHTS):
        stated = patch.json(adapters.CONFIG)
        raise ModelNotAvailable(foreign.sentence(f"“{patch.folder}”", foreign.names_in(patch.folder), stated))
    tensors, _ = _headers(patch.folder, [patch.path / adapters.WEIGHTS])
    if packed := next((f"{name} is {dtype}" for name, (_, dtype) in tensors.items() if dtype not in _PLAIN), ""):
        raise _packed(patch.folder, packed)
    its_shapes = {name: shape for name, (shape, _) in tensors.items()}
    adapter = adapters.read(patch, its_shapes)
    adapters.check_base(adapter, shapes, str(patch.folder), str(held.folder))
    return adapter, its_shapes


def cost_of_built_in(folder: Path) -> Cost:
    """The same for a folder that `model.training` wrote, and for what it builds on. Raises `ModelNotAvailable`."""
    try:
        config = builtin_files.config(folder)
        tensors, on_disk = _headers(folder, builtin_files.weight_files(folder))
        if steps := builtin_files.steps(folder):  # one is read at a time, and all are of one size
            tensors = builtin_files.at_step(tensors, steps[-1])
        n_layer, n_head, n_context = (config[name] for name in ("n_layer", "n_head", "n_context"))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelNotAvailable(
            f"The files in “{folder}” are damaged ({short(error)}). Install Regard again."
        ) from error
    return Cost(
        sum(prod(shape) for shape, _ in tensors.values()), n_layer, n_head, n_context, on_disk, memory_available()
    )


def _number(config: object, *names: str) -> int:
    found = [getattr(config, name, None) for name in names]
    return next((value for value in found if isinstance(value, int)), 0)


def _config(held: Snapshot, shapes: Shapes) -> Any:
    """The configuration, with what transformers fills in."""
    folder, stated = held.folder, held.json("config.json")
    family, packing = stated.get("model_type"), stated.get("quantization_config")
    if packing is not None and not isinstance(packing, dict):
        raise damaged(folder, "config.json", f"its quantization_config is {str(packing)[:40]!r}, and no object")
    if packing:
        raise _packed(folder, str(packing.get("quant_method") or "in a way that it does not name"))
    if family is None:
        raise ModelNotAvailable(foreign.no_architecture(f"“{folder}”", stated))
    if not isinstance(family, str):
        raise damaged(folder, "config.json", f"its model_type is {str(family)[:40]!r}, and no name")
    from transformers import (
        CONFIG_MAPPING,
        AutoConfig,
        PreTrainedConfig,
        __version__,
    )  # seconds: only once there is something to read

    if family not in CONFIG_MAPPING:
        own_code = " It brings code of its own, which Regard never runs." if stated.get("auto_map") else ""
        raise ModelNotAvailable(
            f"The config.json in “{folder}” names the architecture “{family[:80]}”, which transformers {__version__} "
            f"does not know.{own_code} Choose a model of another architecture, or install a newer transformers."
        )
    try:
        claims.check_counts(stated, shapes)
        with claims.bounded_work():
            config = AutoConfig.from_pretrained(
                held.path, local_files_only=True, trust_remote_code=False, **NOT_AS_SAVED
            )
        for part in (config.get_text_config(), getattr(config, "encoder", config)):
            if not isinstance(part, PreTrainedConfig):
                raise ValueError("one of its parts is no configuration")
            claims.check_sizes(part)
        return config
    # each architecture checks its values in its own way; whatever is wrong, the visitor gets the sentence
    except Exception as error:
        raise ModelNotAvailable(
            f"The config.json in “{folder}” does not describe a {family} model ({short(error)}). "
            "Download the model again."
        ) from error


def _packed(folder: Path, how: str) -> ModelNotAvailable:
    return ModelNotAvailable(
        f"The weights in “{folder}” are packed ({how[:80]}), and Regard reads plain ones only: take the checkpoint "
        "that they were made from, or a GGUF file of it."
    )


def weight_files(held: Snapshot) -> list[str]:
    """The safetensors files that make up the model, whether they are there or not. Raises `ModelNotAvailable`."""
    if held.has("model.safetensors") or not held.has(INDEX):
        return ["model.safetensors"]
    parts = held.json(INDEX).get("weight_map")
    if not isinstance(parts, dict) or not all(isinstance(name, str) for name in parts.values()):
        raise damaged(held.folder, INDEX, "it does not say which file holds which tensor")
    names = sorted(set(parts.values()))
    for name in names:
        if not re.fullmatch(r"[^/\\]+\.safetensors", name):
            raise damaged(held.folder, INDEX, f"it names “{name[:80]}”, which is no file of this folder")
    return names


def _shapes(held: Snapshot) -> tuple[dict[str, tuple[int, ...]], int]:
    """The shape of every tensor in the folder's safetensors files, and their bytes."""
    folder, names = held.folder, weight_files(held)
    if missing := [name for name in names if not held.has(name)]:
        shown = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        message = f"“{folder}” holds no {shown}. Download the model again, or choose another folder."
        if len(names) == 1:
            stated = held.json("config.json") | held.json("adapter_config.json")
            message = foreign.sentence(f"“{folder}”", foreign.names_in(folder), stated)
        raise ModelNotAvailable(message)
    shapes, on_disk = _headers(folder, [held.path / name for name in names])
    # packed: whole numbers, or eight bits and a scale elsewhere, in the place of a matrix
    for name, (_, dtype) in shapes.items():
        if name.endswith(("weight", "weight_packed")) and dtype not in _PLAIN:
            raise _packed(folder, "by MLX" if "quantization" in held.json("config.json") else f"{name} is {dtype}")
    return {name: shape for name, (shape, _) in shapes.items()}, on_disk


def _headers(folder: Path, files: list[Path]) -> tuple[dict[str, tuple[tuple[int, ...], str]], int]:
    """The shape and the type of every tensor, and the bytes of all files; `folder` is what sentences name."""
    tensors, left = {}, _HEADER_BYTES
    for file in files:
        n_byte = file.stat().st_size if file.exists() else 0
        try:
            with file.open("rb") as opened:
                left -= (n_header := int.from_bytes(opened.read(8), "little"))
            if left < 0 and n_header < n_byte:
                raise _too_many(folder)
            with safe_open(file, framework="numpy") as opened:
                names = opened.keys()
                if len(tensors) + len(names) > _N_TENSOR:
                    raise _too_many(folder)
                for name in names:
                    its = opened.get_slice(name)
                    tensors[name] = tuple(its.get_shape()), its.get_dtype()
        except (SafetensorError, OSError) as error:
            raise ModelNotAvailable(
                f"The file {file.name} in “{folder}” is damaged or cut short: its header does not fit its "
                f"{n_byte:,} bytes ({short(error)}). Download it again."
            ) from error
    return tensors, sum(file.stat().st_size for file in files)


def _too_many(folder: Path) -> ModelNotAvailable:
    return ModelNotAvailable(
        f"The files in “{folder}” name more tensors than those of any model known here: {_N_TENSOR:,}, in headers of "
        f"{size(_HEADER_BYTES)}, are the most. Choose another model."
    )


def _only(held: Snapshot) -> str:
    others = held.of("tekken.json", "*.spm", "*.tiktoken", "bpe.codes", "dict.txt")
    return f", only {', '.join(others[:3])}" if others else ""


def _check_reads_text(held: Snapshot, text: Any, encoder: Any) -> None:
    """Raises `ModelNotAvailable` for what has no vocabulary, and for a pair that has two."""
    n_entry = getattr(text, "vocab_size", None)
    if not isinstance(n_entry, int):
        raise ModelNotAvailable(
            f"The model in “{held.folder}” ({text.model_type}) has no text part: its config.json names no vocabulary, "
            "so it reads pictures, sound or the like, and Regard reads text. Choose a model that reads text."
        )
    others = getattr(encoder and encoder.get_text_config(), "vocab_size", n_entry)
    if others != n_entry:
        raise ModelNotAvailable(
            f"The model in “{held.folder}” reads {others:,} different tokens and writes {n_entry:,}, so it has two "
            "tokenizers, and the folder holds one: what it writes could not be named. Choose another model."
        )


def _check_tokenizer(held: Snapshot, config: Any, shapes: Shapes) -> None:
    folder = held.folder
    if not held.of(*_VOCABULARIES):
        raise ModelNotAvailable(
            f"“{folder}” holds no tokenizer that can be read (tokenizer.json, vocab.txt, vocab.json or a SentencePiece "
            f"*.model){_only(held)}, and without it no text can be read. Copy the tokenizer's files beside the weights."
        )
    rows = {shape[0] for name, shape in shapes.items() if _EMBEDDING.search(name) and len(shape) == 2}
    stated = getattr(config, "vocab_size", None)
    # more rows than entries are filled up, or for sounds and pictures (Moshi): building it shows if they fit
    if rows and isinstance(stated, int) and stated > max(rows):
        raise ModelNotAvailable(
            f"The vocabulary in “{folder}” disagrees with the weights: config.json says {stated:,} entries, the "
            f"embedding has {max(rows):,} rows. The files belong to different models: download them again."
        )
    if not held.has("tokenizer.json"):
        return
    try:
        tokenizer_file.check(held.json("tokenizer.json"))
        n_entry = tokenizer_file.n_entry(held.json("tokenizer.json"))
    except (ValueError, TypeError, AttributeError) as error:
        raise ModelNotAvailable(
            f"The tokenizer.json in “{folder}” cannot be used ({short(error)}). Download it again, or choose another "
            "model."
        ) from error
    if rows and n_entry > max(rows):
        raise ModelNotAvailable(
            f"The tokenizer in “{folder}” disagrees with the weights: it has {n_entry:,} entries, the embedding "
            f"{max(rows):,} rows. The files belong to different models: download them again."
        )
