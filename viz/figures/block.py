"""One block of a transformer and what is below and above it, as a drawing.

It is SVG text: it stands by itself as a file, and follows the page's text colour where it is shown in one. Everything
that a configuration says is escaped before it gets there.
"""

import html
from dataclasses import dataclass

import numpy as np

from model.architecture import UNKNOWN, Architecture, Stack
from viz.figures import theme
from viz.figures.architecture import NONE, PART_COLOUR, drawing_words, shown
from viz.figures.sheet import RADIUS, Sheet
from viz.figures.sublayers import KEYS, attention, mlp

_ADDED = ("learned", "sinusoidal")  # to the token vectors; the others work within attention
_FOOT = -50.0  # y of the top of the token vectors, where the spine begins
_GAP = 16  # between one thing and the next on the way up
_NORM = (92, 26)  # width, height
_BOX = (64, 380)  # where a sublayer's box begins and ends, from the spine
_EDGE = (-58, 396)  # the same of the frame and the head
_ONE = 490  # the width of one column


def legend(architecture: Architecture) -> str:
    both = "attention reads it and adds" if architecture.mlp == NONE else "attention and MLP read it and add"
    found = "it finds" if architecture.mlp == NONE else "they find"
    return (
        f"Read it from the bottom up: each token's vector travels up the thick line, the residual stream; {both} (⊕) "
        f"what {found}. Amber marks where positions come in."
    )


def block_drawing(architecture: Architecture, mode: str = "light", *, alone: bool = False) -> str:
    """One block of this model and what is below and above it, as an SVG element; `mode` is light or dark.

    Within a page it takes the page's font and colours; `alone`, as a file, it names its own.
    """
    a, sheet = architecture, Sheet(theme.CATEGORICAL[mode])
    if a.norm == "parallel":
        top, width = _draw_stack(sheet, a, a.stacks[0], spine=238), 572
    elif len(a.stacks) == 1:
        top, width = _draw_stack(sheet, a, a.stacks[0], spine=76), _ONE
    else:
        gutter, width = 60, 2 * _ONE + 60
        read = _draw_stack(sheet, a, a.stacks[0], spine=76, head=False)
        way = (76, read, _ONE + gutter / 2)
        top = min(_draw_stack(sheet, a, a.stacks[1], spine=width - 76, side=-1, other=way), read - 30)
    top, bottom = top - 12, 30
    words = html.escape(drawing_words(a), quote=True)
    ground, ink = theme.PAGE[mode]
    if alone:
        style, font = "", "'Source Sans 3', 'Source Sans Pro', Arial, sans-serif"
        size = f' width="{1.5 * width:g}" height="{1.5 * (bottom - top):g}"'
        sheet.lines.insert(0, f'<rect class="ground" y="{top:g}" x="0" width="{width:g}" height="{bottom - top:g}"/>')
    else:
        least = 320 if width < 500 else 0.7 * width  # narrower, and its words could not be read
        style = f"width:100%;min-width:{least:g}px;max-width:{1.25 * width:g}px;height:auto;display:block;margin:0 auto"
        ground, ink = f"var(--st-background-color, {ground})", f"var(--st-text-color, {ink})"
        font, size = "var(--st-font, sans-serif)", ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 {top:g} {width:g} {bottom - top:g}"{size} role="img" '
        f'aria-label="{words}" style="color:{ink};font-family:{font};{style}">'
        f"<style>.ground{{fill:{ground}}}</style>{''.join(sheet.lines)}{''.join(sheet.shapes)}</svg>"
    )


@dataclass(frozen=True)
class _Column:
    """Where a stack is drawn: around its spine, with its boxes to the right of it (side 1) or to the left (-1)."""

    spine: float
    side: int
    edge: tuple[float, float]  # where its frame and its head begin and end, from the spine

    def span(self, start: float, end: float) -> tuple[float, float]:
        """Left edge and width of what lies between two distances from the spine."""
        return (self.spine + start if self.side > 0 else self.spine - end), end - start


def _draw_stack(
    sheet: Sheet,
    a: Architecture,
    stack: Stack,
    *,
    spine: float,
    side: int = 1,
    head: bool = True,
    other: tuple[float, float, float] | None = None,
) -> float:
    """One column, its boxes on one `side` of its spine; returns the y of its top.

    `other` is where the other stack's result is: its x and y, and the x of the gutter it comes down in.
    """
    column = _Column(spine, side, (-220, 316) if a.norm == "parallel" else _EDGE)
    y = _vectors(sheet, a, stack, column)
    y = _block(sheet, a, stack, column, y, other)
    if a.final_norm:
        y = _norm(sheet, a, spine, y - 6)
    if head:
        return _head(sheet, a, column, y - 20)
    sheet.line((spine, _FOOT), (spine, y - 22), width=3.2, opacity=0.5)
    return y - 22


def _vectors(sheet: Sheet, a: Architecture, stack: Stack, column: _Column) -> float:
    """Below the blocks: token vectors, and position vectors if those are added; returns where the blocks begin."""
    spine = column.spine
    sheet.text(spine, 22, stack.reads, size=13, weight=600)
    sheet.line((spine, 8), (spine, -2), arrow=True)
    y = _FOOT
    x, width = column.span(-58, 126) if a.norm != "parallel" else column.span(-110, 110)
    kind = {"tokens": "Token vectors", "patches": "Patch vectors", "audio": "Sound vectors"}[stack.reads]
    size = (
        f"{shown(a.n_vocab)} × {shown(a.d_embedding)}"
        if stack.reads == "tokens"
        else f"{shown(a.d_model)} numbers each"
    )
    if stack.reads == "tokens" and a.d_embedding != a.d_model:
        size += f" → {shown(a.d_model)}"
    _labelled(sheet, x, y, width, kind, size, sheet.colours[PART_COLOUR["embeddings"]])
    px, pwidth = column.span(150, _EDGE[1])
    if added := [p for p in stack.positions if p in _ADDED]:
        table = "" if stack.n_context is None else f", {shown(stack.n_context)} × {shown(a.d_embedding or a.d_model)}"
        _labelled(sheet, px, y, pwidth, "Position vectors", added[0] + table, theme.ACCENT, fill=0.2)
        y -= _GAP + RADIUS
        sheet.line(
            (px + pwidth / 2, _FOOT), (px + pwidth / 2, y), (spine + column.side * RADIUS, y),
            colour=theme.ACCENT, opacity=0.95, width=1.8, arrow=True,
        )  # fmt: skip
        sheet.plus(spine, y, theme.ACCENT)
        y -= RADIUS
    if unsaid := [part for part, there in (("norms", a.norm != UNKNOWN), ("positions", stack.positions)) if not there]:
        sheet.box(px, _FOOT, pwidth, 46, fill=0, dashed=True)
        sheet.text(px + pwidth / 2, _FOOT + 20, f"Where {' and '.join(unsaid)} come in", size=13)
        sheet.text(px + pwidth / 2, _FOOT + 37, "is not in the configuration", opacity=0.8)
    if a.embedding_norm:
        y = _norm(sheet, a, spine, y - 12)
    return y - 18


def _labelled(sheet: Sheet, x: float, y: float, width: float, title: str, words: str, colour: str, **look) -> None:
    """A box with its top at y, a title and words in it."""
    sheet.box(x, y, width, 46, colour, **look)
    sheet.text(x + width / 2, y + 20, title, size=13.5, weight=600)
    sheet.text(x + width / 2, y + 37, words, opacity=0.8)


def _block(
    sheet: Sheet,
    a: Architecture,
    stack: Stack,
    column: _Column,
    frame: float,
    other: tuple[float, float, float] | None,
) -> float:
    """One block in a frame with its bottom at `frame`, and how many there are of it; returns the y above it."""
    spine, side = column.spine, column.side
    y = frame - 14
    if a.norm == "parallel":
        y = _parallel(sheet, a, stack, spine, y)
    else:
        boxes = []  # the y of each box's lower edge

        def sublayer(draw, **options):
            def noted(x: float, y: float) -> float:
                boxes.append(y)
                return draw(sheet, a, stack, x, y, _BOX[1] - _BOX[0], **options)

            return _sublayer(sheet, a, column, y, noted)

        y = sublayer(attention)
        first = y
        if other:
            y = sublayer(attention, cross=True)
            _cross_arrow(sheet, other, column.span(*_BOX)[0], boxes[-1] - KEYS)
        y = sublayer(mlp) if a.mlp != NONE else y - 22
        if a.d_model:
            words = f"residual stream, {a.d_model:,} numbers"
            at = (first + frame) / 2 + (12 if a.norm == "post" else 0)
            sheet.text(spine - side * 28, at, words, size=11.5, opacity=0.65, turn=-90)
    y -= 24
    x, width = column.span(*column.edge)
    sheet.lines.insert(
        0,
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{frame - y:g}" rx="14" fill="currentColor" '
        'fill-opacity="0.03" stroke="currentColor" stroke-opacity="0.35" stroke-width="1.2" stroke-dasharray="6 5"/>',
    )
    layers = f"× {stack.n_layer} layer{'s' if stack.n_layer != 1 else ''}" if stack.n_layer else "layers: unknown"
    if a.n_distinct_layer and a.n_distinct_layer < sum(s.n_layer or 0 for s in a.stacks):
        n = a.n_distinct_layer
        layers += f", {n} set{'s' if n > 1 else ''} of parameters"
    label_x = x + width - 14 if side > 0 else x + 14
    role = f"{stack.role}  " if len(a.stacks) > 1 else ""
    sheet.text(label_x, y + 19, role + layers, size=13, weight=700, anchor="end" if side > 0 else "start")
    return y - 8


def _head(sheet: Sheet, a: Architecture, column: _Column, top: float) -> float:
    """The spine up to `top` and what stands above it; returns its top."""
    spine = column.spine
    sheet.line((spine, _FOOT), (spine, top), width=3.2, opacity=0.5, arrow=True)
    if a.head == "none":
        sheet.text(spine, top - 8, "hidden states", size=13, weight=600)
        return top - 24
    violet = sheet.colours[PART_COLOUR["head"]]
    x, width = column.span(*column.edge)
    _labelled(sheet, x, top - 46, width, *_head_words(a), violet, dashed=a.head == UNKNOWN)
    if a.tied and a.head == "tokens":
        inner, edge, end = (-110, -228, -220) if a.norm == "parallel" else (-58, -68, -58)
        points = ((inner, _FOOT + 23), (edge, _FOOT + 23), (edge, top - 23), (end, top - 23))
        way = [(spine + column.side * x, y) for x, y in points]
        sheet.line(*way, colour=violet, opacity=0.9, dashed=True, width=1.5)
    return top - 50


def _head_words(a: Architecture) -> tuple[str, str]:
    if a.head == UNKNOWN:
        return "Head", "the configuration does not name one"
    if a.head == "other":
        return "Head", f"of {a.name}"
    shared = {True: "the token vectors again (tied)", False: "a table of its own", None: "tied or not: unknown"}[a.tied]
    return f"Head: a logit for each of {shown(a.n_vocab)} tokens", shared


def _norm(sheet: Sheet, a: Architecture, centre: float, y: float) -> float:
    """A norm with its bottom at y; returns its top."""
    width, height = _NORM
    sheet.box(centre - width / 2, y - height, width, height, fill=0.07, radius=13)
    sheet.text(centre, y - height / 2 + 4.3, a.norm_kind, size=12.5)
    return y - height


def _sublayer(sheet: Sheet, a: Architecture, column: _Column, y: float, draw) -> float:
    """A branch off the spine and back: norms where they are, and what `draw(x, y)` draws with its bottom at y."""
    spine, (left, width) = column.spine, column.span(*_BOX)
    centre = left + width / 2
    sheet.line((spine, y), (centre, y), (centre, y - _GAP), arrow=True)
    y -= _GAP
    if a.norm in ("pre", "sandwich"):
        below = _norm(sheet, a, centre, y)
        y = below - _GAP
        sheet.line((centre, below), (centre, y), arrow=True)
    y = draw(left, y)
    if a.norm in ("sandwich", "output"):
        sheet.line((centre, y), (centre, y - _GAP), arrow=True)
        y = _norm(sheet, a, centre, y - _GAP)
    above, y = y, y - _GAP
    sheet.line((centre, above), (centre, y), (spine + column.side * RADIUS, y), arrow=True)
    sheet.plus(spine, y)
    y -= RADIUS
    if a.norm == "post":
        y = _norm(sheet, a, spine, y - 8)
    return y - 14


def _parallel(sheet: Sheet, a: Architecture, stack: Stack, spine: float, y: float) -> float:
    """Attention right of the spine and MLP left of it, reading the same place; the norm is one for both, or two."""
    right, left, width, narrow = spine + 36, spine - 206, 268, 170
    ends = (right + width / 2, left + narrow / 2)
    if a.shared_norm:
        # on the branch, before it parts
        join = y
        x = right + width / 2
        sheet.line((spine, join), (x, join), (x, join - _GAP), arrow=True)
        under = _norm(sheet, a, x, join - _GAP)
        split = under - 14
        sheet.line((x, under), (x, split - _GAP), arrow=True)
        # over the spine in a bow: it is crossed here, not read
        bow = [(spine + 6 * np.cos(turn), split - 6 * np.sin(turn)) for turn in np.linspace(0, np.pi, 9)]
        sheet.line((x, split), *bow, (ends[1], split), (ends[1], split - _GAP), arrow=True)
        y = split - _GAP
    else:
        for x in ends:
            sheet.line((spine, y), (x, y), (x, y - _GAP), arrow=True)
            under = _norm(sheet, a, x, y - _GAP)
            sheet.line((x, under), (x, under - _GAP), arrow=True)
        y = under - _GAP
    tops = attention(sheet, a, stack, right, y, width), mlp(sheet, a, stack, left, y, narrow)
    y = min(tops) - _GAP
    for x, top, side in zip(ends, tops, (1, -1), strict=True):
        sheet.line((x, top), (x, y), (spine + side * RADIUS, y), arrow=True)
    sheet.plus(spine, y)
    return y - RADIUS - 14


def _cross_arrow(sheet: Sheet, other: tuple[float, float, float], x: float, y: float) -> None:
    """From the top of the encoder, over it, down the gutter and into the decoder's cross-attention."""
    start, top, gutter = other
    colour = sheet.colours[PART_COLOUR["cross"]]
    sheet.line(
        (start, top + 22),
        (start, top),
        (gutter, top),
        (gutter, y),
        (x, y),
        colour=colour,
        width=2.4,
        opacity=0.95,
        arrow=True,
    )
    sheet.text(
        (start + gutter) / 2, top - 8, "what was read goes to every layer of the decoder", size=12.5, opacity=0.85
    )
