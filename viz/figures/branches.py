"""Texts that begin alike as one tree: what they share once, and where they part."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from viz.figures.translation import Node


@dataclass(frozen=True)
class Branch:
    """What was written of one text."""

    ids: tuple[int, ...]  # (N,)
    labels: tuple[str, ...]  # (N,)
    log_probs: np.ndarray  # (N,) of each token, in nats
    ends: bool = False  # its last token is the end of the text


def branch_tree(branches: Sequence[Branch], *, joined: bool = False) -> tuple[list[Node], list[int]]:
    """The tree, and the node at which each text ends; the first text is drawn straight.

    A node is a token, or, `joined`, all tokens up to where a text parts from another or ends.
    """
    nodes, ends, free = [Node(0, 0, "", 0.0, 0.0, -1, "kept", True)], [0] * len(branches), {}

    def grow(parent: int, written: int, members: list[int]) -> None:
        """Below a node, what these texts, which share so many tokens, go on with."""
        for i in members:
            if len(branches[i].ids) == written:
                ends[i] = parent
        together: dict[int, list[int]] = {}  # those that go on with the same token
        for i in members:
            if len(branches[i].ids) > written:
                together.setdefault(branches[i].ids[written], []).append(i)
        for group in together.values():
            one = branches[group[0]]
            end = written + 1
            if joined:
                end = min(shared(one.ids, branches[i].ids) for i in group)
            own, above = float(one.log_probs[written:end].sum()), nodes[parent]
            column = above.column + 1
            # never above its parent: a way that goes on alone is a straight line
            row = max(free.get(column, 0), above.row)
            free[column] = row + 1
            fate = "finished" if one.ends and end == len(one.ids) else "kept"
            label = "".join(one.labels[written:end])
            nodes.append(Node(column, row, label, own, above.log_prob + own, parent, fate, True))
            grow(len(nodes) - 1, end, group)

    grow(0, 0, list(range(len(branches))))
    return nodes, ends


def shared(first: Sequence[int], second: Sequence[int]) -> int:
    """With how many alike they begin."""
    return next(
        (n for n, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )


def mean_log_prob(branch: Branch) -> float:
    """Of a token; 0 where nothing was written."""
    return float(branch.log_probs.mean()) if len(branch.ids) else 0.0
