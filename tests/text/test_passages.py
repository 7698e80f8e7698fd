"""What heads are judged on: the passages that ship, a visitor's lines, random tokens that come twice."""

import pytest

from model import catalog
from model.text.passages import (
    HALF,
    LEAST_HALF,
    MOST_CHARACTERS,
    MOST_LINES,
    can_write,
    lines_in,
    passages,
    repeated_at_random,
)


def test_there_are_64_different_passages_without_a_blank_line(story):
    assert len(set(passages())) == 64
    assert all(text == text.strip() and "\n\n" not in text for text in passages())
    assert max(len(story.encode(text)) for text in passages()) <= 64


def test_of_ten_thousand_lines_the_first_are_read():
    read = lines_in("\n".join(f"line {i}\n" for i in range(10_000)))
    assert read.n_line == 10_000 and len(read.texts) == MOST_LINES and read.texts[-1] == f"line {MOST_LINES - 1}"
    assert lines_in(" \n\n").texts == () and lines_in("").n_line == 0
    long = lines_in("a" * (MOST_CHARACTERS + 1))
    assert len(long.texts[0]) == MOST_CHARACTERS and long.n_cut == 1


def test_random_tokens_come_twice_and_are_different_before(story):
    for text in repeated_at_random(story, 3):
        ids = [token.id for token in text]
        assert ids[:HALF] == ids[HALF:] and len(set(ids)) == HALF
        assert not any(token.special for token in text)
    assert repeated_at_random(story, 1) == repeated_at_random(story, 1)


@pytest.mark.parametrize("name", ["encoder", "tiny"])
def test_what_stands_around_every_text_stands_around_them(name, request):

    lm = request.getfixturevalue("tiny") if name == "tiny" else catalog.load(name)
    some, text = lm.encode("a"), repeated_at_random(lm, 1)[0]
    assert [t.id for t in text if t.special] == [t.id for t in some if t.special]
    assert len([t for t in text if not t.special]) // 2 >= LEAST_HALF and len(text) <= lm.info.n_context


def test_a_text_that_is_mostly_unknown_is_told(story):

    copier, encoder = catalog.load("copier"), catalog.load("encoder")
    assert not can_write(copier, copier.encode("The cat sat on the mat.")) and can_write(
        copier, copier.encode("abcabc")
    )
    for lm in (story, encoder):
        assert all(can_write(lm, lm.encode(text)) for text in passages())
    assert not any(token.id == copier.unknown for text in repeated_at_random(copier) for token in text)
