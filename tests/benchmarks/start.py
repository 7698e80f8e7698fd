"""From `regard` to the first painted page of a first visitor, and what the server imports on the way."""

import argparse
import re
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser

from tests.benchmarks.browser import IDLE, ROOT, chromium, served, watched
from tests.benchmarks.timing import Measured, at_most

TARGET = 4.0  # seconds to the first picture, once torch is in the disk cache
N_LISTED = 10
PAGES = ("tokenization", "embeddings", "attention", "generation")
# the last part of the home page: the model has run by then
PATH = ".st-key-home_next_tokens .row"
# on the other pages a picture of any kind: plotly's, or a component's of ours
PICTURE = ".js-plotly-plot .main-svg, canvas[data-drawn], .graph svg line, .chips .chip"


def measure(args: argparse.Namespace) -> Iterator[Measured]:
    with chromium() as browser:
        first_visit(browser)  # once for the disk cache
        for command, script in (("regard", None), ("streamlit run app.py", ROOT / "app.py")):
            visits = [first_visit(browser, script) for _ in range(1 if args.quick else 5)]
            health, title, picture = (statistics.median(times) for times in zip(*visits, strict=True))
            yield Measured(f"start: `{command}` to healthy | to title visible", f"{health:.2f} s | {title:.2f} s")
            what = f"start: `{command}` to the first page painted, all its pictures"
            yield at_most(what, picture, TARGET, " s", "torch in the disk cache")
        n_message, n_script = first_page(browser)
        yield Measured(
            "start: bytes of the first page: messages | scripts, styles, fonts (cached by a browser)",
            f"{n_message / 1e3:,.0f} kB | {n_script / 1e6:.2f} MB",
        )
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "imports"
            # the pages after the first too: whatever a reader opens must not need transformers
            first_visit(browser, python=("-X", "importtime"), log=log, then=PAGES)
            cost = import_costs(log.read_text(errors="replace"))
    dearest = ", ".join(f"{name} {seconds:.2f}" for name, seconds in cost.most_common(N_LISTED))
    yield Measured(
        "start: imports of the server, s of each package's own modules", f"{cost.total():.2f} = {dearest}, …"
    )
    found = "transformers" in cost
    yield Measured("start: `transformers` imported by the server", "yes" if found else "no", "no", not found)


def first_page(browser: Browser) -> tuple[int, int]:
    """Bytes that a first visitor's browser receives until the home page is there: by websocket, and by HTTP."""
    with served() as url:
        page, _, received = watched(browser)
        files = []
        page.on("requestfinished", lambda request: files.append(request.sizes()["responseBodySize"]))
        page.goto(url)
        page.locator(PATH).first.wait_for(timeout=120_000)
        page.wait_for_selector(IDLE)
        page.context.close()
    return sum(received), sum(files)


def first_visit(
    browser: Browser,
    script: Path | None = None,
    python: tuple[str, ...] = (),
    log: Path | None = None,
    then: tuple[str, ...] = (),
) -> tuple[float, float, float]:
    """Seconds from the start of the server's process to healthy, to the title, to the whole home page."""
    page = browser.new_context(viewport={"width": 1400, "height": 1000}).new_page()
    began = time.perf_counter()
    with served(script, python=python, log=log) as url:
        health = time.perf_counter() - began
        page.goto(url, wait_until="commit")
        page.get_by_test_id("stMain").locator("h1").first.wait_for()
        title = time.perf_counter() - began
        page.locator(PATH).first.wait_for(timeout=120_000)
        page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        picture = time.perf_counter() - began
        for path in then:
            page.goto(f"{url}/{path}")
            page.locator(PICTURE).filter(visible=True).first.wait_for(timeout=120_000)
            page.wait_for_selector(IDLE)
        page.context.close()
    return health, title, picture


def import_costs(log: str) -> Counter[str]:
    """Seconds that the modules of each package took themselves, from the report of `python -X importtime`."""
    cost = Counter()
    for microseconds, package in re.findall(r"import time: +(\d+) \| +\d+ \| +(\w+)", log):
        cost[package] += int(microseconds) / 1e6
    return cost
