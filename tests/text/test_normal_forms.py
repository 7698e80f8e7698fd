"""SentencePiece's normalizer, by a table written by hand."""

import struct

import pytest

from model.run import PromptError
from model.sources.sentence_piece import NORMAL, read
from model.text import normal_forms
from model.text.normal_forms import NormalForms
from tests.sentence_pieces import written

LEAF, ENDS = 1 << 31, 1 << 8


def charsmap(rules: dict[str, str]) -> bytes:
    """A double array with a block of 256 units for each node: byte b leads to unit b of its node's block."""
    nodes: list[dict[int, int]] = [{}]
    ends: dict[int, int] = {}
    forms = b""
    for text, form in rules.items():
        node = 0
        for byte in text.encode():
            if byte not in nodes[node]:
                nodes[node][byte] = len(nodes)
                nodes.append({})
            node = nodes[node][byte]
        ends[node] = len(forms)
        forms += form.encode() + b"\0"
    units = [0] * (256 * (len(nodes) + 1))
    place = {0: 0}

    def offset(at: int, block: int) -> int:
        return (at ^ block) << 10 if (at ^ block) < 1 << 21 else 0

    for number, children in enumerate(nodes):
        at, block = place[number], 256 * (number + 1)
        units[at] |= offset(at, block) | (ENDS if number in ends else 0)
        if number in ends:
            units[block] = LEAF | ends[number]
        for byte, child in children.items():
            place[child] = block ^ byte
            units[block ^ byte] |= byte
    trie = struct.pack(f"<{len(units)}I", *units)
    return struct.pack("<I", len(trie)) + trie + forms


def forms(rules: dict[str, str]) -> NormalForms:
    return NormalForms(read(written([("a", -1.0, NORMAL)], charsmap=charsmap(rules))))


def test_the_longest_rule_counts_and_places_are_those_typed():
    made = forms({"e": "E", "e\u0301": "é", "ﬁ": "fi", "\u200d": "", "\u3000": " "})
    assert made.normalize("xe\u0301\u3000\u3000ﬁ\u200de ") == (
        "▁xé▁fiE",
        [(0, 0), (0, 1), (1, 3), (3, 4), (5, 6), (5, 6), (7, 8)],
    )
    assert made.normalize("\u3000 \u200d") == ("", [])


def test_a_text_that_becomes_too_long(monkeypatch):
    monkeypatch.setattr(normal_forms, "MOST", 100)
    with pytest.raises(PromptError) as raised:
        forms({"a": "b" * 60}).normalize("aa")
    assert str(raised.value) == (
        "The model's table of normal forms makes more than 100 characters of this text. Shorten it."
    )
