"""The vectors that a model learned for positions, and which of them are alike."""

import numpy as np
import pandas as pd
import streamlit as st

from model.analysis import measures
from viz.figures.embeddings import position_matrix, position_profile, position_similarity
from viz.plain import plain
from viz.ui.pictures import picture

MOST_POSITIONS = 128  # rows of the picture that compares positions with one another


def show(title: str, position_vectors: np.ndarray, token: int) -> None:
    n_context = len(position_vectors)
    step = -(-n_context // MOST_POSITIONS)
    some = np.arange(0, n_context, step)
    st.header("Positions have vectors too", divider="gray")
    table = measures.cosine_similarity(position_vectors)  # (P, P)
    far = n_context // 2
    st.markdown(
        f"{plain(title)} learned one vector for each of the {n_context} positions it can read; that is why it "
        "cannot read more. They do not depend on your text."
    )
    left, right = st.columns(2)
    with left:
        picture(
            position_matrix(position_vectors),
            key="position_matrix",
            how=f"One row a position, from 0 at the top to {n_context - 1}; one column a dimension.",
            alt=f"The position vectors: {n_context} rows of {position_vectors.shape[1]} values.",
            table=lambda: pd.DataFrame(position_vectors),
        )
    # + 0.0: no “-0.00”
    near_by, far_off = (round(measures.mean_similarity_apart(table, distance), 2) + 0.0 for distance in (1, far))
    apart = f"{near_by:.2f} between neighbours, {far_off:.2f} between positions {far} apart"
    with right:
        picture(
            position_similarity(table[np.ix_(some, some)], some),
            key="position_similarity",
            how=f"Their cosine similarity{f', of one position in {step}' if step > 1 else ''}: on average {apart}.",
            alt=f"Cosine similarity of the position vectors; on average {apart}.",
            table=lambda: pd.DataFrame(table[np.ix_(some, some)], index=some, columns=some),
        )
    picture(
        position_profile(table[token], token),
        key="position_profile",
        how=f"Position {token}, that of the chosen token (amber), compared with every position: where neighbours stand "
        "higher than the rest, positions that are near have vectors that are alike.",
        alt=f"Cosine similarity of position {token} with all {n_context} positions.",
        table=lambda: pd.DataFrame({"cosine": table[token]}),
    )
