"""Tokens taken together as words and sentences, and the two halves of a text."""

import re
import sys

import pytest

from model.run import Token
from model.text.units import second_text, units_of


def cut(text: str, *pieces: str) -> list[Token]:
    """Tokens of a text, given its pieces; `<s>` is special and covers nothing."""
    assert "".join(piece for piece in pieces if piece != "<s>") == text
    tokens, at = [], 0
    for piece in pieces:
        special = piece == "<s>"
        end = at if special else at + len(piece)
        tokens.append(Token(0, piece.encode(), at, end, special))
        at = end
    return tokens


def test_words_follow_the_offsets_not_the_pieces():
    tokens = cut("The unhappy cat sat.", "The", " un", "happ", "y", " cat", " sat", ".")
    units = units_of(tokens, "The unhappy cat sat.", "words")
    assert units.labels == ("The", "unhappy", "cat", "sat", ".")
    assert units.starts.tolist() == [0, 1, 4, 5, 6]
    assert [list(units.tokens(unit)) for unit in range(len(units))] == [[0], [1, 2, 3], [4], [5], [6]]
    assert [units.of(token) for token in range(7)] == [0, 1, 1, 1, 2, 3, 4]


def test_a_token_over_two_words_belongs_to_the_first():
    text = "in the end"
    assert units_of(cut(text, "in the", " end"), text, "words").labels == ("in the", "end")


def test_a_special_token_is_a_unit_of_its_own():
    text = "a b"
    units = units_of(cut(text, "<s>", "a", " b", "<s>"), text, "sentences")
    assert units.labels == ("<s>", "a b", "<s>")


def test_a_special_token_in_the_middle_of_a_word_divides_it():
    assert units_of(cut("ab", "a", "<s>", "b"), "ab", "words").labels == ("a", "<s>", "b")


def test_sentences():
    text = "He ran. Why? Nobody knew."
    tokens = cut(text, "He", " ran", ".", " Why", "?", " Nobody", " knew", ".")
    units = units_of(tokens, text, "sentences")
    assert units.labels == ("He ran.", "Why?", "Nobody knew.")
    assert units.starts.tolist() == [0, 3, 5]
    assert "UAX #29" in units.rule


def test_contractions_and_numbers_stay_whole(story):
    text = "I didn't pay 3.50"
    assert units_of(story.encode(text), text, "words").labels[:3] == ("I", "didn't", "pay")
    assert units_of(story.encode(text), text, "words").labels[-1] == "3.50"


def test_chinese_words_come_from_the_segmenter_and_it_is_named(story):
    pytest.importorskip("rjieba")
    text = "我们去公园吧！ok"
    units = units_of(story.encode(text), text, "words")
    assert units.labels == ("我们", "去", "公园", "吧", "！", "ok")
    assert "rjieba" in units.rule


def test_without_the_segmenter_every_chinese_character_is_a_word(story, monkeypatch):
    monkeypatch.setitem(sys.modules, "rjieba", None)  # as if it were not installed
    text = "我们去公园"
    units = units_of(story.encode(text), text, "words")
    assert units.labels == tuple(text)
    assert "every Chinese character" in units.rule


def test_tokens_are_the_units_of_kind_tokens(tiny_run):
    units = units_of(tiny_run.tokens, "", "tokens")
    assert list(units.labels) == tiny_run.labels and units.starts.tolist() == list(range(len(tiny_run.tokens)))
    assert units.rule == ""


@pytest.mark.parametrize("text", ["a", " ", "\n", "🙂👩‍👩‍👧", "مرحبا بالعالم", "a\u200b\u202eb\x07", "  two  spaces  "])
@pytest.mark.parametrize("kind", ["words", "sentences"])
def test_any_text_is_covered_without_a_gap(story, text, kind):
    tokens = story.encode(text)
    units = units_of(tokens, text, kind)
    assert [token for unit in range(len(units)) for token in units.tokens(unit)] == list(range(len(tokens)))
    assert all(units.labels) and len(units.labels) == len(units.starts)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="no units of kind 'syllables'"):
        units_of([], "", "syllables")


@pytest.mark.parametrize(
    ("text", "second"),
    [("one two", 2), ("one\ntwo", 2), ("one\n\ntwo", 3), ("one\ntwo\n\nx", 5), ("one\n", 2), ("\n\none", 3)],
)
def test_the_second_text_starts_after_a_blank_line_or_else_a_line_end(text, second):
    assert second_text(cut(text, *re.findall(r"\n| ?\w+", text)), text) == second
