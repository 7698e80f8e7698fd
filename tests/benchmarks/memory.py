"""What a capture keeps in memory, against eager with its weights and hidden states; each in a process of its own.

Bytes are those of the arrays. The process's memory is what it holds above what it held just before, the result alive.
"""

import argparse
import ctypes
import gc
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.timing import Measured, NotMeasurable, part_of

# tokens: at most 1/… of eager's weights, for queries and keys in half precision
LENGTHS = {1024: 16, 2048: 30, 4096: 50}
KINDS = ("gpt2", "bert", "llama")
ROOT = Path(__file__).parents[2]


def measure(args: argparse.Namespace) -> Iterator[Measured]:
    lengths = [args.tokens] if args.tokens else [128] if args.quick else list(LENGTHS)
    for kind in [args.model] if args.model else KINDS:
        for n_token in lengths:
            yield from of_one(kind, n_token, LENGTHS.get(n_token))


def of_one(kind: str, n_token: int, target: int | None) -> Iterator[Measured]:
    exact, half, eager = (in_a_process(kind, n_token, way) for way in ("exact", "half", "eager"))
    what = f"{kind}, {n_token} tokens, kept: "
    note = f"{mib(half['attention'])} | {mib(eager['attention'])}"
    yield part_of(f"{what}half precision | eager's weights", half["attention"], eager["attention"], target, note)
    ours, theirs = (of["attention"] + of["hidden"] for of in (half, eager))
    note = f"{mib(ours)} | {mib(theirs)}, of both {mib(half['hidden'])} hidden states in float32"
    yield part_of(f"{what}with hidden states, half precision | eager", ours, theirs, target, note)
    ours = exact["attention"] + exact["hidden"]
    note = f"{mib(ours)} | {mib(theirs)}"
    yield part_of(f"{what}with hidden states, exact float32 | eager", ours, theirs, None, note)
    figures = " | ".join(f"{mib(of['process'])}, peak {mib(of['peak'])}" for of in (half, exact, eager))
    yield Measured(f"{what}by the process: half precision | exact | eager", figures)


def mib(n_byte: float) -> str:
    return f"{n_byte / 2**20:,.0f} MiB"


def in_a_process(kind: str, n_token: int, way: str) -> dict[str, int]:
    command = [sys.executable, "-m", "tests.benchmarks.memory", kind, str(n_token), way]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotMeasurable(f"{kind}, {n_token} tokens, {way}: {done.stderr.strip()[-200:] or 'ended by the system'}")
    return json.loads(done.stdout.splitlines()[-1])


def held(way: str, kind: str, n_token: int) -> dict[str, int]:
    from model import serving
    from model.huggingface.language_model import HuggingFaceModel
    from tests.benchmarks.huggingface import KINDS, builder, forward, ids_of

    serving.load_torch()
    build, ids = builder(KINDS[kind]), ids_of(n_token)
    if way == "eager":
        transformer = build("eager")

        def read(ids):
            return forward(transformer, ids, output_attentions=True, output_hidden_states=True)
    else:
        lm = HuggingFaceModel(build, None, name=kind, title=kind, fingerprint="")
        lm.opened.exact_bytes = 0 if way == "half" else 1 << 40

        def read(ids):
            recorder, output = lm.opened.forward(ids)
            return lm.opened.attention(recorder, output)["self"], recorder.hidden

    read(ids[:16])
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
    before = resident("VmRSS")
    result = read(ids)
    gc.collect()
    process, peak = resident("VmRSS") - before, resident("VmHWM") - before
    if way == "eager":
        attention, hidden = (sum(each.nbytes for each in part) for part in (result.attentions, result.hidden_states))
    else:
        attention, hidden = sum(layer.n_byte for layer in result[0]), result[1].nbytes
    return {"attention": attention, "hidden": hidden, "process": process, "peak": peak}


def resident(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return 1024 * int(line.split()[1])


if __name__ == "__main__":
    print(json.dumps(held(sys.argv[3], sys.argv[1], int(sys.argv[2]))))
