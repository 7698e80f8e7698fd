"""What stands in a block, as boxes on a sheet: attention with its heads and masks, and the MLP with its experts."""

from model.architecture import UNKNOWN, Architecture, Stack
from viz.figures import theme
from viz.figures.architecture import PART_COLOUR, activation_name, shown
from viz.figures.sheet import Sheet

_ON_SCORES = {
    "relative": "scores + a learned number for the distance",
    "ALiBi": "scores − slope of the head × distance (ALiBi)",
    "disentangled": "scores + content compared with distance",
}
KEYS = 18  # the row of keys and values, above the lower edge of an attention box
_ROW = 21  # a line within a box


def attention(
    sheet: Sheet, a: Architecture, stack: Stack, x: float, y: float, width: float, cross: bool = False
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
        notes += [(_ON_SCORES[p], True) for p in stack.positions if p in _ON_SCORES]
    if a.soft_cap and not cross:
        notes.append((f"scores kept within ±{a.soft_cap:g}", False))
    if a.has_sink and not cross:
        notes.append(("softmax with a learned sink", False))
    notes += [(f"instead in {n} of {stack.n_layer} layers: {what}", False) for what, n in stack.works_by.items()]
    colour = sheet.colours[PART_COLOUR["cross" if cross else "attention"]]
    height = (138 if cross or len(set(stack.attending_windows or ())) < 2 else 150) + _ROW * len(notes)
    top = y - height
    sheet.box(x, top, width, height, colour)
    sheet.text(x + 14, top + 23, "Cross-attention" if cross else "Attention", size=15, weight=700, anchor="start")
    heads = f"{shown(stack.n_head)} heads of {shown(stack.d_head)}"
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


def _heads(sheet: Sheet, stack: Stack, x: float, y: float, width: float, colour: str, cross: bool) -> None:
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


def _masks(sheet: Sheet, stack: Stack, right: float, top: float, colour: str, cross: bool) -> None:
    """Small maps of which keys (columns) a query (row) may see: one for each kind of layer there is."""
    side, n = 40, 8
    if cross:
        kinds = [(None, "all of the source")]
    elif stack.windows is None or stack.role == UNKNOWN:
        sheet.text(right, top + 22, "mask: unknown", size=11.5, anchor="end", opacity=0.7)
        return
    else:
        windows = stack.attending_windows
        counts = {window: windows.count(window) for window in dict.fromkeys(windows)}
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


def mlp(sheet: Sheet, a: Architecture, stack: Stack, x: float, y: float, width: float) -> float:
    """The MLP box with its bottom at y: as wide inside as it is, gated or not, or several experts; returns its top."""
    colour = sheet.colours[PART_COLOUR["MLP"]]
    narrow = width < 240
    height = 128 if a.n_expert else 112 + 18 * narrow
    top, centre = y - height, x + width / 2
    sheet.box(x, top, width, height, colour)
    sheet.text(x + 14, top + 23, "MLP", size=15, weight=700, anchor="start")
    sizes = f"{shown(a.d_model)} → {shown(stack.d_mlp)} → {shown(a.d_model)}"
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


def _experts(sheet: Sheet, a: Architecture, x: float, y: float, width: float, colour: str) -> None:
    n_drawn = min(a.n_expert, 64)
    pitch = min(width / n_drawn, 34)
    start = x + (width - pitch * n_drawn) / 2
    for i in range(n_drawn):
        chosen = i < a.n_expert_used
        sheet.shapes.append(
            f'<rect x="{start + i * pitch:.2f}" y="{y:g}" width="{pitch * 0.8:.2f}" height="34" rx="4" fill="{colour}" '
            f'fill-opacity="{0.75 if chosen else 0.2}" stroke="{colour}" stroke-width="1"/>'
        )
    form = f"{'gated, ' if a.mlp == 'gated' else ''}{activation_name(a)}"
    sheet.text(x + width / 2, y + 54, f"{a.n_expert} experts, each {form}", size=12)
    sheet.text(x + width / 2, y + 73, f"a router picks {a.n_expert_used} for each token", size=12, opacity=0.85)
