"""On the attention page: from an input on the layer control to the new heatmap painted; and what a hover sends."""

import argparse
from collections.abc import Iterator

import numpy as np
from playwright.sync_api import Locator, Page

from tests.benchmarks.browser import IDLE, chromium, served, watched
from tests.benchmarks.timing import Measured, at_most

TEXT = "The%20cat%20sat%20on%20the%20mat%20because%20the%20cat%20was%20tired."
TARGET = 150  # ms, the median

# the heatmap that plotly drew is one bitmap in its drawing; a new picture is a new bitmap
WATCH = """window.shown = new Promise((done, fail) => {
  const bitmap = () => document.querySelector('[class*=st-key-head_map] .heatmaplayer image')?.getAttribute('href');
  const before = bitmap();
  document.addEventListener('keydown', ({timeStamp}) => {
    const poll = () => {
      if (performance.now() - timeStamp > 60000) return fail(new Error('no new heatmap after a minute'));
      if (!bitmap() || bitmap() === before) return requestAnimationFrame(poll);
      requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - timeStamp)));
    };
    poll();
  }, {capture: true, once: true});
}); null"""


def measure(args: argparse.Namespace) -> Iterator[Measured]:
    with served() as url, chromium() as browser:
        page, sent, received = watched(browser)
        page.goto(f"{url}/attention?text={TEXT}&layer=0&head=0")
        page.locator("[class*=st-key-head_map] .heatmaplayer image").wait_for(state="attached")
        page.wait_for_selector(IDLE)
        layer = page.locator(".st-key-layer input[type=range]")
        n_step = int(layer.get_attribute("max"))
        cycle = ["ArrowRight"] * n_step + ["ArrowLeft"] * n_step
        received.clear()
        times = [shown(page, layer, key, WATCH) for key in cycle * (2 if args.quick else 4)][len(cycle) :]
        n_byte = sum(received) / (len(times) + len(cycle))
        note = f"{len(times)} steps, 95 % within {np.percentile(times, 95):.0f} ms, {n_byte / 1e3:.0f} kB each"
        what = "interaction: input on the layer control to new heatmap painted, median"
        yield at_most(what, float(np.median(times)), TARGET, " ms", note)
        times = [shown(page, layer, key, AHEAD) for key in cycle]
        what = "interaction: input on the layer control to the frame in which its head is on the stage, median"
        note = f"{len(times)} steps, 95 % within {np.percentile(times, 95):.0f} ms; the picture above takes its place"
        yield at_most(what, float(np.median(times)), FRAME, " ms", note)
        times, n_sent = pointed_at(page, sent)
        what = "interaction: a tile pointed at to the frame in which its head is on the stage, median of 30"
        note = f"95 % within {np.percentile(times, 95):.0f} ms, {n_sent} messages sent"
        yield at_most(what, float(np.median(times)), FRAME, " ms", note)
        n_sent, n_changed, n_token = hovered(page, sent)
        yield Measured(
            f"interaction: messages sent while {n_token} tokens of the graph are pointed at",
            f"{n_sent}  (the lines changed {n_changed} times)",
            "0",
            n_sent == 0 and n_changed == n_token,
        )


FRAME = 33  # ms, the median from an event to the frame that shows what it asked for
AHEAD = """window.shown = new Promise((done, fail) => document.addEventListener('keydown', ({timeStamp}) => {
  const parts = document.querySelector('.st-key-head_look [data-testid=stBidiComponentIsolated]').shadowRoot;
  const poll = () => {
    if (performance.now() - timeStamp > 60000) return fail(new Error('nothing on the stage after a minute'));
    if (parts.querySelector('canvas').hidden) return requestAnimationFrame(poll);
    requestAnimationFrame(() => done(performance.now() - timeStamp));
  };
  poll();
}, {capture: true, once: true})); null"""
# after the stage has drawn: the grid's own handler comes first
LOOKED = """canvas => new Promise((done) => canvas.addEventListener('mousemove', ({timeStamp}) =>
  requestAnimationFrame(() => done(performance.now() - timeStamp)), {once: true}))"""


def pointed_at(page: Page, sent: list[int]) -> tuple[list[float], int]:
    """(milliseconds from pointing at a tile to the frame after it, for each of 30 tiles, messages sent)."""
    canvas = page.locator(".st-key-head_grid canvas")
    canvas.scroll_into_view_if_needed()
    box, pitch = canvas.bounding_box(), page.locator(".st-key-head_grid .chosen").bounding_box()["width"]
    page.wait_for_timeout(500)
    sent.clear()
    times = []
    for tile in range(30):
        waiting = canvas.evaluate_handle(f"canvas => ({{ frame: ({LOOKED})(canvas) }})")
        page.mouse.move(box["x"] + 58 + (tile % 6 + 0.5) * pitch, box["y"] + 24 + (tile // 6 + 0.5) * pitch)
        times.append(waiting.evaluate("waiting => waiting.frame"))
    page.mouse.move(2, 2)
    page.wait_for_timeout(500)
    return times, len(sent)


def shown(page: Page, control: Locator, key: str, watch: str) -> float:
    """Milliseconds from a key pressed on the control to what is watched: `WATCH` or `AHEAD`."""
    page.evaluate(watch)
    control.press(key)
    milliseconds = page.evaluate("window.shown")
    page.wait_for_selector(IDLE)
    page.wait_for_timeout(300)  # the next press shall not meet the last one's late work
    return milliseconds


def hovered(page: Page, sent: list[int]) -> tuple[int, int, int]:
    """(messages sent, how often the lines changed, tokens pointed at)."""
    tokens = page.locator(".st-key-token_graph .q button")
    lines = page.locator(".st-key-token_graph svg").first
    tokens.first.scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    sent.clear()
    changed, before = 0, lines.inner_html()
    for token in tokens.all():
        token.hover()
        page.wait_for_timeout(50)
        changed, before = changed + (before != (now := lines.inner_html())), now
    page.wait_for_timeout(500)
    return len(sent), changed, tokens.count()
