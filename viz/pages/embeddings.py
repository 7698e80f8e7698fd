from collections import Counter, defaultdict

import numpy as np
import pandas as pd
import streamlit as st

from model.analysis import checks, measures
from viz.components.token_chips import token_chips
from viz.figures import embeddings as figures
from viz.figures.numbers import how_far
from viz.guard import part, section
from viz.plain import plain
from viz.ui import controls, pictures, session
from viz.ui.prose import check, quoted

MOST_POSITIONS = 128  # rows of the picture that compares positions with one another
TOKEN_VECTORS = "token vectors"

st.title("Embeddings")
st.markdown(
    "A transformer calculates with vectors, not with words. Each entry of its vocabulary has a vector of its own, "
    "learned in training. Every layer then changes what these begin."
)
lm = session.current_model()
run = session.current_run()
labels, n_layer, d_model = run.labels, run.info.n_layer, run.info.d_model
whose = "the target" if run.source else "your text"  # an encoder-decoder writes what is looked at here
token_vectors, position_vectors = lm.embeddings()  # (V, D), (n_context, D) or None


def difference_from_sum() -> float:
    """How far what enters block 0 is from token vector + position vector, over the whole text; inf: not comparable."""
    if position_vectors is None or not (token_vectors.shape[1] == position_vectors.shape[1] == d_model):
        return np.inf
    everywhere = token_vectors[[token.id for token in run.tokens]] + position_vectors[: len(run.tokens)]
    return float(np.abs(everywhere - run.stream[0]).max())


def entering() -> None:
    if (difference := difference_from_sum()) < 1e-3:
        entering_as_a_sum(difference)
    else:
        entering_otherwise()


def entering_otherwise() -> None:
    """Models that normalise, scale or project the vectors first, or tell positions in another way."""
    st.header("What enters block 0", divider="gray")
    chosen, hidden = run.tokens[token], run.stream[0, token]
    st.markdown(
        f"{quoted(chosen.label)} is entry {chosen.id} of the vocabulary, with a vector of {token_vectors.shape[1]} "
        f"numbers. {how_positions_come_in()} What enters block 0 are {d_model} numbers, drawn here as they "
        "were in this run."
    )
    comparable = token_vectors.shape[1] == d_model
    rows = {"token": token_vectors[chosen.id]} if comparable else {}
    rows["enters"] = hidden
    pictures.picture(
        figures.vector_strips(rows),
        key="strips",
        how="One column a dimension, one cell a number: blue above zero, orange below, the stronger the larger.",
        alt=f"What enters block 0 for token {token}: {d_model} values, of length {np.linalg.norm(hidden):.3f}.",
        table=lambda: pd.DataFrame(rows),
    )
    if comparable:
        cosine = float(measures.cosine_similarity(token_vectors[[chosen.id]], hidden[None])[0, 0])
        st.markdown(f"Cosine between the token's vector and what enters: **{cosine:.3f}** (1: the same direction).")


def how_positions_come_in() -> str:
    """By what is known of this model's architecture."""
    if position_vectors is not None:
        return (
            "The model learned vectors for positions too, and makes of both (with a layer norm, a factor, a "
            "projection, the kind of text) what enters."
        )
    kinds = set(lm.architecture().stacks[-1].positions)
    if "sinusoidal" in kinds:
        return "Sines and cosines that belong to its position are added to it."
    if kinds & {"rotary", "relative", "ALiBi", "disentangled"}:
        return "No vector of its position is added: positions come in inside attention, where queries meet keys."
    return "How positions come in is not known of this model."


def entering_as_a_sum(difference: float) -> None:
    st.header(f"What enters block 0 is a sum of two vectors of {d_model} numbers", divider="gray")
    chosen = run.tokens[token]
    st.markdown(
        f"The vector of {quoted(chosen.label)}, entry {chosen.id} of the vocabulary, says *what* stands there, "
        f"wherever it stands. The vector of position {token} says *where*, whatever stands there. Their sum is all "
        "that the first block is given."
    )
    parts = token_vectors[chosen.id], position_vectors[token]
    total, hidden = parts[0] + parts[1], run.stream[0, token]
    pictures.picture(
        figures.embedding_strips(*parts, hidden),
        key="strips",
        how="One column a dimension, one cell a number: blue above zero, orange below, the stronger the larger. Each "
        "cell of the last row is the sum of the two above it; hover for the values.",
        alt=f"Three strips of {d_model} values: the token's vector, of length {np.linalg.norm(parts[0]):.3f}, the "
        f"position's, {np.linalg.norm(parts[1]):.3f}, and their sum, {np.linalg.norm(hidden):.3f}.",
        table=lambda: pd.DataFrame({"token": parts[0], "position": parts[1], "sum": total, "enters block 0": hidden}),
    )
    widest = int(np.abs(hidden).argmax())
    first, second, third = (f"{vector[widest]:.4f}".replace("-", "−") for vector in (*parts, hidden))
    second = f"({second})" if parts[1][widest] < 0 else second
    st.markdown(f"For example, dimension {widest}: {first} + {second} = **{third}**.")
    check(
        checks.embeddings_summed(difference),
        f"for each of the {len(labels)} tokens of this run, the sum was made again and compared with what the model "
        f"put into block 0. The largest difference is **{how_far(difference)}**.",
    )


@section("neighbours")
def neighbours() -> None:
    st.header("Which tokens lie close together?", divider="gray")
    st.markdown(
        "Nobody told the model what a token means: training moves tokens that can stand in the same places the same "
        f"way. Here are the tokens of {whose}, among those of the whole vocabulary that point most nearly in their "
        "direction."
    )
    left, right = st.columns(2)
    k = left.slider("Neighbours of each token", 1, 8, 3, key="map_neighbours", persist_state="session")
    n_axis = right.radio(
        "Dimensions", [2, 3], key="map_axes", horizontal=True, format_func="{}-D".format, persist_state="session"
    )
    points = map_points(k)
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
    pictures.picture(
        figures.neighbour_map(
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


def map_points(k: int) -> list[figures.MapPoint]:
    """The text's different tokens, in the order of the text, then their neighbours."""
    where, links = defaultdict(list), defaultdict(list)
    for position, each in enumerate(run.tokens):
        where[each.id].append(position)
    for place, (near, cosine) in enumerate(
        zip(*(each.tolist() for each in measures.nearest_neighbours(token_vectors, list(where), k)), strict=True)
    ):
        for id, value in zip(near, cosine, strict=True):
            links[id].append((place, value))
    return [
        figures.MapPoint(
            id,
            lm.token(id).label,
            tuple(where.get(id, ())),
            tuple(place for place, _ in links.get(id, ())),
            tuple(value for _, value in links.get(id, ())),
        )
        for id in dict.fromkeys([*where, *links])
    ]


@section("similarity")
def similarity() -> None:
    st.header("How alike are the tokens of this text?", divider="gray")
    st.markdown(
        "The cosine of the angle between two vectors is 1 where they point the same way, 0 where they have nothing in "
        "common, and negative where they oppose each other. Follow it from layer to layer: by attention, a token's "
        "vector may take up what stands around it."
    )
    sources = [TOKEN_VECTORS, *range(n_layer + 1)]
    if st.session_state.get("similarity_of") not in sources:  # a model of fewer layers was chosen
        st.session_state.similarity_of = TOKEN_VECTORS
    source = st.select_slider(
        "Vectors",
        sources,
        key="similarity_of",
        format_func=layer_name,
        persist_state="session",
        help="Layer 0 is what enters block 0; the last layer is what leaves the last block.",
    )
    vectors = token_vectors[[each.id for each in run.tokens]] if source == TOKEN_VECTORS else run.stream[source]
    table = measures.cosine_similarity(vectors)  # (T, T)
    others = table[~np.eye(len(table), dtype=bool)]
    mean = f"; over all pairs, the mean is {others.mean():.3f}" if len(others) else ""
    left, right = st.columns([3, 2], gap="large")
    with left:
        pictures.picture(
            figures.similarity_heatmap(table, labels),
            key="similarity",
            how="Each cell compares the token of its row with the token of its column: blue alike, orange opposed. The "
            "diagonal compares each with itself.",
            alt=f"Cosine similarity of {len(labels)} tokens, {layer_name(source)}{mean}.",
            table=lambda: pictures.square_table(table, labels),
        )
    if not len(others):
        right.markdown("A text of one token has nothing to compare: type a longer one.")
        return
    right.metric(f"Mean over all pairs, {layer_name(source)}", f"{others.mean():.3f}")
    ids = np.array([each.id for each in run.tokens])
    different = np.where(ids[:, None] == ids, -np.inf, table)
    if np.isfinite(different).any():
        one, other = sorted(np.unravel_index(different.argmax(), different.shape))
        right.metric(
            f"Most alike, if not equal: {quoted(labels[one])} and {quoted(labels[other])}", f"{table[one, other]:.3f}"
        )
    (most_common, times), *_ = Counter(each.id for each in run.tokens).most_common(1)
    if times > 1:
        first, second = [i for i, each in enumerate(run.tokens) if each.id == most_common][:2]
        right.metric(f"Positions {first} and {second}, {layer_name(source)}", f"{table[first, second]:.3f}")
        right.markdown(
            f"Both positions hold {quoted(labels[first])}: one vocabulary entry, so one token vector, its cosine 1. "
            "Only their positions, and then what stands around them, can tell them apart."
        )


def layer_name(source: str | int) -> str:
    return source if source == TOKEN_VECTORS else f"layer {source}"


def through_layers() -> None:
    st.header("One token's vector, layer by layer", divider="gray")
    st.markdown(
        f"Each block reads the vector of {quoted(labels[token])} at position {token} and **adds** something to it"
        f"{', then normalises the sum' if lm.architecture().norm == 'post' else ''}. "
        f"Layer 0 is what enters block 0, layer {n_layer} what leaves the last block."
    )
    hidden = run.stream[:, token]  # (L + 1, D)
    each = st.toggle("Colour each layer by its own numbers", True, key="layers_apart", persist_state="session")
    if each:
        largest = np.abs(hidden).max(axis=1)  # (L + 1,)
        colours = "In each row, the number farthest from 0 has the full colour: compare patterns, not rows"
    else:
        largest = np.full(len(hidden), np.abs(hidden).max())
        colours = "All rows share one scale of colours: compare rows"
    pictures.picture(
        figures.layer_strips(hidden, largest),
        key="layers",
        how=f"One row a layer, one column a dimension. {colours}; hover for the values.",
        alt=f"{n_layer + 1} strips of {d_model} values: the token's vector after each block.",
        table=lambda: pd.DataFrame(hidden.T, columns=[layer_name(i) for i in range(n_layer + 1)]),
    )
    norms, cosines = np.linalg.norm(hidden, axis=1), measures.cosine_to_previous(hidden)
    left, right = st.columns(2)
    with left:
        pictures.picture(
            figures.layer_lengths(norms),
            key="lengths",
            how=f"The length of the vector, from {norms[0]:.2f} at the start to {norms[-1]:.2f} at the end.",
            alt=f"Length of the vector by layer: {', '.join(f'{value:.2f}' for value in norms)}.",
            table=lambda: pd.DataFrame({"length": norms}),
        )
    # a turn too small to be told from rounding is none
    turned = "No block turned it" if cosines.min() > 1 - 1e-6 else f"Block {int(cosines.argmin())} turned it most"
    with right:
        pictures.picture(
            figures.layer_turns(cosines),
            key="turns",
            how=f"Whether a block turned it: 1 is the same direction as before. {turned}.",
            alt=f"Cosine to the layer before: {', '.join(f'{value:.3f}' for value in cosines)}.",
            table=lambda: pd.DataFrame({"cosine": cosines}, index=range(1, n_layer + 1)),
        )


def positions() -> None:
    n_context = len(position_vectors)
    step = -(-n_context // MOST_POSITIONS)
    some = np.arange(0, n_context, step)
    st.header("Positions have vectors too", divider="gray")
    table = measures.cosine_similarity(position_vectors)  # (P, P)
    far = n_context // 2
    st.markdown(
        f"{plain(run.info.title)} learned one vector for each of the {n_context} positions it can read; that is why it "
        "cannot read more. They do not depend on your text."
    )
    left, right = st.columns(2)
    with left:
        pictures.picture(
            figures.position_matrix(position_vectors),
            key="position_matrix",
            how=f"One row a position, from 0 at the top to {n_context - 1}; one column a dimension.",
            alt=f"The position vectors: {n_context} rows of {d_model} values.",
            table=lambda: pd.DataFrame(position_vectors),
        )
    # + 0.0: no “-0.00”
    near_by, far_off = (round(measures.mean_similarity_apart(table, distance), 2) + 0.0 for distance in (1, far))
    apart = f"{near_by:.2f} between neighbours, {far_off:.2f} between positions {far} apart"
    with right:
        pictures.picture(
            figures.position_similarity(table[np.ix_(some, some)], some),
            key="position_similarity",
            how=f"Their cosine similarity{f', of one position in {step}' if step > 1 else ''}: on average {apart}.",
            alt=f"Cosine similarity of the position vectors; on average {apart}.",
            table=lambda: pd.DataFrame(table[np.ix_(some, some)], index=some, columns=some),
        )
    pictures.picture(
        figures.position_profile(table[token], token),
        key="position_profile",
        how=f"Position {token}, that of the chosen token (amber), compared with every position: where neighbours stand "
        "higher than the rest, positions that are near have vectors that are alike.",
        alt=f"Cosine similarity of position {token} with all {n_context} positions.",
        table=lambda: pd.DataFrame({"cosine": table[token]}),
    )


chips = st.container()
token = controls.position("Token", "token", len(labels))
with chips:
    token_chips(run.tokens, key="chips", selected=token, on_pick=lambda position: controls.select("token", position))
    pictures.caption(f"The tokens of {whose}. Click one, or move the slider: the pictures below are about it.")
with part():  # of some models no hidden vectors are shown: all else is
    entering()
neighbours()
similarity()
with part():
    through_layers()
if position_vectors is not None and position_vectors.shape[1] == d_model:
    positions()
