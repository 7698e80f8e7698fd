"""The scripts that tests look at in a browser, each a page under its file's name: one server for all of them."""

import streamlit as st

SCRIPTS = ("graphs_app.py", "pressed_app.py", "text_app.py", "trainings_app.py", "../raising_app.py")


def index() -> None:
    """The first page, which Streamlit shows at no other address than that of the server."""
    st.write(SCRIPTS)


st.navigation([index, *map(st.Page, SCRIPTS)], position="hidden").run()
