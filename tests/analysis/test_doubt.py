"""By which rule a translation is doubted; what the shipped translator does is measured by `python -m tests.doubt`."""

import pytest

from model.analysis.doubt import LEAST_LOG_PROB, doubts, has_letters, part_in_bytes
from model.run import Token


def tokens_of(text: str, whole: str) -> list[Token]:
    """A token for each character; of one that is not among these, a token for each of its bytes."""
    tokens = []
    for i, character in enumerate(text):
        pieces = [character.encode()] if character in whole else [bytes([byte]) for byte in character.encode()]
        tokens += [Token(5, piece, i, i + 1) for piece in pieces]
    return [*tokens, Token(0, b"</s>", len(text), len(text), special=True)]


CAT = "a cat"


def test_an_ordinary_sentence_is_not_doubted():
    assert doubts(CAT, tokens_of(CAT, CAT), finished=True, log_prob=LEAST_LOG_PROB) == []
    assert doubts(CAT, tokens_of(CAT, CAT), finished=True) == []


def test_what_it_finds_improbable_itself():
    assert doubts(CAT, tokens_of(CAT, CAT), finished=True, log_prob=-1.5) == [
        "it finds its own words improbable (on average -1.50 a token; for sentences that it can read, hardly ever "
        f"below {LEAST_LOG_PROB:g})"
    ]


def test_what_it_did_not_end():
    assert doubts(CAT, tokens_of(CAT, CAT), finished=False) == ["it came to no end"]


@pytest.mark.parametrize(("text", "said"), [("1984 2026", True), ("!? …", True), ("in 1984", False), ("猫", False)])
def test_a_source_without_a_word(text, said):
    assert has_letters(text) != said
    found = doubts(text, tokens_of(text, text), finished=True)
    assert found == ["there is no word in the source"] * said


def test_what_the_vocabulary_does_not_hold():
    text = "a 猫 b 坐"
    assert part_in_bytes(text, tokens_of(text, text)) == 0
    assert part_in_bytes(text, tokens_of(text, "ab 坐")) == 0.25
    assert doubts(text, tokens_of(text, "ab "), finished=True) == []  # a half of them, and not more
    assert doubts(text, tokens_of(text, "a "), finished=True) == []  # b is a byte, and a character
    chinese = "猫坐 b"
    assert doubts(chinese, tokens_of(chinese, "b "), finished=True) == [
        "67 % of the source's characters are in no entry of its vocabulary"
    ]


def test_what_is_the_unknown_entry():
    tokens = [Token(1, b" [UNK]", 0, 3), Token(2, b" cat", 3, 5)]
    assert part_in_bytes("dog c", tokens, unknown=1) == 0.75
    assert part_in_bytes("dog c", tokens) == 0
