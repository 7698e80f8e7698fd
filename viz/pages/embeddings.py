"""Embeddings: what enters the first block, which tokens are near one another, and one token through the layers."""

import streamlit as st

from model.run import ModelRun
from viz.components.contents import contents
from viz.components.token_chips import token_chips
from viz.guard import part
from viz.sections.embeddings import entering, layers, neighbours, positions, similarity
from viz.ui import controls, glossary, session
from viz.ui.pictures import caption


def main() -> None:
    st.title("Embeddings")
    st.markdown(
        "A transformer calculates with vectors, not with words. Each entry of its vocabulary has a vector of its own, "
        "learned in training. Every layer then changes what these begin."
    )
    glossary.show()
    contents()
    lm, run = session.current_model(), session.current_run()
    whose = "the target" if run.source else "your text"  # an encoder-decoder writes what is looked at here
    token = choose_token(run, whose)
    with part():  # of some models no hidden vectors are shown: all else is
        entering.show(lm, run, token)
    neighbours.show(lm, run, token, whose)
    similarity.show(lm, run)
    with part():
        layers.show(lm, run, token)
    position_vectors = lm.embeddings()[1]
    if position_vectors is not None and position_vectors.shape[1] == run.info.d_model:
        positions.show(run.info.title, position_vectors, token)


def choose_token(run: ModelRun, whose: str) -> int:
    chips = st.container()
    token = controls.position("Token", "token", len(run.tokens))
    with chips:
        token_chips(
            run.tokens, key="chips", selected=token, on_pick=lambda position: controls.select("token", position)
        )
        caption(f"The tokens of {whose}. Click one, or move the slider: the pictures below are about it.")
    return token


main()
