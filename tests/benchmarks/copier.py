"""A copier trained until it copies; and its course, scrubbed from checkpoint to checkpoint in the browser."""

import argparse
import time
from collections.abc import Iterator

import numpy as np
import torch

from model.lab import course
from tests.benchmarks.browser import IDLE, chromium, served, watched
from tests.benchmarks.timing import Measured, at_most

COPIES, SECONDS = 0.9, 12.0  # an induction score, and until then
FRAME = 33  # ms, the median from an event to the frame that shows what it asked for
PARTS = ".st-key-copier_course [data-testid=stBidiComponentIsolated]"
# as a hand does: one place after another, each drawn before the next
SCRUB = """async (host, rounds) => {
  const range = host.shadowRoot.querySelector('input[type=range]'), root = host.shadowRoot.querySelector('.course');
  const times = [], shown = new Set();
  for (let round = 0; round < rounds; round++) for (let at = 0; at <= +range.max; at++) {
    const began = performance.now();
    range.value = at;
    range.dispatchEvent(new Event('input'));
    await new Promise(requestAnimationFrame);
    times.push(performance.now() - began);
    shown.add(root.dataset.shown);
  }
  return [times, shown.size];
}"""
# without the frames, in which a screen waits for its next picture
DRAW = """(host) => {
  const range = host.shadowRoot.querySelector('input[type=range]'), times = [];
  for (let at = 0; at <= +range.max; at++) {
    const began = performance.now();
    range.value = at;
    range.dispatchEvent(new Event('input'));
    host.shadowRoot.querySelector('.row').getBoundingClientRect();
    times.push(performance.now() - began);
  }
  return times;
}"""


def measure(args: argparse.Namespace) -> Iterator[Measured]:
    yield trained()
    with served() as url, chromium() as browser:
        page, sent, _ = watched(browser)
        page.goto(f"{url}/training")
        host = page.locator(PARTS)
        host.locator("canvas[aria-label]").wait_for()
        page.wait_for_selector(IDLE)
        draws = host.evaluate(DRAW)
        before = len(sent)
        times, n_shown = host.evaluate(SCRUB, 1 if args.quick else 3)
        n_sent = len(sent) - before
        note = f"{len(times)} steps over {n_shown} checkpoints, 95 % within {np.percentile(times, 95):.0f} ms"
        what = "copier: a scrub to the frame that shows it, median"
        yield at_most(what, float(np.median(times)), FRAME, " ms", note)
        note = f"95 % within {np.percentile(draws, 95):.1f} ms"
        yield at_most("copier: what a scrub computes and lays out, median", float(np.median(draws)), FRAME, " ms", note)
        yield Measured("copier: messages sent while scrubbing", str(n_sent), "0", n_sent == 0)


def trained() -> Measured:
    torch.set_num_threads(1)
    began, processor = time.perf_counter(), time.process_time()
    for checkpoint in course.train(course.Settings()):
        if checkpoint.induction.max() >= COPIES:
            break
    spent, of_core = time.perf_counter() - began, time.process_time() - processor
    note = f"step {checkpoint.step}; here and now, among what else ran, it took {spent:.1f} s"
    what = f"copier: trained until its best induction score is {COPIES}, seconds of one core"
    return at_most(what, of_core, SECONDS, " s", note)
