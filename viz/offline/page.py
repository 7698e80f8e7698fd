"""One HTML file that needs nothing else: components with their scripts as they are, their data, no way out.

A Content-Security-Policy allows no request at all, and only the scripts that are written here, by their hashes. Data is
JSON in which no `<` is left; numbers, and the scripts as they are, are compressed, which makes them a third.
"""

import base64
import hashlib
import html
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from viz.figures import theme
from viz.offline.source import Columns, Source
from viz.plain import visible

HERE = Path(__file__).parent
TYPES = ("uint8", "uint16", "float32")  # that host.js reads
_FONT = "system-ui, 'Noto Sans', 'Noto Sans CJK SC', sans-serif"


def page(title: str, body: str, data: Any, sources: Sequence[Source], script: str) -> str:
    """The file. `body` is HTML; `data` as components take it, with `Columns` anywhere in it, reaches `script` as
    `await regard.read()`. ValueError for a style or a script that would end before its end.
    """
    packed, numbers = pack(data)
    loader, program = _script("loader.js"), "\n".join([_script("host.js"), *map(_component, sources), script])
    style = f"{_variables()}\n{(HERE / 'report.css').read_text(encoding='utf-8')}"
    for text, ends in ((loader, "</script"), (style, "</style")):
        if ends in text.lower() or "<!--" in text:
            raise ValueError(f"a text in which {ends} would end it too soon")
    policy = (
        f"default-src 'none'; script-src {_hash(loader)} {_hash(program)}; style-src 'unsafe-inline'; img-src data:"
    )
    failed = "The pictures cannot be drawn by this browser: it is older than 2023, or its settings forbid scripts."
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}; base-uri 'none'; form-action 'none'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{html.escape(visible(title))}</title><style>{style}</style></head>\n"
        f'<body><p id="regard-failed" role="alert" hidden>{failed}</p><noscript><p>{failed}</p></noscript>\n{body}\n'
        f'<script type="application/json" id="regard-data">{packed}</script>\n'
        f'<script type="text/plain" id="regard-numbers">{numbers}</script>\n'
        f'<script type="text/plain" id="regard-script">{_packed(program.encode())}</script>\n'
        f"<script>{loader}</script>\n</body></html>\n"
    )


def pack(data: Any) -> tuple[str, str]:
    """Data as JSON that can stand in a script, and its numbers, compressed, in base64.

    Of each array the first bytes of all numbers come first, then all second ones: so they are alike, and a quarter
    smaller. ValueError for a type that no script reads.
    """
    arrays: list[tuple[str, int]] = []
    numbers = bytearray()

    def plain(value: Any) -> Any:
        if isinstance(value, Columns):
            return {"$columns": {name: column(array) for name, array in value.items()}}
        if isinstance(value, dict):
            return {name: plain(each) for name, each in value.items()}
        return [plain(each) for each in value] if isinstance(value, list | tuple) else value

    def column(array: np.ndarray) -> int:
        flat = np.ascontiguousarray(array).ravel()
        if flat.dtype.name not in TYPES:
            raise ValueError(f"a column of {flat.dtype}: scripts read {', '.join(TYPES)}")
        raw = flat.astype(flat.dtype.newbyteorder("<"), copy=False).view(np.uint8)
        numbers.extend(raw.reshape(-1, flat.itemsize).T.tobytes())
        arrays.append((flat.dtype.name, flat.size))
        return len(arrays) - 1

    said = {"page": plain(data), "arrays": arrays}
    return as_json(said), _packed(bytes(numbers))


def as_json(value: Any) -> str:
    """JSON in ASCII, without any sign that means something to HTML."""
    made = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        made = made.replace(sign, f"\\u{ord(sign):04x}")
    return made


def _packed(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content, 9)).decode()


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _component(source: Source) -> str:
    about = as_json({"html": source.html, "css": source.css})
    return f'regard.define("{source.name}", {{ ...{about}, shown: {wrapped(source)} }});'


def wrapped(source: Source) -> str:
    """A component's function as an expression, in a scope of its own. Its files are modules with one export; ValueError
    where they have another number of them.
    """
    js, export = source.js, "export default function"
    if js.count(export) != 1:
        raise ValueError(f"{source.name} has {js.count(export)} exports, expected one")
    return f'(() => {{\n"use strict";\n{js.replace(export, "const shown = function", 1)}\nreturn shown;\n}})()'


def _script(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _variables() -> str:
    """What Streamlit gives components: light; dark where the reader's machine is, or the switch; light on paper."""
    light, dark = variables("light"), variables("dark")
    return (
        f":root{{--regard-accent:{theme.ACCENT};{light}}}\n"
        f"@media screen and (prefers-color-scheme: dark){{:root:not([data-theme=light]){{{dark}}}}}\n"
        f"@media screen{{:root[data-theme=dark]{{{dark}}}}}"
    )


def variables(kind: str) -> str:
    """As CSS, of "light" or "dark"."""
    background, text = theme.PAGE[kind]
    values = {
        "background-color": background,
        "text-color": text,
        "secondary-background-color": theme.SECONDARY[kind],
        "primary-color": theme.PRIMARY[kind],
        "link-color": theme.PRIMARY[kind],
        "border-color": theme.BORDER[kind],
        "chart-sequential-colors": ",".join(theme.SEQUENTIAL[kind]),
        "chart-categorical-colors": ",".join(theme.CATEGORICAL[kind]),
        "font": _FONT,
        "heading-font": _FONT,
        "code-font": theme.MONOSPACE,
    }
    return f"color-scheme:{kind};" + ";".join(f"--st-{name}:{value}" for name, value in values.items())
