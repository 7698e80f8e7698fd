"""Which cross-attention is read, between what, and with which alignment: choices kept in the address."""

from typing import NoReturn

import numpy as np
import streamlit as st

from model.analysis.alignment import Alignment, Crossing, align, crossing
from model.analysis.attention_map import MapSpec
from model.run import ModelRun
from model.text.prompt import text_of
from model.text.units import units_of
from viz.components.head_grid import Pick
from viz.guard import handler
from viz.ui import controls, heads, provenance, session
from viz.ui.choices import ARGMAX, GROW, TOKENS, UNMARKED


def choose(run: ModelRun) -> None:
    """All controls, in one line where there is room."""
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="choose_crossing"):
        heads.choose("across", run, "cross", on_change=handler(read_again), width=115)
        _choice(
            "Between",
            "between",
            help="A word's weight is the sum over the tokens of the word looked at, and the mean over those written.",
        )
        _choice(
            "Mark as aligned",
            "aligned",
            help="argmax: what each word looked at most · grow-diag: the pairs on which both directions agree, and "
            "some of their neighbours",
        )


def choose_on_grid(pick: Pick) -> None:
    """What a click on the grid of heads chose."""
    heads.choose_on_grid("across", session.current_run(), "cross", pick.layer, pick.head)
    read_again()


def spec(run: ModelRun) -> MapSpec:
    """The heads that are read, token by token."""
    return heads.spec(st.session_state.across, run, "cross")


def current(run: ModelRun) -> Crossing:
    """As the controls say."""
    key, kind = session.current_key(), st.session_state.between
    written = run.tokens[1:]
    units = units_of(written, text_of(key.prompt, run), kind if written else TOKENS)
    return crossing(run, spec(run).heads, units, units_of(run.source, key.prompt.text, kind))


def read_alignment(read: Crossing, run: ModelRun) -> Alignment:
    """Off the weights, without the special tokens of both texts: no word goes with them."""
    special = np.array([all(run.source[i].special for i in read.keys(unit)) for unit in range(len(read.source))])
    written = np.array(
        [all(run.tokens[i + 1].special for i in read.queries(unit)) for unit in range(len(read.written))]
    )
    return align(np.where(special | written[:, None], np.float32(0), read.weights))


def marked(alignment: Alignment) -> np.ndarray | None:
    """The pairs to mark."""
    return {UNMARKED: None, ARGMAX: alignment.row_best, GROW: alignment.grown}[st.session_state.aligned]


def open_pair(row: int, column: int) -> None:
    """Open the card on one value of the picture, given as units of what was written and of the source."""
    run = session.current_run()
    read = current(run)
    provenance.open_value(spec(run), read.queries(row), read.keys(column))


def read_again() -> NoReturn:
    """For callbacks: redraw what depends on these choices."""
    st.rerun(["crossing", "decoding"])


def _choice(label: str, name: str, **more) -> str:
    return controls.choose(label, name, on_change=handler(read_again), **more)
