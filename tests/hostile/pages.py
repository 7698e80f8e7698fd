"""A page as Streamlit sends it, asked for what must never be there: tracebacks, and markup that came from outside."""

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser

from google.protobuf.message import Message
from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT
from tests.hostile.strings import ATOMS, ELSEWHERE

PAGES = sorted(path.stem for path in (ROOT / "viz/pages").glob("*.py") if path.stem != "__init__")

# what the browser shows as it is; test_in_a_browser.py looks whether it does. All other text is Markdown
TEXT = {
    *("Selectbox.options", "Selectbox.raw_value", "MultiSelect.options", "MultiSelect.raw_values"),
    *("TextArea.value", "TextArea.default", "TextArea.placeholder"),
    *("TextInput.value", "TextInput.default", "TextInput.placeholder", "PlotlyChart.alt"),
    "PageLink.query_string",  # percent-encoded, of a link to a page of ours
}
OURS = {f"BidiComponent.{kind}_content" for kind in ("js", "css", "html")}  # our own scripts
# what would be alive in Markdown, whoever wrote it: our own sentences link nowhere
_ALIVE = re.compile(r"\]\(|\]:|://|<\w|www\.\w|\w@\w|:streamlit:|:smile:|:material_|(?:^|\s)->(?:\s|$)")
_ENTITY = re.compile(r":color\[&#\d+;\]|&#\d+;")  # what viz.plain has made harmless
_ESCAPED = re.compile(r":color\[&#\d+;\]|&#(?!60;)\d+;")  # the same, which would be read there; 60 is an atom's own
_OURS_IN_PLOTLY = re.compile(r"</?(?:b|br|extra)>")


def faults(app: AppTest, *hostile: str) -> list[str]:
    """What is wrong with a page that was given `hostile` strings; nothing if all is well."""
    found = [f"traceback: {error.proto.type} {error.value}"[:300] for error in app.exception]
    found += [f"an error of the program: {error.value}"[:300] for error in app.error]
    whole = [text for text in (*ATOMS, *hostile) if not text.isalnum() and len(text) > 5]
    for name, text in strings(app):
        if name == "Html.body":
            found += [f"HTML: {fault}" for fault in _html_faults(text)]
        elif name == "PlotlyChart.spec":
            found += [f"plotly: {fault}" for fault in _plotly_faults(text)]
        elif name in ("BidiComponent.json", "MixedData.json"):  # its labels are text; what is drawn is one piece of SVG
            drawn = [leaf for leaf in _leaves(json.loads(text)) if leaf.startswith("<svg")]
            found += [f"SVG: {fault}" for leaf in drawn for fault in _html_faults(leaf)]
        elif name in OURS:
            found += [f"{name}: {ELSEWHERE}"] * (ELSEWHERE in text)
        elif name in TEXT:
            found += [f"{name}: {escaped!r} in {text[:200]!r}" for escaped in _ESCAPED.findall(text)]
        elif not name.endswith((".id", "element_id", "form_id")):
            found += [f"{name}: {alive!r} in {text[:200]!r}" for alive in _alive_in(text, whole)]
    return found


def _alive_in(markdown: str, whole: list[str]) -> list[str]:
    found = [each for each in whole if each in markdown and _marks(each)]
    alive = _ALIVE.search(re.sub(r"`[^`]*`", "·", _ENTITY.sub("·", markdown)))  # what stands in code is text
    return [*found, alive[0]] if alive else found


def strings(app: AppTest) -> Iterator[tuple[str, str]]:
    """Every text that a page sends, with the message and field it is in."""
    for node in app._tree:
        if isinstance(proto := getattr(node, "proto", None), Message):
            yield from _strings(proto)


def _strings(message: Message) -> Iterator[tuple[str, str]]:
    for field, value in message.ListFields():
        name = f"{message.DESCRIPTOR.name}.{field.name}"
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            value = list(value.values())
        for each in value if isinstance(value, list) or field.is_repeated else [value]:
            if isinstance(each, str):
                yield name, each
            elif isinstance(each, Message):
                yield from _strings(each)


def _marks(text: str) -> bool:
    """Whether Markdown could read anything in a text."""
    return re.search(r"[\\`*_{}\[\]<>|~$&#]", text) is not None


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []
        self._style = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._style = tag == "style"
        if tag in ("a", "script", "iframe", "object", "embed", "link", "meta", "base", "form", "image", "video"):
            self.faults.append(f"<{tag}>")
        for name, value in attributes:
            shown = name in ("aria-label", "title", "alt")
            if name.startswith("on") or (ELSEWHERE in (value or "") and not shown):
                self.faults.append(f"<{tag} {name}={value!r}>")

    def handle_data(self, data: str) -> None:
        if self._style and ELSEWHERE in data:
            self.faults.append(f"in a style: {data[:100]!r}")

    def handle_endtag(self, tag: str) -> None:
        self._style = False


def _html_faults(body: str) -> list[str]:
    tags = _Tags()
    tags.feed(body)
    return tags.faults


def _plotly_faults(spec: str) -> list[str]:
    drawn = json.loads(spec)
    drawn["layout"].pop("meta", None)  # what plotly does not draw: components/corners.js takes it along as text
    return [text[:200] for text in _leaves(drawn) if re.search(r"<[/\w]", _OURS_IN_PLOTLY.sub("", text))]


def _leaves(node: object) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for child in node.values():
            yield from _leaves(child)
    elif isinstance(node, list):
        for child in node:
            yield from _leaves(child)
