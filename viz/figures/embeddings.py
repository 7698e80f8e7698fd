"""Pictures of vectors: as strips of colour, on a map of neighbours, compared with one another, and layer by layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from viz.figures import axes, theme
from viz.figures.labels import name_size, place_names

_MOST_TRIED = 300  # names that may find a place on a map; the others are told on hover
# px that the points of a map have at least, across and up: in a window of 1,100 px, and on a telephone; viz/frame.css
# hides in narrower windows the names that have room in wider ones only, which it knows by this name of a font
_WIDE, _NARROW, _ONLY_WIDE = (500, 400), (200, 400), "only-wide"
_OWN_FONT, _NEAR_FONT = 14, 11  # px, of the text's tokens and of their neighbours
# where a map of three dimensions is looked at from, the height that is in its middle, and its own height in px
_EYE, _LOOKED_AT, _SCENE = np.array([1.6, 1.6, 0.9]), -0.15, 500
_MARGIN = {"l": 0, "r": 0, "t": 8, "b": 0}
_COLOURBAR = {"thickness": 12, "outlinewidth": 0}
_COSINES = {"title": "cosine", "lenmode": "pixels", "len": 240, "y": 1, "yanchor": "top", **_COLOURBAR}


def embedding_strips(token: np.ndarray, position: np.ndarray, entering: np.ndarray) -> go.Figure:
    """A token's vector, its position's, and the vector that enters block 0, all (D,), on one scale of colours."""
    return vector_strips({"token": token, "+ position": position, "= sum": entering})


def vector_strips(vectors: dict[str, np.ndarray]) -> go.Figure:
    """Vectors (D,) by name, one a row, on one scale of colours."""
    rows = np.stack(list(vectors.values()))
    fig = go.Figure(
        go.Heatmap(
            z=rows,
            y=list(vectors),
            colorbar=_COLOURBAR,
            hovertemplate="%{y}, dimension %{x}<br>%{z:.4f}<extra></extra>",
            ygap=6,
            **theme.symmetric(rows),
        )
    )
    fig.update_layout(height=90 + 40 * len(rows), margin=_MARGIN, dragmode=False)
    fig.update_yaxes(autorange="reversed", showgrid=False, tickfont_family=theme.MONOSPACE)
    fig.update_xaxes(title="dimension", showgrid=False, zeroline=False)
    return fig


@dataclass(frozen=True)
class MapPoint:
    """A vocabulary entry on the map."""

    id: int
    label: str
    positions: tuple[int, ...]  # where the text has it; none for a neighbour
    near: tuple[int, ...]  # places on the map of the text's tokens that it is a neighbour of
    cosine: tuple[float, ...]  # with each of those


def neighbour_map(
    points: Sequence[MapPoint], coordinates: np.ndarray, explained: np.ndarray, *, chosen: int, mode: str
) -> go.Figure:
    """Tokens of a text, strong and named, among their nearest neighbours, pale, each joined to the token it is near.

    `coordinates` (N, 2 or 3) and the share of the variance `explained` by each are `measures.principal_components`'.
    `chosen` is an id, drawn in the accent colour; `mode` is light or dark.
    """
    n_axis = coordinates.shape[1]
    scatter = go.Scatter if n_axis == 2 else go.Scatter3d
    names = _names(points, coordinates, chosen)
    around = [i for i, point in enumerate(points) if not point.positions]
    of_text = [i for i, point in enumerate(points) if point.positions and point.id != chosen]
    amber = [i for i, point in enumerate(points) if point.id == chosen]
    blue = theme.CATEGORICAL[mode][0]

    def place(chain: Sequence[int | None]) -> dict[str, list]:
        at = [[None] * n_axis if i is None else coordinates[i].tolist() for i in chain]
        return dict(zip("xyz", map(list, zip(*at, strict=True)), strict=False)) if at else {"x": [], "y": []}

    links = [i for end, point in enumerate(points) for token in point.near for i in (token, end, None)]
    fig = go.Figure()
    fig.add_trace(
        scatter(**place(links), mode="lines", line={"color": blue, "width": 1}, opacity=0.3, hoverinfo="skip")
    )
    fig.data[0].update(showlegend=False)
    for name, chain, colour, size, opacity in (
        ("near in the vocabulary", around, blue, 6, 0.7),
        ("in this text", of_text, blue, 11, 1),
        ("chosen", amber, theme.ACCENT, 13, 1),
    ):
        labels = [axes.shorten(points[i].label) if names[i][0] else "" for i in chain]
        fig.add_trace(
            scatter(
                **place(chain),
                mode="markers+text",
                name=name,
                text=labels if chain is around else [label and f"<b>{label}</b>" for label in labels],
                textposition=[names[i][0] or "top center" for i in chain],
                textfont={
                    "family": [theme.MONOSPACE if names[i][1] else f"{theme.MONOSPACE}, {_ONLY_WIDE}" for i in chain],
                    "size": _NEAR_FONT if chain is around else _OWN_FONT,
                },
                marker={"size": size if n_axis == 2 else size / 2, "color": colour},
                opacity=opacity,
                hovertext=[_about(points, i) for i in chain],
                hovertemplate="%{hovertext}<extra></extra>",
            )
        )
    titles = [f"component {i} · {100 * share:.0f} % of variance" for i, share in enumerate(explained)]
    fig.update_layout(
        height=540,
        margin=_MARGIN,
        legend=axes.LEGEND | {"traceorder": "reversed"},
    )
    if n_axis == 2:
        fig.update_xaxes(title=titles[0], zeroline=False)
        # one unit is as long across as up: a distance on the map is a distance
        fig.update_yaxes(title=titles[1], zeroline=False, scaleanchor="x")
    else:
        names = ("xaxis", "yaxis", "zaxis")
        fig.update_layout(
            scene={name: {"title": {"text": title}} for name, title in zip(names, titles, strict=True)}
            | {
                "aspectmode": "data",
                "camera": {"eye": dict(zip("xyz", _EYE.tolist(), strict=True)), "center": {"z": _LOOKED_AT}},
            },
        )
    return fig


def _names(points: Sequence[MapPoint], coordinates: np.ndarray, chosen: int) -> list[tuple[str, bool]]:
    """Where each point's name stands, "" for nowhere, and whether there is room for it on a narrow screen too.

    First comes the chosen one, then the text's, then the nearest ones. Of three dimensions, as they are seen before
    anybody turns them; there a narrow window shows a part of the same picture.
    """
    order = sorted(
        range(len(points)),
        key=lambda i: (points[i].id != chosen, not points[i].positions, -max(points[i].cosine, default=0.0)),
    )[:_MOST_TRIED]

    def place(order: Sequence[int], size: tuple[int, int] | None, wanted: Mapping[int, str]) -> dict[int, str]:
        own = [bool(points[i].positions) for i in order]
        fonts = [_OWN_FONT if mine else _NEAR_FONT for mine in own]
        sizes = [name_size(axes.cut(points[i].label), font) for i, font in zip(order, fonts, strict=True)]
        radii = [7.0 if mine else 4.0 for mine in own]
        px = _seen(coordinates)[order] if size is None else coordinates[order] * (np.array(size) / extent).min()
        return dict(zip(order, place_names(px, sizes, radii, own, [wanted.get(i, "") for i in order]), strict=True))

    if coordinates.shape[1] == 3:
        found = place(order, None, {})
        return [(found.get(i, ""), True) for i in range(len(points))]
    extent = np.maximum(np.ptp(coordinates, axis=0), 1e-9)  # one unit is as long across as up
    narrow = place(order, _NARROW, {})
    wide = place(sorted(order, key=lambda i: points[i].id != chosen and not narrow[i]), _WIDE, narrow)
    return [(wide.get(i, ""), wide.get(i) == narrow.get(i)) for i in range(len(points))]


def _seen(coordinates: np.ndarray) -> np.ndarray:
    """Points (N, 3) as plotly's camera sees them first: (N, 2), in pixels, y upwards."""
    extent = np.maximum(np.ptp(coordinates, axis=0), 1e-9)
    scene = (coordinates - coordinates.min(axis=0) - extent / 2) / np.exp(np.log(extent).mean()) - [0, 0, _LOOKED_AT]
    eye = _EYE - [0, 0, _LOOKED_AT]
    right = np.cross([0, 0, 1], eye)
    up = np.cross(eye, right)
    right, up, towards = (axis / np.linalg.norm(axis) for axis in (right, up, eye))
    depth = np.maximum(np.linalg.norm(eye) - scene @ towards, 0.1)
    return np.stack([scene @ right, scene @ up], axis=1) / depth[:, None] * (_SCENE / 2 / np.tan(np.pi / 8))


def _about(points: Sequence[MapPoint], i: int) -> str:
    point = points[i]
    lines = [f"“{axes.escape(point.label)}” · id {point.id}"]
    if point.positions:
        lines.append(f"position {', '.join(map(str, point.positions[:12]))}{' …' if len(point.positions) > 12 else ''}")
    lines += [
        f"cosine {cosine:.3f} with “{axes.escape(points[token].label)}”"
        for token, cosine in zip(point.near, point.cosine, strict=True)
    ]
    return "<br>".join(lines)


def similarity_heatmap(similarity: np.ndarray, labels: Sequence[str]) -> go.Figure:
    """Cosine similarity (T, T) among the tokens of a text; the colours span -1 to 1 whatever the values."""
    n = len(labels)
    fig = _cosines(similarity, "%{y} and %{x}")
    fig.update_layout(
        xaxis=axes.token_axis(labels, "", side="top", tickangle=-60 if n > 8 else 0),
        yaxis=axes.token_axis(labels, "", range=[n - 0.5, -0.5], scaleanchor="x", constraintoward="top"),
        height=min(520, 240 + 26 * n),
        margin=_MARGIN,
        dragmode=False,
    )
    fig.update_xaxes(tickfont_family=theme.MONOSPACE)
    fig.update_yaxes(tickfont_family=theme.MONOSPACE)
    return fig


def _cosines(similarity: np.ndarray, pair: str, **places: np.ndarray) -> go.Figure:
    """Each of some vectors compared with each (N, N); `pair`: how a hover names two of them."""
    hover = f"{pair}<br>cosine %{{z:.4f}}<extra></extra>"
    shades = {"zmin": -1, "zmax": 1, "colorscale": theme.DIVERGING, "colorbar": _COSINES}
    return go.Figure(go.Heatmap(z=similarity, hovertemplate=hover, **shades, **places))


def layer_strips(hidden: np.ndarray, largest: np.ndarray) -> go.Figure:
    """One token's vector (L + 1, D) before block 0 and after each block.

    `largest` (L + 1,) is the value that gets the full colour in each row; beyond ± that, the colour stays.
    """
    n_layer = len(hidden) - 1
    one_scale = len(set(largest.tolist())) == 1
    ends = [f"−{largest[0]:.2f}", "0", f"{largest[0]:.2f}"] if one_scale else ["−max", "0", "max"]
    fig = go.Figure(
        go.Heatmap(
            z=hidden / np.where(largest == 0, 1, largest)[:, None],
            customdata=hidden,
            colorscale=theme.DIVERGING,
            zmin=-1,
            zmax=1,
            colorbar={"tickvals": [-1, 0, 1], "ticktext": ends, **_COLOURBAR},
            hovertemplate="layer %{y}, dimension %{x}<br>%{customdata:.4f}<extra></extra>",
            ygap=2,
        )
    )
    fig.update_layout(height=130 + 26 * (n_layer + 1), margin=_MARGIN, dragmode=False)
    fig.update_yaxes(
        title="layer", range=[n_layer + 0.5, -0.5], dtick=max(1, n_layer // 12), showgrid=False, zeroline=False
    )
    fig.update_xaxes(title="dimension", showgrid=False, zeroline=False)
    return fig


def layer_lengths(norms: np.ndarray) -> go.Figure:
    """The length (L + 1,) of one token's vector before block 0 and after each block."""
    fig = _layer_line(list(range(len(norms))), norms, "length %{y:.3f}")
    fig.update_yaxes(title="length", rangemode="tozero")
    return fig


def layer_turns(cosines: np.ndarray) -> go.Figure:
    """The cosine (L,) between the vector after each block and the one that entered it: 1 where the direction stayed."""
    fig = _layer_line(list(range(1, len(cosines) + 1)), cosines, "cosine to the layer before %{y:.4f}")
    fig.update_yaxes(title="cosine to the layer before", range=[min(0.0, float(cosines.min())) - 0.05, 1.05])
    fig.update_xaxes(range=[-0.3, len(cosines) + 0.3])
    return fig


def _layer_line(layers: Sequence[int], values: np.ndarray, hover: str) -> go.Figure:
    fig = go.Figure(
        go.Scatter(
            x=list(layers), y=values, mode="lines+markers", hovertemplate=f"layer %{{x}}<br>{hover}<extra></extra>"
        )
    )
    fig.update_layout(height=260, margin=_MARGIN, dragmode=False)
    fig.update_xaxes(title="layer", dtick=max(1, len(values) // 12), showgrid=False)
    return fig


def position_matrix(vectors: np.ndarray) -> go.Figure:
    """The learned position vectors (P, D): a row a position."""
    fig = go.Figure(
        go.Heatmap(
            z=vectors,
            colorbar=_COLOURBAR,
            hovertemplate="position %{y}, dimension %{x}<br>%{z:.4f}<extra></extra>",
            **theme.symmetric(np.quantile(np.abs(vectors), 0.995)),
        )
    )
    fig.update_layout(height=460, margin=_MARGIN, dragmode=False)
    fig.update_yaxes(title="position", autorange="reversed", showgrid=False, zeroline=False)
    fig.update_xaxes(title="dimension", showgrid=False, zeroline=False)
    return fig


def position_similarity(similarity: np.ndarray, positions: np.ndarray) -> go.Figure:
    """Cosine similarity (P', P') among the vectors of some `positions` (P',), evenly spaced."""
    fig = _cosines(similarity, "positions %{y} and %{x}", x=positions, y=positions)
    fig.update_layout(height=460, margin=_MARGIN, dragmode=False)
    fig.update_yaxes(title="position", autorange="reversed", scaleanchor="x", showgrid=False)
    fig.update_yaxes(constrain="domain", constraintoward="top")
    fig.update_xaxes(title="position", constrain="domain", showgrid=False)
    return fig


def position_profile(similarity: np.ndarray, chosen: int) -> go.Figure:
    """Cosine similarity (P,) of one position's vector with that of every position."""
    fig = go.Figure(
        go.Scatter(
            x=list(range(len(similarity))),
            y=similarity,
            mode="lines",
            hovertemplate=f"position %{{x}} and {chosen}<br>cosine %{{y:.4f}}<extra></extra>",
        )
    )
    fig.add_vline(x=chosen, line={"color": theme.ACCENT, "width": 2})
    fig.update_layout(height=240, margin=_MARGIN, dragmode=False)
    fig.update_yaxes(title="cosine")
    fig.update_xaxes(title="position", showgrid=False, range=[-1, len(similarity)])
    return fig
