"""Comparison: two texts, two heads, two layers or two models, side by side and subtracted."""

import streamlit as st

from viz.components.contents import contents
from viz.guard import part, section
from viz.sections.comparison import changed, maps, predictions, sides
from viz.ui import compared, glossary, session


def main() -> None:
    st.title("Comparison")
    st.markdown(
        "What one word changes, what tells two heads apart, what a training moved: **A** beside **B**, and **B − A**."
    )
    session.current_run()  # whatever is wrong with the text is said here, once, before anything else is drawn
    contents()
    experiment()
    glossary.show()


@section("comparison")
def experiment() -> None:
    changed.go_if_picked()
    compared.keep(None)
    both = sides.choose(session.current_run())
    compared.keep(both)
    if both is None:
        return
    with part():
        maps.show(both)
    with part():
        changed.show(both)
    with part():
        predictions.show(both)


main()
