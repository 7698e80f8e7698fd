"""A lab's few words: what is unknown is shown as such, in its place."""

import pytest

from model.lab.vocabulary import START, UNKNOWN, of_entries, of_texts

THREE = "I am a student. I love to study. I will graduate soon."


def test_words_are_entries_in_the_order_in_which_they_come():
    vocabulary = of_texts([THREE], "words")
    names = [vocabulary.token(id).piece.decode() for id in range(vocabulary.n_vocab)]
    assert names == [UNKNOWN, START, *"I am a student . love to study will graduate soon".split()]
    assert vocabulary.encode_ids([THREE]) == [[token.id for token in vocabulary.encode(THREE)]]


@pytest.mark.parametrize("text", ["I love  cats, too.", "<s> I [UNK]", "猫 am\n", "", "STUDENT"])
def test_what_is_no_entry_is_unknown_in_its_place(text):
    vocabulary = of_texts([THREE], "words")
    known = {"I", "love", "am", "."}
    for token in vocabulary.encode(text):
        word = text[token.start : token.end].strip()
        assert (token.id == vocabulary.unk_token_id) == (word not in known) and not token.special


def test_characters_cover_the_text():
    tokens = of_entries("abc", "characters").encode("a b\nc👍")
    assert [(token.start, token.end) for token in tokens] == [(i, i + 1) for i in range(6)]
    assert [token.label for token in tokens] == ["a", UNKNOWN, "b", UNKNOWN, "c", UNKNOWN]


def test_how_it_cuts_can_be_followed():
    vocabulary = of_texts([THREE], "words")
    assert vocabulary.cutting().kind == "WordLevel"
