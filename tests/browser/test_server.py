"""The server that `regard` starts: it answers with pages under its headers, and nothing else.

That every page draws under them is in test_every_view.py.
"""

import http.client
import itertools
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import FIRST, ROOT, free_port, serve, serve_regard, settle, until, wait_until_healthy
from tests.shipped import STORY
from viz import server

UPGRADE = {
    **{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"},
    **{"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Protocol": "streamlit"},
}


@pytest.fixture
def url(app_url):
    return app_url


@pytest.fixture(scope="module")
def streamlit_url():
    yield from serve("app.py")


def answer(url: str, path: str = "/", method: str = "GET", headers=(), body=None) -> http.client.HTTPResponse:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
    connection.request(method, path, body, dict(headers))
    return connection.getresponse()


@pytest.mark.parametrize(
    ("script", "refused"),
    [
        ("setTimeout(() => { try { eval('1') } catch {} })", "script-src eval"),
        (
            "document.body.append(Object.assign(document.createElement('script'), {text: '1'}))",
            "script-src-elem inline",
        ),
        ("new Image().src = 'http://127.0.0.1:9/a.png'", "img-src http://127.0.0.1:9/a.png"),
        ("fetch('http://127.0.0.1:9/a').catch(() => 0)", "connect-src http://127.0.0.1:9/a"),
        ("try { new WebSocket('ws://127.0.0.1:9/a') } catch {}", "connect-src ws://127.0.0.1:9/a"),
        ("document.body.append(Object.assign(document.createElement('iframe'), {src: '/'}))", "frame-src "),
    ],
)
def test_what_the_policy_refuses(page: Page, url, script, refused):
    page.goto(f"{url}/healthz")
    page.evaluate(f"() => {{ {script} }}")
    until(page.locator("html"), "() => refused.length > 0")
    assert page.evaluate("refused")[0].startswith(refused)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        *[("/", 200), ("/attention", 200), ("/no-such-page", 200), ("/healthz", 200), ("/favicon.png", 200)],
        *[("/_stcore/health", 200), ("/_stcore/host-config", 200), ("/_stcore/metrics", 404)],
        *[("/_stcore/agent/openapi.json", 404), ("/_stcore/agent/mcp", 404), ("/_stcore/upload_file/a/b", 404)],
        *[("/media/no-such-file", 404), ("/auth/login", 404)],
        ("/static/..%2f..%2fapp.py", 400),
    ],
)
@pytest.mark.parametrize("command", ["regard", "streamlit run app.py"])
def test_headers_on_every_answer(url, streamlit_url, command, path, status):
    response = answer(url if command == "regard" else streamlit_url, path)
    assert response.status == status
    for name, value in server.headers().items():
        assert response.headers.get_all(name) == [value]


def test_headers_of_streamlits_scripts(url):
    script = re.search(r'src="\./(static/js/[^"]+)"', answer(url).read().decode())[1]
    response = answer(url, f"/{script}")
    assert (response.status, response.headers["x-content-type-options"]) == (200, "nosniff")
    assert response.headers["content-type"].startswith(("application/javascript", "text/javascript"))


def test_alive(url):
    assert answer(url, "/healthz").read() == b"ok"


def test_no_file_is_taken(page: Page, url):
    page.goto(url)  # a session, which Streamlit would ask for
    settle(page)
    token = {"X-Xsrftoken": "a", "Cookie": "_streamlit_xsrf=a"}
    for method, (path, status) in itertools.product(
        ("PUT", "POST", "DELETE"), (("/_stcore/upload_file/a/b", 404), ("/", 405), ("/media/a", 405))
    ):
        assert answer(url, path, method, token, b"x" * 100_000).status == status, (method, path)


def test_a_websocket_for_pages_of_this_server_only(url):
    stream, here = "/_stcore/stream", url.removeprefix("http://")
    assert answer(url, stream, headers=UPGRADE | {"Origin": url}).status == 101
    for origin in ("http://evil.example", f"http://localhost:{free_port()}", "null"):
        assert answer(url, stream, headers=UPGRADE | {"Origin": origin}).status == 403
    rebound = {"Host": f"evil.example:{here.split(':')[1]}", "Origin": f"http://evil.example:{here.split(':')[1]}"}
    assert answer(url, stream, headers=UPGRADE | rebound).status == 403
    assert answer(url, headers=rebound).status == 403


class Course(BaseHTTPRequestHandler):
    """A page elsewhere with Regard in a frame."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(f'<iframe width=1200 height=800 src="{self.server.regard}/attention"></iframe>'.encode())

    def log_message(self, *said):
        pass


@pytest.fixture(scope="module")
def courses():
    """Two servers of pages; Regard may be shown in a frame by those of the first."""
    pages = [HTTPServer(("127.0.0.1", 0), Course) for _ in range(2)]
    origins = [f"http://127.0.0.1:{page.server_port}" for page in pages]
    for regard in serve_regard("--embed-from", origins[0]):
        for page in pages:
            page.regard = regard
            threading.Thread(target=page.serve_forever, daemon=True).start()
        yield origins
    for page in pages:
        page.shutdown()
        page.server_close()


def test_in_a_frame_of_the_page_that_was_named(page: Page, courses):
    allowed, other = courses
    page.goto(allowed)
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("heading", name="Attention", exact=True)).to_be_visible()
    frame.get_by_role("radio", name="layer", exact=True).first.click()  # and it can be used
    title = f"The mean of the {STORY.n_head} heads of layer {FIRST[0]}"
    expect(frame.get_by_role("heading", name=title)).to_be_visible()
    with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
        page.goto(other)
    expect(page.frame_locator("iframe").get_by_test_id("stApp")).to_have_count(0)


@pytest.fixture
def start():
    """`start("--port=8600")`: the command in a process of its own, which ends with the test."""
    started = []

    def begin(*options: str, **environment: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "viz.cli", *options]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, **pipes))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()


def test_a_port_in_use(start, url):
    regard = start("--no-browser", f"--port={urlsplit(url).port}")
    out, err = regard.communicate(timeout=60)
    assert (regard.returncode, out) == (1, "")
    assert err.startswith(f"regard: nothing can listen on localhost, port {urlsplit(url).port}: ")
    assert err.endswith("See --host and --port.\n") and err.count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends Ctrl-C to a console, not to a process")
def test_ctrl_c_with_a_visitor(start, page: Page):
    port = free_port()
    regard = start("--no-browser", f"--port={port}")
    wait_until_healthy(regard, url := f"http://127.0.0.1:{port}")
    page.goto(url)
    settle(page)
    regard.send_signal(signal.SIGINT)
    out, err = regard.communicate(timeout=60)
    assert regard.returncode == 0
    assert f"Regard: http://localhost:{port}" in out and "Traceback" not in out + err


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="browsers are opened by xdg-open on Linux")
def test_the_browser_is_opened(start, tmp_path):
    os.mkfifo(opened := tmp_path / "opened")
    (opener := tmp_path / "xdg-open").write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    opener.chmod(0o755)
    waiting = os.open(opened, os.O_RDONLY | os.O_NONBLOCK)
    port = free_port()
    start(f"--port={port}", PATH=f"{tmp_path}:{os.environ['PATH']}", DISPLAY=":0")
    assert select.select([waiting], [], [], 60)[0]
    assert os.read(waiting, 1000).decode() == f"http://localhost:{port}\n"
    with socket.create_connection(("localhost", port)):  # what was opened will be answered
        pass
    os.close(waiting)
