"""Pictures that a browser drew, for a report: kept is what draws; nothing that runs, leads away or is fetched."""

import re
from dataclasses import dataclass
from xml.etree import ElementTree

SVG, XLINK, XML = (f"http://www.w3.org/{name}" for name in ("2000/svg", "1999/xlink", "XML/1998/namespace"))
_DRAWS = frozenset(
    f"{{{SVG}}}{name}"
    for name in "svg g defs path rect circle ellipse line polyline polygon text tspan title clipPath linearGradient "
    "stop image".split()
)
_LINK = re.compile(r"#[\w-]+|data:image/png;base64,[A-Za-z0-9+/=\s]*")  # to a part of itself, or what is in it
_ELSEWHERE = re.compile(r"url\(\s*(?![\s\"']*#)|image-set|@import|expression", re.IGNORECASE)


@dataclass(frozen=True)
class Drawing:
    """One picture: what it shows, what it is of beyond what its view is of, and its SVG."""

    title: str
    own: str
    svg: str


def cleaned(svg: str) -> str:
    """An SVG with only what draws in it. ValueError if it is none."""
    if "<!" in svg:  # no picture of ours declares anything
        raise ValueError("an SVG with a declaration")
    try:
        root = ElementTree.fromstring(svg)
        if root.tag != f"{{{SVG}}}svg":
            raise ValueError(f"{root.tag} is no SVG")
        return ElementTree.tostring(_kept(root), encoding="unicode")
    except (ElementTree.ParseError, RecursionError) as error:
        raise ValueError(f"no SVG: {error}") from error


def _kept(element: ElementTree.Element) -> ElementTree.Element:
    name = element.tag.removeprefix(f"{{{SVG}}}")
    made = ElementTree.Element(name, ({"xmlns": SVG} if name == "svg" else {}) | _harmless(element))
    made.text, made.tail = element.text, element.tail
    made.extend([_kept(each) for each in element if each.tag in _DRAWS])
    return made


def _harmless(element: ElementTree.Element) -> dict[str, str]:
    made = {}
    for name, value in element.attrib.items():
        name = "href" if name == f"{{{XLINK}}}href" else name.replace(f"{{{XML}}}", "xml:")
        if "{" in name or name.startswith("on") or _ELSEWHERE.search(value):
            continue
        if name != "href" or _LINK.fullmatch(value):
            made[name] = value
    return made
