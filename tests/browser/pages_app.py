"""The scripts that tests look at in a browser, each a page under its file's name: one server for all of them."""

import streamlit as st

SCRIPTS = ("graphs_app.py", "pressed_app.py", "text_app.py", "../raising_app.py")

st.navigation([st.Page(script) for script in SCRIPTS], position="hidden").run()
