"""Every component that can be clicked, with a button that sends it new data: for test_pressed.py. ?picture= chooses."""

import json
import tempfile
from pathlib import Path

import numpy as np
import streamlit as st

from model import catalog
from model.analysis.attention import Overview
from model.analysis.head import head_steps
from model.run import Token
from tests.conftest import REPEATED, write_tiny
from viz.components.bar_list import Row, bar_list
from viz.components.beam_tree import beam_tree
from viz.components.cross_lines import cross_lines
from viz.components.head_grid import head_grid
from viz.components.head_steps import head_pictures
from viz.components.layer_graph import layer_graph
from viz.components.token_chips import token_chips
from viz.components.token_graph import token_graph
from viz.components.token_line import Piece, token_line
from viz.figures.head import Step
from viz.figures.translation import Node

WEIGHTS = np.tril(np.ones((4, 4), np.float32)) / np.arange(1, 5, dtype=np.float32)[:, None]
KEY = "pressed"
KINDS = "stream norm project compare scale softmax mix write add".split()  # of the steps of a tiny model's head


@st.cache_resource
def tiny():
    return catalog.load("tiny", weights=write_tiny(Path(tempfile.mkdtemp()) / "tiny").parent)


def token_labels(version: int) -> list[str]:
    return [f"{word}·{version}" for word in ("one", "two", "six", "ten")]


def draw(picture: str, version: int, note) -> None:
    """The picture as of a version: what it says has its number, and a little else differs, too."""
    labels = token_labels(version)
    pick, open = (lambda *place: note("pick", *place)), (lambda *place: note("open", *place))
    weights = WEIGHTS * (1 - version / 10)
    match picture:
        case "token_graph":
            token_graph(weights, labels, key=KEY, on_pick=pick, on_open=open)
        case "token_arcs":
            token_graph(weights, labels, key=KEY, form="arcs", on_pick=pick, on_open=open)
        case "cross_lines":
            cross_lines(weights[:, :3], labels, labels[:3], key=KEY, on_pick=pick, on_open=open)
        case "layer_graph":
            layer_graph([weights, weights], labels, key=KEY, on_pick=pick, on_open=open)
        case "head_grid":
            edges = np.arange(5)
            maps = np.tile(weights, (3, 3, 1, 1))
            maps[0] = np.nan  # a layer without attention
            overview = Overview(maps, maps, edges, edges, ((0, "state space"),))
            head_grid(overview, key=KEY, on_pick=lambda p: pick(p.layer, p.head))
        case "head_steps":
            lm = tiny()
            run = lm.run(lm.encode(REPEATED))
            steps = head_steps(run, lm.layer_parameters(1), 1, version, 6)
            sentences = [Step(kind, f"step·{version}", ("said",)) for kind in KINDS]
            head_pictures(steps, run.labels, sentences, key=KEY, chosen=version, causal=True, on_pick=pick)
        case "bar_list":
            rows = [Row(label, 1 - 0.2 * i, f"{i}", note=f"{version}") for i, label in enumerate(labels)]
            bar_list(rows, key=KEY, name="bars", full=1, on_pick=pick)
        case "token_chips":
            tokens = [Token(i, label.encode(), 4 * i, 4 * i + 3) for i, label in enumerate(labels)]
            token_chips(tokens, key=KEY, on_pick=pick)
        case "token_line":
            token_line([Piece(label, under=f"{version}") for label in labels], key=KEY, name="line", on_pick=pick)
        case "beam_tree":
            start = Node(0, 0, "", 0.0, 0.0, -1, "kept", True)
            ends = [Node(1, row, labels[row], -0.5, -0.5 - row, 0, "finished", True) for row in range(2)]
            candidates = [
                {"text": node.label, "score": node.log_prob, "log-probability": node.log_prob} for node in ends
            ]
            # the other way round the second time: the same places, other elements
            nodes, places = ([start, *ends], [1, 2]) if not version else ([start, ends[1], ends[0]], [2, 1])
            beam_tree(nodes, places, [each | {"tokens": 1} for each in candidates], key=KEY, on_pick=pick)


def main() -> None:
    state = st.session_state
    if st.button("from the start") or "version" not in state:
        state.version, state.calls = 0, []

    def note(*call) -> None:
        state.calls = [*state.calls, call]

    def again() -> None:
        state.version += 1

    st.text(json.dumps(state.calls))
    st.button("again", on_click=again)
    draw(st.query_params["picture"], state.version, note)


if __name__ == "__main__":
    main()
