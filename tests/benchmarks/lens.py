"""A capture against TransformerLens's `run_with_cache`: the same sizes, 1,024 tokens, by turns.

TransformerLens needs older libraries than Regard, so it lives in a virtual environment of its own and its half of this
file runs there, fed by a pipe. GPT-2's own vocabulary: `run_with_cache` as it is called computes the logits of every
position; ours those of the last, as a next token needs. The third row has neither side compute any.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

PYTHON = "REGARD_TRANSFORMER_LENS"  # the environment variable that names that environment's Python
HOW = (
    "python -m venv LENS; LENS/bin/pip install transformer_lens==2.18.0 'torch==2.13.*' 'datasets<4' 'pyarrow<19'; "
    f"then {PYTHON}=LENS/bin/python"
)
N_TOKEN, N_VOCAB = 1024, 50257
TIME, MEMORY = 0.5, 30  # at most this part of its time, and 1/30 of its memory


def measure(args: argparse.Namespace) -> Iterator:
    import numpy as np

    from tests.benchmarks import memory
    from tests.benchmarks.huggingface import builder, capture, ids_of
    from tests.benchmarks.timing import Measured, NotMeasurable, at_most, interleaved, part_of

    if not (python := os.environ.get(PYTHON)):
        raise NotMeasurable(f"TransformerLens is not here. {HOW}")
    import torch

    from model import serving
    from model.huggingface.language_model import HuggingFaceModel

    serving.load_torch()
    torch.set_num_threads(args.threads)
    build = builder("GPT2LMHeadModel", vocab_size=N_VOCAB)
    lm = HuggingFaceModel(build, None, name="gpt2", title="gpt2", fingerprint="")
    ids = ids_of(N_TOKEN)

    def with_last_logits():
        recorder, output = lm.opened.forward(ids)
        return lm.opened.attention(recorder, output), lm.opened.logits(recorder.hidden[-1][-1:])

    with transformer_lens(python, args.threads) as ask:
        processor = {"cache": [], "logits": []}  # seconds that theirs used

        def theirs_of(what: str) -> None:
            processor[what].append(float(ask(what)))

        rounds = interleaved(
            {
                "capture": partial(capture, lm, ids),
                "cache": partial(theirs_of, "cache"),
                "last": with_last_logits,
                "logits": partial(theirs_of, "logits"),
            },
            n_round=1 if args.quick else 4,
        )
        theirs = {name: int(value) for name, value in zip(("bytes", "process"), ask("memory").split(), strict=True)}
    what = f"gpt2, {N_TOKEN} tokens, ours / TransformerLens run_with_cache, "
    for name, ours, its, target in (
        ("time as called", "last", "logits", TIME),
        ("time without logits", "capture", "cache", None),
    ):
        used = np.median(rounds.processor[ours]) / np.median(processor[its])
        note = f"{rounds.median(ours):.2f} s / {rounds.median(its):.2f} s; by processor time {used:.2f}x"
        ratio = rounds.ratio(ours, its)
        yield (
            at_most(what + name, ratio, target, "x", note)
            if target
            else Measured(what + name, f"{ratio:.3g}x  ({note})")
        )
    ours = memory.in_a_process("gpt2", N_TOKEN, "half")
    note = f"{memory.mib(ours['attention'])} | {memory.mib(theirs['bytes'])}"
    yield part_of(f"{what}attention kept, of its cache", ours["attention"], theirs["bytes"], MEMORY, note)
    both = ours["attention"] + ours["hidden"]
    note = f"{memory.mib(both)} | {memory.mib(theirs['bytes'])}"
    yield part_of(f"{what}with hidden states", both, theirs["bytes"], MEMORY, note)
    note = f"{memory.mib(ours['process'])} | {memory.mib(theirs['process'])}"
    yield part_of(f"{what}with hidden states, by the process", ours["process"], theirs["process"], MEMORY, note)


@contextmanager
def transformer_lens(python: str, n_thread: int):
    environment = os.environ | {"OMP_NUM_THREADS": str(n_thread)}  # as ours
    process = subprocess.Popen(
        [python, str(Path(__file__))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )

    def ask(what: str) -> str:
        process.stdin.write(what + "\n")
        process.stdin.flush()
        if not (answer := process.stdout.readline()):
            from tests.benchmarks.timing import NotMeasurable

            raise NotMeasurable(f"TransformerLens does not run under {python}; to install it: {HOW}")
        return answer

    try:
        yield ask
    finally:
        process.stdin.close()
        process.wait()


def answer() -> None:
    """The half that runs in TransformerLens's environment: one line for each line."""
    import ctypes
    import gc
    import time

    import torch
    from transformer_lens import HookedTransformer, HookedTransformerConfig

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    config = HookedTransformerConfig(
        n_layers=12, d_model=768, n_heads=12, d_head=64, d_mlp=3072, n_ctx=4096, d_vocab=N_VOCAB, act_fn="gelu_new"
    )
    hooked = HookedTransformer(config).eval()
    ids = torch.tensor([[1 + i * 7 % 1000 for i in range(N_TOKEN)]])

    @torch.inference_mode()
    def run(return_type=None):
        return hooked.run_with_cache(ids, return_type=return_type)

    for line in sys.stdin:
        if (what := line.strip()) != "memory":
            began = time.process_time()
            kept = run("logits" if what == "logits" else None)
            print(time.process_time() - began, flush=True)
            del kept
        else:
            gc.collect()
            ctypes.CDLL(None).malloc_trim(0)
            before = resident()
            _, cache = run()
            gc.collect()
            storages = {each.untyped_storage().data_ptr(): each.untyped_storage().nbytes() for each in cache.values()}
            print(sum(storages.values()), resident() - before, flush=True)


def resident() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmRSS")).split()[1])


if __name__ == "__main__":
    answer()
