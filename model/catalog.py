"""Which models exist here, what each costs, and how to load one: the one place that knows.

A name is what an address carries: "story" for a built-in model, "copier@440" for one as it was after a step of its
training, else "package:…", "folder:…" or "hub:…" (see
`model.sources.places`); what is "lab:…" was trained in a visitor's session, and only `viz.ui` finds it. Nothing of
transformers is imported before a model that needs it is asked for.
"""

import json
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from model.language_model import LanguageModel
from model.memory import memory_available
from model.run import ModelNotAvailable
from model.sources import adapters, builtin_files, gguf
from model.sources import cost as checkpoint
from model.sources import places as sources
from model.sources.adapters import Adapter
from model.sources.cost import Cost
from model.sources.places import Allowed, Entry, Hub, HuggingFaceHub
from model.sources.progress import Stage
from model.sources.snapshot import Within, listing, snapshot

WEIGHTS = Path(__file__).parent / "weights"
DEFAULT = "story"
BUILT_IN = "built in"
AT = "@"  # between a built-in model's name and the step of its training after which it is read
LAB = "lab:"  # a name that begins so is of a visitor's session (`viz.ui.lab_models`): nothing here knows it
NOTHING_ELSE = Allowed()

_turn = threading.Condition()
_loading: list[int] = []  # bytes that the models being loaded now will take

Loader = Callable[..., LanguageModel]  # (folder, *, name, title, within)


def available(weights: Path = WEIGHTS) -> tuple[Entry, ...]:
    """What can be chosen without typing anything: the built-in models, the default first, then installed packages."""
    return (*_built_in(weights), *sources.packages())


def titles(entries: Sequence[Entry]) -> dict[str, str]:
    """The title of each, by its name; where several have the same, with what tells them apart."""
    told = {
        entry.name: (entry.title, f"{entry.title} · {entry.source}", f"{entry.title} · {entry.where}")
        for entry in entries
    }
    alike = [Counter(ways) for ways in zip(*told.values(), strict=True)]
    return {
        name: next((way for way, n in zip(ways, alike, strict=True) if n[way] == 1), name)
        for name, ways in told.items()
    }


def find(name: str, allowed: Allowed = NOTHING_ELSE, weights: Path = WEIGHTS) -> Entry:
    """The model that `name` stands for, whether it can be loaded or not. Raises `ModelNotAvailable`."""
    kind, _, rest = name.partition(":")
    if kind == "package":
        return sources.package(rest)
    if kind == "folder":
        return sources.folder(rest, allowed)
    if kind == "hub":
        return sources.hub_model(rest, allowed)
    if name.startswith(LAB):
        raise ModelNotAvailable(
            f"The model “{name[:40]}” was trained in one visitor's session, which alone can open it, and goes with "
            "that session. Train one of your own on the page Training, or choose another model."
        )
    built_in = _built_in(weights)
    whole, at, step = name.partition(AT)
    for entry in built_in:
        if entry.name == name:
            return entry
        if at and entry.name == whole and (steps := steps_of(entry)):
            return _at_step(entry, step, steps)
    names = ", ".join(entry.name for entry in built_in) or "none"
    raise ModelNotAvailable(f"There is no model “{name}” here. Available: {names}.")


def steps_of(entry: Entry) -> tuple[int, ...]:
    """After which steps of its training it was kept, if at several: each is a model too, as `at_step` says."""
    return builtin_files.steps(Path(entry.where)) if entry.source == BUILT_IN else ()


def at_step(name: str, step: int) -> str:
    """The name of a model as it was after a step of its training."""
    return f"{name.partition(AT)[0]}{AT}{step}"


def _at_step(entry: Entry, wanted: str, steps: tuple[int, ...]) -> Entry:
    if wanted not in map(str, steps):
        near = min(steps, key=lambda s: abs(s - int(wanted))) if wanted.isdecimal() and len(wanted) < 9 else None
        nearest = "" if near is None else f", the nearest {near:,}"
        raise ModelNotAvailable(
            f"{entry.title} was not kept after step “{wanted[:20]}”: there are {len(steps)} checkpoints, from step "
            f"{steps[0]} to {steps[-1]:,}{nearest}. Choose one of them on the page Training."
        )
    return replace(entry, name=f"{entry.name}{AT}{wanted}", title=f"{entry.title}, step {int(wanted):,}")


def find_typed(typed: str, allowed: Allowed) -> Entry:
    """The model that a visitor means by a path or a hub id. Raises `ModelNotAvailable`."""
    typed = typed.strip().strip("\"'")
    if not typed:
        raise ModelNotAvailable("Type the path of a folder with a model, or a hub id like openai-community/gpt2.")
    if typed.partition(":")[0] in ("package", "folder", "hub", "lab"):
        return find(typed, allowed)
    looks_like_path = typed[0] in "/~.\\" or typed.count("/") != 1 or "\\" in typed
    if not looks_like_path:
        try:
            return sources.folder(typed, allowed)  # relative to a root
        except ModelNotAvailable:
            return sources.hub_model(typed, allowed)
    return sources.folder(typed, allowed)


def checkpoint_folder(typed: str, hub: Hub | None = None) -> Path:
    """The folder of a transformers checkpoint on this machine, for whoever trains it on; of a GGUF file, unpacked.

    `typed`: a path, the id of a hub model that is here, or "package:…". Raises `ModelNotAvailable`.
    """
    path = Path(typed).expanduser()
    root = Path(path.resolve().anchor)  # the command is the operator's own: no folder is closed to it
    entry = find_typed(str(path.resolve()) if path.exists() else typed, Allowed((root,), hub=True))
    files = _own_files(entry, hub)
    if files is None:
        raise ModelNotAvailable(f"“{entry.where}” is not on this machine. Download it first: hf download {entry.where}")
    if file := checkpoint.gguf_file(files.folder):
        return gguf.converted(file, within=files.within)
    if files.folder.is_dir() and adapters.is_one(listing(files.folder, files.within, (adapters.CONFIG,))[1]):
        raise ModelNotAvailable(
            f"“{entry.title}” is an adapter. Merge it into its base with peft (merge_and_unload) first, and save the "
            "whole."
        )
    return files.folder


def cost(entry: Entry, hub: Hub | None = None) -> Cost | None:
    """What a model takes, from its files' headers; None if it is on the hub and not here.

    Raises `ModelNotAvailable` if it cannot be read.
    """
    if entry.source == BUILT_IN:
        return checkpoint.cost_of_built_in(Path(entry.where))
    files = _files(entry, hub)
    return checkpoint.cost_of(files.folder, files.within, files.adapter) if files else None


def is_slow_once(entry: Entry) -> bool:
    """Whether loading it begins with a conversion."""
    file = checkpoint.gguf_file(Path(entry.where)) if not entry.name.startswith(("hub:", LAB)) else None
    return file is not None and not gguf.kept_at(file).is_dir()


def stages(entry: Entry) -> list[Stage]:
    """What loading a model is made of, for `model.sources.progress`. Raises `ModelNotAvailable`.

    The seconds were measured with SmolLM2 (135 M parameters, 98 MB of GGUF), and divided by what this took longer on a
    busy machine than on a quiet one: only how they relate is used.
    """
    reading = "Reading the weights"
    found_cost = None if entry.source == BUILT_IN else cost(entry)
    if found_cost is None:
        return [Stage("weights", reading, 1.0)]
    millions, found, classes = found_cost.n_parameter / 1e6, [], 0.0
    if "transformers.modeling_utils" not in sys.modules:
        found.append(Stage("libraries", "Starting transformers", 1.0))
        classes = 3.0  # whatever comes next needs more of its modules
    if is_slow_once(entry):
        n_byte = checkpoint.gguf_file(Path(entry.where)).stat().st_size
        found += [
            Stage("header", "Reading the vocabulary", 1.5 + classes),
            Stage("unpack", "Unpacking the weights", 0.03 * n_byte / 1e6, n_byte),
            Stage("keep", "Keeping them in half precision", 0.008 * millions),
        ]
        classes = 0.0
    found.append(Stage("weights", reading, 0.5 + 0.004 * millions + classes))
    return [*found, Stage("check", "Checking them", 0.5 + 0.02 * millions)]


def load(
    name: str,
    weights: Path = WEIGHTS,
    *,
    allowed: Allowed = NOTHING_ELSE,
    hub: Hub | None = None,
    loader: Loader | None = None,
    available: Callable[[], int | None] = memory_available,
) -> LanguageModel:
    """Raises `ModelNotAvailable` if there is no such model, it cannot be read, or it does not fit into memory.

    It never downloads: a link must not (see `model.sources.download`). `loader` stands in for
    `model.huggingface.checkpoint.load`, `available` says how many bytes of memory can be had.
    """
    entry = find(name, allowed, weights)
    if entry.source == BUILT_IN:
        return _loader_of(entry)(Path(entry.where))
    files = _files(entry, hub)
    if files is None:
        raise ModelNotAvailable(
            f"“{entry.where}” is not on this machine yet. Download it first: hf download {entry.where}"
        )
    folder, within = files.folder, files.within
    cost = checkpoint.cost_of(folder, within, files.adapter)
    cost.check(entry.title)
    with _room_for(cost.needed, available):
        replace(cost, available=available()).check(entry.title)
        if file := checkpoint.gguf_file(folder):
            folder, within = gguf.converted(file, within=within), None
        if loader is None:
            from model.huggingface.checkpoint import load as loader
        more = {"adapter": files.adapter} if files.adapter else {}
        try:
            return loader(folder, name=entry.name, title=files.title, within=within, **more)
        except MemoryError as error:
            raise ModelNotAvailable(
                f"{entry.title} does not fit: the memory ran out while it was loaded. Choose a smaller model."
            ) from error


@contextmanager
def _room_for(needed: int, available: Callable[[], int | None]) -> Iterator[None]:
    """Models are loaded side by side, as many as fit: two that were each judged to fit alone might not.

    One that does not fit beside those being loaded waits until they are there.
    """
    with _turn:
        _turn.wait_for(lambda: _fits_beside(needed, available()))
        _loading.append(needed)
    try:
        yield
    finally:
        with _turn:
            _loading.remove(needed)
            _turn.notify_all()


def _fits_beside(needed: int, free: int | None) -> bool:
    """Alone, a model always does: `Cost.check` has said so. What the others have taken already counts twice."""
    return not _loading or free is None or sum(_loading) + needed + checkpoint.ROOM_TO_RUN <= free


def _built_in(weights: Path) -> list[Entry]:
    folders = sorted(config.parent for config in weights.glob("*/config.json"))
    folders.sort(key=lambda folder: folder.name != DEFAULT)
    return [Entry(folder.name, _title(folder), BUILT_IN, str(folder)) for folder in folders]


def _title(folder: Path) -> str:
    return str(_stated(folder / "card.json").get("title", folder.name))


def architecture_of(entry: Entry) -> str | None:
    """ "decoder", "encoder", "encoder-decoder" or "classifier"; None if it is not built in: loading it tells."""
    if entry.source != BUILT_IN:
        return None
    stated = _stated(Path(entry.where) / "config.json")
    return stated.get("architecture", "decoder" if stated.get("causal", True) else "encoder")


def telling_head_of(entry: Entry) -> tuple[int, int] | None:
    """The layer and the head that a built-in model's card names as the first to look at, if it does.

    `python -m tests.telling_heads` finds them.
    """
    if entry.source != BUILT_IN:
        return None
    match _stated(Path(entry.where) / "card.json").get("telling_head"):
        case [int(layer), int(head)]:
            return layer, head
    return None


def _stated(path: Path) -> dict:
    """A JSON file; empty if it is damaged: loading the model says what is wrong."""
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stated if isinstance(stated, dict) else {}


def texts_of(entry: Entry) -> tuple[str, ...]:
    """Texts of the kind that a built-in model learned from, if no others make sense to it."""
    if entry.source != BUILT_IN:
        return ()
    texts = _stated(Path(entry.where) / "card.json").get("texts")
    return tuple(text for text in texts if isinstance(text, str)) if isinstance(texts, list) else ()


def _loader_of(entry: Entry) -> Callable[[Path], LanguageModel]:
    """What loads a built-in model from its folder. These import torch: only once a model is wanted."""
    if steps_of(entry):
        from model.lab.copier import Copier

        step = entry.name.partition(AT)[2]
        return partial(Copier.load, step=int(step) if step else None)
    match architecture_of(entry):
        case "encoder-decoder":
            from model.builtin.translator import Translator

            return Translator.load
        case "classifier":
            from model.builtin.classifier import Classifier

            return Classifier.load
    from model.builtin.language_model import BuiltinModel

    return BuiltinModel.load


@dataclass(frozen=True)
class _Files:
    """Where a model is on this machine: of an adapter, its base, and itself beside."""

    title: str
    folder: Path
    within: Within  # where links among them may lead
    adapter: tuple[Path, Within] | None = None  # the same two of it


def _files(entry: Entry, hub: Hub | None) -> _Files | None:
    """None if it is on the hub only. Raises `ModelNotAvailable` for an adapter without its base."""
    if (own := _own_files(entry, hub)) is None or own.folder.is_file():
        return own
    _, names = listing(own.folder, own.within, (adapters.CONFIG,))
    if not adapters.is_one(names):
        return own
    with snapshot(own.folder, own.within, (adapters.CONFIG,)) as held:
        adapter = adapters.settings(held)
    base = _base(entry, adapter, hub)
    return replace(base, title=f"{base.title} + {entry.title}", adapter=(own.folder, own.within))


def _base(entry: Entry, adapter: Adapter, hub: Hub | None) -> _Files:
    """What an adapter is a change to, by the same rules as any model. Raises `ModelNotAvailable`."""
    named = adapter.base[:200]
    says = f"“{entry.title}” is an adapter, which is a change to another model, “{named}”"
    try:
        base = find_typed(adapter.base, entry.allowed or NOTHING_ELSE)
        files = _own_files(base, hub)
    except ModelNotAvailable as error:
        raise ModelNotAvailable(
            f"{says}, and that cannot be opened here. {error} If it lies elsewhere, say so as base_model_name_or_path "
            f"in {adapters.CONFIG}."
        ) from error
    if files is None:
        raise ModelNotAvailable(f"{says}, which is not on this machine yet. Load that one first, then this.")
    if adapter.revision and base.name.startswith("hub:"):
        raise ModelNotAvailable(
            f"{says}, in its revision {adapter.revision[:80]}, and Regard takes the newest from the hub. Download that "
            f"revision into a folder, and name it as base_model_name_or_path in {adapters.CONFIG}."
        )
    if checkpoint.gguf_file(files.folder):
        raise ModelNotAvailable(
            f"{says}, which is a GGUF file there. Regard merges into safetensors: give the checkpoint it was made from."
        )
    if adapters.is_one(listing(files.folder, files.within, (adapters.CONFIG,))[1]):
        raise ModelNotAvailable(
            f"{says}, and that one is an adapter itself. Merge it into its own base with peft (merge_and_unload) "
            "first, and save the whole."
        )
    return files


def _own_files(entry: Entry, hub: Hub | None) -> _Files | None:
    """Without a look at what they are."""
    if not entry.name.startswith("hub:"):
        return _Files(entry.title, Path(entry.where), entry.within)
    hub = hub or HuggingFaceHub()
    folder = hub.local(entry.where)
    return folder and _Files(entry.title, folder, (hub.cache().resolve(), folder.resolve()))
