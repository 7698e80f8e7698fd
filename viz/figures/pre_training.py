"""What pre-trainings took: learning curves, a table of tokens and operations, and the arithmetic behind each number."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from model.analysis.pre_training import CHINCHILLA, PreTraining
from viz.figures import axes, theme
from viz.figures.numbers import digits_and_power
from viz.figures.training import Curves, Table

_MARGIN = {"l": 0, "r": 8, "t": 8, "b": 0}
_POWERS = {"dtick": 1, "exponentformat": "power", "showgrid": False}
_YEAR = 365.25 * 86_400  # seconds
_UNITS = ((_YEAR, "year"), (86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_DIGITS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_LARGE = ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"))
HEADS = ("parameters", "of them N", "tokens D", "tokens a parameter", "operations 6ND", "on our machine")


def colours_of(curves: Sequence[Curves], mode: str) -> dict[str, str]:
    """One for each kind of text that some are judged on; the first of them is that of all together."""
    names = dict.fromkeys(name for each in curves if len(each.values) > 1 for name in each.values)
    palette = theme.CATEGORICAL[mode]
    return {name: palette[i % len(palette)] for i, name in enumerate(names)}


def curve_panel(curves: Curves, colours: Mapping[str, str], mode: str) -> go.Figure:
    """What one model learned: the first line strong, others thin; the colours say on which texts."""
    fig, first = go.Figure(), theme.CATEGORICAL[mode][0]
    for i, (name, values) in enumerate(curves.values.items()):
        fig.add_scatter(
            x=list(curves.tokens[name]),
            y=list(values),
            mode="lines" if i else "lines+markers",
            line={"width": 1.5 if i else 3, "color": colours.get(name, first)},
            name=axes.escape(name),
            hovertemplate="after %{x:,} tokens: %{y:.3f}",
        )
    fig.update_layout(height=280, margin=_MARGIN, dragmode=False, showlegend=False)
    fig.update_xaxes(title="tokens read", tickformat="~s", nticks=5, rangemode="tozero")
    fig.update_yaxes(title=axes.escape(unit_of(curves)))
    return fig


def unit_of(curves: Curves) -> str:
    """Without what is true of all: that it is measured on texts for validation."""
    return curves.unit.removeprefix("valid ")


def tokens_and_parameters(trainings: Sequence[PreTraining], chosen: str, mode: str) -> go.Figure:
    """Tokens over parameters, both in factors of ten; what takes as many operations lies on one of the lines.

    The point of the `chosen` one, by its name, is larger. A click carries which of the trainings a point is.
    """
    read = [(i, each) for i, each in enumerate(trainings) if each.n_token]
    places = np.log10([(each.n_working, each.n_token) for _, each in read])  # (n, 2) powers of ten
    sizes = np.log10([each.n_working for each in trainings])
    left, right = sizes.min() - 0.6, sizes.max() + 0.7
    bottom, top = places[:, 1].min() - 0.9, places[:, 1].max() + 0.9
    fig, ends = go.Figure(), np.array([left, right])
    for power in range(0, 40, 2):
        start = power - np.log10(6) - left  # where its line is at the left
        if not bottom < start < top + right - left - 0.5:
            continue
        _line(fig, 10**ends, 10 ** (start + left - ends), theme.NEUTRAL, width=1)
        # named where the line comes into the picture, at its left or its top
        x, y = (left, start) if start <= top else (left + start - top, top)
        name = f"10{str(power).translate(_DIGITS)}"
        fig.add_annotation(x=x, y=y, text=name, showarrow=False, xshift=18, yshift=-10, bgcolor=theme.PAGE[mode][0])
    _line(fig, 10**ends, CHINCHILLA * 10**ends, theme.ACCENT, width=2, dash="dash")
    for each in trainings:
        if each.n_token is None:
            _line(fig, [each.n_working] * 2, [10**bottom, 10**top], theme.NEUTRAL, width=1.5, dash="dot")
            where = {"x": np.log10(each.n_working), "y": bottom, "yanchor": "bottom", "xshift": -10}
            fig.add_annotation(text=axes.escape(each.title), showarrow=False, textangle=-90, **where)
    fig.add_scatter(
        x=[each.n_working for _, each in read],
        y=[each.n_token for _, each in read],
        mode="markers+text",
        marker={
            "size": [16 if each.name == chosen else 11 for _, each in read],
            "color": theme.ACCENT,
            "line": {"width": 1, "color": theme.NEUTRAL},
        },
        text=[_short(each) for _, each in read],
        textposition=[_beside(place, places, right) for place in places],
        customdata=[i for i, _ in read],
        unselected={"marker": {"opacity": 1}},
        hovertext=[f"6ND = {scientific(each.operations)}" for _, each in read],
        hovertemplate="%{text}: N = %{x:,}, D = %{y:,}, %{hovertext}<extra></extra>",
    )
    fig.update_layout(height=400, margin=_MARGIN, dragmode=False, showlegend=False, clickmode="event+select")
    fig.update_xaxes(title="N, parameters that work on each token", type="log", range=[left, right], **_POWERS)
    fig.update_yaxes(title="D, tokens read", type="log", range=[bottom, top], **_POWERS)
    return fig


def _beside(place: np.ndarray, places: np.ndarray, right: float) -> str:
    """Where a point (2,) has its name among others (n, 2), all in powers of ten: away from those that are near."""
    near = places[(np.abs(places - place) < (1, 0.7)).all(1)]
    if place[0] == near[:, 0].max() and place[0] > near[:, 0].min():
        return "middle right"
    if len(near) > 1:
        return "top center" if place[1] == near[:, 1].max() else "bottom center"
    return "middle right" if place[0] < right - 2 else "top center"


def _line(fig: go.Figure, x: Sequence[float], y: Sequence[float], colour: str, **line) -> None:
    fig.add_scatter(x=x, y=y, mode="lines", line={"color": colour, **line}, hoverinfo="skip")


def _short(each: PreTraining) -> str:
    return axes.escape(each.title.partition(" (")[0])


def cost_table(trainings: Sequence[PreTraining], speed: float) -> Table:
    """`speed`: operations a second, at which those are reckoned that were not made on this machine."""
    rows = []
    for each in trainings:
        ratio = each.tokens_a_parameter
        rows.append(
            (
                each.title,
                (
                    in_words(each.n_parameter),
                    in_words(each.n_working),
                    "not published" if each.n_token is None else in_words(each.n_token),
                    "–" if ratio is None else f"{ratio:,.1f}" if ratio < 100 else f"{ratio:,.0f}",
                    "–" if each.operations is None else scientific(each.operations),
                    _on_our_machine(each, speed),
                ),
            )
        )
    return Table(HEADS, tuple(rows), "")


def _on_our_machine(each: PreTraining, speed: float) -> str:
    if each.seconds:
        return duration(each.seconds)
    return "–" if each.operations is None else f"about {duration(each.operations / speed)}"


def arithmetic(each: PreTraining, rate_of: PreTraining) -> list[tuple[str, tuple[str, ...]]]:
    """What is reckoned, in words, and how, as pieces of LaTeX between which a line may end.

    `rate_of`: the training whose operations a second are our machine's.
    """
    lines = []
    if each.n_layer:
        lines.append(
            (
                "Parameters that work on each token: in each layer, 4 d² of attention and 8 d² of the MLP",
                (
                    r"N = 12\,L\,d^2",
                    rf"= 12 \cdot {each.n_layer} \cdot {_tex(each.d_model)}^2",
                    f"= {_tex(each.n_working)}",
                ),
            )
        )
    else:
        lines.append(
            (
                "Parameters that work on each token: all but the tables of token and position vectors",
                (
                    r"N = \mathrm{all} - \mathrm{tables}",
                    f"= {_tex(each.n_parameter)}",
                    rf"-\, {_tex(each.n_parameter - each.n_working)}",
                    f"= {_tex(each.n_working)}",
                ),
            )
        )
    if each.n_token is None:
        billion = 6.0 * each.n_working * 1e9
        return [
            *lines,
            ("Operations for each token", (r"6\,N", f"= {_power(6.0 * each.n_working)}")),
            (
                "So, on our machine, for each billion tokens",
                (
                    r"\frac{6\,N \cdot 10^9}{\mathrm{operations/s}}",
                    rf"= \frac{{{_power(billion)}}}{{{_power(rate_of.speed)}}}",
                    _in_tex(duration(billion / rate_of.speed)),
                ),
            ),
        ]
    lines += [
        (
            "Operations: 2 a parameter and token forward (multiply, add), 4 backward",
            (
                r"C = 6\,N\,D",
                rf"= 6 \cdot {_tex(each.n_working)}",
                rf"\cdot\, {_tex(each.n_token)}",
                f"= {_power(each.operations)}",
            ),
        ),
        (
            "With the logits, for which each token is multiplied with the whole table of V tokens",
            (
                r"6\,(N + V d)\,D",
                rf"= 6 \cdot ({_tex(each.n_working)}",
                rf"+\, {_tex(each.n_output)})",
                rf"\cdot\, {_tex(each.n_token)}",
                f"= {_power(each.with_output)}",
                *([rf"\quad\text{{(published: }}{_power(each.published)}\text{{)}}"] if each.published else []),
            ),
        ),
        (
            "Tokens read for each parameter",
            (
                r"\frac{D}{\mathrm{parameters}}",
                rf"= \frac{{{_tex(each.n_token)}}}{{{_tex(each.n_parameter)}}}",
                f"= {each.tokens_a_parameter:,.3g}".replace(",", r"{,}"),
            ),
        ),
    ]
    if each.seconds:
        return [
            *lines,
            (
                "Tokens a second, measured",
                (
                    r"\frac{D}{\mathrm{seconds}}",
                    rf"= \frac{{{_tex(each.n_token)}}}{{{_seconds(each.seconds)}}}",
                    f"= {_tex(round(each.tokens_a_second))}",
                ),
            ),
            (
                "Operations a second",
                (
                    r"\frac{C}{\mathrm{seconds}}",
                    rf"= \frac{{{_power(each.operations)}}}{{{_seconds(each.seconds)}}}",
                    f"= {_power(each.speed)}",
                ),
            ),
        ]
    return [
        *lines,
        (
            f"On our machine, at the operations a second of “{rate_of.title}”",
            (
                r"\frac{C}{\mathrm{operations/s}}",
                rf"= \frac{{{_power(each.operations)}}}{{{_power(rate_of.speed)}}}",
                f"= {_power(each.operations / rate_of.speed)}" + r"\text{ s}",
                _in_tex(duration(each.operations / rate_of.speed)),
            ),
        ),
    ]


def in_words(n: float) -> str:
    """A large number as people say it: 2.67 million."""
    for size, name in _LARGE:
        if n >= size:
            return f"{n / size:.3g} {name}"
    return f"{n:,.0f}"


def scientific(value: float) -> str:
    """3.52 × 10¹⁴"""
    digits, power = digits_and_power(value)
    return f"{digits} × 10{str(power).translate(_DIGITS)}"


def duration(seconds: float) -> str:
    """In the largest unit of which there is one: 47 minutes, 2.9 hours, 79,000 years."""
    size, name = next(((size, name) for size, name in _UNITS if seconds >= size), _UNITS[-1])
    n = seconds / size
    said = f"{n:.2g}" if n < 100 else f"{float(f'{n:.2g}'):,.0f}"
    return f"{said} {name}{'s' * (said != '1')}"


def _tex(n: int) -> str:
    return f"{n:,}".replace(",", "{,}")


def _seconds(n: float) -> str:
    """With the digits that a quotient needs, to come out as it is shown."""
    return f"{n:.4g}" if n < 1000 else _tex(round(n))


def _power(value: float) -> str:
    if value < 1e6:
        return f"{value:.3g}"
    digits, power = digits_and_power(value)
    return rf"{digits} \cdot 10^{{{power}}}"


def _in_tex(words: str) -> str:
    return rf"\approx \text{{{words}}}"
