"""One token's vector through the layers: its numbers, its length, and how far each block turned it."""

import numpy as np
import pandas as pd
import streamlit as st

from model.analysis import measures
from model.language_model import LanguageModel
from model.run import ModelRun
from viz.figures.embeddings import layer_lengths, layer_strips, layer_turns
from viz.figures.heads import others_in_words
from viz.ui import links
from viz.ui.pictures import picture
from viz.ui.prose import quoted


def show(lm: LanguageModel, run: ModelRun, token: int) -> None:
    n_layer = run.info.n_layer
    st.header("One token's vector, layer by layer", divider="gray")
    st.markdown(
        f"Each block reads the vector of {quoted(run.labels[token])} at position {token} and **adds** something to it"
        f"{', then normalises the sum' if lm.architecture().norm == 'post' else ''}. "
        f"Layer 0 is what enters block 0, layer {n_layer} what leaves the last block."
        + f" Blocks by their kind: {others_in_words(run.info.grid)}"
        * bool(run.info.others)
    )
    hidden = run.stream[:, token]  # (L + 1, D)
    each = st.toggle("Colour each layer by its own numbers", key=links.key("layers_apart"))
    if each:
        largest = np.abs(hidden).max(axis=1)  # (L + 1,)
        colours = "In each row, the number farthest from 0 has the full colour: compare patterns, not rows"
    else:
        largest = np.full(len(hidden), np.abs(hidden).max())
        colours = "All rows share one scale of colours: compare rows"
    picture(
        layer_strips(hidden, largest),
        key="layers",
        how=f"One row a layer, one column a dimension. {colours}; hover for the values.",
        alt=f"{n_layer + 1} strips of {run.info.d_model} values: the token's vector after each block.",
        table=lambda: pd.DataFrame(hidden.T, columns=[f"layer {i}" for i in range(n_layer + 1)]),
    )
    norms, cosines = np.linalg.norm(hidden, axis=1), measures.cosine_to_previous(hidden)
    left, right = st.columns(2)
    with left:
        picture(
            layer_lengths(norms),
            key="lengths",
            how=f"The length of the vector, from {norms[0]:.2f} at the start to {norms[-1]:.2f} at the end.",
            alt=f"Length of the vector by layer: {', '.join(f'{value:.2f}' for value in norms)}.",
            table=lambda: pd.DataFrame({"length": norms}),
        )
    # a turn too small to be told from rounding is none
    turned = "No block turned it" if cosines.min() > 1 - 1e-6 else f"Block {int(cosines.argmin())} turned it most"
    with right:
        picture(
            layer_turns(cosines),
            key="turns",
            how=f"Whether a block turned it: 1 is the same direction as before. {turned}.",
            alt=f"Cosine to the layer before: {', '.join(f'{value:.3f}' for value in cosines)}.",
            table=lambda: pd.DataFrame({"cosine": cosines}, index=range(1, n_layer + 1)),
        )
