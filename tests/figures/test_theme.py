"""The colours: one file names them, Streamlit's options repeat them, and they mean what they say."""

import re
import tomllib

import numpy as np
import pytest

from tests.conftest import ROOT
from viz.figures import theme

CONFIG = tomllib.loads((ROOT / ".streamlit/config.toml").read_text())
DRAWING = sorted(
    path for kind in ("py", "css", "js") for path in (ROOT / "viz").rglob(f"*.{kind}") if path.stem != "theme"
)
kinds = pytest.mark.parametrize("kind", ["light", "dark"])


def lightness(colour: str) -> float:
    """L of OKLab (Ottosson 2020), 0 black … 1 white."""
    srgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    return float(np.array([0.2104542553, 0.7936177850, -0.0040720468]) @ np.cbrt(cones @ linear))


def contrast(one: str, other: str) -> float:
    """WCAG 2 contrast ratio, 1 … 21."""

    def luminance(colour: str) -> float:
        srgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_lightness_of_known_colours():
    assert lightness("#ffffff") == pytest.approx(1, abs=1e-3)
    assert lightness("#000000") == 0
    assert lightness("#ff0000") == pytest.approx(0.628, abs=1e-3)


@kinds
def test_streamlit_repeats_the_colours(kind):
    assert CONFIG["theme"][kind]["chartSequentialColors"] == theme.SEQUENTIAL[kind]
    assert CONFIG["theme"][kind]["chartCategoricalColors"] == theme.CATEGORICAL[kind]
    assert (CONFIG["theme"][kind]["backgroundColor"], CONFIG["theme"][kind]["textColor"]) == theme.PAGE[kind]
    for name, colours in (("primary", "PRIMARY"), ("secondaryBackground", "SECONDARY"), ("border", "BORDER")):
        assert CONFIG["theme"][kind][f"{name}Color"] == getattr(theme, colours)[kind]


@kinds
def test_exactly_ten_colours(kind):
    # with any other number Streamlit does not hand them to plotly
    for colours in (theme.SEQUENTIAL[kind], theme.CATEGORICAL[kind]):
        assert len(set(colours)) == len(colours) == 10
        assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in colours)


@kinds
def test_more_is_further_from_the_background(kind):
    steps = np.diff([lightness(colour) for colour in theme.SEQUENTIAL[kind]])
    assert (steps < 0).all() if kind == "light" else (steps > 0).all()
    assert abs(steps).max() < 2 * abs(steps).min()  # evenly: equal differences look equal


@kinds
def test_nothing_looks_like_the_page(kind):
    background = CONFIG["theme"][kind]["backgroundColor"]
    assert lightness(theme.SEQUENTIAL[kind][0]) == pytest.approx(lightness(background), abs=0.02)


@kinds
def test_text_and_marks_can_be_seen(kind):
    options = CONFIG["theme"][kind]
    for background in (options["backgroundColor"], options["secondaryBackgroundColor"]):
        assert contrast(options["textColor"], background) >= 7
    for colour in [*theme.CATEGORICAL[kind], options["primaryColor"]]:
        assert contrast(colour, options["backgroundColor"]) >= 3, colour


# what Streamlit gives plotly of its own, by which it is known when a picture is drawn for paper
STREAMLITS = {"corner_colours.js": {"#fafafa", "#262730", "#31333f", "#e6eaf1", "#808495"}}


def hex_colours(path) -> set[str]:
    return set(re.findall(r"#(?:[0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})\b", path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", DRAWING, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_theme_names_colours(path):
    assert hex_colours(path) == STREAMLITS.get(path.name, set())


def test_what_is_selected_has_one_colour():
    for name in ("token_chips.css", "head_grid.css", "sides.css"):
        assert "var(--regard-accent)" in (ROOT / "viz/components" / name).read_text(encoding="utf-8")
    assert "--regard-accent: {theme.ACCENT}" in (ROOT / "viz/offline/source.py").read_text(encoding="utf-8")


def test_signed_values_have_zero_in_the_middle():
    options = theme.symmetric(np.array([[-3.0, 1.0], [0.5, 2.0]]))
    assert (options["zmin"], options["zmax"]) == (-3, 3)
    stops = [stop for stop, _ in options["colorscale"]]
    assert stops[0] == 0 and stops[-1] == 1 and stops[len(stops) // 2] == 0.5
    assert theme.symmetric(np.zeros((2, 2)))["zmax"] == 1
