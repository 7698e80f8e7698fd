"""A page with nothing but our grid of all heads: each click draws weights that the browser has not seen."""

import streamlit as st

from model import catalog
from model.analysis.attention import pooled_overview
from tests.benchmarks.synthetic import records
from viz.components.head_grid import head_grid, outline_head
from viz.ui import session


@st.cache_resource
def prepared(n_token: int, n_draw: int) -> dict[str, list]:
    """Enough for `n_draw` clicks of each kind."""
    session.language_model(catalog.DEFAULT)  # not needed here, but it sets threads and garbage as the app serves
    overviews = [pooled_overview(records(n_token, seed)) for seed in range(n_draw + 1)]
    return {"paint": overviews, "pool": [records(n_token, seed) for seed in range(n_draw + 1, 2 * n_draw + 1)]}


ready = prepared(int(st.query_params["tokens"]), int(st.query_params["draws"]))
if "shown" not in st.session_state:
    st.session_state.shown = ready["paint"][0]
    st.session_state.left = {"paint": ready["paint"][1:], "pool": list(ready["pool"])}
if st.button("paint", key="paint"):  # the maps are ready: encode, send, draw
    st.session_state.shown = st.session_state.left["paint"].pop()
if st.button("pool", key="pool"):  # only queries and keys are ready: weights, pooling, encode, send, draw
    st.session_state.shown = pooled_overview(st.session_state.left["pool"].pop())
head_grid(st.session_state.shown, key="grid")
outline_head("grid", 0, 0)
