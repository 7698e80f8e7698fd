"""The frame around every page: the list of pages, the shared sidebar, the guard. Each page is a file in viz/pages."""

import streamlit as st

from viz import guard
from viz.components.theme_watch import theme_watch
from viz.ui import links, provenance, session, sidebar, surroundings


def draw() -> None:
    """What a visitor's run of app.py draws; the paths of pages begin beside app.py."""
    st.set_page_config(page_title="Regard", page_icon="👁", layout="wide")
    surroundings.draw()
    links.remember_link()
    page = st.navigation(
        {
            "": [
                st.Page("viz/pages/home.py", title="Home", icon=":material/home:", default=True),
                st.Page("viz/pages/tokenization.py", title="Tokenization", icon=":material/content_cut:"),
                st.Page("viz/pages/embeddings.py", title="Embeddings", icon=":material/scatter_plot:"),
                st.Page("viz/pages/attention.py", title="Attention", icon=":material/visibility:"),
                st.Page("viz/pages/generation.py", title="Generation", icon=":material/edit_note:"),
            ],
            "More families": [
                st.Page("viz/pages/translation.py", title="Translation", icon=":material/translate:"),
                st.Page("viz/pages/understanding.py", title="Understanding", icon=":material/select_check_box:"),
            ],
            "Look deeper": [
                st.Page("viz/pages/head.py", title="Inside a head", icon=":material/zoom_in:"),
                st.Page("viz/pages/mechanism.py", title="Break the mechanism", icon=":material/construction:"),
                st.Page("viz/pages/model.py", title="The model", icon=":material/schema:"),
            ],
        },
        position="top",
    )
    session.enter(page.url_path)
    # each in a container of its own: a fragment that grows would otherwise write over what follows it
    notice, content, card = st.container(), st.container(), st.container()
    with notice:
        guard.tell_untold()
    with guard.part():
        sidebar.choose()
        links.keep_link()
    summary = st.sidebar.empty()
    with guard.part():
        with content:
            page.run()
        with card:
            provenance.card(page.url_path)
    with guard.part():
        sidebar.summarise(summary)
        surroundings.on_paper(notice)
        if sentences := links.dropped_from_link():
            notice.info("  \n".join(sentences))
    theme_watch()
