"""A Streamlit server of our own, and a Chromium to look at it."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.benchmarks.timing import NotMeasurable

ROOT = Path(__file__).parents[2]
# nothing that asks the network or draws with a graphics card that may not be there
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
_FLAGS += ["--disable-background-networking", "--disable-component-update"]
IDLE = '[data-testid=stApp][data-test-script-state="notRunning"]'


@contextmanager
def served(script: Path | None = None, python: tuple[str, ...] = (), log: Path | None = None) -> Iterator[str]:
    """The address of a fresh `regard`, or `streamlit run script`, once it is healthy; `log`: where its stderr goes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    if script is None:
        command = ["viz.cli", f"--port={port}", "--host=127.0.0.1", "--no-browser"]
    else:
        command = ["streamlit", "run", str(script), f"--server.port={port}", "--server.address=127.0.0.1"]
        command.append("--server.headless=true")
    command = [sys.executable, *python, "-m", *command]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}  # a script below tests/ imports tests.…
    with open(log or os.devnull, "wb") as stderr:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=stderr)
    try:
        _wait_until_healthy(server, url := f"http://127.0.0.1:{port}")
        yield url
    finally:
        server.terminate()
        server.wait()


def _wait_until_healthy(server: subprocess.Popen, url: str) -> None:
    for _ in range(6000):
        if server.poll() is not None:
            raise NotMeasurable(f"the server ended at once, with {server.returncode}: {' '.join(server.args)}")
        try:
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=5).close()
            return
        except OSError:
            time.sleep(0.01)
    raise NotMeasurable(f"no server at {url} after a minute")


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's Chromium, or the one of `playwright install chromium`."""
    with sync_playwright() as playwright:
        found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=found, args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def watched(browser: Browser) -> tuple[Page, list[int], list[int]]:
    """A page of a fresh visitor, and the lists that grow by the bytes of each websocket message sent and received."""
    page = browser.new_context(viewport={"width": 1400, "height": 1000}).new_page()
    page.set_default_timeout(120_000)
    sent, received = [], []
    size = lambda message: len(message.encode() if isinstance(message, str) else message)  # noqa: E731
    page.on("websocket", lambda socket: socket.on("framesent", lambda message: sent.append(size(message))))
    page.on("websocket", lambda socket: socket.on("framereceived", lambda message: received.append(size(message))))
    return page, sent, received
