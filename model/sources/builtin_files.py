"""The files of a built-in model, and where they are.

A model may be no more than a few layers over the weights of another: its config.json then names that one as `encoder`,
with the fingerprint of its weights; what it does not hold itself (shape, tokenizer, weights) is read from that folder,
which is beside its own.

One that trained before everybody's eyes (`model.lab`) keeps all its checkpoints: its config.json names their `steps`,
and its tensors are called "440/final_norm.weight".
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from safetensors import safe_open

from model.run import ModelNotAvailable

FILES = ("config.json", "card.json", "tokenizer.json", "weights.safetensors")
CONFIG, CARD, TOKENIZER, WEIGHTS = FILES
T = TypeVar("T")


def fingerprint(*weights: Path) -> str:
    """Of files of weights, together."""
    digest = hashlib.sha256()
    for path in weights:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def body(folder: Path) -> Path:
    """The folder of the weights that a model's own are layers over; its own, if it stands alone or cannot be read."""
    try:
        name = json.loads((folder / CONFIG).read_text(encoding="utf-8"))["encoder"]
        return folder.parent / Path(name).name  # beside it, whatever it says
    except (OSError, ValueError, TypeError, KeyError):
        return folder


def config(folder: Path) -> dict:
    """What config.json says, the shape of the body included.

    Raises OSError, ValueError or TypeError if it cannot be read; ValueError if the body has other weights than those
    that the model was made for.
    """
    stated = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    if (beneath := body(folder)) == folder:
        return stated
    name, made_for = stated.pop("encoder"), stated.pop("encoder_fingerprint", None)
    if (found := fingerprint(beneath / WEIGHTS)) != made_for:
        raise ValueError(f"it was made for the weights {made_for} of “{name}”, and these are {found}")
    return json.loads((beneath / CONFIG).read_text(encoding="utf-8")) | stated


def weight_files(folder: Path) -> list[Path]:
    """The files whose tensors are the model's, the body's first."""
    return list(dict.fromkeys((body(folder) / WEIGHTS, folder / WEIGHTS)))


def shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Of all tensors of the model, the body's included, by their headers alone. Raises OSError or SafetensorError."""
    found = {}
    for path in weight_files(folder):
        with safe_open(path, framework="numpy") as tensors:
            found |= {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118
    return at_step(found, kept[-1]) if (kept := steps(folder)) else found  # all checkpoints are of one shape


def steps(folder: Path) -> tuple[int, ...]:
    """After which steps of its training a model was kept; none of one that is kept as it ended."""
    try:
        found = json.loads((folder / CONFIG).read_text(encoding="utf-8"))["steps"]
    except (OSError, ValueError, TypeError, KeyError):
        return ()
    return tuple(step for step in found if isinstance(step, int)) if isinstance(found, list) else ()


def at_step(tensors: Mapping[str, T], step: int) -> dict[str, T]:
    """Those of one checkpoint, by their names in the model."""
    before = f"{step}/"
    return {name.removeprefix(before): tensor for name, tensor in tensors.items() if name.startswith(before)}


def card_text(card: dict, *, ascii: bool = False) -> str:
    """As card.json is written: the numbers of one checkpoint stand on one line."""
    rows = [json.dumps(row, ensure_ascii=ascii) for row in card.get("checkpoints", ())]
    text = json.dumps(card | {"checkpoints": []} if rows else card, indent=2, ensure_ascii=ascii)
    lines = ",\n    ".join(rows)
    return text.replace('"checkpoints": []', f'"checkpoints": [\n    {lines}\n  ]') + "\n"


def check_complete(folder: Path) -> None:
    """Raises `ModelNotAvailable` with what is missing."""
    beneath = body(folder)
    of_its_own = FILES if beneath == folder else [name for name in FILES if name != TOKENIZER]
    for where, names in ((folder, of_its_own), (beneath, FILES)):
        if missing := [name for name in names if not (where / name).is_file()]:
            raise ModelNotAvailable(
                f"The model “{folder.name}” is incomplete: {where} holds no {', '.join(missing)}. "
                "Install Regard again, or choose another model."
            )
