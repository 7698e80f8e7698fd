"""A sheet to draw on: boxes, words, lines with arrows, pluses, as SVG text.

y grows downwards in SVG, so a drawing from the bottom up counts down from 0.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

RADIUS = 10  # of a plus


@dataclass
class Sheet:
    """SVG under construction; lines lie below all boxes."""

    colours: Sequence[str]
    lines: list[str] = field(default_factory=list)
    shapes: list[str] = field(default_factory=list)

    def box(self, x, y, width, height, colour="currentColor", *, fill=0.13, dashed=False, radius=7) -> None:
        # an opaque ground, so that no line shines through
        self.shapes.append(
            f'<rect class="ground" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}"/>'
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}" fill="{colour}" '
            f'fill-opacity="{fill:g}" stroke="{colour}" stroke-opacity="0.75" stroke-width="1.3"'
            + (' stroke-dasharray="5 4"' if dashed else "")
            + "/>"
        )

    def text(self, x, y, text, *, size=12, anchor="middle", weight=400, opacity=1.0, turn=0) -> None:
        turned = f' transform="rotate({turn} {x:g} {y:g})"' if turn else ""
        self.shapes.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" text-anchor="{anchor}" font-weight="{weight}" '
            f'fill="currentColor" opacity="{opacity:g}"{turned}>{html.escape(str(text))}</text>'
        )

    def line(self, *points, colour="currentColor", width=1.4, opacity=0.7, arrow=False, dashed=False) -> None:
        way = " ".join(f"{x:g},{y:g}" for x, y in points)
        self.lines.append(
            f'<polyline points="{way}" fill="none" stroke="{colour}" stroke-width="{width:g}" '
            f'stroke-opacity="{opacity:g}" stroke-linejoin="round"'
            + (' stroke-dasharray="3 4"' if dashed else "")
            + "/>"
        )
        if arrow:
            (x0, y0), (x, y) = points[-2:]
            dx, dy = np.sign(x - x0), np.sign(y - y0)  # lines run along an axis
            corners = ((x, y), *((x - 7 * dx - e * dy, y - 7 * dy - e * dx) for e in (4.2, -4.2)))
            tip = " ".join(f"{px:g},{py:g}" for px, py in corners)
            self.lines.append(f'<polygon points="{tip}" fill="{colour}" fill-opacity="{max(opacity, 0.8):g}"/>')

    def plus(self, x, y, colour="currentColor", sign="+") -> None:
        self.shapes.append(
            f'<circle class="ground" cx="{x:g}" cy="{y:g}" r="{RADIUS}"/><circle cx="{x:g}" cy="{y:g}" r="{RADIUS}" '
            f'fill="{colour}" fill-opacity="0.12" stroke="{colour}" stroke-width="1.5"/>'
        )
        arm = 5 if sign == "+" else 3.5
        ways = ((arm, 0), (0, arm)) if sign == "+" else ((arm, arm), (arm, -arm))
        for dx, dy in ways:
            self.shapes.append(
                f'<line x1="{x - dx:g}" y1="{y - dy:g}" x2="{x + dx:g}" y2="{y + dy:g}" stroke="currentColor" '
                'stroke-width="1.6"/>'
            )
