"""What the door before Streamlit's server lets in, and what each answer carries."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor

import pytest
import streamlit as st

from model.sources.places import Allowed
from viz import cli, server

NOT_ORIGINS = (
    *("https://course.example.org/week1", "course.example.org", "https:", "*", "https://*", "'self'"),
    *("https://a.org;script-src *", "https://a.org,https://b.org", "javascript:alert(1)", "https://me@a.org"),
)
SHUT = (
    *("/_stcore/metrics", "/_stcore/metrics/", "/_stcore/upload_file/session/file", "/_stcore/agent/openapi.json"),
    *("/_stcore/agent/mcp", "/_stcore/script-health-check", "/_stcore/bidi-components/a/b.js", "/_stcore"),
    *("/component/a/index.html", "/auth/login", "/oauth2callback", "/base/_stcore/metrics", "/base/auth/login"),
)
OPEN = ("/", "/attention", "/static/js/index.js", "/media/a.svg", "/_stcore/health", "/_stcore/host-config", "/healthz")


@pytest.fixture
def option(monkeypatch):
    """`option("server.address", "localhost")`: as the server was started."""
    options = {"server.address": None, "server.enableCORS": True, "server.corsAllowedOrigins": []}
    monkeypatch.setattr(st, "get_option", options.__getitem__)
    return options.__setitem__


def scope(path="/", method="GET", kind="http", host="here:8501", origin=None) -> dict:
    said = [("host", host), ("origin", origin)]
    encoded = [(name.encode(), value.encode()) for name, value in said if value is not None]
    return {"type": kind, "path": path, "method": method, "headers": encoded}


def finish(work: Coroutine) -> None:
    """In a thread of its own: in this one Playwright keeps a loop running, once a browser test came before."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


def asked(app, scope: dict) -> list[dict]:
    """What the door sends back, with `app` behind it."""
    sent = []

    async def receive():
        return {"type": f"{scope['type']}.connect"}

    async def send(message):
        sent.append(message)

    finish(server.Door(app, server.headers())(scope, receive, send))
    return sent


async def app_behind(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"an answer"})


async def failing_app(scope, receive, send):
    raise RuntimeError("secret")


@pytest.mark.parametrize("path", SHUT)
def test_doors_that_no_page_uses_are_shut(option, path):
    assert server.refusal(scope(path))[0] == 404
    assert asked(failing_app, scope(path))[0]["status"] == 404  # not even asked
    assert asked(failing_app, scope(path, kind="websocket")) == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize("path", OPEN)
def test_what_pages_use_is_open_for_reading_only(option, path):
    assert server.refusal(scope(path)) is None
    assert server.refusal(scope(path, "HEAD")) is None
    for method in ("PUT", "POST", "DELETE", "PATCH", "OPTIONS"):
        assert server.refusal(scope(path, method))[0] == 405


def test_the_start_and_the_end_of_the_server_pass():
    async def app(scope, receive, send):
        await send(await receive())

    assert asked(app, {"type": "lifespan"}) == [{"type": "lifespan.connect"}]


@pytest.mark.parametrize("app", [app_behind, failing_app])
def test_every_answer_carries_the_headers(option, app):
    sent = []

    async def send(message):
        sent.append(message)

    try:
        finish(server.Door(app, server.headers())(scope(), None, send))
    except RuntimeError:
        assert app is failing_app  # told to the log
    said = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    assert said.items() >= server.headers().items()
    assert sent[0]["status"] == (500 if app is failing_app else 200)
    assert b"secret" not in sent[1]["body"]


@pytest.mark.parametrize("address", ["localhost", "127.0.0.1", "::1"])
def test_a_name_that_was_made_to_lead_here_is_refused(option, address, monkeypatch):
    """DNS rebinding: the page of that name would be of one origin with Regard, and Regard reads the home folder."""
    option("server.address", address)
    for host in ("localhost:8501", "127.0.0.1:8501", "[::1]:8501", "localhost", "LOCALHOST:1"):
        assert server.refusal(scope(host=host)) is None
    for host in ("evil.example:8501", "localhost.evil.example", "", "127.0.0.1.evil.example:8501"):
        assert server.refusal(scope(host=host))[0] == 403
        assert server.refusal(scope("/_stcore/stream", kind="websocket", host=host))[0] == 403
    monkeypatch.setenv(server.NAMES, "regard.example.org other.example.org")
    assert server.refusal(scope(host="regard.example.org")) is None
    assert server.refusal(scope(host="evil.example"))[0] == 403


def test_any_name_will_do_where_others_can_connect(option):
    for address in (None, "0.0.0.0", "::", "192.168.1.5"):
        option("server.address", address)
        assert server.refusal(scope(host="lab-3:8501")) is None


def test_names_of_a_proxy_close_folders_and_the_hub():
    assert Allowed.by_operator("localhost", {}).hub
    assert Allowed.by_operator("localhost", {"REGARD_NAMES": "regard.example.org"}) == Allowed()
    assert Allowed.by_operator("localhost", {"REGARD_NAMES": "regard.example.org", "REGARD_HUB": "1"}).hub


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://here:8502", "http://localhost:8501", "null", "http://[", "", "here:8501"]
)
def test_a_page_from_elsewhere_gets_no_websocket(option, origin):
    """Streamlit would first ask a service outside for this machine's address, which holds up everybody."""
    stream = scope("/_stcore/stream", kind="websocket", origin=origin)
    assert asked(failing_app, stream) == [{"type": "websocket.close", "code": 1008}]


def test_whose_websockets_are_answered(option):
    for origin in ("http://here:8501", "https://here:8501", None):
        assert not server.foreign(scope(origin=origin))
    elsewhere = scope(origin="https://course.example.org")
    assert server.foreign(elsewhere)
    option("server.corsAllowedOrigins", ["https://course.example.org"])
    assert not server.foreign(elsewhere)


def test_who_may_show_regard_in_a_frame():
    assert "frame-ancestors 'none'" in server.headers()["content-security-policy"]
    assert server.headers()["x-frame-options"] == "DENY"
    origins = server.embedding_origins("https://course.example.org/ http://127.0.0.1:8000 https://*.example.org")
    assert origins == ("https://course.example.org", "http://127.0.0.1:8000", "https://*.example.org")
    said = server.headers(origins)
    assert said["content-security-policy"].endswith("frame-ancestors " + " ".join(origins))
    assert "x-frame-options" not in said


@pytest.mark.parametrize("text", NOT_ORIGINS)
def test_what_is_no_origin_is_refused(text, capsys):
    with pytest.raises(ValueError, match="not the origin of a page"):
        server.embedding_origins(text)
    with pytest.raises(SystemExit) as raised:
        cli.main(["--embed-from", text])
    assert raised.value.code == 2
    assert "argument --embed-from: not the origin of a page" in capsys.readouterr().err


def test_the_environment_is_judged_before_anything_is_served(monkeypatch):
    monkeypatch.setenv(server.EMBED_FROM, "https://course.example.org 'self'")
    with pytest.raises(SystemExit, match="REGARD_EMBED_FROM: not the origin of a page"):
        server.middleware()
    monkeypatch.setenv(server.EMBED_FROM, "https://course.example.org")
    (door,) = server.middleware()
    assert door.kwargs["headers"] == server.headers(("https://course.example.org",))


def test_the_policy_follows_the_installed_page():
    """The one script within Streamlit's page is allowed by its hash, and no other, nor eval."""
    policy = dict(part.split(" ", 1) for part in server.headers()["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"].count("'sha256-") == 1
    assert "unsafe" not in policy["script-src"] and "http" not in str(policy)
