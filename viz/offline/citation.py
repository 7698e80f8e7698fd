"""A view described for good: what was seen, of which model and text, by which versions, and where it opens again."""

import re
from dataclasses import dataclass
from importlib import metadata

from viz.figures.svg import printable

REPOSITORY = "Regard: see where every head looks, and check every number you see"
_LIBRARIES = ("torch", "transformers")


def versions() -> dict[str, str]:
    """Of Regard and of what computes; without those that are not installed."""
    found = {}
    for name in ("regard", *_LIBRARIES):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@dataclass(frozen=True)
class Citation:
    """What is needed to see the same again."""

    what: str  # the view, in words
    text: str  # "" where it is of none
    model: str
    fingerprint: str  # of its weights
    day: str  # 2026-11-30
    link: str = ""  # where it opens

    @property
    def plain(self) -> str:
        where = f" {self.link}" if self.link else ""
        return f"{REPOSITORY}. {self._view}. {self._by}. {self.day}.{where}"

    @property
    def bibtex(self) -> str:
        fields = {
            "title": f"{{{_tex(REPOSITORY)}}}",
            "author": "{The Regard contributors}",
            "year": self.day[:4],
            "version": versions().get("regard", ""),
            "note": _tex(f"{self._view}. {self._by}"),
            "howpublished": f"\\url{{{_in_url(self.link)}}}" if self.link else "",
            "urldate": self.day,
        }
        key = re.sub(r"\W+", "", f"regard{self.day}{self.fingerprint[:6]}")
        rows = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items() if value)
        return f"@misc{{{key},\n{rows}\n}}"

    @property
    def _view(self) -> str:
        of = f" of “{printable(self.text, 200)}”" if self.text else ""
        return f"{printable(self.what, 200)}{of}, model {printable(self.model)}, weights {self.fingerprint[:16]}"

    @property
    def _by(self) -> str:
        return ", ".join(f"{name.capitalize()} {version}" for name, version in versions().items())


_TEX = {sign: f"\\{sign}" for sign in "{}%&_#$"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def _tex(text: str) -> str:
    return "".join(_TEX.get(sign, sign) for sign in text)


def _in_url(link: str) -> str:
    r"""As \url takes it: an address has none of these signs, unless a stranger made it."""
    return "".join(f"%{ord(sign):02X}" if sign in "{}\\ " else sign for sign in link)
