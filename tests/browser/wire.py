"""What the server sends to a page, held back: what a visitor does while a run is on its way."""

import re
import time
from collections.abc import Callable

from playwright.sync_api import Page
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from tests.browser.conftest import LONGEST


class Wire:
    """Made before the page is opened."""

    def __init__(self, page: Page):
        self.page, self.kept, self.holds = page, [], False
        page.route_web_socket(re.compile("/_stcore/stream"), self._between)

    def _between(self, socket) -> None:
        server = socket.connect_to_server()
        server.on_message(lambda message: self.kept.append(message) if self.holds else socket.send(message))
        self._send = socket.send

    def hold(self) -> None:
        self.holds = True

    def wait_for_a_run(self) -> None:
        """Until the end of one is kept."""
        wait_for_messages(self.page, lambda: any(map(ends_a_run, self.kept)))

    def send_a_run(self) -> None:
        """What is kept of one whole run, and nothing of the next."""
        finished = False
        while not finished:
            finished = ends_a_run(self.kept[0])
            self._send(self.kept.pop(0))

    def let_go(self) -> None:
        self.holds = False
        while self.kept:
            self._send(self.kept.pop(0))


def wait_for_messages(page: Page, arrived: Callable[[], bool]) -> None:
    """Until what a route is handed makes it true; an AssertionError after `LONGEST`."""
    end = time.monotonic() + LONGEST / 1000
    while not arrived():
        assert time.monotonic() < end, f"not within {LONGEST} ms"
        page.evaluate("1")  # lets messages come


def ends_a_run(message: bytes) -> bool:
    return ForwardMsg.FromString(message).HasField("script_finished")
