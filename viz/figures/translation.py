"""Pictures of a translation: its alignment on the heatmap, and the tree of a beam search."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from model.analysis.beam import Beam, Candidate
from viz.figures import theme
from viz.figures.attention import attention_heatmap, is_clickable
from viz.figures.axes import escape


def crossing_heatmap(
    weights: np.ndarray,
    written: Sequence[str],
    source: Sequence[str],
    *,
    marked: np.ndarray | None = None,
    agreed: np.ndarray | None = None,
    height: int = 480,
) -> go.Figure:
    """Weights (Q, K): each row is what was looked at while a word was written.

    `marked` (Q, K) of bool: aligned pairs, as rings; those that are also in `agreed` are filled.
    """
    fig = attention_heatmap(weights, written, source, height=height)
    fig.update_xaxes(title="source")
    fig.update_yaxes(title="written")
    fig.data[0].hovertemplate = "writing %{y} looked at %{x}<br>weight %{z:.4f}<extra></extra>"
    if is_clickable(max(weights.shape)):
        fig.data[1].text = [
            f"writing “{escape(word)}” looked at “{escape(other)}”<br>weight {weight:.4f}"
            for word, row in zip(written, weights.tolist(), strict=True)
            for other, weight in zip(source, row, strict=True)
        ]
    if marked is not None and marked.any():
        rows, columns = np.nonzero(marked)
        filled = np.zeros(len(rows), bool) if agreed is None else agreed[rows, columns]
        cell = min(height / len(written), 560 / len(source))  # pixels, about
        marks = go.Scatter(
            x=columns,
            y=rows,
            mode="markers",
            hoverinfo="skip",
            marker={
                "symbol": ["circle" if full else "circle-open" for full in filled],
                "size": float(np.clip(0.34 * cell, 5, 15)),
                "color": theme.ACCENT,
                "line": {"color": theme.ACCENT, "width": 2.5},
            },
        )
        # beneath the trace that hears the clicks
        fig.add_trace(marks)
        fig.data = (fig.data[0], fig.data[-1], *fig.data[1:-1])
    return fig


@dataclass(frozen=True)
class Node:
    """One candidate of a beam search, as it is drawn."""

    column: int  # how many tokens have been written; 0 is the start
    row: int  # 0 is the best of its column
    label: str  # of the token it adds
    own: float  # its log-probability
    log_prob: float  # with all before it
    parent: int  # the node it grew from; -1 for the start
    fate: str  # "kept", "finished" or "dropped"
    lives: bool  # something that was kept grew from it, or it is finished


def beam_tree(beam: Beam, label: Callable[[int], str], end: str) -> tuple[list[Node], list[int]]:
    """A search as a tree, column by column, and the node of each of ``beam.finished``.

    `label` names a token id; `end` is what stands at a node that ends its text.
    """
    nodes = [Node(0, 0, "", 0.0, 0.0, -1, "kept", True)]
    place: dict[int, int] = {}  # id() of a candidate -> its node
    alive = [0]
    for column, (kept, dropped) in enumerate(zip(beam.steps, beam.dropped, strict=True), start=1):
        here = []
        for row, each in enumerate((*kept, *dropped)):
            parent = alive[each.parent]
            fate = "dropped" if row >= len(kept) else "finished" if each.finished else "kept"
            own = each.log_prob - nodes[parent].log_prob
            word = end if each.finished else label(each.ids[-1])
            place[id(each)] = len(nodes)
            if fate == "kept":
                here.append(len(nodes))
            nodes.append(Node(column, row, word, own, each.log_prob, parent, fate, False))
        alive = here
    ends = [place[id(each)] for each in beam.finished]
    living = {node for last in [*ends, *alive] for node in path(nodes, last)}
    return [Node(**(vars(node) | {"lives": i in living})) for i, node in enumerate(nodes)], ends


def path(nodes: Sequence[Node], last: int) -> list[int]:
    """From the start to a node, as places in `nodes`."""
    found = []
    while last >= 0:
        found.append(last)
        last = nodes[last].parent
    return found[::-1]


def ranked(beam: Beam, length_penalty: float, text: Callable[[Candidate], str]) -> list[dict[str, object]]:
    """The finished candidates as rows of a table, best first."""
    return [
        {
            "rank": rank,
            "text": text(each),
            "score": each.score(length_penalty),
            "log-probability": each.log_prob,
            "tokens": each.length,
        }
        for rank, each in enumerate(beam.finished)
    ]
