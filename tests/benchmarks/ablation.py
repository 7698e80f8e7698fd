"""Each head of a model taken out once, on one text: all of them asked for together, against a run for each.

What is asked for is the logits behind the last token, of a built-in model and of a transformers model with random
weights, half as deep and wide as the small GPT-2. One thread, as the app serves.
"""

import argparse
from collections.abc import Iterator

import torch

from model import catalog, serving
from model.huggingface.language_model import HuggingFaceModel
from model.intervention import Intervention
from model.language_model import LanguageModel
from model.run import Token
from tests.benchmarks.huggingface import builder
from tests.benchmarks.timing import Measured, at_most, interleaved

LENGTHS = {12: 0.5, 64: 0.7, 256: 0.9}  # tokens: the most that it may take, as a part of a run for each
QUICK = (12,)


def measure(args: argparse.Namespace) -> Iterator[Measured]:
    serving.load_torch()
    torch.set_num_threads(1)
    build = builder("GPT2LMHeadModel", n_layer=6, n_embd=384, n_head=6)
    models = {
        "story": catalog.load(catalog.DEFAULT),
        "gpt2, 6 layers of 6": HuggingFaceModel(build, None, name="gpt2", title="gpt2", fingerprint=""),
    }
    for name, lm in models.items():
        for n_token in QUICK if args.quick else LENGTHS:
            yield from of_length(name, lm, n_token, args.quick)


def of_length(name: str, lm: LanguageModel, n_token: int, quick: bool) -> Iterator[Measured]:
    tokens = [Token(1 + i * 7 % (lm.info.n_vocab - 1), b"", i, i + 1) for i in range(n_token)]
    heads = [(layer, head) for layer in range(lm.info.n_layer) for head in range(lm.info.n_head)]
    changes = [Intervention(heads_off={head}) for head in heads]
    rounds = interleaved(
        {
            "together": lambda: list(lm.logits(tokens, changes, positions=[-1])),
            "one by one": lambda: [next(lm.logits(tokens, [change], positions=[-1])) for change in changes],
            "runs": lambda: [lm.unembed(lm.run(tokens, change).stream[-1, -1]) for change in changes],
        },
        n_round=2 if quick else 6,
    )
    what = f"{name}, {n_token} tokens, each of {len(heads)} heads taken out"
    seconds = ", ".join(f"{way} {rounds.median(way):.3g} s" for way in ("together", "one by one", "runs"))
    yield Measured(f"{what}: medians", f"{seconds}; others used {rounds.others:.2f} core")
    note = f"by processor time {rounds.processor_ratio('together', 'runs'):.3g}x"
    yield at_most(f"{what}: together / a run each", rounds.ratio("together", "runs"), LENGTHS[n_token], "x", note)
    alone = f"{rounds.ratio('together', 'one by one'):.3g}x"
    alone += f"  (by processor time {rounds.processor_ratio('together', 'one by one'):.3g}x)"
    yield Measured(f"{what}: together / the logits of each alone", alone)
