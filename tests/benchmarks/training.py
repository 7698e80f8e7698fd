"""Visitors of the attention page while one trains a model on the same server, against the same visitors alone."""

import argparse
import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack

import numpy as np
import websockets

from tests.benchmarks.browser import served
from tests.benchmarks.timing import Measured, at_most
from tests.benchmarks.visitors import STREAM, Visitor, crowd

N_VISITOR, SECONDS, N_ROUND = 5, 15.0, 3
N_TRAINER = 6  # they wait in a line, so that there is always one that trains
LINK = "lesson=sentences&learned_steps=2000&learned_units=characters"  # it trains as soon as it is opened
MOST = 2.0  # times as long, while one trains


def measure(args: argparse.Namespace) -> Iterator[Measured]:
    seconds, n_round = (3.0, 1) if args.quick else (SECONDS, N_ROUND)
    found: dict[bool, list[float]] = {False: [], True: []}
    with served() as server:
        address = server.replace("http", "ws") + STREAM
        asyncio.run(crowd([address], 1, 3.0))  # the model is loaded, and torch's optimisers
        asyncio.run(_round(address, 1.0, trains=True))
        for _ in range(n_round):
            for trains in found:
                found[trains] += asyncio.run(_round(address, seconds, trains=trains))
    (half, most), (slow_half, slow_most) = (np.percentile(found[trains], [50, 95]) for trains in (False, True))
    yield Measured(
        f"training: {N_VISITOR} visitors alone", f"p50 {half:.3f} s, p95 {most:.3f} s of {len(found[False])}"
    )
    yield Measured("training: while one trains", f"p50 {slow_half:.3f} s, p95 {slow_most:.3f} s of {len(found[True])}")
    yield at_most("training: their p50 while one trains, as a part of that without", slow_half / half, MOST)
    yield at_most("training: their p95 so", slow_most / most, MOST)


async def _round(address: str, seconds: float, *, trains: bool) -> list[float]:
    """The seconds of each rerun."""
    async with AsyncExitStack() as open_still:
        for seed in range(N_TRAINER if trains else 0):
            socket = await open_still.enter_async_context(
                websockets.connect(address, subprotocols=["streamlit"], max_size=None)
            )
            await Visitor(socket).open("training", f"{LINK}&learned_seed={seed}")
        return [rerun for _, rerun in await crowd([address], N_VISITOR, seconds)]
