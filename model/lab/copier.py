"""The copier as a model that every page reads, at any checkpoint of its training; and the folder that keeps them all.

`python -m model.lab.copier` trains one and prints its course; with ``--export DIR`` it writes what Regard ships.
"""

import argparse
import json
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from pathlib import Path

import numpy as np
import tokenizers
import torch
from safetensors.numpy import load_file, save_file

from model.analysis.attention import layer_weights
from model.builtin.language_model import BuiltinModel, check_fit, config_in, kept, readable
from model.builtin.transformer import Transformer
from model.lab import copying, course
from model.lab.course import FIRST, Checkpoint, LabError, Settings
from model.lab.vocabulary import Vocabulary
from model.sources import builtin_files
from model.sources.builtin_files import CARD, CONFIG, TOKENIZER, WEIGHTS

SCORES = ("previous", "induction")
N_TEXT = 12  # of the kind that it learns from, in its card
REMARK = (
    f"It knows the symbols a to z and {' '.join(copying.SYMBOLS[26:])} alone: every other character, a capital letter "
    f"and a space too, is its unknown token. It reads {copying.N_TOKEN} at most, and goes on with spans that it has "
    "seen; of language it knows nothing."
)


@dataclass(frozen=True)
class Run:
    """A training of a copier, as it was kept."""

    settings: Settings
    checkpoints: tuple[Checkpoint, ...]  # none left out from the first on
    without: np.ndarray | None = None  # (L, H) loss, after the last, where a token can be known, without each head

    n_judged = course.N_JUDGED  # rows by which each checkpoint was judged

    @property
    def locked(self) -> Checkpoint | None:
        return course.locked(list(self.checkpoints))


class Copier(BuiltinModel):
    """A transformer that learned to go on with spans, as it was after some step."""

    @classmethod
    def load(cls, folder: Path, step: int | None = None) -> "Copier":
        """After its last step, or another that was kept. Raises `ModelNotAvailable`."""
        with readable(folder):
            run = read(folder)
            found = run.checkpoints[-1 if step is None else [each.step for each in run.checkpoints].index(step)]
            title = str(json.loads((folder / builtin_files.CARD).read_text(encoding="utf-8"))["title"])
            tokenizer = Vocabulary(tokenizers.Tokenizer.from_file(str(folder / builtin_files.TOKENIZER)))
            transformer = course.restored(run.settings, found)
            check_fit(tokenizer, transformer.config)
        at = catalog_name(folder.name, step)
        return cls._made(transformer, tokenizer, title if step is None else f"{title}, step {step:,}", at)

    @classmethod
    def at(cls, settings: Settings, checkpoint: Checkpoint, title: str) -> "Copier":
        """Of a training that is in no folder."""
        return cls._made(course.restored(settings, checkpoint), copying.vocabulary(), title)

    @classmethod
    def _made(cls, transformer: Transformer, tokenizer: Vocabulary, title: str, name: str = "") -> "Copier":
        lm = cls.of(transformer, tokenizer, title=title, name=name)
        lm.info = replace(lm.info, remarks=(REMARK,))
        return lm


def catalog_name(name: str, step: int | None) -> str:
    """As `model.catalog` knows it."""
    return name if step is None else f"{name}@{step}"


def read(folder: Path) -> Run:
    """All that a folder keeps. Whatever error its files cause is for `readable`, or for those who shipped it."""
    stated, card = (json.loads((folder / name).read_text(encoding="utf-8")) for name in (CONFIG, CARD))
    settings = Settings(**stated.pop("settings"))
    steps = stated.pop("steps")
    if config_in(stated) != course.config(settings) or stated:
        raise ValueError(f"config.json says {stated or 'another shape than its settings'}")
    tensors, wanted = load_file(folder / WEIGHTS), course.network(settings).state_dict()
    checkpoints = []
    for row in card["checkpoints"]:
        weights = builtin_files.at_step(tensors, row["step"])
        if {name: w.shape for name, w in weights.items()} != {name: tuple(w.shape) for name, w in wanted.items()}:
            raise ValueError(f"the tensors of step {row['step']} are not those of its shape")
        scores = {name: np.array(row[name]) for name in SCORES}
        checkpoints.append(Checkpoint(**(row | scores), weights=weights))
    if [each.step for each in checkpoints] != steps:
        raise ValueError("card.json and config.json name different steps")
    return Run(settings, tuple(checkpoints), np.array(card["without"]))


def write(folder: Path, run: Run, seconds: float) -> None:
    """What Regard ships: all checkpoints, and a card that says how each does."""
    folder.mkdir(parents=True, exist_ok=True)
    settings, last = run.settings, run.checkpoints[-1]
    config = asdict(course.config(settings))
    config |= {"settings": asdict(settings), "steps": [each.step for each in run.checkpoints]}
    n_token = settings.n_step * course.N_ROW * copying.N_TOKEN
    rows = copying.draw(course.N_JUDGED, np.random.default_rng(1), FIRST)
    known, unknown = int(rows.known[:, 1:].sum()), int((~rows.known[:, 1:]).sum())
    card = {
        "title": "Copier",
        "architecture": "decoder",
        "command": "python -m model.lab.copier",
        "parameters": sum(weights.size for weights in last.weights.values()),
        "steps": settings.n_step,
        "tokens": n_token,
        "hours": round(seconds / 3600, 5),
        "seed": settings.seed,
        "machine": f"{platform.machine()}, 1 thread, cpu",
        "data": {"spans": {"share": 1.0, "tokens": n_token}},
        "held_out": {
            "known": {"tokens": known, "nats_per_token": _rounded(last.known), "accuracy": _rounded(last.copied)},
            "unknown": {"tokens": unknown, "nats_per_token": _rounded(last.unknown)},
        },
        "locked": None if run.locked is None else {"step": run.locked.step, "from": course.LOCKED},
        "without": _rounded(run.without),
        "texts": [text for text, _ in examples()],
        "checkpoints": [
            {f.name: _rounded(getattr(each, f.name)) for f in fields(Checkpoint) if f.name != "weights"}
            for each in run.checkpoints
        ],
    }
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    (folder / CARD).write_text(builtin_files.card_text(card), encoding="utf-8")
    copying.vocabulary().backend_tokenizer.save(str(folder / TOKENIZER), pretty=False)
    tensors = {f"{each.step}/{name}": w for each in run.checkpoints for name, w in each.weights.items()}
    save_file(tensors, folder / WEIGHTS)
    (folder / WEIGHTS).chmod(0o644)  # safetensors lets nobody else read it


def _rounded(value: object) -> object:
    return np.round(np.float64(value), 4).tolist() if isinstance(value, float | np.ndarray) else value


@cache
def examples() -> tuple[tuple[str, tuple[bool, ...]], ...]:
    """Texts of the kind that it learns from, and which of their symbols can be known."""
    rows = copying.draw(N_TEXT, np.random.default_rng(2), FIRST)
    return tuple(
        (copying.text(ids, FIRST), tuple(known.tolist())) for ids, known in zip(rows.ids, rows.known, strict=True)
    )


def maps(run: Run, text: str) -> np.ndarray:
    """(C, L, H, T, T): where each head of each checkpoint looks in a text, as `Copier.run` has it."""
    ids = torch.tensor([[token.id for token in copying.vocabulary().encode(text)]])
    return np.array([_weights(course.restored(run.settings, checkpoint), ids) for checkpoint in run.checkpoints])


@torch.inference_mode()
def _weights(transformer: Transformer, ids: torch.Tensor) -> np.ndarray:
    """(L, H, T, T) of ids (1, T)."""
    calls = transformer(ids)[1].attention
    return np.array([layer_weights(kept(call)) for call in calls])


def difference(one: Run, other: Run) -> float:
    """The largest of any head's score, at the checkpoints that both have."""
    theirs = {each.step: each for each in other.checkpoints}
    pairs = [(each, theirs[each.step]) for each in one.checkpoints if each.step in theirs]
    return max(float(np.abs(getattr(a, of) - getattr(b, of)).max()) for a, b in pairs for of in SCORES)


def ablated(settings: Settings, checkpoint: Checkpoint) -> np.ndarray:
    """(L, H): the loss, in nats, on rows of spans where a token can be known, with each head taken out in its turn."""
    transformer = course.restored(settings, checkpoint)
    rows = copying.draw(course.N_JUDGED, np.random.default_rng(1), FIRST)
    shape = settings.n_layer, settings.n_head
    return np.array([course.without(transformer, rows, *head) for head in np.ndindex(shape)]).reshape(shape)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m model.lab.copier", description=__doc__)
    parser.add_argument(
        "--export", type=Path, metavar="DIR", help="write the model, at every checkpoint, into a folder"
    )
    parser.add_argument("--compare", type=Path, metavar="DIR", help="say how far its scores are from those kept there")
    for field in fields(Settings):
        if isinstance(field.default, bool):
            parser.add_argument(f"--{field.name.replace('_', '-')}", action=argparse.BooleanOptionalAction)
        else:
            parser.add_argument(f"--{field.name.replace('_', '-')}", type=type(field.default))
    parser.set_defaults(**asdict(Settings()))
    arguments = vars(parser.parse_args(argv))
    folder, kept = arguments.pop("export"), arguments.pop("compare")
    torch.set_num_threads(1)  # more only wait for each other
    checkpoints, started = [], time.process_time()
    try:
        settings = Settings(**arguments)
        for checkpoint in course.train(settings):
            checkpoints.append(checkpoint)
            print(
                f"step {checkpoint.step:5,}   loss {checkpoint.trained:6.3f}, on spans {checkpoint.known:6.3f}   "
                f"copied {checkpoint.copied:6.1%}   previous {checkpoint.previous.max():.2f}   induction "
                f"{checkpoint.induction.max():.2f}   {time.process_time() - started:5.1f} s",
                flush=True,
            )
    except LabError as error:
        raise SystemExit(str(error)) from error
    seconds, last = time.process_time() - started, checkpoints[-1]
    run = Run(settings, tuple(checkpoints), ablated(settings, last))
    print(f"both heads stay from step {run.locked.step:,} on" if run.locked else "the two heads did not come to stay")
    for layer, head in np.ndindex(last.previous.shape):
        print(
            f"layer {layer}, head {head}: previous {last.previous[layer, head]:.2f}, induction "
            f"{last.induction[layer, head]:.2f}; without it the loss on spans is {run.without[layer, head]:.2f}, with "
            f"it {last.known:.2f}"
        )
    if kept:
        print(f"no score at any checkpoint differs by more than {difference(run, read(kept)):.4f} from those in {kept}")
    if folder:
        write(folder, run, seconds)
        print(f"written to {folder}")


if __name__ == "__main__":
    main()
