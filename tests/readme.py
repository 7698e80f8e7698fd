"""The parts of the README that a command writes, each between <!-- its name --> and <!-- /its name -->."""

import re
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def part(name: str) -> str:
    """What stands there now. SystemExit if the README has no such part."""
    return _place(name, README.read_text(encoding="utf-8"))[2]


def write(name: str, text: str) -> None:
    readme = README.read_text(encoding="utf-8")
    place = _place(name, readme)
    README.write_text(readme[: place.start(2)] + text + readme[place.end(2) :], encoding="utf-8")


def _place(name: str, readme: str) -> re.Match:
    found = re.search(rf"(<!-- {name} -->\n)(.*)(<!-- /{name} -->)", readme, re.DOTALL)
    if not found:
        raise SystemExit(f"README.md has no <!-- {name} --> … <!-- /{name} --> to write into")
    return found
