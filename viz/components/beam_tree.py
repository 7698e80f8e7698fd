"""Texts that begin alike as a tree, of a search or not, and as a list: pointing at either shows the other."""

import math
from collections.abc import Callable, Sequence

from viz.components import pick_handler, register
from viz.figures.translation import Node
from viz.guard import handler

_tree = register(
    "beam_tree",
    shared=["renew", "tip", "rove", "lines"],
    html="""<div class="beam" role="group">
<div class="scroll" tabindex="0" role="group" aria-label="the tree"><svg aria-hidden="true"></svg></div>
<div class="head" aria-hidden="true"><span></span><span class="what"></span><span>score</span>
<span>log-probability</span><span>tokens</span></div>
<ol></ol><div class="tip" hidden></div></div>""",
    picture=True,
)


def _numbers(node: Node) -> tuple[float, float, float]:
    """Its log-probability, its probability in percent, and the log-probability with all before it."""
    return round(node.own, 4), 100 * math.exp(node.own), round(node.log_prob, 4)


def beam_tree(
    nodes: Sequence[Node],
    ends: Sequence[int],
    candidates: Sequence[dict],
    *,
    key: str,
    what: str = "finished candidates",
    search: bool = True,
    click: str = "Click to read this translation",
    chosen: int | None = None,
    on_pick: Callable[[int], None] | None = None,
) -> None:
    """Draw what `viz.figures.translation` made of a search: `beam_tree` (nodes, ends) and `ranked` (candidates).

    Or, where it is no `search`, `viz.figures.branches.branch_tree` of texts: a node may be several tokens. `what` the
    candidates are called. `click`: in words, what a click at one does. `chosen`: the one that is read now. `on_pick(i)`
    is called when candidate i is clicked, in the list or in the tree.
    """
    _tree(
        key=key,
        called=f"A beam search of {len(nodes)} candidates",
        numbers=lambda: {
            "step": [node.column for node in nodes],
            "token": [node.label for node in nodes],
            "grew from row": [node.parent for node in nodes],
            "fate": [node.fate for node in nodes],
            "log-probability": [node.own for node in nodes],
            "with all before it": [node.log_prob for node in nodes],
        },
        on_pick_change=handler(pick_handler(key, range(len(candidates)), on_pick)),
        data={
            "nodes": [[*(n.column, n.row, n.label, n.parent, n.fate, n.lives), *_numbers(n)] for n in nodes],
            "candidates": [
                {
                    "node": node,
                    "text": each["text"],
                    "score": each["score"],
                    "sum": each["log-probability"],
                    "tokens": each["tokens"],
                }
                for node, each in zip(ends, candidates, strict=True)
            ],
            "chosen": chosen,
            "what": what,
            "search": search,
            "click": click,
            "picks": on_pick is not None,
        },
    )
