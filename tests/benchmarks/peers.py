"""Our grid of all heads against BertViz's `model_view`: 12 layers x 12 heads, like weights, same browser, by turns.

Theirs is timed from navigation to painted, ours from the click that asks for new weights to painted; "painted" is: all
that is expected is there, then two animation frames. Bytes are before compression on both sides.
"""

import argparse
import functools
import http.server
import shutil
import statistics
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from playwright.sync_api import Browser, Page, Route

from model.analysis.attention import layer_weights
from tests.benchmarks.browser import IDLE, ROOT, chromium, served, watched
from tests.benchmarks.synthetic import N_HEAD, N_LAYER, records
from tests.benchmarks.timing import Measured, NotMeasurable, part_of

# tokens: (rounds, at most this part of their bytes, of their time to painted)
LENGTHS = {16: (5, None, None), 64: (3, 25, 60), 128: (1, 100, 200)}
PAINTS, POOLS = 4, 2  # of ours in a round: with the overview ready, and pooled anew from queries and keys
# what BertViz loads from a CDN: {its name there: (npm package, file in it)}; npm has no jQuery 2.0.0
CDN = {
    "require": ("requirejs@2.3.6", "package/require.js"),
    "d3": ("d3@5.7.0", "package/dist/d3.min.js"),
    "jquery": ("jquery@2.1.0", "package/dist/jquery.min.js"),
}


def measure(args: argparse.Namespace) -> Iterator[Measured]:
    scripts = cdn_scripts(args.cache)
    parts = ROOT / "viz" / "components"
    ours_once = sum((parts / f"head_grid.{kind}").stat().st_size for kind in ("js", "css"))
    theirs_once = sum(map(len, scripts.values()))
    yield Measured("peers: scripts sent once, ours | BertViz", f"{ours_once / 1e3:.1f} kB | {theirs_once / 1e3:.0f} kB")
    with (
        served(ROOT / "tests/benchmarks/peers_page.py") as app,
        folder_served(args.cache) as folder,
        chromium() as browser,
    ):
        for n_token, (n_round, bytes_target, time_target) in LENGTHS.items():
            if args.quick and n_token > 64:
                continue
            n_round = 1 if args.quick else n_round
            ours = OurGrid(browser, f"{app}/?tokens={n_token}&draws={n_round * PAINTS}")
            theirs, loads, writes, draws, pools = [], [], [], [], []
            for seed in range(n_round):
                began = time.perf_counter()
                html = bertviz_html(n_token, seed)
                writes.append(time.perf_counter() - began)
                (args.cache / "model_view.html").write_text(html, encoding="utf-8")
                theirs.append(len(html.encode()))
                loads.append(painted_after_navigation(browser, f"{folder}/model_view.html", scripts, n_token))
                ours.page.wait_for_timeout(2000)  # their page is still being torn down
                draws += [ours.painted("paint") for _ in range(PAINTS)]
                pools += [ours.painted("pool") for _ in range(POOLS)]
            ours.close()
            n_byte, seconds = statistics.median(ours.n_byte), statistics.median(draws)
            html_byte, load = statistics.median(theirs), statistics.median(loads)
            pool, both = statistics.median(pools), load + statistics.median(writes)
            name = f"peers, {n_token} tokens: ours / BertViz, "
            note = f"{n_byte / 1e6:.2f} MB / {html_byte / 1e6:.2f} MB"
            yield part_of(name + "bytes to the browser", n_byte, html_byte, bytes_target, note)
            note = f"{seconds:.3f} s / {load:.2f} s"
            yield part_of(name + "time to painted", seconds, load, time_target, note)
            note = f"{pool:.3f} s / {both:.2f} s"
            yield part_of(name + "Python's work on the weights included", pool, both, None, note)


def bertviz_html(n_token: int, seed: int) -> str:
    from bertviz import model_view

    attention = [torch.from_numpy(layer_weights(layer))[None] for layer in records(n_token, seed)]
    view = model_view(attention, [f"t{i}" for i in range(n_token)], html_action="return")
    return f"<!DOCTYPE html><meta charset='utf-8'><body>{view.data}</body>"


def painted_after_navigation(browser: Browser, url: str, scripts: dict[str, bytes], n_token: int) -> float:
    """Seconds from navigation until every line of every head is there and two frames have passed."""
    page = browser.new_page(viewport={"width": 1400, "height": 1000})

    def answer(route: Route) -> None:
        part = next(part for part in scripts if f"/libs/{part}" in route.request.url)
        route.fulfill(body=scripts[part], content_type="application/javascript")

    page.route("https://cdnjs.cloudflare.com/**", answer)
    page.add_init_script(f"""
        const poll = () => {{
          const last = document.getElementById('attn_background_{N_LAYER - 1}_{N_HEAD - 1}');
          if (last?.parentNode.getElementsByTagName('line').length !== {n_token**2}) return requestAnimationFrame(poll);
          requestAnimationFrame(() => requestAnimationFrame(() => {{ window.painted = performance.now(); }}));
        }};
        poll();""")
    page.goto(url, wait_until="commit")
    milliseconds = page.wait_for_function("window.painted", timeout=600_000).json_value()
    lines = page.evaluate("document.getElementsByTagName('line').length")
    if lines != N_LAYER * N_HEAD * n_token**2:
        raise NotMeasurable(f"BertViz drew {lines} lines, expected {N_LAYER * N_HEAD * n_token**2}")
    page.close()
    return milliseconds / 1000


class OurGrid:
    """The page with our component, open in the browser."""

    def __init__(self, browser: Browser, url: str):
        self.page, _, self._received = watched(browser)
        self.n_byte: list[int] = []  # of each draw
        self.page.goto(url)
        self.page.locator(".st-key-grid canvas[data-drawn]").wait_for()
        self.page.wait_for_selector(IDLE)

    def painted(self, button: str) -> float:
        """Seconds from the click to the new picture and two frames; remembers the bytes it took."""
        self._received.clear()
        milliseconds, picture = self.page.evaluate(
            """name => new Promise((done, fail) => {
              const host = [...document.querySelectorAll('.st-key-grid *')].find((e) => e.shadowRoot);
              const canvas = () => host.shadowRoot.querySelector('canvas');
              const before = canvas().toDataURL(), began = performance.now();
              const painted = () => {
                const milliseconds = performance.now() - began, picture = canvas().toDataURL();
                picture === before ? fail(new Error('drawn again, but not anew')) : done([milliseconds, picture]);
              };
              const poll = () => requestAnimationFrame(canvas().dataset.drawn < began ? poll
                : () => requestAnimationFrame(painted));
              document.querySelector(`.st-key-${name} button`).click();
              poll();
            })""",
            button,
        )
        self.page.wait_for_selector(IDLE)
        self.page.wait_for_timeout(500)  # the browser reports the last messages a little later
        if self.page.locator(".st-key-grid canvas").evaluate("canvas => canvas.toDataURL()") != picture:
            raise NotMeasurable("our grid was still changing when it was taken for painted")
        self.n_byte.append(sum(self._received))
        return milliseconds / 1000

    def close(self) -> None:
        if drawn_colours(self.page) < 20:
            raise NotMeasurable("our grid painted next to nothing: the comparison would be worthless")
        self.page.context.close()


def drawn_colours(page: Page) -> int:
    """How many different colours the canvas holds."""
    return page.locator(".st-key-grid canvas").evaluate(
        """canvas => new Set(new Uint32Array(
             canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size"""
    )


def cdn_scripts(cache: Path) -> dict[str, bytes]:
    """BertViz's CDN scripts from npm, kept in `cache`: without them it paints nothing and seems infinitely fast."""
    scripts = {}
    for part, (package, member) in CDN.items():
        archive = cache / f"{package.replace('@', '-')}.tgz"
        if not archive.exists():
            if not (npm := shutil.which("npm")):
                raise NotMeasurable(f"the comparison with BertViz needs npm once, to fetch {package}: install Node.js")
            subprocess.run([npm, "pack", package, "--silent"], cwd=cache, check=True, stdout=subprocess.DEVNULL)
        with tarfile.open(archive) as tar:
            scripts[part] = tar.extractfile(member).read()
    return scripts


@contextmanager
def folder_served(folder: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
