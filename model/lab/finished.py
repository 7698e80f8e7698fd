"""The run that the lesson of three sentences shows at first: trained once, with these settings, and kept beside this.

`python -m model.lab.finished` does it again and says how far it comes out the same; `--keep` keeps it instead.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from model.lab import sentences
from model.lab.sentences import Checkpoint, Run, Settings

FOLDER = Path(__file__).with_name("kept")
NUMBERS, WEIGHTS = FOLDER / "sentences.json", FOLDER / "sentences.safetensors"
TUNED_STEPS = 40
_DIGITS = 4  # of a loss


@dataclass(frozen=True)
class Finished:
    """What was kept of a training on three sentences, and of one on another sentence after it."""

    settings: Settings
    torch: str  # by which version
    checkpoints: list[Checkpoint]
    other: str
    rate: float  # of the second training
    tuned: list[Checkpoint]

    @cached_property
    def run(self) -> Run:
        """With its last weights, but for the digits that float16 does not hold: to be read, and fine-tuned from."""
        return sentences.begin(self.settings, {name: w.float() for name, w in load_file(WEIGHTS).items()})


@lru_cache(1)
def finished() -> Finished:
    found = json.loads(NUMBERS.read_text(encoding="utf-8"))
    settings = Settings(**found["settings"] | {"lines": tuple(found["settings"]["lines"])})
    courses = (list(map(_read, found[name])) for name in ("checkpoints", "tuned"))
    return Finished(settings, found["torch"], next(courses), found["other"], found["rate"], next(courses))


def made(settings: Settings) -> tuple[Finished, Run]:
    """The same from nothing: a second or two of one core."""
    run = sentences.begin(settings)
    checkpoints = list(run.learner.steps(settings.n_step))
    tuned = list(sentences.fine_tuned(run, sentences.OTHER, settings.rate).learner.steps(TUNED_STEPS))
    return Finished(settings, torch.__version__, checkpoints, sentences.OTHER, settings.rate, tuned), run


def difference(first: list[Checkpoint], second: list[Checkpoint]) -> float:
    """The largest of all losses, in nats, at the checkpoints that both have; inf if they have none in common."""
    others = {checkpoint.step: checkpoint for checkpoint in second}
    pairs = [(checkpoint, others[checkpoint.step]) for checkpoint in first if checkpoint.step in others]
    apart = (np.abs(a - b).max() for one, two in pairs for a, b in zip(one.losses, two.losses, strict=True))
    return max(map(float, apart), default=np.inf)


def _keep(of: Finished, run: Run) -> None:
    FOLDER.mkdir(exist_ok=True)
    numbers = asdict(of) | {name: list(map(_written, getattr(of, name))) for name in ("checkpoints", "tuned")}
    NUMBERS.write_text(json.dumps(numbers, separators=(",", ":")) + "\n", encoding="utf-8")
    save_file({name: tensor.half() for name, tensor in run.learner.kept.items()}, WEIGHTS)


def _written(checkpoint: Checkpoint) -> list:
    rounded = [[round(float(nats), _DIGITS) for nats in losses] for losses in checkpoint.losses]
    return [checkpoint.step, rounded, checkpoint.written]


def _read(kept: list) -> Checkpoint:
    step, losses, written = kept
    ids = tuple(tuple(tuple(line) for line in text) for text in written)
    return Checkpoint(step, tuple(np.array(each, np.float32) for each in losses), ids)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m model.lab.finished", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="put it in the place of what is kept")
    keep = parser.parse_args().keep
    torch.set_num_threads(1)
    again, run = made(Settings() if keep else finished().settings)
    for name, course in (("on its lines", again.checkpoints), ("on another sentence after that", again.tuned)):
        for checkpoint in course:
            losses = ", ".join(f"{checkpoint.loss(text):.3f}" for text in range(len(checkpoint.losses)))
            lines = (" ".join(run.vocabulary.token(id).label for id in line) for line in checkpoint.written[0])
            print(f"{name}, step {checkpoint.step:4}: loss {losses}; writes {' | '.join(lines)}")
    if keep:
        _keep(again, run)
        return
    for name in ("checkpoints", "tuned"):
        print(
            f"{name}: the largest difference of a loss from the one kept is "
            f"{difference(getattr(finished(), name), getattr(again, name)):.4f} nats"
        )


if __name__ == "__main__":
    main()
