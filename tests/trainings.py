"""What the tests of the trainings have in common: made-up data as the real data lie, a run that is interrupted."""

import lzma
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from model.training import loop
from model.training.data import Stream


def write_xz(path: Path, lines: Iterable[str]) -> None:
    with lzma.open(path, "wt", encoding="utf-8", preset=0) as file:
        file.write("\n".join(lines))


def assert_goes_on(training: ModuleType, args: Namespace, whole: Path) -> None:
    """Interrupted after its first checkpoint and begun again, a run ends with the weights of `whole`, a work folder."""

    class Interrupted(training.Trainer):
        def save(self):
            super().save()
            raise KeyboardInterrupt

    tokenizer = training.prepare_tokenizer(args)
    with pytest.raises(KeyboardInterrupt):
        Interrupted(args, tokenizer).carry_out()
    again = training.Trainer(args, tokenizer)
    assert again.resume() and again.step == args.check_every
    again.train()
    for name, weights in torch.load(whole / loop.CHECKPOINT, weights_only=True)["transformer"].items():
        torch.testing.assert_close(again.transformer.state_dict()[name], weights, rtol=0, atol=1e-5)


def counting_stream(n: int, starts: list[int], first: int = 0) -> Stream:
    return Stream(np.arange(first, first + n, dtype=np.uint16), np.array(starts), n)
