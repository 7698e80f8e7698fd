"""A map of the text's tokens among those of the vocabulary that point most nearly in their direction."""

from collections import defaultdict

import pandas as pd
import streamlit as st

from model.analysis import measures
from model.language_model import LanguageModel
from model.run import ModelRun
from viz.figures.embeddings import MapPoint, neighbour_map
from viz.guard import section
from viz.ui import controls, links
from viz.ui.pictures import picture
from viz.ui.prose import quoted


@section("neighbours")
def show(lm: LanguageModel, run: ModelRun, token: int, whose: str) -> None:
    """`whose`: the words for the text, “your text”."""
    st.header("Which tokens lie close together?", divider="gray")
    st.markdown(
        "Nobody told the model what a token means: training moves tokens that can stand in the same places the same "
        f"way. Here are the tokens of {whose}, among those of the whole vocabulary that point most nearly in their "
        "direction."
    )
    token_vectors, _ = lm.embeddings()
    left, right = st.columns(2)
    with left:
        k = controls.slider("Neighbours of each token", 1, 8, "map_neighbours")
    n_axis = right.radio("Dimensions", [2, 3], key=links.key("map_axes"), horizontal=True, format_func="{}-D".format)
    points = map_points(lm, run, k)
    seen = measures.principal_components(
        measures.unit_length(token_vectors[[point.id for point in points]]), n_axis
    )  # (N, 2 or 3)
    chosen = run.tokens[token]
    nearest = sorted(
        [(cosine, point.label) for point in points for near, cosine in zip(point.near, point.cosine, strict=True)
         if points[near].id == chosen.id],
        reverse=True,
    )  # fmt: skip
    n_own = sum(bool(point.positions) for point in points)
    picture(
        neighbour_map(
            points, seen.coordinates, seen.explained, chosen=chosen.id, mode=st.context.theme.type or "light"
        ),
        key="map",
        how=f"Bold: the tokens of {whose}, the chosen one amber. Pale: their neighbours, joined to them by a line. "
        f"Of the {token_vectors.shape[1]} dimensions you see the {n_axis} along which these vectors (scaled to length "
        f"1) differ most; together they hold {100 * seen.explained.sum():.0f} % of the variance, so what looks close "
        "may still be apart. " + ("Drag to turn it." if n_axis == 3 else "Drag to zoom in, double-click to see all."),
        alt=f"Map of {n_own} different tokens of the text and {len(points) - n_own} neighbours. Nearest to "
        f"{chosen.label}: {', '.join(f'{label} {cosine:.2f}' for cosine, label in nearest)}.",
        table=lambda: pd.DataFrame(
            [
                {
                    "token": point.label,
                    "id": point.id,
                    "positions": ", ".join(map(str, point.positions)),
                    "near": ", ".join(
                        f"{points[near].label} {cosine:.3f}"
                        for near, cosine in zip(point.near, point.cosine, strict=True)
                    ),
                }
                | {f"component {i}": value for i, value in enumerate(at)}
                for point, at in zip(points, seen.coordinates.tolist(), strict=True)
            ]
        ),
    )
    st.markdown(
        f"Nearest to {quoted(chosen.label)} in all {token_vectors.shape[1]} dimensions: "
        + ", ".join(f"{quoted(label)} {cosine:.3f}" for cosine, label in nearest)
        + "."
    )


def map_points(lm: LanguageModel, run: ModelRun, k: int) -> list[MapPoint]:
    """The text's different tokens, in the order of the text, then their neighbours."""
    where, links = defaultdict(list), defaultdict(list)
    for position, each in enumerate(run.tokens):
        where[each.id].append(position)
    for place, (near, cosine) in enumerate(
        zip(*(each.tolist() for each in measures.nearest_neighbours(lm.embeddings()[0], list(where), k)), strict=True)
    ):
        for id, value in zip(near, cosine, strict=True):
            links[id].append((place, value))
    return [
        MapPoint(
            id,
            lm.token(id).label,
            tuple(where.get(id, ())),
            tuple(place for place, _ in links.get(id, ())),
            tuple(value for _, value in links.get(id, ())),
        )
        for id in dict.fromkeys([*where, *links])
    ]
