"""On the generation page: from the click on *Generate* until the frame with the first written tokens is drawn."""

import argparse
import json
from collections.abc import Iterator
from urllib.parse import urlencode

import numpy as np

from model import catalog
from tests.benchmarks.browser import IDLE, chromium, served, watched
from tests.benchmarks.timing import Measured, at_most

N_TOKEN = 20
STORY, SMALL = "story", "smollm2"
TARGETS = {STORY: 150, SMALL: 1000}  # ms, the median
# SmolLM2 cuts it into about 100 tokens
TEXT = "Once upon a time there was a little girl who lived in a small house near the forest with her dog. " * 4
WATCH = """window.written = new Promise((done, fail) => document.addEventListener('click', ({timeStamp}) => {
  performance.mark('clicked', {startTime: timeStamp});
  const look = () => {
    if (performance.now() - timeStamp > 120000) return fail(new Error('nothing written after two minutes'));
    if (![...document.querySelectorAll('.stMain p[dir=auto] > span')].some((each) => each.textContent))
      return requestAnimationFrame(look);
    performance.mark('written');
    requestAnimationFrame(done);
  };
  look();
}, {capture: true, once: true})); null"""
# little enough that watching costs nothing that can be measured
TRACED = ["blink.user_timing", "devtools.timeline.frame", "disabled-by-default-devtools.timeline.frame"]


def drawn_after(trace: bytes) -> float:
    """ms from the click to when Chromium drew the frame that was begun with the tokens in it.

    A page cannot tell by itself: its next frame, of which it is told, may wait for work that comes after this one.
    """
    events = sorted(json.loads(trace)["traceEvents"], key=lambda event: event.get("ts", 0))
    when = {event["name"]: event["ts"] for event in events if event["name"] in ("clicked", "written")}
    drawn = next(e["ts"] for e in events if e["name"] == "DrawFrame" and e["ts"] >= when["written"])
    return (drawn - when["clicked"]) / 1000


def measure(args: argparse.Namespace) -> Iterator[Measured]:
    there = [catalog.DEFAULT, *(each.name for each in catalog.available() if SMALL in each.name.lower())][:2]
    with served() as url, chromium() as browser:
        for name in there[:1] if args.quick else there:
            page, _, _ = watched(browser)
            text = urlencode({"text": TEXT.strip(), "model": name, "n_generate": N_TOKEN, "temperature": 0})
            page.goto(f"{url}/generation?{text}")
            button, times = page.locator(".st-key-next_many button:enabled"), []
            for _ in range(3 if args.quick else 8):
                button.wait_for()
                page.wait_for_selector(IDLE)
                page.wait_for_timeout(500)  # the click shall not meet the late work of what was before it
                page.evaluate(WATCH)
                browser.start_tracing(page=page, categories=TRACED)
                button.click()
                page.evaluate("window.written")
                times.append(drawn_after(browser.stop_tracing()))
                page.get_by_role("heading", name="How it was written").wait_for()  # nothing is to go
                button.wait_for()
                page.wait_for_selector(IDLE)
                page.locator(".st-key-clear button:enabled").click()
                page.locator(".st-key-clear button:disabled").wait_for()
            note = f"{len(times)} clicks, the first {times[0]:.0f} ms, the longest {max(times):.0f} ms"
            which = STORY if name == catalog.DEFAULT else SMALL
            yield at_most(
                f"{name}: click to the first token on screen, median",
                float(np.median(times)),
                TARGETS[which],
                " ms",
                note,
            )
