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
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Locator, Page, expect

from model import catalog
from model.text.tokenizer import Tokenizer

ROOT = Path(__file__).parents[2]
TOKENIZER = Tokenizer.load(catalog.WEIGHTS / catalog.DEFAULT / "tokenizer.json")  # of the model that pages open with
N = len(TOKENIZER.encode("The cat sat on the mat"))  # tokens of the text that they open with
FIRST = catalog.telling_head_of(catalog.find(catalog.DEFAULT))  # layer and head that they open with
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)

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
def app_url():
    yield from serve("app.py")


def serve(script: str, **environment: str):
    """Run a Streamlit script, yield its address once it answers, and stop it."""
    port = free_port()
    options = (f"--server.port={port}", "--server.headless=true")
    yield from served(port, "streamlit", "run", script, *options, **environment)


def serve_regard(*options: str, **environment: str):
    """The same through the command `regard`."""
    port = free_port()
    yield from served(port, "viz.cli", f"--port={port}", "--no-browser", *options, **environment)


def served(port: int, module: str, *options: str, **environment: str):
    command = [sys.executable, "-m", module, *options]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, **quiet)
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
    """One for all tests, so that the app's scripts are fetched and compiled once; each test has its own page."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(LONGEST)
    stays = context.new_page()  # and its process with it
    stays.route("http://127.0.0.1/", lambda route: route.fulfill(body=""))
    stays.goto("http://127.0.0.1/")
    yield context
    context.close()


@pytest.fixture
def page(context):
    page = context.new_page()
    yield page
    if page.url.startswith("http"):
        page.evaluate("localStorage.clear()")  # a theme chosen by hand
    page.close()


@pytest.fixture(scope="module")
def kept(context):
    """Pages that stay open, by their address, for those tests of a file that only point and read; see `at_rest`."""
    pages: dict[str, Page] = {}
    yield pages
    for page in pages.values():
        page.close()


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
def look(kept, context, app_url: str):
    """The same for tests that only point and read, or type first: those of a file share one page for each address.

    What its scripts could not do is in `page.complaints`.
    """

    def go(path: str) -> Page:
        if path not in kept:
            kept[path] = page = context.new_page()
            page.complaints = []
            page.on("pageerror", lambda error: page.complaints.append(str(error)))
            page.goto(f"{app_url}/{path}")
            settle(page)
        return at_rest(kept[path])

    return go


# Of the whole page, and of the components within it: Python has finished, and all that it sent has been drawn. Before,
# what comes late (a chunk of Streamlit's scripts, a font, a component's script) moves what is below it from a pointer.
AT_REST = """(app) => {
  const all = (what, root = app) => [...root.querySelectorAll(what)];
  const parts = all("[data-testid=stBidiComponentIsolated]").map((part) => part.shadowRoot);
  const blank = "canvas:not([width]), .count:empty, .beam svg:empty, :is(.drawing, [role=list], [role=group]):empty";
  return app.dataset.testScriptState === "notRunning"
    && all(".stMain .stElementContainer").length && !all("[data-testid=stSkeleton], [data-stale=true]").length
    && parts.every((part) => part?.childElementCount && !all(blank, part).length)
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


# Playwright's own wait_for_function compiles its condition anew for each look, which the app's policy refuses
UNTIL = """(element) => new Promise((done, fail) => {
  const holds = CONDITION, end = performance.now() + LONGEST;
  const look = () => holds(element) ? done() : performance.now() < end ? requestAnimationFrame(look)
    : fail(new Error(`not within ${LONGEST} ms: ${holds}`));
  look();
})"""


def until(locator: Locator, condition: str) -> None:
    """Wait until a JavaScript function of the element is true."""
    locator.evaluate(UNTIL.replace("CONDITION", condition).replace("LONGEST", str(LONGEST)))


def type_text(page: Page, text: str) -> None:
    box = page.locator(".st-key-text textarea")
    box.fill(text)
    box.press("Control+Enter")
    settle(page)


def calls(page: Page, *expected: list) -> None:
    """What reached Python."""
    expect(page.get_by_test_id("stText")).to_have_text(json.dumps(list(expected)))
    settle(page)


# pictures made of lines, over fixed arrays


@pytest.fixture(scope="session")
def graphs_url():
    yield from serve("tests/browser/graphs_app.py")


@pytest.fixture(scope="module")
def graphs(context, graphs_url: str):
    """One page for all pictures of a file. What is sent is counted in `page.sent`."""
    page = context.new_page()
    page.sent, page.complaints = [], []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: page.sent.append(frame)))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("dialog", lambda dialog: (page.complaints.append(dialog.message), dialog.dismiss()))
    page.goto(graphs_url)
    settle(page)
    yield page
    page.evaluate("localStorage.clear()")  # a theme chosen by hand
    page.close()


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
