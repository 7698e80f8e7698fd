"""What enters block 0 for one token: token vector + position vector where the model makes it so, with a check."""

import numpy as np
import pandas as pd
import streamlit as st

from model.analysis import checks, measures
from model.language_model import LanguageModel
from model.run import ModelRun
from viz.figures.embeddings import embedding_strips, vector_strips
from viz.figures.numbers import how_far
from viz.ui.pictures import picture
from viz.ui.prose import check, quoted


def show(lm: LanguageModel, run: ModelRun, token: int) -> None:
    tables = lm.embeddings()
    if (difference := difference_from_sum(run, *tables)) < 1e-3:
        as_a_sum(run, token, *tables, difference)
    else:
        otherwise(lm, run, token)


def difference_from_sum(run: ModelRun, token_vectors: np.ndarray, position_vectors: np.ndarray | None) -> float:
    """How far what enters block 0 is from token vector + position vector, over the whole text; inf: not comparable."""
    if position_vectors is None or not (token_vectors.shape[1] == position_vectors.shape[1] == run.info.d_model):
        return np.inf
    everywhere = token_vectors[[token.id for token in run.tokens]] + position_vectors[: len(run.tokens)]
    return float(np.abs(everywhere - run.stream[0]).max())


def otherwise(lm: LanguageModel, run: ModelRun, token: int) -> None:
    """Models that normalise, scale or project the vectors first, or tell positions in another way."""
    st.header("What enters block 0", divider="gray")
    chosen, hidden, (token_vectors, _) = run.tokens[token], run.stream[0, token], lm.embeddings()
    st.markdown(
        f"{quoted(chosen.label)} is entry {chosen.id} of the vocabulary, with a vector of {token_vectors.shape[1]} "
        f"numbers. {how_positions_come_in(lm)} What enters block 0 are {len(hidden)} numbers, drawn here as they "
        "were in this run."
    )
    comparable = token_vectors.shape[1] == len(hidden)
    rows = {"token": token_vectors[chosen.id]} if comparable else {}
    rows["enters"] = hidden
    picture(
        vector_strips(rows),
        key="strips",
        how="One column a dimension, one cell a number: blue above zero, orange below, the stronger the larger.",
        alt=f"What enters block 0 for token {token}: {len(hidden)} values, of length {np.linalg.norm(hidden):.3f}.",
        table=lambda: pd.DataFrame(rows),
    )
    if comparable:
        cosine = float(measures.cosine_similarity(token_vectors[[chosen.id]], hidden[None])[0, 0])
        st.markdown(f"Cosine between the token's vector and what enters: **{cosine:.3f}** (1: the same direction).")


def how_positions_come_in(lm: LanguageModel) -> str:
    """By what is known of this model's architecture."""
    if lm.embeddings()[1] is not None:
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


def as_a_sum(
    run: ModelRun, token: int, token_vectors: np.ndarray, position_vectors: np.ndarray, difference: float
) -> None:
    st.header(f"What enters block 0 is a sum of two vectors of {run.info.d_model} numbers", divider="gray")
    chosen = run.tokens[token]
    st.markdown(
        f"The vector of {quoted(chosen.label)}, entry {chosen.id} of the vocabulary, says *what* stands there, "
        f"wherever it stands. The vector of position {token} says *where*, whatever stands there. Their sum is all "
        "that the first block is given."
    )
    parts = token_vectors[chosen.id], position_vectors[token]
    total, hidden = parts[0] + parts[1], run.stream[0, token]
    picture(
        embedding_strips(*parts, hidden),
        key="strips",
        how="One column a dimension, one cell a number: blue above zero, orange below, the stronger the larger. Each "
        "cell of the last row is the sum of the two above it; hover for the values.",
        alt=f"Three strips of {run.info.d_model} values: the token's vector, of length {np.linalg.norm(parts[0]):.3f}, "
        f"the position's, {np.linalg.norm(parts[1]):.3f}, and their sum, {np.linalg.norm(hidden):.3f}.",
        table=lambda: pd.DataFrame({"token": parts[0], "position": parts[1], "sum": total, "enters block 0": hidden}),
    )
    widest = int(np.abs(hidden).argmax())
    first, second, third = (f"{vector[widest]:.4f}".replace("-", "−") for vector in (*parts, hidden))
    second = f"({second})" if parts[1][widest] < 0 else second
    st.markdown(f"For example, dimension {widest}: {first} + {second} = **{third}**.")
    check(
        checks.embeddings_summed(difference),
        f"for each of the {len(run.tokens)} tokens of this run, the sum was made again and compared with what the "
        f"model put into block 0. The largest difference is **{how_far(difference)}**.",
    )
