"""Every colour that Regard draws with.

Streamlit's own theme (.streamlit/config.toml) repeats the sequential and categorical colours, because that is how they
reach plotly's default scale and the components' CSS variables, in light and in dark; a test keeps them the same.
A figure therefore names no sequential colours: it follows the theme. Only what Streamlit cannot pass on is named here.
"""

# evenly spaced lightness in OKLCH, one turn of hue: perceptually uniform, readable with any colour vision;
# the first colour is the page's background, so that nothing looks like nothing
SEQUENTIAL = {
    "light": "#f6fbfb #c6e9e9 #94d6d6 #5fc1cc #1ba9c9 #008dc4 #0d6eba #2b4fa7 #2f3489 #2b1b6a".split(),
    "dark": "#13151f #212747 #313873 #325295 #2171b1 #0092c2 #00b3c5 #50d1bd #a8e6aa #f2f5ae".split(),
}
CATEGORICAL = {
    "light": "#466cc8 #c57800 #008b52 #d86165 #8c54b2 #939300 #0081b2 #ca62a1 #008b85 #d46a34".split(),
    "dark": "#7fa5fa #fab45f #50c08b #ffa1a1 #c190e5 #c9cb61 #28b8e5 #ffa1d7 #00c1ba #ffa87b".split(),
}

# negative to positive, orange to blue; the middle is see-through, so that zero is the page in light and in dark
DIVERGING = [
    [0.0, "rgb(197, 98, 0)"],
    [0.25, "rgba(222, 140, 50, 0.75)"],
    [0.5, "rgba(128, 128, 128, 0.05)"],
    [0.75, "rgba(60, 140, 215, 0.75)"],
    [1.0, "rgb(10, 90, 190)"],
]

# background and text of a page, for pictures that leave it
PAGE = {"light": ("#ffffff", "#1e2433"), "dark": ("#13151f", "#e6e9f2")}

# of Streamlit's own elements, for pages without it
PRIMARY = {"light": "#2b4fa7", "dark": "#7fa5fa"}
SECONDARY = {"light": "#f1f5f9", "dark": "#1c2030"}
BORDER = {"light": "#d8dfe8", "dark": "#333a50"}

# what has no colour of its own, on any background
NEUTRAL = "#8b90a0"

# what is selected, on any background
ACCENT = "#e8a317"

MONOSPACE = "'Source Code Pro', ui-monospace, 'SFMono-Regular', Menlo, Consolas, monospace"


def symmetric(values) -> dict:
    """Keyword arguments of a plotly trace that colours signed `values` with zero in the middle."""
    largest = float(abs(values).max()) or 1.0
    return {"colorscale": DIVERGING, "zmin": -largest, "zmax": largest}


def signed_background(value: float, largest: float) -> str:
    """The CSS colour of one signed value: see-through at 0, full at ± `largest`; the ends of DIVERGING."""
    red, green, blue = (197, 98, 0) if value < 0 else (10, 90, 190)
    return f"rgb({red} {green} {blue} / {min(abs(value) / largest, 1) if largest else 0:.2f})"
