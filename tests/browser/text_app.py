"""Every place of Streamlit's that Regard puts words into, with a hostile string: as `viz.plain` writes it where
Markdown is read, as it is where text is shown. Run by test_text_from_outside.py."""

import pandas as pd
import streamlit as st

from model.analysis.checks import same
from tests.hostile.strings import ATOMS
from viz.plain import plain
from viz.ui.prose import check, quoted

HOSTILE = " ".join(atom for atom in ATOMS if "\n" not in atom)
SAFE = plain(HOSTILE)

st.set_page_config(layout="wide")
with st.container(key="read_as_markdown"):
    for draw in (st.title, st.header, st.subheader, st.markdown, st.caption, st.info, st.warning, st.error):
        draw(SAFE)
    st.markdown(f"**{SAFE}** :small[{SAFE}] {quoted(HOSTILE)}", help=SAFE)
    check(same(SAFE, True), SAFE)
    st.metric(SAFE, SAFE, help=SAFE)
    st.button(SAFE, help=SAFE)
    st.download_button(SAFE, "x")
    st.toggle(SAFE)
    st.slider(SAFE, 0, 1)
    st.number_input(SAFE, 0, 1)
    st.text_input(SAFE)
    st.text_area(SAFE)
    st.selectbox(SAFE, [1])
    st.multiselect(SAFE, [1])
    st.radio(SAFE, [SAFE])
    st.select_slider(SAFE, [SAFE, "b"])
    st.pills(SAFE, [SAFE])
    st.segmented_control(SAFE, [SAFE])
    st.progress(0.5, SAFE)
    st.table(pd.DataFrame({SAFE: [SAFE]}, [SAFE]))
    with st.expander(SAFE, expanded=True):
        st.write(SAFE)
    st.toast(SAFE, duration="infinite")
with st.container(key="shown_as_text"):
    st.text(HOSTILE)
    st.selectbox("one", [HOSTILE, "b"])
    st.multiselect("some", [HOSTILE, "b"], [HOSTILE])
    st.text_input("line", HOSTILE, placeholder=HOSTILE)
    st.text_area("lines", HOSTILE, placeholder=HOSTILE)
    st.dataframe(pd.DataFrame({HOSTILE: [HOSTILE]}, [HOSTILE]))
    st.plotly_chart({"data": [{"y": [1]}]}, alt=HOSTILE)
