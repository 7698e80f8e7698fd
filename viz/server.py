"""What Regard's server answers, to whom, and with which headers.

Streamlit's server has doors that no page of Regard uses, open by default: uploads, metrics, an interface for agents,
log-in, files of components. They are shut here, by a list of the open ones. It also asks a service outside for its own
address whenever a page from elsewhere knocks at the websocket; here such a page is refused before that.
"""

import base64
import hashlib
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import streamlit as st
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# pages that may show Regard in a frame, and names under which a proxy lets others in; set by `regard`'s options
EMBED_FROM, NAMES = "REGARD_EMBED_FROM", "REGARD_NAMES"
_ORIGIN = re.compile(r"https?://(\*\.)?[a-z\d-]+(\.[a-z\d-]+)*(:\d{1,5})?", re.I)
# of Streamlit's own paths, below whatever base path: what is shut
_SHUT = re.compile(r"/(component|auth|oauth2callback)(/|$)|/_stcore(?!/(health|host-config|stream)$)")
_HERE = ("localhost", "127.0.0.1", "::1")


def embedding_origins(text: str) -> tuple[str, ...]:
    """The origins in `text`, separated by spaces. Raises ValueError for what is none."""
    origins = tuple(origin.removesuffix("/") for origin in text.split())
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(f"not the origin of a page, as https://course.example.org is one: {origin[:80]}")
    return origins


def headers(embed_from: tuple[str, ...] = ()) -> dict[str, str]:
    """What every answer carries. Scripts, styles, pictures and data come from this server or from nowhere."""
    page = (Path(st.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    inline = [hashlib.sha256(script.encode()).digest() for script in re.findall(r"<script>(.*?)</script>", page, re.S)]
    policy = {
        "default-src": "'none'",
        # blob: components of the second kind are imported from one; the hash: the one script within Streamlit's page
        "script-src": " ".join(["'self'", "blob:", *(f"'sha256-{base64.b64encode(d).decode()}'" for d in inline)]),
        "style-src": "'self' 'unsafe-inline'",  # components and st.html bring their styles along
        "img-src": "'self' data: blob:",
        "font-src": "'self' data:",  # plotly's and the formulas' own
        "connect-src": "'self'",
        "worker-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": " ".join(embed_from) or "'none'",
    }
    always = {
        "content-security-policy": "; ".join(f"{name} {sources}" for name, sources in policy.items()),
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), microphone=(), geolocation=()",
    }
    return always if embed_from else always | {"x-frame-options": "DENY"}  # which knows no list


class Door:
    """Every request goes through it: the only way to what Streamlit answers, and to its websocket."""

    def __init__(self, app: ASGIApp, headers: dict[str, str]):
        self.app = app
        self.headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and (refusal(scope) or foreign(scope)):
            await receive()
            return await send({"type": "websocket.close", "code": 1008})
        if scope["type"] != "http":  # a websocket, or the server's own start and end
            return await self.app(scope, receive, send)
        begun = False

        async def with_headers(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                MutableHeaders(scope=message).update(self.headers)
            await send(message)

        if refused := refusal(scope):
            status, words = refused
            return await PlainTextResponse(words, status)(scope, receive, with_headers)
        try:
            await self.app(scope, receive, with_headers)
        except Exception:  # the answer to an error would be given outside of this, without the headers
            if not begun:
                await PlainTextResponse("Something went wrong here; the log says what.", 500)(
                    scope, receive, with_headers
                )
            raise


def refusal(scope: Scope) -> tuple[int, str] | None:
    """The status and the words for what is not answered."""
    address, host = st.get_option("server.address"), Headers(scope=scope).get("host", "")
    name = re.sub(r":\d*$", "", host).strip("[]").lower()
    if address in _HERE and name not in (*_HERE, *os.environ.get(NAMES, "").split()):
        # a name that somebody else made lead to this machine would make their page one of ours
        return 403, f"This server answers to localhost, not to “{name[:80]}”. To allow a name: regard --name NAME"
    if _SHUT.search(scope["path"]):
        return 404, "There is nothing here."
    if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD"):
        return 405, "Only GET and HEAD are answered."
    return None


def foreign(scope: Scope) -> bool:
    """Whether a page of another origin asks, which Streamlit's option server.corsAllowedOrigins does not list."""
    origin, host = (Headers(scope=scope).get(name) for name in ("origin", "host"))
    if origin is None or origin.partition("://")[2] == host or not st.get_option("server.enableCORS"):
        return False
    return origin not in st.get_option("server.corsAllowedOrigins")


async def healthz(request: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


@asynccontextmanager
async def announced(app: st.App) -> AsyncIterator[None]:
    """Say where the app is, and open it in a browser. Not under another server, whose port nobody here knows."""
    from streamlit import cli_util, net_util
    from streamlit.web.server import server_util

    if Path(sys.argv[0]).resolve() == Path(app.script_path).resolve():
        listens = st.get_option("server.address")
        shown = st.get_option("browser.serverAddress")
        url = server_util.get_url(server_util.get_display_address(listens or shown) if shown == "localhost" else shown)
        print(f"\n  Regard: {url}", flush=True)
        if listens in (None, "0.0.0.0", "::"):
            print(f"  for others on your network: {server_util.get_url(net_util.get_internal_ip())}", flush=True)
        print(flush=True)
        if not st.get_option("server.headless"):
            cli_util.open_browser(url)
    yield


def middleware() -> list[Middleware]:
    """The door, with the headers that the environment asks for; ends the program where that is not possible."""
    try:
        embed_from = embedding_origins(os.environ.get(EMBED_FROM, ""))
    except ValueError as error:
        raise SystemExit(f"{EMBED_FROM}: {error}") from None
    return [Middleware(Door, headers=headers(embed_from))]


ROUTES = [Route("/healthz", healthz)]
