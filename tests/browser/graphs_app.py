"""The pictures made of lines, over fixed arrays: what test_graphs.py compares the browser with. A text chooses one."""

import json

import numpy as np
import streamlit as st

from viz.components.layer_graph import layer_graph
from viz.components.token_graph import token_graph

LABELS = ["the", "␣cat", "<img src=x onerror=alert(1)>", "␣the", "␣mat"]
CAUSAL = np.array(
    [
        [1.0, 0.0, 0.0, 0.0, 0.0],
        [0.7, 0.3, 0.0, 0.0, 0.0],
        [0.5, 0.38, 0.12, 0.0, 0.0],
        [0.06, 0.5, 0.24, 0.2, 0.0],
        [0.1, 0.2, 0.3, 0.15, 0.25],
    ],
    np.float32,
)
BOTH_WAYS = np.array(  # three queries, 4, 1 and 0, over four keys, 0 … 3; one pair has no weight
    [[0.5, np.nan, 0.3, 0.2], [0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.15, 0.05]], np.float32
)
QUERIES, KEYS = [4, 1, 0], [0, 1, 2, 3]
LAYERS = [CAUSAL, np.roll(CAUSAL, 1, axis=1), CAUSAL[::-1, ::-1].copy()]
_random = np.random.default_rng(0)
LONG = _random.dirichlet(np.full(512, 0.05), size=512).astype(np.float32)
LONG_LAYERS = [_random.permutation(LONG) for _ in range(6)]

CASES = {  # weights, labels, queries, keys, options
    "causal": (CAUSAL, LABELS, None, None, {}),
    "top": (CAUSAL, LABELS, None, None, {"top": 2, "threshold": 0.15}),
    "both": (BOTH_WAYS, LABELS, QUERIES, KEYS, {"top": 2}),
    "sums": (4 * CAUSAL, LABELS, None, None, {}),
    "one": (CAUSAL[:1, :1], LABELS[:1], None, None, {}),
    "none": (np.zeros((2, 0)), LABELS, [0, 1], [], {}),
    "zero": (np.zeros((5, 5)), LABELS, None, None, {}),
    "hybrid": (CAUSAL, LABELS, None, None, {}),
    "long": (LONG, ["word"] * 512, None, None, {}),
}
MAPS = {"causal": LAYERS, "one": [CAUSAL[:1, :1]] * 3, "sums": [4 * CAUSAL], "zero": [np.zeros((5, 5))] * 2}
MAPS |= {"long": LONG_LAYERS, "hybrid": [CAUSAL, None, LAYERS[1]]}
OTHERS = {"hybrid": {1: "state space"}}
TOP = {"long": 8}


def main() -> None:
    state = st.session_state
    which = st.text_input("which", "token_graph causal 0", on_change=lambda: state.update(calls=[], pinned=None))
    picture, case, _ = which.split()
    st.text(json.dumps(state.get("calls", [])))

    def note(*call) -> None:
        state.calls = [*state.get("calls", []), call]

    def pick(*place) -> None:
        note("pick", *place)
        state.pinned = None if place[0] < 0 else place

    pinned = state.get("pinned")
    if picture == "layer_graph":
        labels = CASES[case][1]
        layer_graph(
            MAPS[case],
            labels,
            key=which.replace(" ", "-"),
            others=OTHERS.get(case),
            about_others="Layer 1: state space." if case in OTHERS else "",
            top=TOP.get(case, 2),
            pinned=pinned,
            on_pick=pick,
            on_open=lambda *place: note("open", *place),
        )
        return
    weights, labels, queries, keys, options = CASES[case]
    token_graph(
        weights,
        labels,
        queries,
        keys,
        key=which.replace(" ", "-"),
        form="arcs" if picture == "token_arcs" else "columns",
        pinned=pinned[0] if pinned else None,
        on_pick=pick,
        on_open=lambda *place: note("open", *place),
        **options,
    )


if __name__ == "__main__":
    main()
