"""The report against BertViz's `model_view` as a file: 12 layers x 12 heads, the same weights, same browser, by turns.

Bytes of the whole file; time from navigation to painted, then two animation frames. Theirs gets its scripts from
memory, as if a network were there; ours has no network.
"""

import argparse
import statistics
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser

from tests.benchmarks.browser import chromium
from tests.benchmarks.peers import bertviz_html, cdn_scripts, folder_served, painted_after_navigation
from tests.benchmarks.synthetic import N_HEAD, N_LAYER, records
from tests.benchmarks.timing import Measured, NotMeasurable, at_most, part_of
from viz.offline.report import Heads, Reading, report

LENGTHS = {32: 3, 64: 3, 128: 1}  # tokens: rounds
PART = 20  # of their bytes, at most one part in so many
MOST_BYTES = {64: 1_000_000}


def measure(args: argparse.Namespace) -> Iterator[Measured]:
    scripts = cdn_scripts(args.cache)
    with folder_served(args.cache) as folder, chromium() as browser:
        for n_token, n_round in LENGTHS.items():
            if args.quick and n_token > 64:
                continue
            sizes, times = [], []
            for seed in range(1 if args.quick else n_round):
                ours, theirs = report_html(n_token, seed), bertviz_html(n_token, seed)
                (args.cache / "model_view.html").write_text(theirs, encoding="utf-8")
                (args.cache / "report.html").write_text(ours, encoding="utf-8")
                sizes.append((len(ours.encode()), len(theirs.encode())))
                load = painted_after_navigation(browser, f"{folder}/model_view.html", scripts, n_token)
                times.append((painted_offline(browser, args.cache / "report.html"), load))
            (n_byte, html_byte), (seconds, load) = (
                [statistics.median(side) for side in zip(*both, strict=True)] for both in (sizes, times)
            )
            name, note = (
                f"report, {n_token} tokens: ours / BertViz, ",
                f"{n_byte / 1e6:.2f} MB / {html_byte / 1e6:.2f} MB",
            )
            yield part_of(name + "bytes", n_byte, html_byte, PART, note)
            if n_token in MOST_BYTES:
                yield at_most(f"report, {n_token} tokens: bytes", n_byte, MOST_BYTES[n_token])
            yield part_of(name + "time to painted", seconds, load, None, f"{seconds:.2f} s / {load:.2f} s")


def report_html(n_token: int, seed: int) -> str:
    """Of the same weights and the same names as `bertviz_html`."""
    labels = [f"t{i}" for i in range(n_token)]
    about = [f"{N_LAYER} layers × {N_HEAD} heads"]
    return report([Reading("a text", "random", "0", about, Heads(records(n_token, seed), labels, labels))])


def painted_offline(browser: Browser, file: Path) -> float:
    """Seconds from navigation until grid, map and lines are there and two frames have passed; without a network."""
    context = browser.new_context(offline=True, viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri(), wait_until="commit")
    page.locator("html[data-drawn]").wait_for(timeout=600_000)
    milliseconds = page.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))))"
    )
    drawn = page.locator(".grid canvas").evaluate(
        """canvas => new Set(new Uint32Array(
             canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size"""
    )
    if drawn < 20 or len(asked) != 1:
        raise NotMeasurable(f"the report drew {drawn} colours and asked for {asked}: nothing to compare")
    context.close()
    return milliseconds / 1000
