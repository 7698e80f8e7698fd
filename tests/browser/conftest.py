"""A running app and a real Chromium. Without one these tests are skipped, but never where CI is set."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from model import catalog
from model.text.tokenizer import Tokenizer

ROOT = Path(__file__).parents[2]
TOKENIZER = Tokenizer.load(catalog.WEIGHTS / catalog.DEFAULT / "tokenizer.json")  # of the model that pages open with
N = len(TOKENIZER.encode("The cat sat on the mat"))  # tokens of the text that they open with
FIRST = catalog.telling_head_of(catalog.find(catalog.DEFAULT))  # layer and head that they open with
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)

WINDOW = {"width": 1280, "height": 900}
# from the first script of a page on: what is refused by the policy, and when a visitor last asked Python for a run
WATCH = """window.refused = []; document.addEventListener("securitypolicyviolation", (event) =>
    refused.push(`${event.effectiveDirective} ${event.blockedURI}`));
  window.asked = 0;
  const send = WebSocket.prototype.send, varint = (bytes, at) => {
    let value = 0, shift = 0;
    for (; bytes[at] & 128; shift += 7) value += (bytes[at++] & 127) << shift;
    return [value + (bytes[at++] << shift), at];
  };
  // of Streamlit's BackMsg, the field rerun_script; in it, is_auto_rerun: a clock's, which may be let go without a run
  const isAsking = (bytes) => {
    if (bytes[0] !== (11 << 3 | 2)) return false;
    for (let at = varint(bytes, 1)[1], tag, value; at < bytes.length;) {
      [tag, at] = varint(bytes, at);
      [value, at] = varint(bytes, at);
      if (tag === 6 << 3) return !value;
      if ((tag & 7) === 2) at += value;
    }
    return true;
  };
  WebSocket.prototype.send = function (bytes) {
    if (isAsking(bytes)) window.asked = Date.now() / 1000;
    send.call(this, bytes);
  };"""
LONGEST = 60_000  # ms: a first picture on a busy machine
expect.set_options(timeout=LONGEST)


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("browser")


@pytest.fixture(scope="session", autouse=True)
def chromium_or_skip():
    if CHROMIUM is None and not os.environ.get("CI"):
        pytest.skip("no Chromium or Chrome found on the PATH: install one to run the browser tests")


@pytest.fixture(scope="session")
def browser_type_launch_args():
    # one process for all pages of this machine: what it has compiled of Streamlit's scripts need not be compiled again
    quiet = [
        "--process-per-site",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
    ]
    return {"executable_path": CHROMIUM, "args": ["--no-sandbox", "--disable-gpu", "--disable-sync", *quiet]}


@pytest.fixture(scope="session")
def own_models(tmp_path_factory) -> Path:
    """Where a test puts the models of a visitor's own, for the app to open; its name is markup."""
    return tmp_path_factory.mktemp("[r](x)").resolve()


@pytest.fixture(scope="session")
def app_url(own_models):
    yield from serve_regard("--models", str(own_models))


@pytest.fixture(scope="session")
def scripts_url():
    """`f"{scripts_url}/graphs_app"` is tests/browser/graphs_app.py."""
    yield from serve("tests/browser/pages_app.py")


def serve(script: str):
    """Run a Streamlit script, yield its address once it answers, and stop it."""
    port = free_port()
    yield from served(port, "streamlit", "run", script, f"--server.port={port}", "--server.headless=true")


def serve_regard(*options: str):
    """The same through the command `regard`."""
    port = free_port()
    yield from served(port, "viz.cli", f"--port={port}", "--no-browser", *options)


def served(port: int, module: str, *options: str):
    command = [sys.executable, "-m", module, *options]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(command, cwd=ROOT, **quiet)
    url = f"http://127.0.0.1:{port}"
    wait_until_healthy(server, url)
    yield url
    server.terminate()
    server.wait(60)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_healthy(server: subprocess.Popen, url: str) -> None:
    while True:
        try:
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=1)
            return
        except OSError:
            assert server.poll() is None, f"{' '.join(server.args)} ended with {server.returncode}"
            time.sleep(0.1)


@pytest.fixture(scope="session")
def context(browser):
    """One for all tests. For an eye that wants no motion: what moves is drawn for every frame, a fifth of all work."""
    context = browser.new_context(viewport=WINDOW, reduced_motion="reduce")
    context.set_default_timeout(LONGEST)
    context.add_init_script(WATCH)
    yield context
    context.close()


class Tabs:
    """Tabs of the browser, used one after the other.

    From one address to the next in the same tab the app's scripts need not be fetched, decoded and compiled again: 1.4
    instead of 2.4 s of the processor. It is another document and another visitor all the same.
    """

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.idle: list[Page] = []

    def take(self) -> Page:
        """One in which nothing of what was there before is to be seen, once it has gone to an address."""
        page = self.idle.pop() if self.idle else self.context.new_page()
        page.bring_to_front()
        page.listeners, page.spent, page.address = [], False, None
        page.on = partial(self._listen, page)
        for name in ("add_init_script", "route_web_socket"):  # cannot be taken back
            setattr(page, name, partial(self._spend, page, name))
        return page

    @staticmethod
    def _listen(page: Page, event: str, hear: Callable) -> None:
        page.listeners.append((event, hear))
        Page.on(page, event, hear)

    @staticmethod
    def _spend(page: Page, name: str, *what) -> None:
        page.spent = True
        getattr(Page, name)(page, *what)

    def give_back(self, page: Page) -> None:
        if page.url.startswith("http"):
            page.evaluate("try { localStorage.clear() } catch {}")  # a theme chosen by hand; where it may be read
        if page.url.startswith("http") and not page.spent:
            for event, hear in page.listeners:
                page.remove_listener(event, hear)
            page.unroute_all()
            page.mouse.up()
            page.mouse.move(0, 0)
            page.set_viewport_size(WINDOW)
            page.emulate_media(media="screen", color_scheme="light", reduced_motion="reduce")
            if page.evaluate("history.length") < 30:  # of the 50 that there are room for
                self.idle.append(page)
                return
        page.close()


@pytest.fixture(scope="session")
def tabs(context) -> Tabs:
    return Tabs(context)


@pytest.fixture
def page(tabs: Tabs):
    page = tabs.take()
    yield page
    tabs.give_back(page)


@pytest.fixture(scope="module")
def kept(tabs: Tabs):
    """Pages that stay open, by their address, for those tests of a file that only point and read; see `at_rest`."""
    pages: dict[str, Page] = {}
    yield pages
    for page in pages.values():
        tabs.give_back(page)


def at_rest(page: Page) -> Page:
    """A page that is kept, as it was before the last test pointed at something."""
    page.bring_to_front()
    page.mouse.move(1, 1)
    return page


@pytest.fixture
def visit(page: Page, app_url: str):
    """visit("attention?layer=2") opens it and waits until Python has finished."""

    def go(path: str = "") -> Page:
        page.goto(f"{app_url}/{path}")
        settle(page)
        return page

    return go


@pytest.fixture
def look(kept, tabs: Tabs, app_url: str):
    """The same for tests that only point and read, or type or choose first: those that follow one another share a page.

    What its scripts could not do is in `page.complaints`; what it has sent since the test began, in `page.sent`.
    """

    def go(path: str) -> Page:
        if "look" not in kept:
            page = kept["look"] = tabs.take()
            page.on("pageerror", lambda error: page.complaints.append(str(error)))
            page.on("websocket", lambda socket: socket.on("framesent", lambda frame: page.sent.append(frame)))
        page = at_rest(kept["look"])
        page.sent = []
        if page.address != path:
            page.address, page.complaints = path, []
            page.goto(f"{app_url}/{path}")
            settle(page)
            page.sent.clear()
        return page

    return go


# Of the whole page, and of the components within it: Python has finished what it was asked last, and all that it sent
# has been drawn. Before, what comes late (a chunk of Streamlit's scripts, a font, a component's script) moves what is
# below it from a pointer. A run writes the address at its end; just after a click nothing else tells that one is to
# come.
AT_REST = """(app) => {
  const all = (what, root = app) => [...root.querySelectorAll(what)];
  const components = all("[data-testid=stBidiComponentIsolated]");
  const blank = "canvas:not([width]), .count:empty, .beam svg:empty, :is(.drawing, [role=list], [role=group]):empty";
  return app.dataset.testScriptState === "notRunning" && (window.regardAddress ?? Infinity) > (window.asked ?? 0)
    && all(".stMain .stElementContainer").length && !all("[data-testid=stSkeleton], [data-stale=true]").length
    && components.every((each) => "drawn" in each.dataset && each.shadowRoot.childElementCount)
    && components.every((each) => !all(blank, each.shadowRoot).length)
    && all("[data-testid=stPlotlyChart]").every((chart) => chart.querySelector(".main-svg"))
    && document.fonts.status === "loaded";
}"""


def settle(page: Page) -> None:
    """Wait until no script is running and nothing is about to be drawn: what is there now stays where it is."""
    until(page.get_by_test_id("stApp"), AT_REST)


def wear(page: Page, scheme: str) -> None:
    """Put on a theme, "light" or "dark", and wait until all is drawn in it: what Python colours comes a run later."""
    page.emulate_media(color_scheme=scheme)
    until(
        page.get_by_test_id("stApp"),
        f"""(app) => getComputedStyle(app).colorScheme === "{scheme}" && {str(scheme == "dark").lower()}
          === [...document.querySelectorAll("style")].some((sheet) => sheet.textContent.includes("--paper-text"))""",
    )
    settle(page)


# Playwright's own wait_for_function compiles its condition anew for each look, which the app's policy refuses; looking
# before each frame would have a page draw frames in which nothing has changed
UNTIL = """(element) => new Promise((done, fail) => {
  const holds = CONDITION, end = performance.now() + LONGEST;
  let found;
  const look = () => {
    try {
      if (found = holds(element)) return done(found);
    } catch (error) {
      return fail(error);  // thrown by a timer it would reach nobody
    }
    if (performance.now() < end) setTimeout(look, 20); else fail(new Error(`not within ${LONGEST} ms: ${holds}`));
  };
  look();
})"""


def until(locator: Locator, condition: str) -> Any:
    """Wait until what a JavaScript function makes of the element is true, and return that."""
    return locator.evaluate(UNTIL.replace("CONDITION", condition).replace("LONGEST", str(LONGEST)))


def type_text(page: Page, text: str) -> None:
    box = page.locator(".st-key-text textarea")
    if box.input_value() != text:  # the same text is not read again
        box.fill(text)
        box.press("Control+Enter")
    settle(page)


def calls(page: Page, *expected: list) -> None:
    """What reached Python."""
    expect(page.get_by_test_id("stText")).to_have_text(json.dumps(list(expected)))
    settle(page)


# pictures made of lines, over fixed arrays


@pytest.fixture(scope="session")
def graphs_url(scripts_url):
    return f"{scripts_url}/graphs_app"


@pytest.fixture(scope="module")
def graphs(tabs: Tabs, graphs_url: str):
    """One page for all pictures of a file. What is sent is counted in `page.sent`."""
    page = tabs.take()
    page.sent, page.complaints = [], []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: page.sent.append(frame)))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("dialog", lambda dialog: (page.complaints.append(dialog.message), dialog.dismiss()))
    page.goto(graphs_url)
    settle(page)
    yield page
    tabs.give_back(page)


@pytest.fixture
def draw(graphs):
    """draw("token_graph", "top", "0"): that case, as it is first drawn if what follows its name is new."""

    def go(*which: str) -> Page:
        page, wanted = at_rest(graphs), " ".join(which)
        if (box := page.get_by_label("which")).input_value() != wanted:
            box.fill(wanted)
            box.press("Enter")
        expect(page.locator(f".st-key-{'-'.join(which)}")).to_be_visible()
        settle(page)
        expect(page.locator(".count")).to_contain_text("showing")
        expect(page.locator(".count")).not_to_contain_text(re.compile(" of (what|all that) |^Back"))
        page.sent.clear()
        return page

    yield go
    assert graphs.complaints == []


@pytest.fixture
def show(draw):
    """show("token_graph", "top"): that case, not yet touched."""
    return lambda picture, case="causal": draw(picture, case, uuid4().hex)


@pytest.fixture
def glance(draw):
    """The same for tests that only point and read: it may have been pointed at before."""
    return lambda picture, case="causal": draw(picture, case, "0")
