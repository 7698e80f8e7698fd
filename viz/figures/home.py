"""The small pictures of the home page, as HTML: five of them must be there at once, long before plotly has loaded.

Every function returns one element with a text alternative; `mode` is light or dark.
"""

import base64
import html
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageColor

from viz.figures import theme
from viz.figures.numbers import percent

HEIGHT = 156  # pixels, of every picture
_MOST_CHIPS = 9
_MOST_ROWS = 26
_MOST_CHARACTERS = 90


def text_picture(text: str) -> str:
    """The text itself; of a long one, the beginning."""
    shown = text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "…"
    visible = "".join(c if c.isprintable() or c == "\u200d" else " " for c in shown)  # U+200D joins emoji
    size, lines = (1.3, 5) if len(visible) < 40 else (1.05, 6)
    style = (
        f"font-size:{size}rem;line-height:1.4;font-weight:600;overflow-wrap:anywhere;text-align:center;overflow:hidden;"
        f"display:-webkit-box;-webkit-box-orient:vertical;-webkit-line-clamp:{lines}"
    )
    content = f'<div dir="auto" style="{style}">{html.escape(visible)}</div>'
    return _frame(content, alt=f"The text: {visible}", kind="words")


def tokens_picture(labels: Sequence[str], mode: str) -> str:
    """The tokens as chips, coloured by turns."""
    colours = theme.CATEGORICAL[mode]
    style = "white-space:pre;padding:1px 5px;border-radius:5px;max-width:100%;overflow:hidden;text-overflow:ellipsis"
    chips = [
        f'<span style="{style};border-bottom:3px solid {colours[i % 5]};background:{colours[i % 5]}33;'
        f'font:14px/1.5 {theme.MONOSPACE};unicode-bidi:isolate">{html.escape(label)}</span>'
        for i, label in enumerate(labels[:_MOST_CHIPS])
    ]
    if more := len(labels) > len(chips):
        chips.append('<span style="opacity:.7">…</span>')
    row = "display:flex;flex-wrap:wrap;gap:6px 4px;justify-content:center;align-items:center;max-width:100%"
    return _frame(
        f'<div style="{row}">{"".join(chips)}</div>',
        alt=f"{len(labels)} tokens: {', '.join(labels[:_MOST_CHIPS])}{' …' if more else ''}",
        kind="words",
    )


def vectors_picture(vectors: np.ndarray) -> str:
    """Vectors (T, D) as strips, one a row: blue is positive, orange negative; of a long text, the first tokens."""
    shown = vectors[:_MOST_ROWS]
    strong = float(np.quantile(np.abs(shown), 0.98)) or 1.0  # a few entries are far larger than all others
    stops = [at for at, _ in theme.DIVERGING]
    colours = np.array([_rgba(colour) for _, colour in theme.DIVERGING])
    image = _coloured((np.clip(shown / strong, -1, 1) + 1) / 2, stops, colours)  # (T, D, 4)
    image = image.repeat(max(3, HEIGHT // len(shown)), axis=0)  # each token a band, and a line of air below it
    image[:: max(3, HEIGHT // len(shown)), :, 3] = 0
    return _picture(
        image,
        "width:100%;height:100%;image-rendering:pixelated",
        alt=f"{len(shown)} vectors of {vectors.shape[1]} numbers between {shown.min():.2f} and {shown.max():.2f}.",
    )


def next_tokens_picture(labels: Sequence[str], probability: np.ndarray, mode: str) -> str:
    """The most probable next tokens (k,) as bars, the longest for the first."""
    colour = theme.CATEGORICAL[mode][0]
    label_style = f"font:14px/1.5 {theme.MONOSPACE};white-space:pre;overflow:hidden;text-overflow:ellipsis"
    bar_style = f"height:15px;border-radius:3px;background:{colour}"
    rows = "".join(
        f'<div style="{label_style};unicode-bidi:isolate">{html.escape(label)}</div>'
        f'<div style="{bar_style};width:{100 * p / probability.max():.1f}%"></div>'
        f'<div style="font-size:13px;line-height:1;white-space:nowrap">{html.escape(percent(p))}</div>'
        for label, p in zip(labels, probability.tolist(), strict=True)
    )
    grid = "display:grid;grid-template-columns:minmax(2.5rem,auto) 1fr auto;gap:6px 8px;align-items:center;width:100%"
    best = ", ".join(f"“{label}” {percent(p)}" for label, p in zip(labels, probability.tolist(), strict=True))
    return _frame(f'<div style="{grid}">{rows}</div>', alt=f"Most probable next tokens: {best}")


def no_picture() -> str:
    """In the place of a step that a model does not have."""
    return _frame("—", alt="Nothing.", kind="words")


def step_title(number: int, title: str) -> str:
    """The name of one step of the path."""
    return (
        f'<div style="font-weight:600;font-size:1.05rem;white-space:nowrap"><span style="opacity:.72">{number}</span> '
        f"&nbsp;{html.escape(title)}</div>"
    )


def step_sentence(sentence: str) -> str:
    """What happens in it."""
    return f'<div style="font-size:.9rem;line-height:1.45">{html.escape(sentence)}</div>'


def _frame(content: str, *, alt: str, kind: str = "drawing") -> str:
    style = f"height:{HEIGHT}px;margin:12px 0;display:flex;align-items:center;justify-content:center;overflow:hidden"
    return f'<div class="path-{kind}" role="img" aria-label="{html.escape(alt)}" style="{style}">{content}</div>'


def _picture(rgba: np.ndarray, style: str, *, alt: str) -> str:
    png = io.BytesIO()
    Image.fromarray(rgba).save(png, "PNG")
    source = base64.b64encode(png.getvalue()).decode()
    return _frame(f'<img alt="" style="{style}" src="data:image/png;base64,{source}">', alt=alt)


def _coloured(values: np.ndarray, stops: Sequence[float], colours: np.ndarray) -> np.ndarray:
    """Values 0 … 1 (…) as RGBA (…, 4), interpolated between `colours` (n, 4) at `stops`."""
    table = np.stack([np.interp(np.linspace(0, 1, 256), stops, channel) for channel in colours.T], axis=-1)
    return table.round().astype(np.uint8)[(values * 255).round().astype(np.uint8)]


def _rgba(colour: str) -> tuple[float, ...]:
    """From #rrggbb, rgb(…) or rgba(…)."""
    if colour.startswith("#"):
        return (*ImageColor.getrgb(colour), 255)
    numbers = [float(number) for number in colour[colour.index("(") + 1 : -1].split(",")]
    return (*numbers[:3], 255 * numbers[3] if len(numbers) == 4 else 255)
