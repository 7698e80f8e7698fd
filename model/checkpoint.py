"""A folder with a transformers checkpoint, judged by its headers: what it costs to load, or why it cannot be read.

No weights are loaded, nothing is unpickled, no code that comes with a checkpoint is run.
"""

import json
import os
import re
from dataclasses import dataclass
from math import prod
from pathlib import Path

from safetensors import SafetensorError, safe_open

from model import foreign, gguf
from model.run import ModelNotAvailable

ROOM_TO_RUN = 256 * 2**20  # bytes that a run, and the app beside it, need besides the weights

_INDEX = "model.safetensors.index.json"
_PLAIN = ("F64", "F32", "F16", "BF16")
_POINTER = b"version https://git-lfs.github.com/spec/"
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


def cost_of(folder: Path) -> Cost:
    """What the model in `folder`, or in a GGUF file, takes.

    Raises `ModelNotAvailable` if it cannot be read, and says why.
    """
    if file := gguf_file(folder):
        if foreign.is_piece(file.name):
            raise ModelNotAvailable(foreign.sentence(f"“{file.parent}”", foreign.names_in(file.parent), {}))
        header = gguf.read_header(file)
        return Cost(
            header.n_parameter,
            header.number("block_count"),
            header.number("attention.head_count"),
            header.number("context_length") or None,
            file.stat().st_size,
            memory_available(),
        )
    if not (folder / "config.json").is_file():
        adapter = _json(folder / "adapter_config.json")
        raise ModelNotAvailable(foreign.sentence(f"“{folder}”", foreign.names_in(folder), adapter))
    shapes, on_disk = _shapes(folder)
    if (folder / "adapter_config.json").exists():
        raise ModelNotAvailable(
            f"“{folder}” holds a model and an adapter, which changes it. Move adapter_config.json elsewhere to read "
            "the model as it is, or merge the two with peft (merge_and_unload) and save the whole."
        )
    text = _config(folder).get_text_config()
    _check_tokenizer(folder, text, shapes)
    return Cost(
        # old GPT-2 files carry their masks (1, 1, T, T) as "bias"
        sum(prod(shape) for name, shape in shapes.items() if not (name.endswith("bias") and len(shape) == 4)),
        _number(text, "num_hidden_layers")
        + (_number(text, "num_decoder_layers", "decoder_layers") if text.is_encoder_decoder else 0),
        _number(text, "num_attention_heads"),
        _number(text, "max_position_embeddings") or None,
        on_disk,
        memory_available(),
    )


def cost_of_built_in(folder: Path) -> Cost:
    """The same for a folder that `model.training` wrote. Raises `ModelNotAvailable`."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        tensors, on_disk = _headers([folder / "weights.safetensors"])
        n_layer, n_head, n_context = (config[name] for name in ("n_layer", "n_head", "n_context"))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelNotAvailable(
            f"The files in “{folder}” are damaged ({_reason(error)}). Install Regard again."
        ) from error
    return Cost(
        sum(prod(shape) for shape, _ in tensors.values()), n_layer, n_head, n_context, on_disk, memory_available()
    )


def _json(path: Path) -> dict:
    """What a file states; nothing if it is not there, or is damaged."""
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stated if isinstance(stated, dict) else {}


def _number(config: object, *names: str) -> int:
    found = [getattr(config, name, None) for name in names]
    return next((value for value in found if isinstance(value, int)), 0)


def _config(folder: Path):
    """The configuration, with what transformers fills in."""
    try:
        stated = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        family = stated.get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise ModelNotAvailable(
            f"The config.json in “{folder}” is damaged ({_reason(error)}). Download the model again."
        ) from error
    if packing := stated.get("quantization_config"):
        raise _packed(folder, str(packing.get("quant_method") or "in a way that it does not name"))
    from transformers import CONFIG_MAPPING, AutoConfig, __version__  # seconds: only once there is something to read

    if family not in CONFIG_MAPPING:
        own_code = " It brings code of its own, which Regard never runs." if stated.get("auto_map") else ""
        raise ModelNotAvailable(
            f"The config.json in “{folder}” names the architecture “{family}”, which transformers {__version__} does "
            f"not know.{own_code} Choose a model of another architecture, or install a newer transformers."
        )
    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    # each architecture checks its values in its own way; whatever is wrong, the visitor gets the sentence
    except Exception as error:
        raise ModelNotAvailable(
            f"The config.json in “{folder}” does not describe a {family} model ({_reason(error)}). "
            "Download the model again."
        ) from error


def _packed(folder: Path, how: str) -> ModelNotAvailable:
    return ModelNotAvailable(
        f"The weights in “{folder}” are packed ({how[:80]}), and Regard reads plain ones only: take the checkpoint "
        "that they were made from, or a GGUF file of it."
    )


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files that make up the model, whether they are there or not. Raises `ModelNotAvailable`."""
    whole = folder / "model.safetensors"
    if whole.is_file() or not (folder / _INDEX).is_file():
        return [whole]
    try:
        names = set(json.loads((folder / _INDEX).read_text(encoding="utf-8"))["weight_map"].values())
        return sorted(folder / Path(name).name for name in names)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelNotAvailable(f"The {_INDEX} in “{folder}” is damaged. Download the model again.") from error


def _shapes(folder: Path) -> tuple[dict[str, tuple[int, ...]], int]:
    """The shape of every tensor in the folder's safetensors files, and their bytes."""
    files = weight_files(folder)
    if missing := [file.name for file in files if not file.is_file()]:
        said = f"“{folder}” holds no {', '.join(missing)}. Download the model again, or choose another folder."
        if len(files) == 1:
            stated = _json(folder / "config.json") | _json(folder / "adapter_config.json")
            said = foreign.sentence(f"“{folder}”", foreign.names_in(folder), stated)
        raise ModelNotAvailable(said)
    _check_fetched(*files, *(file for pattern in _VOCABULARIES for file in folder.glob(pattern)))
    shapes, on_disk = _headers(files)
    # packed: whole numbers, or eight bits and a scale elsewhere, in the place of a matrix
    for name, (_, dtype) in shapes.items():
        if name.endswith(("weight", "weight_packed")) and dtype not in _PLAIN:
            by_mlx = "quantization" in _json(folder / "config.json")
            raise _packed(folder, "by MLX" if by_mlx else f"{name} is {dtype}")
    return {name: shape for name, (shape, _) in shapes.items()}, on_disk


def _check_fetched(*files: Path) -> None:
    """Raises `ModelNotAvailable` if one is what git leaves in the place of a large file."""
    for file in files:
        with file.open("rb") as opened:
            if opened.read(len(_POINTER)) == _POINTER:
                raise ModelNotAvailable(
                    f"The file {file.name} in “{file.parent}” is a pointer of Git LFS: the file itself was not "
                    "fetched. Fetch it with: git lfs pull"
                )


def _headers(files: list[Path]) -> tuple[dict[str, tuple[tuple[int, ...], str]], int]:
    """The shape and the type of every tensor, and the bytes of all files."""
    tensors = {}
    for file in files:
        try:
            with safe_open(file, framework="numpy") as opened:
                for name in opened.keys():  # noqa: SIM118
                    its = opened.get_slice(name)
                    tensors[name] = tuple(its.get_shape()), its.get_dtype()
        except (SafetensorError, OSError) as error:
            raise ModelNotAvailable(
                f"The file {file.name} in “{file.parent}” is damaged or cut short: its header does not fit its "
                f"{file.stat().st_size if file.exists() else 0:,} bytes ({_reason(error)}). Download it again."
            ) from error
    return tensors, sum(file.stat().st_size for file in files)


def _check_tokenizer(folder: Path, config, shapes: dict[str, tuple[int, ...]]) -> None:
    if not any(file.is_file() for pattern in _VOCABULARIES for file in folder.glob(pattern)):
        raise ModelNotAvailable(
            f"“{folder}” holds no tokenizer (tokenizer.json, vocab.txt, vocab.json or a SentencePiece *.model), and "
            "without it no text can be read. Copy the tokenizer's files beside the weights."
        )
    rows = {shape[0] for name, shape in shapes.items() if _EMBEDDING.search(name) and len(shape) == 2}
    stated = getattr(config, "vocab_size", None)
    if rows and isinstance(stated, int) and stated not in rows:
        raise ModelNotAvailable(
            f"The vocabulary in “{folder}” disagrees with the weights: config.json says {stated:,} entries, the "
            f"embedding has {max(rows):,} rows. The files belong to different models: download them again."
        )
    if rows and (folder / "tokenizer.json").is_file() and (n_entry := _n_entry(folder)) > max(rows):
        raise ModelNotAvailable(
            f"The tokenizer in “{folder}” disagrees with the weights: it has {n_entry:,} entries, the embedding "
            f"{max(rows):,} rows. The files belong to different models: download them again."
        )


def _n_entry(folder: Path) -> int:
    """How many entries the tokenizer knows, not counting those added later, which need not be in use."""
    try:
        vocabulary = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
        return 1 + max(vocabulary.values()) if isinstance(vocabulary, dict) else len(vocabulary)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelNotAvailable(
            f"The tokenizer.json in “{folder}” is damaged ({_reason(error)}). Download it again."
        ) from error


def memory_available(proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Bytes that can be had now: what the kernel counts as available, or less where a container sets a limit.

    Where there is no /proc (macOS) it is the whole memory; None where that is unknown too (Windows).
    """
    try:
        free = re.search(r"MemAvailable:\s+(\d+) kB", (proc / "meminfo").read_text())
    except OSError:
        free = None
    if free is None:
        try:
            return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        except (AttributeError, ValueError, OSError):
            return None
    return max(0, min([int(free[1]) * 1024, *_left_by_cgroups(proc, cgroup)]))


def _left_by_cgroups(proc: Path, cgroup: Path) -> list[int]:
    """What each limit around this process leaves, file cache not counted."""
    left = []
    try:
        lines = (proc / "self/cgroup").read_text().splitlines()
    except OSError:
        return left
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        top = cgroup / controllers
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if controllers else ("memory.max", "memory.current")
        here = top / path.lstrip("/")
        # a container often sees its own group as the top, whatever path it is told
        for folder in {here, *here.parents, top}:
            try:
                limit, used = ((folder / name).read_text().strip() for name in names)
                cache = re.search(r"^(?:total_)?inactive_file (\d+)$", (folder / "memory.stat").read_text(), re.M)
                if limit != "max":
                    left.append(int(limit) - int(used) + (int(cache[1]) if cache else 0))
            except (OSError, ValueError):
                continue
    return left


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
