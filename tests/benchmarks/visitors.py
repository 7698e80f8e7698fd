"""Many visitors of the attention page at once, each changing the layer or the text every two seconds.

A visitor is a plain websocket client that speaks Streamlit's protocol, without a browser: what is measured is the
server's share of a rerun, from the message sent to the message that the script has finished. All of it stays on
127.0.0.1.
"""

import argparse
import asyncio
import itertools
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import numpy as np
import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Common_pb2 import DoubleArray, StringArray
from streamlit.proto.Delta_pb2 import Delta
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState

from tests.benchmarks.browser import served
from tests.benchmarks.timing import Measured, NotMeasurable, at_most

CROWDS = (25, 1), (50, 1), (50, 2)  # visitors, servers
PAUSE, SECONDS = 2.0, 15.0
STREAM = "/_stcore/stream"
N_LAYER = 6  # of the shipped model
TARGET = 0.25  # seconds, 95 of 100 reruns
NOUNS = [
    "cat",
    "dog",
    "king",
    "girl",
    "boat",
    "moon",
    "bird",
    "tree",
    "house",
    "river",
    "fox",
    "bear",
    "child",
    "horse",
]
VERBS = ["saw", "found", "followed", "liked", "lost", "met", "chased", "heard"]
TEXTS = [f"The {a} {verb} the {b} because the {a} was tired." for a in NOUNS for verb in VERBS for b in NOUNS if a != b]


def measure(args: argparse.Namespace) -> Iterator[Measured]:
    seconds = 5.0 if args.quick else SECONDS
    for n_visitor, n_server in [(3, 1)] if args.quick else CROWDS:
        with ExitStack() as servers:
            addresses = [servers.enter_context(served()).replace("http", "ws") + STREAM for _ in range(n_server)]
            asyncio.run(crowd(addresses, n_server, 3.0))  # the model is loaded by whoever comes first
            reruns = asyncio.run(crowd(addresses, n_visitor, seconds))
        what = f"visitors: {n_visitor} at once, {n_server} server{'s' * (n_server > 1)}"
        for kind in ("layer", "text"):
            times = [rerun for name, rerun in reruns if name == kind]
            if times:
                half, most = np.percentile(times, [50, 95])
                yield Measured(f"{what}: a new {kind}", f"p50 {half:.3f} s, p95 {most:.3f} s of {len(times)}")
        half, most = np.percentile([rerun for _, rerun in reruns], [50, 95])
        yield at_most(f"{what}: p95 of a rerun", most, TARGET, " s", f"p50 {half:.3f} s, {len(reruns)} reruns")


async def crowd(addresses: Sequence[str], n_visitor: int, seconds: float) -> list[tuple[str, float]]:
    """What each of so many changed, and the seconds until it had its answer."""
    texts = iter(random.Random(n_visitor).sample(TEXTS, len(TEXTS)))  # a text that nobody read before is a new forward
    opened = asyncio.Barrier(n_visitor)
    visits = (
        _visit(addresses[seed % len(addresses)], opened, seed, texts, seconds)  # a visitor stays with one server
        for seed in range(n_visitor)
    )
    return list(itertools.chain(*await asyncio.gather(*visits)))


async def _visit(
    address: str, opened: asyncio.Barrier, seed: int, texts: Iterator[str], seconds: float
) -> list[tuple[str, float]]:
    """What one visitor changed, and the seconds until the page had answered."""
    rng, reruns = random.Random(seed), []
    async with websockets.connect(address, subprotocols=["streamlit"], max_size=None) as socket:
        visitor = Visitor(socket)
        await visitor.open("attention")
        await opened.wait()
        began = time.perf_counter()
        await asyncio.sleep(rng.random() * PAUSE)
        while time.perf_counter() - began < seconds:
            kind = rng.choice(["layer", "layer", "text"])
            value = rng.randrange(N_LAYER) if kind == "layer" else next(texts)
            reruns.append((kind, await visitor.change(kind, value)))
            await asyncio.sleep(max(0.0, rng.uniform(0.75, 1.25) * PAUSE - reruns[-1][1]))
    return reruns


class Visitor:
    """One session, as the browser would hold it: the widgets it was shown, with what they are set to."""

    def __init__(self, socket: websockets.ClientConnection):
        self._socket = socket
        self._page = ""  # the hash of the page's script
        self._states: dict[str, WidgetState] = {}  # by the widget's key; like the browser, all are sent every time
        self._fragment: dict[str, str] = {}  # the fragment that a widget stands in, and that it runs
        self._buttons: dict[str, tuple[str, str]] = {}  # by its key: the button, and the fragment that it stands in
        self.said: list[str] = []  # in the last run, as Markdown
        self.labels: dict[str, str] = {}  # of the buttons in the last run, by their keys
        self.html: list[tuple[float, str]] = []  # what was drawn as such, and when, if it is not what was there before
        self.clock: tuple[float, str] | None = None  # every how many seconds which fragment is to run again

    async def open(self, page_name: str, query: str = "") -> None:
        message = BackMsg()
        message.rerun_script.page_name = page_name
        message.rerun_script.query_string = query
        await self._run(message)

    async def change(self, key: str, value: int | str) -> float:
        """Set a slider or a text; the seconds until the script has finished."""
        self._states[key] = state_of(self._states[key].id, value if isinstance(value, str) else [value])
        message = BackMsg()
        message.rerun_script.page_script_hash = self._page
        message.rerun_script.fragment_id = self._fragment[key]
        message.rerun_script.widget_states.widgets.extend(self._states.values())
        return await self._run(message)

    async def press(self, key: str) -> float:
        """A button; the seconds until the script has finished."""
        button, fragment = self._buttons[key]
        pressed = WidgetState(id=button, trigger_value=True)
        return await self._again(fragment, pressed)

    async def tick(self) -> float:
        """What a fragment with a clock asks of the browser. It is to have one."""
        seconds, fragment = self.clock
        await asyncio.sleep(seconds)
        return await self._again(fragment)

    async def _again(self, fragment: str, *pressed: WidgetState) -> float:
        message = BackMsg()
        message.rerun_script.page_script_hash = self._page
        message.rerun_script.fragment_id = fragment
        message.rerun_script.is_auto_rerun = not pressed
        message.rerun_script.widget_states.widgets.extend([*self._states.values(), *pressed])
        return await self._run(message)

    async def _run(self, message: BackMsg) -> float:
        self.said.clear()
        self.labels.clear()
        began = time.perf_counter()
        await self._socket.send(message.SerializeToString())
        async for raw in self._socket:
            answer = ForwardMsg.FromString(raw)
            match answer.WhichOneof("type"):
                case "navigation":
                    self._page = answer.navigation.page_script_hash
                    self.clock = None  # the whole page runs, and sets its clocks anew
                case "auto_rerun":
                    self.clock = answer.auto_rerun.interval, answer.auto_rerun.fragment_id
                case "delta":
                    self._look_at(answer.delta)
                case "script_finished":
                    if answer.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                        return time.perf_counter() - began
        raise NotMeasurable("the server closed the connection")

    def _look_at(self, delta: Delta) -> None:
        kind = delta.new_element.WhichOneof("type")
        element = getattr(delta.new_element, kind) if kind else None
        if kind == "exception":
            raise NotMeasurable(f"the page raised {element.type}: {element.message}")
        if kind == "markdown":
            self.said.append(element.body)
        if kind == "html" and (not self.html or self.html[-1][1] != element.body):
            self.html.append((time.perf_counter(), element.body))
        if kind == "button":
            key = element.id.rsplit("-", 1)[-1]
            self._buttons[key], self.labels[key] = (element.id, delta.fragment_id), element.label
        value = shown_value(kind, element)
        if value is None:
            return
        key = element.id.rsplit("-", 1)[-1]
        if key not in self._states or self._states[key].id != element.id or element.set_value:
            self._states[key] = state_of(element.id, value)
        self._fragment[key] = delta.fragment_id


def shown_value(kind: str | None, element) -> str | bool | list | None:
    """What a widget shows when the server draws it; None for what is no widget, or has no value."""
    match kind:
        case "slider":
            return list(element.value if element.set_value else element.default)
        case "text_area" | "checkbox":
            return element.value if element.set_value else element.default
        case "selectbox":
            chosen = element.options[element.default] if element.HasField("default") else None
            return element.raw_value if element.set_value else chosen
        case "button_group":
            chosen = [element.options[i].content for i in element.default]
            return list(element.raw_values) if element.set_value else chosen
    return None


def state_of(widget: str, value: str | bool | list) -> WidgetState:
    match value:
        case bool():
            return WidgetState(id=widget, bool_value=value)
        case str():
            return WidgetState(id=widget, string_value=value)
        case [str(), *_]:
            return WidgetState(id=widget, string_array_value=StringArray(data=value))
        case _:
            return WidgetState(id=widget, double_array_value=DoubleArray(data=value))
