"""Many visitors who write at once on the generation page, and one who reads the attention page meanwhile.

Each writes a few tokens at a time, so that all get on together: what is measured is the time to the first token on
screen, the longest that anybody saw nothing new, how much later the last is done than the first, and the answers that
the other one waits for.
"""

import argparse
import asyncio
import time
from collections.abc import Iterator

import numpy as np
import websockets

from tests.benchmarks.browser import served
from tests.benchmarks.timing import Measured, NotMeasurable, at_most
from tests.benchmarks.visitors import STREAM, Visitor, crowd

N_WRITER, N_TOKEN = 20, 60
WAIT, APART = 3.0, 1.5  # seconds without anything new; the last's time, as a multiple of the first's
OTHERS = 2.0  # seconds, of 95 of 100 answers on another page
TEXT = "Once+upon+a+time+there+was+a+little+dog"


def measure(args: argparse.Namespace) -> Iterator[Measured]:
    n_writer = 3 if args.quick else N_WRITER
    with served() as server:
        address = server.replace("http", "ws") + STREAM
        asyncio.run(crowd([address], 1, 3.0))  # the model is loaded by whoever comes first
        asyncio.run(_together(address, 1))
        alone, _ = asyncio.run(_together(address, 1))
        writers, reruns = asyncio.run(_together(address, n_writer))
    first, waits, done = (np.array(each) for each in zip(*writers, strict=True))
    one = f"alone {alone[0][0]:.2f} s"
    yield Measured(
        "writers: the first token on screen", f"p50 {np.median(first):.2f} s, last {first.max():.2f} s; {one}"
    )
    note = f"{N_TOKEN} tokens in p50 {np.median(done):.1f} s; alone {alone[0][2]:.1f} s"
    yield at_most(f"writers: {n_writer} at once: longest without anything new", waits.max(), WAIT, " s", note)
    yield at_most(f"writers: {n_writer} at once: the last done / the first", done.max() / done.min(), APART, "x")
    times = [seconds for _, seconds in reruns]
    if times:
        note = f"p50 {np.median(times):.2f} s of {len(times)}"
        yield at_most("writers: p95 of a rerun of another page meanwhile", np.percentile(times, 95), OTHERS, " s", note)


async def _together(address: str, n: int) -> tuple[list[tuple[float, float, float]], list[tuple[str, float]]]:
    """Of each writer the seconds to the first token, the longest wait between two, and to the end; of the reader, what
    was changed and the seconds until it was answered.
    """
    ready = asyncio.Barrier(n)
    writers = asyncio.gather(*(_write(address, ready, seed) for seed in range(n)))
    reader = asyncio.create_task(crowd([address], 1, 20.0))
    found = await writers
    if n == 1:
        reader.cancel()
        return found, []
    return found, await reader


async def _write(address: str, ready: asyncio.Barrier, seed: int) -> tuple[float, float, float]:
    async with websockets.connect(address, subprotocols=["streamlit"], max_size=None) as socket:
        visitor = Visitor(socket)
        await visitor.open("generation", f"text={TEXT}&seed={seed}&n_generate={N_TOKEN}&temperature=0.8&top_k=40")
        if "next_many" not in visitor.labels:
            raise NotMeasurable(f"no button to write with, among {sorted(visitor.labels)}")
        await ready.wait()
        del visitor.html[:-1]  # what stands there is nothing new when it is drawn again
        began = time.perf_counter()
        await visitor.press("next_many")
        while visitor.clock:
            await visitor.tick()
        seen = [began, *(at for at, _ in visitor.html[1:])]
        return seen[1] - began, max(np.diff(seen)), seen[-1] - began
