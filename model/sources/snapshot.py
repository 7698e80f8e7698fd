"""What of a folder may be read, and a directory of exactly that for the libraries to look around in.

A folder's files come from whoever made the model, and transformers opens what it finds there: every template in a
directory that may be a link, every file that an index, a configuration or a tokenizer's settings name. So no library is
shown the folder. Its files are listed by the names that a model has, each is followed to where it really lies and
judged, and only then opened, once. Texts are copied, within limits of size and depth, without what names other files;
weights are linked to the file that is held open (on Linux, so that nobody can put another in its place meanwhile).
"""

import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from model.run import ModelNotAvailable, short
from model.sources.strict_json import parse

Within = Sequence[Path] | None  # where files may lie, if they are links; None is anywhere

MIB = 2**20
# names of texts, and the most bytes of each; about twice what the largest known tokenizers take
TEXTS = {
    "config.json": 2 * MIB,
    "generation_config.json": MIB,
    "adapter_config.json": MIB,
    "tokenizer.json": 64 * MIB,
    "tokenizer_config.json": 16 * MIB,
    "special_tokens_map.json": 4 * MIB,
    "added_tokens.json": 4 * MIB,
    "model.safetensors.index.json": 32 * MIB,
    "vocab.json": 32 * MIB,
    "vocab-src.json": 32 * MIB,
    "vocab-tgt.json": 32 * MIB,
    "tekken.json": 32 * MIB,
    "vocab.txt": 32 * MIB,
    "dict.txt": 32 * MIB,
    "merges.txt": 32 * MIB,
    "bpe.codes": 32 * MIB,
    "chat_template.jinja": MIB // 4,
    "*.model": 32 * MIB,
    "*.spm": 32 * MIB,
    "*.tiktoken": 32 * MIB,
}
MOST_TEXT = 256 * MIB  # of all of them
NOT_SHOWN = ("adapter_config.json",)  # to the libraries: they would look for the model that it changes
WEIGHTS = ("*.safetensors", "*.gguf")
INDEX = "model.safetensors.index.json"
N_VALUE = {"config.json": 200_000, "generation_config.json": 10_000}  # values in a JSON file
MOST_VALUES = 4_000_000  # in any other: a vocabulary of 256,000 with half a million merges has 2.6 million
N_ENTRY = 10_000  # files in a folder
N_WEIGHT_FILE = 300  # held open at once
_POINTER = b"version https://git-lfs.github.com/spec/"

# what a transformers setting opens, fetches or changes for the whole process; none of it is needed to read a model
_LEADS_ELSEWHERE = ("fast_tokenizer_files", "init_inputs", "transformers_weights", "fusion_config")
_LEADS_ELSEWHERE_END = ("_file", "_path", "attn_implementation", "attn_implementation_internal")
_LEADS_ELSEWHERE_END += ("experts_implementation", "experts_implementation_internal")
_SETTINGS = ("config.json", "generation_config.json", "tokenizer_config.json", "special_tokens_map.json")


@dataclass(frozen=True)
class Snapshot:
    """The files of a model, judged."""

    folder: Path  # as it is called: what sentences name
    path: Path  # where the files are, and nothing else
    names: tuple[str, ...]  # all that the folder holds, of which most is never opened
    _parsed: dict[str, Any] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        return name in self._parsed or (self.path / name).exists()

    def json(self, name: str) -> dict[str, Any]:
        """What a file states, as it stands in the folder; nothing if it is not there.

        Raises `ModelNotAvailable` if it is no object.
        """
        stated = self._parsed.get(name, {})
        if not isinstance(stated, dict):
            raise damaged(self.folder, name, "it is no object")
        return stated

    def of(self, *patterns: str) -> list[str]:
        """The names of the files that there are to read, of those that match."""
        return sorted(file.name for file in self.path.iterdir() if any(fnmatch(file.name, p) for p in patterns))


def listing(
    folder: Path, within: Sequence[Path] | None = None, only: Sequence[str] = ("*",)
) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Where each file of a model really lies, by its name; and the names of all that the folder holds.

    Nothing is opened. `within`: the folders that files may lie in; None is anywhere. `only`:
    patterns of names. Raises `ModelNotAvailable` for a link that leads elsewhere, and for what is no file: a pipe, a
    device.
    """
    try:
        with os.scandir(folder) as entries:
            names = tuple(sorted(entry.name for entry, _ in zip(entries, range(N_ENTRY + 1), strict=False)))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ModelNotAvailable(f"The folder “{folder}” cannot be read ({reason}). Check the path.") from error
    if len(names) > N_ENTRY:
        raise ModelNotAvailable(
            f"The folder “{folder}” holds more than {N_ENTRY:,} files, so it is not the folder of a model. "
            "Give the one that holds config.json."
        )
    found = {name: _place(folder, name, within) for name in names if _is_read(name, only)}
    files = {name: place for name, place in found.items() if place is not None}
    if (count := sum(map(_is_weights, files))) > N_WEIGHT_FILE:
        raise ModelNotAvailable(
            f"The folder “{folder}” holds {count:,} files of weights, and Regard opens {N_WEIGHT_FILE} at most. Give a "
            "folder with one model."
        )
    return files, names


@contextmanager
def snapshot(folder: Path, within: Sequence[Path] | None = None, only: Sequence[str] = ("*",)) -> Iterator[Snapshot]:
    """The judged files of a folder (see `listing`), for as long as they are read. Raises `ModelNotAvailable`."""
    files, names = listing(folder, within, only)
    with ExitStack() as stack:
        path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="regard-")))
        held, n_byte = Snapshot(folder, path, names), 0
        for name, place in files.items():
            descriptor = stack.enter_context(_opened(folder, name, place, within))
            _check_fetched(folder, name, descriptor)
            if limit := _limit(name):
                n_byte += _copy(held, name, descriptor, min(limit, MOST_TEXT - n_byte))
            else:
                _link(place, descriptor, path / name)
        yield held


def damaged(folder: Path, name: str, reason: str) -> ModelNotAvailable:
    return ModelNotAvailable(f"The {name} in “{folder}” is damaged ({reason}). Download the model again.")


def _limit(name: str) -> int:
    """The most bytes of a text; 0 for what is none of those that are read."""
    return next((limit for pattern, limit in TEXTS.items() if fnmatch(name, pattern)), 0)


def _is_read(name: str, only: Sequence[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in only) and (_limit(name) > 0 or _is_weights(name))


def _is_weights(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in WEIGHTS)


def _place(folder: Path, name: str, within: Sequence[Path] | None) -> Path | None:
    """Where a file really lies; None if there is none."""
    try:
        place = (folder / name).resolve(strict=True)
        mode = place.stat().st_mode
    except (OSError, RuntimeError):  # a link to nothing, or in a circle
        return None
    if stat.S_ISDIR(mode):
        return None
    _judge(folder, name, place, within)
    if not stat.S_ISREG(mode):
        raise ModelNotAvailable(
            f"“{name}” in “{folder}” is no file but a pipe, a socket or a device. Put the file itself there."
        )
    return place


def _judge(folder: Path, name: str, place: Path, within: Sequence[Path] | None) -> None:
    if within is not None and not any(place.is_relative_to(root) for root in within):
        raise ModelNotAvailable(
            f"The file {name} in “{folder}” is a link to a place outside of what this server may open. "
            "Put a copy there."
        )


@contextmanager
def _opened(folder: Path, name: str, place: Path, within: Sequence[Path] | None) -> Iterator[int]:
    """A descriptor of a file that was judged; judged again, for another may have been put there since."""
    # a pipe without a writer would keep whoever opens it waiting
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(place, flags)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ModelNotAvailable(f"The file {name} in “{folder}” cannot be read ({reason}).") from error
    try:
        really = Path(os.path.realpath(_held(descriptor) or place))
        _judge(folder, name, really, within)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ModelNotAvailable(f"“{name}” in “{folder}” changed while it was read. Try again.")
        yield descriptor
    finally:
        os.close(descriptor)


def _held(descriptor: int) -> str | None:
    """A path to an open file, whatever becomes of its name; where the system has one."""
    path = f"/proc/{os.getpid()}/fd/{descriptor}"
    return path if os.path.exists(path) else None


def _check_fetched(folder: Path, name: str, descriptor: int) -> None:
    start = os.read(descriptor, len(_POINTER))
    os.lseek(descriptor, 0, os.SEEK_SET)
    if start == _POINTER:
        raise ModelNotAvailable(
            f"The file {name} in “{folder}” is a pointer of Git LFS: the file itself was not fetched. Fetch it with: "
            "git lfs pull"
        )


def _copy(held: Snapshot, name: str, descriptor: int, limit: int) -> int:
    """Returns the bytes."""
    with os.fdopen(os.dup(descriptor), "rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ModelNotAvailable(
            f"The {name} in “{held.folder}” is larger than {limit / MIB:.3g} MiB, more than that of any model known "
            "here. Choose another model."
        )
    if name.endswith(".json"):
        try:
            parsed = held._parsed[name] = parse(content, N_VALUE.get(name, MOST_VALUES))
        except ValueError as error:
            raise damaged(held.folder, name, short(error)) from error
        if name in _SETTINGS and (at_home := _without_elsewhere(parsed)) != parsed:
            content = json.dumps(at_home).encode()
    if name not in NOT_SHOWN:
        (held.path / name).write_bytes(content)
    return len(content)


def _without_elsewhere(tree: Any) -> Any:
    """Settings without those that name other files, or that change what other models do."""
    if isinstance(tree, list):
        return [_without_elsewhere(child) for child in tree]
    if not isinstance(tree, Mapping):
        return tree
    return {
        key: _without_elsewhere(child)
        for key, child in tree.items()
        if key not in _LEADS_ELSEWHERE
        and not key.endswith(_LEADS_ELSEWHERE_END)
        and not (key in ("vocab", "merges") and isinstance(child, str))
    }


def _link(place: Path, descriptor: int, link: Path) -> None:
    """To the open file where the system can; a hard link or a copy where it has no symbolic links (Windows)."""
    for make in (os.symlink, os.link, shutil.copyfile):
        try:
            return make(_held(descriptor) or place, link) and None
        except OSError:
            continue
    raise ModelNotAvailable(f"The file “{place}” cannot be read: neither linked nor copied into “{link.parent}”.")
