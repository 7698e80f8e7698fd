"""Regard without its pages: for notebooks and scripts.

    import model

    lm = model.load("story")  # or a folder, a GGUF file, a hub id that was downloaded
    run = lm.run(lm.encode("The cat sat on the mat"))
    model.attention_weights(run.attention[3], head=2)  # (T, T): rows look, columns are looked at; and a learned sink

A run is plain data, in NumPy. The names below are the ones that stay; all else may move. Nothing here draws. Where
Regard is installed, `read`, `heads`, `of` and `scores` are here too: they are whatever the entry point `regard.display`
names (pyproject.toml), which draws, and which this package does not know.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model.language_model import LanguageModel

# fetched when first asked for: whoever imports one module of Regard does not wait for the others
_PLACES = {
    "Intervention": "model.intervention",  # what a run may change: heads off, edges off, no mask …
    "ModelRun": "model.run",
    "Token": "model.run",
    "VisitorError": "model.run",  # whatever a text or a folder can be wrong by, in a sentence
    "available": "model.catalog",  # the models that are here
    "attention_weights": "model.analysis.attention",  # after softmax
    "attention_scores": "model.analysis.attention",  # before it
    "cell_arithmetic": "model.analysis.attention",  # one weight, with all that it is made of
    "attention_entropy": "model.analysis.measures",
    "save_run": "model.analysis.run_file",  # a run into a file that NumPy reads
    "load_run": "model.analysis.run_file",  # and back, equal to the last bit
}
_DRAWN = ("heads", "of", "read", "scores")  # by whoever is installed for it
__all__ = ["load", *_PLACES]


def load(name: str | Path) -> "LanguageModel":
    """A model by its name ("story"), or one of your own: a folder, a GGUF file, or the id of a hub model that is here.

    Raises `ModelNotAvailable`, a `VisitorError`, with the reason. Nothing is downloaded, and no code that comes with a
    model is run.
    """
    from model import catalog
    from model.sources.places import Allowed

    folder = not isinstance(name, Path) and name.startswith("folder:")  # as an address has it
    path = Path(name.removeprefix("folder:") if folder else name).expanduser()
    if isinstance(name, Path) or folder or path.exists():
        root = Path(path.resolve().anchor)  # this is your machine: no folder is closed to you
        return catalog.load(f"folder:{path.resolve()}", allowed=Allowed((root,)))
    hub_id = name.count("/") == 1 and ":" not in name
    return catalog.load(f"hub:{name}" if hub_id else name, allowed=Allowed(hub=True))


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    if name not in _DRAWN:
        raise AttributeError(f"module 'model' has no attribute {name!r}")
    from importlib.metadata import entry_points

    for drawer in entry_points(group="regard.display"):
        return getattr(drawer.load(), name)
    raise AttributeError(
        f"model.{name} draws, and nothing that draws is installed: pip install -e . in Regard's folder"
    )
