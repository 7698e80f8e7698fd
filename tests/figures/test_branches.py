"""Texts that begin alike, as one tree."""

import numpy as np
import pytest

from viz.figures.branches import Branch, branch_tree, mean_log_prob, shared


def branch(text: str, *, ends: bool = False) -> Branch:
    """A letter is a token; its log-probability is minus its place in the alphabet."""
    ids = tuple(ord(letter) - ord("a") for letter in text)
    return Branch(ids, tuple(text), -np.array(ids, float), ends)


def words(nodes, end: int) -> str:
    found = ""
    while end > 0:
        found, end = nodes[end].label + found, nodes[end].parent
    return found


@pytest.mark.parametrize("joined", [False, True])
def test_each_text_is_the_way_to_its_end(joined):
    texts = ["bcde", "bcfa", "bc", "hbc", "bcfb"]
    nodes, ends = branch_tree([branch(text) for text in texts], joined=joined)
    assert [words(nodes, end) for end in ends] == texts
    assert [nodes[end].log_prob for end in ends] == [branch(text).log_probs.sum() for text in texts]
    assert len({(node.column, node.row) for node in nodes}) == len(nodes)  # none lies on another
    assert all(node.row >= nodes[node.parent].row for node in nodes[1:])
    assert all(node.row == 0 for node in nodes if words(nodes, nodes.index(node)) in "bcde")


def test_joined_a_node_is_all_up_to_where_texts_part_or_end():
    nodes, _ = branch_tree([branch("bcde"), branch("bcfa"), branch("bc")], joined=True)
    assert [(node.label, node.column) for node in nodes] == [("", 0), ("bc", 1), ("de", 2), ("fa", 2)]
    assert nodes[2].own == -7 and nodes[2].log_prob == -10


def test_alike_texts_are_one_and_an_end_is_seen():
    nodes, ends = branch_tree([branch("ab", ends=True), branch("ab", ends=True)])
    assert ends[0] == ends[1] and [node.fate for node in nodes] == ["kept", "kept", "finished"]
    assert mean_log_prob(branch("bd")) == -2 and mean_log_prob(branch("")) == 0
    assert shared("abc", "abd") == shared("ab", "abd") == 2
