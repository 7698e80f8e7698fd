"""Pictures of attention for paper and slides, as SVG: light, text as text, a caption that says what they are of.

Up to `MOST_CELLS` cells are shapes, beyond that the pixels of an image within the SVG. Letters: Q rows look, K columns
are looked at.
"""

import base64
import io
import itertools
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from PIL import Image

from viz.figures import theme
from viz.figures.axes import cut
from viz.figures.heads import head_name
from viz.figures.labels import name_size
from viz.figures.scale import weights_as_bytes

MOST_CELLS = 128 * 128
_MOST_SIDE = 1024  # cells of one map; of more tokens each cell is the largest weight of several
_PAPER, _INK = theme.PAGE["light"]
_SIZE, _LINE, _MARGIN = 12, 17, 16  # px: letters, from line to line, around all
_SMALL = 11  # px: letters of tokens
_TILE, _GAP = 96, 8  # px: one head among several
_SANS = "system-ui, 'Noto Sans', 'Noto Sans CJK SC', sans-serif"


def _table() -> np.ndarray:
    """(256, 3) of uint8: the light theme's sequential colours, the others between them."""
    stops = np.array([[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in theme.SEQUENTIAL["light"]], float)
    place = np.linspace(0, len(stops) - 1, 256)
    return np.stack([np.interp(place, np.arange(len(stops)), part) for part in stops.T], 1).round().astype(np.uint8)


COLOURS = _table()


def heatmap_svg(
    weights: np.ndarray, labels: Sequence[str], key_labels: Sequence[str], caption: Sequence[str], title: str
) -> str:
    """Weights (Q, K) of one head; point at a cell to read its number with all the digits that it has in single
    precision. A weight of 0 has no cell of its own. `caption`: its lines; `title`: for who cannot see it.
    """
    step = -(-max(weights.shape) // _MOST_SIDE)
    cells = _largest(weights, step)
    (n_query, n_key), cell = cells.shape, float(np.clip(900 // max(cells.shape), 2, 22))
    sides = [max(name_size(cut(label), _SMALL)[0] for label in side) for side in (labels, key_labels)]
    left, top = _MARGIN + sides[0] + 24, _MARGIN + sides[1] + 24
    right, bottom = left + n_key * cell, top + n_query * cell
    made = [
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{n_key * cell:.1f}" height="{n_query * cell:.1f}" '
        f'fill="{_hex(0)}"/>'
    ]
    levels = (cells * np.float32(255)).round().clip(0, 255).astype(np.uint8)
    if (cells > 0).sum() > MOST_CELLS or step > 1:
        made.append(_pixels(levels, left, top, n_key * cell, n_query * cell))
    else:
        made.append(f'<g shape-rendering="crispEdges" transform="translate({left:.1f} {top:.1f}) scale({cell:g})">')
        for query, key in np.argwhere(cells > 0):
            told = f"query {query} {labels[query]} → key {key} {key_labels[key]}: {digits(cells[query, key])}"
            made.append(
                f'<rect x="{key}" y="{query}" width="1" height="1" fill="{_hex(levels[query, key])}">'
                f"<title>{escape(told)}</title></rect>"
            )
        made.append("</g>")
    some = max(1, int(np.ceil(_SMALL / cell)))  # from one name to the next
    made.append(f'<g font-family="{theme.MONOSPACE}" font-size="{_SMALL}" xml:space="preserve">')
    for i in range(0, n_query, some):
        y = top + (i + 0.5) * cell + 4
        made.append(f'<text x="{left - 6:.1f}" y="{y:.1f}" text-anchor="end">{escape(cut(labels[i * step]))}</text>')
    for i in range(0, n_key, some):
        at = f"translate({left + (i + 0.5) * cell + 4:.1f} {top - 6:.1f}) rotate(-90)"
        made.append(f'<text transform="{at}">{escape(cut(key_labels[i * step]))}</text>')
    made.append("</g>")
    made.append(
        f'<text transform="translate({_MARGIN + 4:.1f} {bottom:.1f}) rotate(-90)">query: the token that looks</text>'
    )
    made.append(f'<text x="{left:.1f}" y="{_MARGIN + 4:.1f}">key: the token looked at</text>')
    made.append(_colour_bar(right + 20, top, "weight", [0, 0.5, 1]))
    note = [f"Each cell is the largest weight of {step} × {step}."] * (step > 1)
    return _sheet(made, max(right + 90, top + 150), max(bottom, top + 130), [*note, *caption], title)


def heads_svg(
    maps: Mapping[tuple[int, int], np.ndarray], caption: Sequence[str], title: str, of_pooled: str = ""
) -> str:
    """Maps (Q, K) of several heads, as tiles of layers by heads; small weights are drawn stronger, as on the page.

    `of_pooled`: what a cell is, where it is not one weight.
    """
    layers, heads = (sorted({place[i] for place in maps}) for i in (0, 1))
    left, top = _MARGIN + 62, _MARGIN + 20
    n_cell = sum(int((weights > 0).sum()) for weights in maps.values())
    made = [
        f'<text x="{left + j * (_TILE + _GAP) + _TILE / 2:.1f}" y="{top - 7}" text-anchor="middle">head {head}</text>'
        for j, head in enumerate(heads)
    ]
    for i, layer in enumerate(layers):
        y = top + i * (_TILE + _GAP)
        made.append(f'<text x="{left - 8}" y="{y + _TILE / 2 + 4:.1f}" text-anchor="end">layer {layer}</text>')
        for j, head in enumerate(heads):
            if (weights := maps.get((layer, head))) is None:
                continue
            x = left + j * (_TILE + _GAP)
            levels = weights_as_bytes(weights)
            told = f"{head_name(layer, head)}: the largest weight is {digits(np.float32(weights.max()))}"
            made.append(f'<g id="head-{layer}-{head}"><title>{escape(told)}</title>')
            made.append(f'<rect x="{x}" y="{y}" width="{_TILE}" height="{_TILE}" fill="{_hex(0)}"/>')
            made.append(_pixels(levels, x, y, _TILE, _TILE) if n_cell > MOST_CELLS else _shapes(levels, x, y, _TILE))
            made.append("</g>")
    right, bottom = left + len(heads) * (_TILE + _GAP), top + len(layers) * (_TILE + _GAP)
    made.append(_colour_bar(right + 8, top, "weight", [0, 0.03, 0.2, 0.5, 1], root=True))
    return _sheet(made, right + 80, max(bottom, top + 130), [*[of_pooled] * bool(of_pooled), *caption], title)


def digits(weight: np.float32) -> str:
    """As few as give the same number in single precision again."""
    return np.format_float_positional(np.float32(weight), unique=True, trim="0")


def printable(text: str, most: int = 90) -> str:
    """A text on one line, cut, with nothing in it that XML cannot hold."""
    line = " ".join(text.split())
    line = line if len(line) <= most else line[: most - 1] + "…"
    return "".join(sign if sign.isprintable() else "�" for sign in line)


def _largest(weights: np.ndarray, step: int) -> np.ndarray:
    if step == 1:
        return weights
    rows, columns = (np.arange(0, n, step) for n in weights.shape)
    return np.maximum.reduceat(np.maximum.reduceat(weights, rows, axis=0), columns, axis=1)


def _hex(level: int) -> str:
    return "#" + bytes(COLOURS[level]).hex()


def _shapes(levels: np.ndarray, x: float, y: float, size: float) -> str:
    """One path for each colour: runs of cells of one row."""
    rows, columns = levels.shape
    runs: dict[int, list[str]] = {}
    for i, row in enumerate(levels):
        edges = np.flatnonzero(np.diff(row, prepend=-1, append=256))
        for start, end in itertools.pairwise(edges):
            if level := int(row[start]):
                runs.setdefault(level, []).append(f"M{start} {i}h{end - start}v1h-{end - start}z")
    paths = "".join(f'<path fill="{_hex(level)}" data-level="{level}" d="{"".join(d)}"/>' for level, d in runs.items())
    at = f"translate({x:g} {y:g}) scale({size / columns:.5g} {size / rows:.5g})"
    return f'<g shape-rendering="crispEdges" transform="{at}">{paths}</g>'


def _pixels(levels: np.ndarray, x: float, y: float, width: float, height: float) -> str:
    file = io.BytesIO()
    Image.fromarray(COLOURS[levels]).save(file, "PNG")
    return (
        f'<image x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" preserveAspectRatio="none" '
        f'style="image-rendering:pixelated" href="data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"/>'
    )


def _colour_bar(x: float, y: float, title: str, marks: Sequence[float], *, root: bool = False) -> str:
    stops = "".join(
        f'<stop offset="{i / 9:.4f}" stop-color="{stop}"/>' for i, stop in enumerate(theme.SEQUENTIAL["light"])
    )
    ticks = "".join(
        f'<text x="{x + 18:.1f}" y="{y + 118 - 100 * (mark**0.5 if root else mark):.1f}">{mark:g}</text>'
        for mark in marks
    )
    return (
        f'<defs><linearGradient id="colours" x1="0" y1="1" x2="0" y2="0">{stops}</linearGradient></defs>'
        f'<text x="{x:.1f}" y="{y + 4:.1f}">{title}</text>'
        f'<rect x="{x:.1f}" y="{y + 14:.1f}" width="12" height="100" fill="url(#colours)" stroke="{theme.NEUTRAL}" '
        f'stroke-width=".5"/>{ticks}'
    )


def _sheet(made: Sequence[str], width: float, bottom: float, caption: Sequence[str], title: str) -> str:
    width = max(width, *(_MARGIN * 2 + name_size(line, _SIZE)[0] * 0.95 for line in caption))
    height = bottom + _LINE * (len(caption) + 1) + _MARGIN
    lines = "".join(
        f'<text x="{_MARGIN}" y="{bottom + _LINE * (i + 2):.1f}">{escape(line)}</text>'
        for i, line in enumerate(caption)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label={quoteattr(title)} width="{width:.0f}" '
        f'height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" font-family="{_SANS}" font-size="{_SIZE}" '
        f'fill="{_INK}"><title>{escape(title)}</title><rect width="100%" height="100%" fill="{_PAPER}"/>'
        f'{"".join(made)}<g class="caption">{lines}</g></svg>\n'
    )
