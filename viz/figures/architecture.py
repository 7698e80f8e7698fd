"""The model card's pictures: one block as a drawing, its numbers in words, its parameters, its memory by length.

`block_drawing` returns SVG text: it stands by itself as a file, and follows the page's text colour where it is shown
in one. Everything that a configuration says is escaped before it gets there.
"""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import plotly.graph_objects as go

from model.architecture import UNKNOWN, Architecture, Stack
from viz.figures import theme

# of the categorical colours; the same for a part wherever it is drawn
_COLOUR = {"attention": 0, "MLP": 2, "embeddings": 4, "head": 4, "cross": 6}
_ACTIVATION = {
    "gelu": "GELU",
    "gelu_new": "GELU",
    "gelu_fast": "GELU",
    "gelu_pytorch_tanh": "GELU",
    "relu": "ReLU",
    "silu": "SiLU",
    "swish": "SiLU",
    "tanh": "tanh",
}
_POSITIONS = {
    "learned": "learned position vectors, added to the token vectors",
    "sinusoidal": "sines and cosines of fixed frequencies, added to the token vectors",
    "rotary": "rotary: queries and keys are turned by an angle that grows with the position",
    "relative": "relative: what the distance between two tokens is worth is learned, and enters the scores",
    "ALiBi": "ALiBi: the further away a key, the more is taken from its score",
    "disentangled": "disentangled: scores also compare contents with learned vectors of distances",
    "none": "none",
}
ADDED = ("learned", "sinusoidal")  # to the token vectors; the others work within attention
ON_SCORES = {
    "relative": "scores + a learned number for the distance",
    "ALiBi": "scores − slope of the head × distance (ALiBi)",
    "disentangled": "scores + content compared with distance",
}
_NORMS = {
    "pre": "before each sublayer",
    "post": "after each addition",
    "sandwich": "before and after each sublayer",
    "output": "after each sublayer, before it is added",
    "parallel": "before attention and MLP, which run side by side",
}
LEGEND = (
    "Read it from the bottom up: each token's vector travels up the thick line, the residual stream; attention and MLP "
    "read it and add (⊕) what they find. Amber marks where positions come in."
)


def said(value: object) -> str:
    """A value in words; None is what the configuration does not tell."""
    if value is None or value == UNKNOWN:
        return UNKNOWN
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def activation_name(architecture: Architecture) -> str:
    return _ACTIVATION.get(architecture.activation or "", said(architecture.activation))


@dataclass(frozen=True)
class Fact:
    """One line of the table of numbers."""

    name: str
    value: str
    meaning: str


def facts(architecture: Architecture) -> list[Fact]:
    """An architecture in numbers, each with what it means; an encoder-decoder says what differs of each stack."""
    a, stacks = architecture, architecture.stacks

    def each(value) -> str:
        values = [value(stack) for stack in stacks]
        if len(set(values)) == 1:
            return values[0]
        return " · ".join(f"{stack.role} {value}" for stack, value in zip(stacks, values, strict=True))

    def yes_no(value: bool | None) -> str:
        return UNKNOWN if value is None else "yes" if value else "no"

    reads = {
        "decoder": "each token sees itself and what came before",
        "encoder": "every token sees every token",
        "encoder-decoder": "one stack reads, the other writes and looks at what was read",
    }
    lines = [
        Fact("Family", a.family, reads.get(a.family, "the configuration does not say which tokens see which")),
        Fact("Layers", each(lambda s: said(s.n_layer)), "blocks, one above the other"),
        Fact("Heads", each(lambda s: said(s.n_head)), "in each layer; each looks in its own way"),
    ]
    if any(s.n_key_head != s.n_head for s in stacks):
        lines.append(Fact("Key heads", each(lambda s: said(s.n_key_head)), "several heads share their keys and values"))
    if a.n_distinct_layer and a.n_distinct_layer < sum(s.n_layer or 0 for s in stacks):
        lines.append(Fact("Different layers", said(a.n_distinct_layer), "layers share their parameters"))
    lines += [
        Fact("Width", said(a.d_model), "numbers in a token's vector, the residual stream"),
        Fact("Width of a head", each(lambda s: said(s.d_head)), "numbers in a query, a key, a value"),
        Fact("Width of the MLP", each(lambda s: said(s.d_mlp)), "numbers inside" + " each expert" * bool(a.n_expert)),
    ]
    if a.n_expert:
        lines.append(Fact("Experts", f"{a.n_expert_used} of {a.n_expert}", "MLPs that a router picks for each token"))
    if stacks[0].reads != "patches":
        lines.append(Fact("Vocabulary", said(a.n_vocab), "different tokens"))
    if a.d_embedding != a.d_model:
        lines.append(Fact("Width of token vectors", said(a.d_embedding), "widened before the first block"))
    unlimited = a.known and all(s.n_context is None for s in stacks)
    lines += [
        Fact(
            "Longest text",
            "no fixed limit" if unlimited else each(lambda s: said(s.n_context)),
            "tokens" if stacks[0].reads == "tokens" else "positions",
        ),
        Fact(
            "Positions",
            each(lambda s: " and ".join(s.positions) or UNKNOWN),
            each(lambda s: "; ".join(_POSITIONS[p] for p in s.positions) or "how it knows where a token stands"),
        ),
        Fact("Attention", each(lambda s: s.attention), "how far a query looks, among the tokens it may see"),
    ]
    if a.qk_norm or not a.known:
        lines.append(Fact("Queries and keys normalised", yes_no(a.qk_norm), "before they are compared"))
    if a.soft_cap:
        lines.append(Fact("Scores capped", f"±{a.soft_cap:g}", "softly, by a tanh, before the softmax"))
    lines += [
        Fact("Norms", a.norm_kind, _NORMS.get(a.norm, "the configuration does not say where")),
        Fact(
            "MLP",
            f"{a.mlp}, {activation_name(a)}" if a.mlp != UNKNOWN else activation_name(a),
            {"gated": "a second product decides how much passes", "plain": "wider, a bend, and back"}.get(
                a.mlp, "the configuration does not say its form"
            ),
        ),
        Fact("Biases", _biases(a), "constants that are learned and added"),
    ]
    if stacks[0].reads != "patches" and a.head in ("tokens", UNKNOWN):
        lines.append(Fact("Tied", yes_no(a.tied), "whether the head uses the token vectors again"))
    return lines


def _biases(a: Architecture) -> str:
    if a.biases is None:
        return UNKNOWN
    return {0: "none", 5: "everywhere"}.get(len(a.biases), ", ".join(a.biases))


def drawing_words(architecture: Architecture) -> str:
    """What the drawing shows, for those who cannot see it."""
    a = architecture
    lines = {fact.name: fact.value for fact in facts(a)}
    text = f"Drawing of one block of {a.name}: {a.family}, {lines['Layers']} layers of {lines['Heads']} heads"
    text += f", which share {lines['Key heads']} key heads" if "Key heads" in lines else ""
    text += f". Positions: {lines['Positions']}. Attention: {lines['Attention']}. "
    text += f"Norms: {a.norm_kind}, {_NORMS.get(a.norm, 'places unknown')}. MLP: {lines['MLP']}"
    text += f", {lines['Experts']} experts for each token" if a.n_expert else ""
    text += f". Final norm: {'unknown' if a.final_norm is None else 'yes' if a.final_norm else 'no'}."
    return text


_CELL = "padding:.42rem .6rem;border-bottom:1px solid color-mix(in srgb, currentColor 14%, transparent)"


def facts_table(lines: Sequence[Fact], title: str) -> str:
    """Numbers as an HTML table: a name with what it means below it, and its value."""
    strong = f"{_CELL};font-weight:600"
    rows = "".join(
        f'<tr><th scope="row" style="{strong};text-align:left;line-height:1.3">{html.escape(fact.name)}'
        f'<div style="font-weight:400;font-size:.84rem;opacity:.75">{html.escape(fact.meaning)}</div></th>'
        f'<td style="{strong};text-align:right;font-variant-numeric:tabular-nums;overflow-wrap:break-word">'
        f"{html.escape(fact.value)}</td></tr>"
        for fact in lines
    )
    above = "text-align:left;font-size:.9rem;opacity:.8;padding:0 .6rem .3rem"
    caption = f'<caption style="{above}">{html.escape(title) or "&nbsp;"}</caption>'
    return f'<table style="border-collapse:collapse;width:100%">{caption}<tbody>{rows}</tbody></table>'


def training_table(rows: Sequence[tuple[str, float | None, float, float]]) -> str:
    """Texts with their share of the training, held-out loss in nats a token, and perplexity, as an HTML table."""
    heads = ("", "share", "loss", "perplexity")
    right = f"{_CELL};text-align:right;font-variant-numeric:tabular-nums"
    top = "".join(f'<th scope="col" style="{right};font-weight:600">{head}</th>' for head in heads)
    body = "".join(
        f'<tr><th scope="row" style="{_CELL};text-align:left;font-weight:400">{html.escape(name)}</th>'
        + "".join(
            f'<td style="{right}">{value}</td>'
            for value in ("" if share is None else f"{share:.0%}", f"{loss:.2f}", f"{perplexity:.1f}")
        )
        + "</tr>"
        for name, share, loss, perplexity in rows
    )
    return (
        f'<table style="border-collapse:collapse;width:100%"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>'
    )


# ---------------------------------------------------------------------------------------------------------------------
# The drawing. y grows downwards in SVG, so a drawing from the bottom up counts down from 0.

_GAP = 16  # between one thing and the next on the way up
_NORM = (92, 26)  # width, height
_ROW = 21  # a line within a box
_RADIUS = 10  # of a plus
_BOX = (64, 380)  # where a sublayer's box begins and ends, from the spine
_KEYS = 18  # the row of keys and values, above a box's lower edge
_EDGE = (-58, 396)  # the same of the frame and the head
_ONE = 490  # the width of one column


@dataclass
class _Sheet:
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
            f'<circle class="ground" cx="{x:g}" cy="{y:g}" r="{_RADIUS}"/><circle cx="{x:g}" cy="{y:g}" r="{_RADIUS}" '
            f'fill="{colour}" fill-opacity="0.12" stroke="{colour}" stroke-width="1.5"/>'
        )
        arm = 5 if sign == "+" else 3.5
        ways = ((arm, 0), (0, arm)) if sign == "+" else ((arm, arm), (arm, -arm))
        for dx, dy in ways:
            self.shapes.append(
                f'<line x1="{x - dx:g}" y1="{y - dy:g}" x2="{x + dx:g}" y2="{y + dy:g}" stroke="currentColor" '
                'stroke-width="1.6"/>'
            )


def block_drawing(architecture: Architecture, mode: str = "light", *, alone: bool = False) -> str:
    """One block of this model and what is below and above it, as an SVG element; `mode` is light or dark.

    Within a page it takes the page's font and colours; `alone`, as a file, it names its own.
    """
    a, sheet = architecture, _Sheet(theme.CATEGORICAL[mode])
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


def _draw_stack(
    sheet: _Sheet,
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
    violet = sheet.colours[_COLOUR["embeddings"]]
    parallel = a.norm == "parallel"
    reach = (-220, 316) if parallel else _EDGE

    def span(start: float, end: float) -> tuple[float, float]:
        """Left edge and width of what lies between two distances from the spine."""
        return (spine + start if side > 0 else spine - end), end - start

    # below the blocks: token vectors, and position vectors if those are added
    y = 0.0
    sheet.text(spine, 22, stack.reads, size=13, weight=600)
    sheet.line((spine, 8), (spine, -2), arrow=True)
    y -= 50
    x, width = span(-58, 126) if not parallel else span(-110, 110)
    kind = {"tokens": "Token vectors", "patches": "Patch vectors", "audio": "Sound vectors"}[stack.reads]
    size = (
        f"{said(a.n_vocab)} × {said(a.d_embedding)}" if stack.reads == "tokens" else f"{said(a.d_model)} numbers each"
    )
    if stack.reads == "tokens" and a.d_embedding != a.d_model:
        size += f" → {said(a.d_model)}"
    sheet.box(x, y, width, 46, violet)
    sheet.text(x + width / 2, y + 20, kind, size=13.5, weight=600)
    sheet.text(x + width / 2, y + 37, size, opacity=0.8)
    foot = y
    if added := [p for p in stack.positions if p in ADDED]:
        px, pwidth = span(150, _EDGE[1])
        sheet.box(px, y, pwidth, 46, theme.ACCENT, fill=0.2)
        sheet.text(px + pwidth / 2, y + 20, "Position vectors", size=13.5, weight=600)
        table = "" if stack.n_context is None else f", {said(stack.n_context)} × {said(a.d_embedding or a.d_model)}"
        sheet.text(px + pwidth / 2, y + 37, added[0] + table, opacity=0.8)
        y -= _GAP + _RADIUS
        sheet.line(
            (px + pwidth / 2, foot), (px + pwidth / 2, y), (spine + side * _RADIUS, y),
            colour=theme.ACCENT, opacity=0.95, width=1.8, arrow=True,
        )  # fmt: skip
        sheet.plus(spine, y, theme.ACCENT)
        y -= _RADIUS
    if unsaid := [part for part, there in (("norms", a.norm != UNKNOWN), ("positions", stack.positions)) if not there]:
        px, pwidth = span(150, _EDGE[1])
        sheet.box(px, foot, pwidth, 46, fill=0, dashed=True)
        sheet.text(px + pwidth / 2, foot + 20, f"Where {' and '.join(unsaid)} come in", size=13)
        sheet.text(px + pwidth / 2, foot + 37, "is not in the configuration", opacity=0.8)
    if a.embedding_norm:
        y = _norm(sheet, a, spine, y - 12)
    y -= 18

    # the block
    frame = y
    y -= 14
    if parallel:
        y = _parallel(sheet, a, stack, spine, y)
    else:
        boxes = []  # the y of each box's lower edge

        def sublayer(draw, **options):
            def noted(x: float, y: float) -> float:
                boxes.append(y)
                return draw(sheet, a, stack, x, y, _BOX[1] - _BOX[0], **options)

            return _sublayer(sheet, a, spine, side, y, noted)

        y = sublayer(_attention)
        first = y
        if other:
            y = sublayer(_attention, cross=True)
            _cross_arrow(sheet, other, span(*_BOX)[0], boxes[-1] - _KEYS)
        y = sublayer(_mlp)
        if a.d_model:
            words = f"residual stream, {a.d_model:,} numbers"
            at = (first + frame) / 2 + (12 if a.norm == "post" else 0)
            sheet.text(spine - side * 28, at, words, size=11.5, opacity=0.65, turn=-90)
    y -= 24
    x, width = span(*reach)
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
    # above them
    y -= 8
    if a.final_norm:
        y = _norm(sheet, a, spine, y - 6)
    if not head:
        sheet.line((spine, foot), (spine, y - 22), width=3.2, opacity=0.5)
        return y - 22
    top = y - 20
    if a.head == "none":
        sheet.line((spine, foot), (spine, top), width=3.2, opacity=0.5, arrow=True)
        sheet.text(spine, top - 8, "hidden states", size=13, weight=600)
        return top - 24
    line_1, line_2 = _head_words(a)
    sheet.line((spine, foot), (spine, top), width=3.2, opacity=0.5, arrow=True)
    sheet.box(x, top - 46, width, 46, violet, dashed=a.head == UNKNOWN)
    sheet.text(x + width / 2, top - 26, line_1, size=13.5, weight=600)
    sheet.text(x + width / 2, top - 9, line_2, opacity=0.8)
    if a.tied and a.head == "tokens":
        inner, edge, end = (-110, -228, -220) if parallel else (-58, -68, -58)
        points = ((inner, foot + 23), (edge, foot + 23), (edge, top - 23), (end, top - 23))
        way = [(spine + side * x, y) for x, y in points]
        sheet.line(*way, colour=violet, opacity=0.9, dashed=True, width=1.5)
    return top - 50


def _head_words(a: Architecture) -> tuple[str, str]:
    if a.head == UNKNOWN:
        return "Head", "the configuration does not name one"
    if a.head == "other":
        return "Head", f"of {a.name}"
    shared = {True: "the token vectors again (tied)", False: "a table of its own", None: "tied or not: unknown"}[a.tied]
    return f"Head: a logit for each of {said(a.n_vocab)} tokens", shared


def _norm(sheet: _Sheet, a: Architecture, centre: float, y: float) -> float:
    """A norm with its bottom at y; returns its top."""
    width, height = _NORM
    sheet.box(centre - width / 2, y - height, width, height, fill=0.07, radius=13)
    sheet.text(centre, y - height / 2 + 4.3, a.norm_kind, size=12.5)
    return y - height


def _sublayer(sheet: _Sheet, a: Architecture, spine: float, side: int, y: float, draw) -> float:
    """A branch off the spine and back: norms where they are, and what `draw(x, y)` draws with its bottom at y."""
    left = spine + (_BOX[0] if side > 0 else -_BOX[1])
    centre = left + (_BOX[1] - _BOX[0]) / 2
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
    sheet.line((centre, above), (centre, y), (spine + side * _RADIUS, y), arrow=True)
    sheet.plus(spine, y)
    y -= _RADIUS
    if a.norm == "post":
        y = _norm(sheet, a, spine, y - 8)
    return y - 14


def _parallel(sheet: _Sheet, a: Architecture, stack: Stack, spine: float, y: float) -> float:
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
    tops = _attention(sheet, a, stack, right, y, width), _mlp(sheet, a, stack, left, y, narrow)
    y = min(tops) - _GAP
    for x, top, side in zip(ends, tops, (1, -1), strict=True):
        sheet.line((x, top), (x, y), (spine + side * _RADIUS, y), arrow=True)
    sheet.plus(spine, y)
    return y - _RADIUS - 14


def _cross_arrow(sheet: _Sheet, other: tuple[float, float, float], x: float, y: float) -> None:
    """From the top of the encoder, over it, down the gutter and into the decoder's cross-attention."""
    start, top, gutter = other
    colour = sheet.colours[_COLOUR["cross"]]
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


def _attention(
    sheet: _Sheet, a: Architecture, stack: Stack, x: float, y: float, width: float, cross: bool = False
) -> float:
    """The attention box with its bottom at y: heads, keys and values, and what is done to them; returns its top."""
    notes = []  # from the bottom up: (text, whether it is about positions)
    if a.qk_norm and not cross:
        notes.append((f"queries and keys: {a.norm_kind}", False))
    if not cross and "rotary" in stack.positions:
        share = a.rotary_share
        part = f" ({share:.0%})" if share and share < 1 else ""
        notes.append((f"queries, keys turned by position{part}", True))
    if not cross:
        notes += [(ON_SCORES[p], True) for p in stack.positions if p in ON_SCORES]
    if a.soft_cap and not cross:
        notes.append((f"scores kept within ±{a.soft_cap:g}", False))
    colour = sheet.colours[_COLOUR["cross" if cross else "attention"]]
    height = (138 if cross or len(set(stack.windows or ())) < 2 else 150) + _ROW * len(notes)
    top = y - height
    sheet.box(x, top, width, height, colour)
    sheet.text(x + 14, top + 23, "Cross-attention" if cross else "Attention", size=15, weight=700, anchor="start")
    heads = f"{said(stack.n_head)} heads of {said(stack.d_head)}"
    if stack.n_head is None:
        heads = "heads: unknown"
    sheet.text(x + width - 14, top + 23, heads, size=12.5, anchor="end", opacity=0.85)

    _masks(sheet, stack, x + width - 14, top + 34, colour, cross)
    sheet.text(x + 14, top + 50, "softmax of query · key,", size=12, anchor="start", opacity=0.85)
    sheet.text(x + 14, top + 66, "then a mix of values", size=12, anchor="start", opacity=0.85)

    row = y - 46
    for text, of_positions in notes:
        row -= _ROW
        tint = theme.ACCENT if of_positions else "currentColor"
        sheet.box(x + 12, row, width - 24, _ROW - 3, tint, fill=0.22 if of_positions else 0.06, radius=9)
        sheet.text(x + width / 2, row + 13.3, text, size=12)
    _heads(sheet, stack, x + 14, y - 42, width - 28, colour, cross)
    return top


def _heads(sheet: _Sheet, stack: Stack, x: float, y: float, width: float, colour: str, cross: bool) -> None:
    """Two rows: a cell for each head's queries, and below it the keys and values that it reads, shared or its own."""
    label, room = 88, width - 88
    sheet.text(x, y + 12, "queries", size=12, anchor="start", opacity=0.85)
    sheet.text(x, y + 30, "keys, values", size=12, anchor="start", opacity=0.85)
    for n, top in ((stack.n_head, y + 2), (stack.n_key_head, y + 20)):
        if not n:
            sheet.text(x + label, top + 10, UNKNOWN, size=12, anchor="start", opacity=0.7)
            continue
        pitch = min(room / n, 20 * (stack.n_head or n) / n)
        gap = min(3.0, pitch * (0.2 if pitch > 6 else 0.3))
        strong = 0.8 if top == y + 2 else 0.4
        for i in range(n):
            sheet.shapes.append(
                f'<rect x="{x + label + i * pitch:.2f}" y="{top:g}" width="{pitch - gap:.2f}" height="12" '
                f'rx="{min(2.5, pitch / 4):.2f}" fill="{colour}" fill-opacity="{strong}"/>'
            )


def _masks(sheet: _Sheet, stack: Stack, right: float, top: float, colour: str, cross: bool) -> None:
    """Small maps of which keys (columns) a query (row) may see: one for each kind of layer there is."""
    side, n = 40, 8
    if cross:
        kinds = [(None, "all of the source")]
    elif stack.windows is None or stack.role == UNKNOWN:
        sheet.text(right, top + 22, "mask: unknown", size=11.5, anchor="end", opacity=0.7)
        return
    else:
        counts = {window: stack.windows.count(window) for window in dict.fromkeys(stack.windows)}
        kinds = [(window, f"window {window:,}" if window else "all") for window in counts]
        if len(counts) == 1 and not kinds[0][0]:
            kinds = [(None, "no look ahead" if stack.role == "decoder" else "all see all")]
    for i, (window, words) in enumerate(reversed(kinds[:2])):
        left, cell = right - side - 16 - i * 76, side / n
        for row in range(n):
            for column in range(n):
                seen = cross or stack.role == "encoder" or column <= row
                seen = seen and (not window or abs(row - column) < 3)
                sheet.shapes.append(
                    f'<rect x="{left + column * cell:g}" y="{top + row * cell:g}" width="{cell - 0.8:g}" '
                    f'height="{cell - 0.8:g}" fill="{colour if seen else "currentColor"}" '
                    f'fill-opacity="{0.85 if seen else 0.09}"/>'
                )
        if len(kinds) > 1:
            layers = f"{counts[window]} layer{'s' if counts[window] > 1 else ''}"
            sheet.text(left + side / 2, top + side + 13, layers, size=11, opacity=0.85)
        low = top + side + (26 if len(kinds) > 1 else 13)
        sheet.text(left + side / 2, low, words, size=11, opacity=0.85)


def _mlp(sheet: _Sheet, a: Architecture, stack: Stack, x: float, y: float, width: float) -> float:
    """The MLP box with its bottom at y: as wide inside as it is, gated or not, or several experts; returns its top."""
    colour = sheet.colours[_COLOUR["MLP"]]
    narrow = width < 240
    height = 128 if a.n_expert else 112 + 18 * narrow
    top, centre = y - height, x + width / 2
    sheet.box(x, top, width, height, colour)
    sheet.text(x + 14, top + 23, "MLP", size=15, weight=700, anchor="start")
    sizes = f"{said(a.d_model)} → {said(stack.d_mlp)} → {said(a.d_model)}"
    if narrow:
        sheet.text(x + 14, top + 41, sizes, size=12, anchor="start", opacity=0.85)
    else:
        sheet.text(x + width - 14, top + 23, sizes, size=12.5, anchor="end", opacity=0.85)
    name = activation_name(a)
    if a.n_expert:
        _experts(sheet, a, x + 14, top + 38, width - 28, colour)
        return top
    low, high = y - 8, top + 36 + 18 * narrow
    middle = (low + high) / 2
    wide = width - 48
    ratio = a.d_model / stack.d_mlp if a.d_model and stack.d_mlp else 0.25
    thin = max(24, wide * min(1, ratio))
    flat = 11  # half the height of the widest part

    def funnel(at, from_, to, y0, y1):
        corners = ((at - from_ / 2, y0), (at - to / 2, y1), (at + to / 2, y1), (at + from_ / 2, y0))
        points = " ".join(f"{px:g},{py:g}" for px, py in corners)
        sheet.shapes.append(f'<polygon points="{points}" fill="{colour}" fill-opacity="0.3"/>')

    if a.mlp == "gated":
        half = wide / 2 - 10
        for at, words in ((centre - wide / 4 - 3, f"gate, {name}"), (centre + wide / 4 + 3, "value")):
            funnel(at, max(20, thin / 2), half, low, middle + flat)
            funnel(at, half, half, middle + flat, middle - flat)
            sheet.text(at, middle + 4, words, size=12)
        funnel(centre, wide, thin, middle - flat, high)
        sheet.plus(centre, middle, colour, sign="×")
    else:
        funnel(centre, thin, wide, low, middle + flat)
        funnel(centre, wide, wide, middle + flat, middle - flat)
        funnel(centre, wide, thin, middle - flat, high)
        known = [] if a.activation is None else [name]
        words = ", ".join(known + ["form unknown"] * (a.mlp == UNKNOWN))
        sheet.text(centre, middle + 4, words, size=12.5, weight=600)
    return top


def _experts(sheet: _Sheet, a: Architecture, x: float, y: float, width: float, colour: str) -> None:
    shown = min(a.n_expert, 64)
    pitch = min(width / shown, 34)
    start = x + (width - pitch * shown) / 2
    for i in range(shown):
        chosen = i < a.n_expert_used
        sheet.shapes.append(
            f'<rect x="{start + i * pitch:.2f}" y="{y:g}" width="{pitch * 0.8:.2f}" height="34" rx="4" fill="{colour}" '
            f'fill-opacity="{0.75 if chosen else 0.2}" stroke="{colour}" stroke-width="1"/>'
        )
    form = f"{'gated, ' if a.mlp == 'gated' else ''}{activation_name(a)}"
    sheet.text(x + width / 2, y + 54, f"{a.n_expert} experts, each {form}", size=12)
    sheet.text(x + width / 2, y + 73, f"a router picks {a.n_expert_used} for each token", size=12, opacity=0.85)


# ---------------------------------------------------------------------------------------------------------------------
# The charts

_MARGIN = {"l": 0, "r": 12, "t": 8, "b": 0}


def parameter_bars(parts: Mapping[str, int], mode: str) -> go.Figure:
    """How many parameters each part holds, as one bar a part."""
    total, colours = sum(parts.values()) or 1, theme.CATEGORICAL[mode]
    names = list(parts)
    own = {part: colours[i] for part, i in {**_COLOUR, "other": 9}.items()}
    own |= {"positions": theme.ACCENT, "norms": theme.NEUTRAL}
    fig = go.Figure(
        go.Bar(
            x=list(parts.values()),
            y=names,
            orientation="h",
            marker_color=[own[name] for name in names],
            text=[f"{n:,} · {n / total:.1%}" for n in parts.values()],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y}: %{x:,} parameters<extra></extra>",
        )
    )
    fig.update_layout(height=52 + 42 * len(names), margin=_MARGIN, dragmode=False, bargap=0.3, showlegend=False)
    fig.update_xaxes(title="parameters", showgrid=True, zeroline=False, range=[0, max(parts.values()) * 1.3])
    fig.update_yaxes(autorange="reversed", showgrid=False)
    return fig


def memory_lines(lengths: Sequence[int], record: Sequence[int], weights: Sequence[int], now: int | None) -> go.Figure:
    """Bytes kept of a run by the number of its tokens: queries, keys and values, against all attention weights."""
    fig = go.Figure()
    for values, name, dash in ((record, "queries, keys, values", "solid"), (weights, "all attention weights", "dot")):
        fig.add_scatter(
            x=list(lengths),
            y=list(values),
            mode="lines",
            name=name,
            line={"width": 3, "dash": dash},
            customdata=[size_in_words(value) for value in values],
            hovertemplate=f"%{{x:,}} tokens<br>{name}: %{{customdata}}<extra></extra>",
        )
    if now:
        fig.add_vline(x=now, line_color=theme.ACCENT, line_width=2)
        # plotly places an annotation on a logarithmic axis by its exponent
        where = {"x": np.log10(now), "y": 1, "yref": "paper", "xanchor": "left", "yanchor": "bottom"}
        fig.add_annotation(text=f"your text: {now:,} token{'s' if now != 1 else ''}", showarrow=False, **where)
    low, high = (pick(*record, *weights) for pick in (min, max))
    decades = range(int(np.floor(np.log10(max(low, 1)))), int(np.ceil(np.log10(high))) + 1)
    last = max(*lengths, now or 1, 2)
    ticks = [n for n in (1, *(b * 10**p for p in range(7) for b in (1, 2, 5))) if n < last / 1.4] + [last]
    fig.update_layout(height=340, margin=_MARGIN | {"t": 28}, dragmode=False, legend={"orientation": "h", "y": -0.24})
    fig.update_xaxes(
        title="tokens in the text",
        type="log",
        range=[0, np.log10(last) + 0.03],
        tickvals=sorted(set(ticks)),
        ticktext=[f"{n:,}" for n in sorted(set(ticks))],
        showgrid=True,
    )
    fig.update_yaxes(
        type="log",
        tickvals=[10.0**p for p in decades],
        ticktext=[size_in_words(10**p) for p in decades],
        showgrid=True,
    )
    return fig


def loss_line(tokens: Sequence[int], loss: Sequence[float]) -> go.Figure:
    """The loss on texts held out, as training went on."""
    fig = go.Figure(
        go.Scatter(
            x=list(tokens),
            y=list(loss),
            mode="lines+markers",
            line_width=2.5,
            hovertemplate="after %{x:,} tokens: %{y:.3f} nats a token<extra></extra>",
        )
    )
    fig.update_layout(height=300, margin=_MARGIN, dragmode=False, showlegend=False)
    fig.update_xaxes(title="tokens read in training")
    fig.update_yaxes(title="held-out loss, nats a token")
    return fig


def size_in_words(n_byte: float) -> str:
    """Bytes as people say them, in powers of 1,000."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if n_byte < 1000 or unit == "TB":
            return f"{n_byte:.3g} {unit}"
        n_byte /= 1000
    raise AssertionError
