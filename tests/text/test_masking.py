"""Tokens hidden and put back: of every family of tokenizers, in any order."""

import numpy as np
import pytest

from model import catalog
from model.text.masking import Blanked, masked, put, restore, restore_all
from model.text.tokens import token_of, tokens_of
from tests.builtin.test_classifier import write_classifier
from tests.tiny_tokenizers import few_word_pieces, of_family


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """Of each kind of tokenizer: how it cuts a text, the token of an id, and the one that hides."""
    own = catalog.load("judge", weights=write_classifier(tmp_path_factory.mktemp("weights") / "judge").parent)
    made = {"built in": (own.encode, own.token, own.mask_token())}
    for name, theirs in (("bytes", of_family("encoder")), ("word pieces", few_word_pieces())):
        made[name] = (
            lambda text, theirs=theirs: tokens_of(theirs, text),
            lambda id, theirs=theirs: token_of(theirs, id),
            token_of(theirs, theirs.mask_token_id),
        )
    return made


KINDS = ["built in", "bytes", "word pieces"]


@pytest.mark.parametrize("kind", KINDS)
def test_hiding_changes_one_token_and_restoring_brings_the_text_back(reader, kind):
    encode, _, mask = reader[kind]
    text = Blanked("the cat saw the dog, the cat")
    tokens = encode(text.text)
    for i in [i for i, token in enumerate(tokens) if not token.special]:
        hidden = put(text, tokens, i, mask, encode)
        now = encode(hidden.text)
        assert [t.id for t in now] == [t.id for t in masked(tokens, i, mask)]
        (place,) = hidden.places
        assert hidden.place_of(now[i]) == place and place.token == tokens[i]
        assert restore(hidden, place) == restore_all(hidden) == text


def test_a_blank_is_written_as_people_write_it(reader):
    for kind in ("built in", "word pieces"):
        encode, _, mask = reader[kind]
        tokens = encode("the cat saw")
        (cat,) = (i for i, token in enumerate(tokens) if b"cat" in token.piece)
        assert put(Blanked("the cat saw"), tokens, cat, mask, encode).text == "the [MASK] saw"


@pytest.mark.parametrize("kind", KINDS)
def test_any_order_of_hiding_and_filling_can_be_undone(reader, kind):
    encode, entry, mask = reader[kind]
    text = "the cat saw the dog, the cat"
    dog = next(token.id for token in encode(text) if b"dog" in token.piece)
    rng = np.random.default_rng(0)
    for _ in range(10):
        changed = Blanked(text)
        for _ in range(6):
            tokens = encode(changed.text)
            i = int(rng.choice([i for i, token in enumerate(tokens) if not token.special or token.id == mask.id]))
            wanted = [token.id for token in tokens]
            wanted[i] = (new := entry(dog) if rng.random() < 0.4 else mask).id
            changed = put(changed, tokens, i, new, encode)
            assert [token.id for token in encode(changed.text)] == wanted
            ends = [end for place in changed.places for end in (place.start, place.end)]
            assert ends == sorted(ends)
        assert restore_all(changed) == Blanked(text)


def test_what_was_typed_is_remembered_through_a_filling(reader):
    encode, entry, mask = reader["word pieces"]
    text = Blanked("the cat saw the dog")
    hidden = put(text, encode(text.text), 2, mask, encode)
    filled = put(hidden, encode(hidden.text), 2, entry(10), encode)
    assert filled.text == "the bird saw the dog"
    again = put(filled, encode(filled.text), 2, mask, encode)
    assert again.places[0].was == " cat" and again.places[0].token.id == 6
    assert put(again, encode(again.text), 2, entry(6), encode) == text  # the typed word itself: nothing is changed


def test_a_word_that_cannot_be_cut_alike_without_its_beginning_has_no_probability_of_its_own(reader):
    encode, _, mask = reader["word pieces"]
    tokens = encode("the dogs")
    assert [token.piece for token in tokens[2:4]] == [b" dog", b"s"]
    without_dog, without_s = (put(Blanked("the dogs"), tokens, i, mask, encode) for i in (2, 3))
    assert without_dog.places[0].token is None and without_s.places[0].token == tokens[3]
    assert restore_all(without_dog) == restore_all(without_s) == Blanked("the dogs")


def test_half_a_character_can_be_hidden_but_not_put_in(reader):
    encode, entry, mask = reader["built in"]
    tokens = encode("the 🙂 cat")
    (part, *_) = (i for i, token in enumerate(tokens) if token.piece == b"\xf0")
    hidden = put(Blanked("the 🙂 cat"), tokens, part, mask, encode)
    assert "🙂" not in hidden.text and hidden.places[0].token is None
    assert restore_all(hidden).text == "the 🙂 cat"
    with pytest.raises(UnicodeDecodeError):
        put(Blanked("the 🙂 cat"), tokens, 0, entry(tokens[part].id), encode)
