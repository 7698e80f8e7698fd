"""GGUF files (llama.cpp's format): what their header says, and a conversion that is kept.

Reading one through transformers unpacks every weight and rebuilds the tokenizer: half a minute for 135 M parameters. So
it is done once, into a safetensors checkpoint of half precision in the user's cache folder, which loads in a second.
The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import hashlib
import importlib.util
import os
import shutil
import struct
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO

from model.run import ModelNotAvailable, short
from model.sources import progress
from model.sources.claims import BUILDING, N_SHARED, Shapes, check_build
from model.sources.gguf_reader import read_once
from model.sources.snapshot import MOST_VALUES, snapshot

_FORMATS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _ARRAY = 8, 9
_MOST_AXES = 4  # of a tensor, by the format
# tensor types: (numbers in a block, bytes of a block); others, which are rare, go without the check for a cut file
_BLOCKS = {0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 30: (1, 2)}
_BLOCKS |= {10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292)}


@dataclass(frozen=True)
class Header:
    """What a GGUF file says of itself. Of an array only its length is kept."""

    metadata: dict[str, object]
    shapes: Shapes  # of every tensor, by the name that it has in the file

    @property
    def n_parameter(self) -> int:
        return sum(map(prod, self.shapes.values()))

    def number(self, name: str) -> int:
        """A number of the architecture, as in ``llama.block_count``; 0 if the file does not say."""
        value = self.metadata.get(f"{self.metadata.get('general.architecture')}.{name}", 0)
        return value if isinstance(value, int) else 0


def read_header(path: Path, within: Sequence[Path] | None = None) -> Header:
    """Raises `ModelNotAvailable` for a file that is damaged, cut short, or elsewhere: see `model.sources.snapshot`."""
    try:
        with snapshot(path.parent, within, (path.name,)) as held, (held.path / path.name).open("rb") as file:
            header = _header(file, os.fstat(file.fileno()).st_size)
    except (OSError, struct.error, ValueError, KeyError, MemoryError, OverflowError, RecursionError) as error:
        raise ModelNotAvailable(
            f"The file {path.name} in “{path.parent}” is not a GGUF file, or it is damaged or cut short. "
            "Download it again."
        ) from error
    if (n_block := header.number("block_count")) > max(N_SHARED, len(header.shapes)):
        raise ModelNotAvailable(
            f"The file {path.name} in “{path.parent}” says that it has {n_block:,} layers, and holds "
            f"{len(header.shapes):,} tensors. It is damaged: download it again."
        )
    return header


def _header(file: BinaryIO, n_byte: int) -> Header:
    def number(code: str) -> int | float | bool:
        return struct.unpack("<" + code, file.read(struct.calcsize(code)))[0]

    n_text = 0

    def text() -> str:
        nonlocal n_text
        length, n_text = number("Q"), n_text + 1
        if length > n_byte or n_text > MOST_VALUES:
            raise ValueError("a text longer than the file, or too many")
        return file.read(length).decode(errors="replace")

    def value(kind: int) -> object:
        if kind == _TEXT:
            return text()
        if kind != _ARRAY:
            return number(_FORMATS[kind])
        kind, length = number("I"), number("Q")
        if length > n_byte:
            raise ValueError("an array longer than the file")
        if kind in _FORMATS:
            file.seek(length * struct.calcsize(_FORMATS[kind]), os.SEEK_CUR)
        else:
            for _ in range(length):
                value(kind)
        return length

    if file.read(4) != b"GGUF" or number("I") not in (2, 3):
        raise ValueError("no GGUF of version 2 or 3")
    n_tensor, n_entry = number("Q"), number("Q")
    metadata = {}
    for _ in range(n_entry):
        name = text()
        metadata[name] = value(number("I"))
    shapes, last = {}, 0
    for _ in range(n_tensor):
        name, n_axis = text(), number("I")
        if n_axis > _MOST_AXES:
            raise ValueError(f"a tensor of {n_axis} axes")
        shapes[name] = tuple(number("Q") for _ in range(n_axis))
        in_block, block = _BLOCKS.get(number("I"), (1, 0))
        last = max(last, number("Q") + prod(shapes[name]) // in_block * block)
    if not n_tensor or len(shapes) < n_tensor or file.tell() + last > n_byte:
        raise ValueError("tensors are missing")
    return Header(metadata, shapes)


def cache_folder() -> Path:
    """Where this user's system keeps what programs can make again."""
    if chosen := os.environ.get("XDG_CACHE_HOME"):
        base = Path(chosen)
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Caches"
    else:
        base = Path.home() / ".cache"
    return base / "regard"


def kept_at(path: Path, cache: Path | None = None) -> Path:
    """Where the conversion of a GGUF file lies, or will."""
    state = path.stat()
    key = hashlib.sha256(f"{path.resolve()} {state.st_size} {state.st_mtime_ns}".encode()).hexdigest()[:12]
    return (cache or cache_folder()) / "gguf" / f"{path.stem}-{key}"


def converted(path: Path, cache: Path | None = None, within: Sequence[Path] | None = None) -> Path:
    """The folder with a safetensors checkpoint of a GGUF file; made the first time.

    Safe against two at once, also in two processes: each writes a folder of its own, and the first to finish gives it
    its name. Raises `ModelNotAvailable`.
    """
    target = kept_at(path, cache)
    if target.is_dir():
        return target
    header = read_header(path, within)
    if missing := [name for name in ("gguf", "accelerate") if importlib.util.find_spec(name) is None]:
        raise ModelNotAvailable(
            f"To read {path.name}, Regard needs the package{'s' if len(missing) > 1 else ''} {' and '.join(missing)}. "
            "Install with: pip install 'regard[gguf]'"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    try:
        with (
            snapshot(path.parent, within, (path.name,)) as held,
            read_once(held.path / path.name, progress.count),
        ):
            _convert(held.path / path.name, making, header.shapes)
        making.replace(target)
    except OSError as error:
        if not target.is_dir():  # another was faster
            raise ModelNotAvailable(f"{path.name} cannot be converted into “{target.parent}”: {error}.") from error
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return target


def _convert(path: Path, folder: Path, shapes: Shapes) -> None:
    import torch
    import transformers

    options = {"gguf_file": path.name, "local_files_only": True}
    causal = transformers.AutoModelForCausalLM
    # newer versions leave the weights packed unless told otherwise
    packing = getattr(transformers, "GgufConfig", None)
    unpack = {"quantization_config": packing(dequantize=True)} if packing else {}
    try:
        progress.begin("header")
        tokenizer = transformers.AutoTokenizer.from_pretrained(path.parent, **options)
        config = transformers.AutoConfig.from_pretrained(path.parent, **options)
        with BUILDING:
            check_build(causal.from_config, config, shapes, f"header of “{path.name}”")
            progress.begin("unpack")
            lm = causal.from_pretrained(path.parent, dtype=torch.float32, **unpack, **options)
    except (OSError, ModelNotAvailable):
        raise
    except Exception as error:  # an architecture that its reader does not know, a tensor it cannot unpack
        reason = short(error).replace(str(path), path.name)
        raise ModelNotAvailable(
            f"transformers {transformers.__version__} cannot read {path.name} ({reason}). Choose another model, or a "
            "safetensors checkpoint of this one."
        ) from error
    progress.begin("keep")
    lm.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
