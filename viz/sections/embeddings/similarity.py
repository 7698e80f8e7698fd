"""The cosine between the vectors of each two tokens of a text, before the layers and after any of them."""

from collections import Counter

import numpy as np
import streamlit as st

from model.analysis import measures
from model.language_model import LanguageModel
from model.run import ModelRun
from viz.figures.embeddings import similarity_heatmap
from viz.guard import section
from viz.ui import links
from viz.ui.choices import TOKEN_VECTORS
from viz.ui.pictures import picture, square_table
from viz.ui.prose import quoted


@section("similarity")
def show(lm: LanguageModel, run: ModelRun) -> None:
    st.header("How alike are the tokens of this text?", divider="gray")
    st.markdown(
        "The cosine of the angle between two vectors is 1 where they point the same way, 0 where they have nothing in "
        "common, and negative where they oppose each other. Follow it from layer to layer: by attention, a token's "
        "vector may take up what stands around it."
    )
    labels, sources = run.labels, [TOKEN_VECTORS, *range(run.info.n_layer + 1)]
    if st.session_state[links.key("similarity_of")] not in sources:  # a model of fewer layers was chosen
        st.session_state.similarity_of = TOKEN_VECTORS
    source = st.select_slider(
        "Vectors",
        sources,
        key="similarity_of",
        format_func=layer_name,
        help="Layer 0 is what enters block 0; the last layer is what leaves the last block.",
    )
    token_vectors, _ = lm.embeddings()
    vectors = token_vectors[[each.id for each in run.tokens]] if source == TOKEN_VECTORS else run.stream[source]
    table = measures.cosine_similarity(vectors)  # (T, T)
    others = table[~np.eye(len(table), dtype=bool)]
    mean = f"; over all pairs, the mean is {others.mean():.3f}" if len(others) else ""
    left, right = st.columns([3, 2], gap="large")
    with left:
        picture(
            similarity_heatmap(table, labels),
            key="similarity",
            how="Each cell compares the token of its row with the token of its column: blue alike, orange opposed. The "
            "diagonal compares each with itself.",
            alt=f"Cosine similarity of {len(labels)} tokens, {layer_name(source)}{mean}.",
            table=lambda: square_table(table, labels),
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
