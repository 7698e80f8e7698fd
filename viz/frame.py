"""The frame around every page: the list of pages, the shared sidebar, the guard. Each page is a file in viz/pages."""

import streamlit as st

from viz import guard
from viz.components.reconnect import reconnect
from viz.components.theme_watch import theme_watch
from viz.ui import corners, dropped, links, navigation, provenance, report, sidebar, surroundings, trainings


def draw() -> None:
    """What a visitor's run of app.py draws; the paths of pages begin beside app.py."""
    with trainings.VISITS.one():
        _draw()


def _draw() -> None:
    st.set_page_config(page_title="Regard", page_icon="👁", layout="wide")
    page = st.navigation(navigation.pages(), position="hidden")
    links.arrive(page.url_path)
    surroundings.draw()
    navigation.bar()
    # each in a container of its own: a fragment that grows would otherwise write over what follows it
    st.session_state.waiting = st.container(key="waiting")
    notice, content, card = st.container(key="notice"), st.container(), st.container()
    with notice:
        guard.tell_untold()
    with guard.part():
        sidebar.choose()
    summary = st.sidebar.empty()
    with guard.part():
        with content:
            page.run()
        with card:
            provenance.card()
    with guard.part(), st.sidebar:
        report.show()
    with guard.part():
        sidebar.summarise(summary)
        surroundings.on_paper(notice)
        if sentences := dropped.from_link():
            notice.info("  \n".join(sentences))
    links.write()
    corners.draw()
    theme_watch()
    reconnect()
