"""The first picture of the home page, as HTML: it must be there at once, long before plotly has loaded."""

import base64
import html
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageColor

from viz.figures import theme

MOST_ROWS = 12  # tokens with their vectors; of a longer text, the first
FEW_ROWS = 3  # of them in a narrow window
_NARROW = (
    "<style>.few-vectors {display: none} @media (max-width: 640px) {.few-vectors {display: block} "
    f".many-vectors, .token-vectors > :nth-child(n + {2 * FEW_ROWS + 1}) {{display: none !important}}}}</style>"
)


def token_vectors_picture(labels: Sequence[str], vectors: np.ndarray) -> str:
    """Tokens (T,), each with its vector (T, D) as a strip: blue above 0, orange below; of a long text, the first."""
    shown, n = vectors[:MOST_ROWS], min(len(labels), MOST_ROWS)
    both = zip(theme.CATEGORICAL["light"], theme.CATEGORICAL["dark"], strict=True)
    colours = [f"light-dark({light},{dark})" for light, dark in both]  # also on paper, which is light
    strips = _strips(shown)
    chip = (
        "white-space:pre;padding:0 5px;border-radius:5px;max-width:100%;overflow:hidden;text-overflow:ellipsis;"
        f"width:fit-content;font:0.875rem/1.375rem {theme.MONOSPACE};unicode-bidi:isolate"
    )
    rows = "".join(
        f'<span style="{chip};border-bottom:2px solid {colours[i % 5]};'
        f'background:color-mix(in srgb,{colours[i % 5]} 20%,transparent)">'
        f"{html.escape(labels[i])}</span>"
        f'<img alt="" style="width:100%;height:18px;image-rendering:pixelated" src="{_png(strips[i : i + 1])}">'
        for i in range(n)
    )
    more = "".join(
        f'<div class="{name}-vectors" style="font-size:.85rem;opacity:.8">… and {len(labels) - most:,} more</div>'
        for name, most in (("many", MOST_ROWS), ("few", FEW_ROWS))
        if len(labels) > most
    )
    grid = "display:grid;grid-template-columns:minmax(2.5rem,auto) minmax(3rem,1fr);gap:5px 8px;align-items:center"
    return (
        f'{_NARROW}<div class="token-vectors" role="img" aria-label="{html.escape(vectors_told(labels, vectors))}" '
        f'style="{grid}">{rows}</div>{more}'
    )


def vectors_told(labels: Sequence[str], vectors: np.ndarray) -> str:
    """The same in words."""
    n, shown = len(labels), vectors[:MOST_ROWS]
    return (
        f"{n:,} token{'s' if n != 1 else ''}: {', '.join(labels[:MOST_ROWS])}{' …' if n > MOST_ROWS else ''}. "
        f"Each has a vector of {vectors.shape[1]:,} numbers, between {shown.min():.2f} and {shown.max():.2f}."
    )


def _strips(vectors: np.ndarray) -> np.ndarray:
    """Vectors (T, D) as colours (T, D, 4)."""
    strong = float(np.quantile(np.abs(vectors), 0.98)) or 1.0  # a few entries are far larger than all others
    stops = [at for at, _ in theme.DIVERGING]
    colours = np.array([_rgba(colour) for _, colour in theme.DIVERGING])
    return _coloured((np.clip(vectors / strong, -1, 1) + 1) / 2, stops, colours)


def _png(rgba: np.ndarray) -> str:
    png = io.BytesIO()
    Image.fromarray(rgba).save(png, "PNG")
    return f"data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}"


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
