"""Work that only ends when it is stopped: for test_trainings.py."""

import threading
from collections.abc import Iterator

import streamlit as st

from viz.guard import handler
from viz.ui import trainings
from viz.ui.trainings import Training


def endless() -> Iterator[int]:
    n, pace = 0, threading.Event()
    while True:
        pace.wait(0.02)  # as long as a step of a training takes
        n += 1
        yield n


def begin() -> None:
    trainings.start("what never ends", endless, seconds=600)


def draw(training: Training | None) -> None:
    st.text("nothing" if training is None else training.state)
    if training and training.steps:
        st.caption(f"{len(training.steps)} steps")


def main() -> None:
    st.button("Begin", on_click=handler(begin))
    trainings.watch("what never ends", draw)


main()
