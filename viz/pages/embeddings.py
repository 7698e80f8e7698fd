import streamlit as st

from viz.components.token_chips import token_chips
from viz.ui import controls, session

st.title("embeddings")
run = session.current_run()
token = controls.position("Token", "token", len(run.tokens))
layer = controls.position("Layer", "layer", run.info.n_layer)
token_chips(run.tokens, key="chips", selected=token, on_pick=lambda i: controls.select("token", i))
