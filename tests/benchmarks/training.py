"""Visitors of the attention page while one trains a model on the same server, against the same visitors alone."""

import argparse
import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack

import numpy as np
import websockets

from tests.benchmarks.browser import served
from tests.benchmarks.timing import Measured, NotMeasurable, at_most
from tests.benchmarks.visitors import STREAM, Visitor, crowd

N_VISITOR, SECONDS, N_ROUND = 5, 15.0, 3
N_TRAINER = 6  # they wait in a line, so that there is always one that trains
LINK = "lesson=sentences&learned_steps=2000&learned_units=characters"  # it trains as soon as it is opened
MOST = 2.0  # times as long, while one trains


def measure(args: argparse.Namespace) -> Iterator[Measured]:
    seconds, n_round = (3.0, 1) if args.quick else (SECONDS, N_ROUND)
    found: dict[bool, list[tuple[str, float]]] = {False: [], True: []}  # whether one trains: what was changed, seconds
    with served() as server:
        address = server.replace("http", "ws") + STREAM
        asyncio.run(crowd([address], 1, 3.0))  # the model is loaded, and torch's optimisers
        asyncio.run(_round(address, 1.0, trains=True))
        for _ in range(n_round):
            for trains in found:
                found[trains] += asyncio.run(_round(address, seconds, trains=trains))
    for kind in ("layer", "text"):  # one takes three times as long as the other: together they have no middle
        times = [[seconds for name, seconds in found[trains] if name == kind] for trains in (False, True)]
        if not all(times):
            continue
        (half, most), (slow_half, slow_most) = (np.percentile(each, [50, 95]) for each in times)
        note = f"p50 {half:.3f} s alone, {slow_half:.3f} s meanwhile, of {len(times[0])} and {len(times[1])}"
        yield at_most(
            f"training: p50 of {N_VISITOR} visitors' new {kind}, against alone", slow_half / half, MOST, note=note
        )
        note = f"p95 {most:.3f} s alone, {slow_most:.3f} s meanwhile"
        yield at_most("training: their p95", slow_most / most, MOST, note=note)


async def _round(address: str, seconds: float, *, trains: bool) -> list[tuple[str, float]]:
    """What each visitor changed, and the seconds until it had its answer."""
    async with AsyncExitStack() as open_still:
        for seed in range(N_TRAINER if trains else 0):
            connection = websockets.connect(address, subprotocols=["streamlit"], max_size=None)
            last = Visitor(await open_still.enter_async_context(connection))
            await last.open("training", link := f"{LINK}&learned_seed={seed}")
        reruns = await crowd([address], N_VISITOR, seconds)
        if trains:
            await last.open("training", link)
            if not any("waits for its turn" in said for said in last.said):
                raise NotMeasurable(f"{N_TRAINER} trainings ended before the visitors did")
        return reruns
