"""What an address can say: each choice is read as it was written, and what no visitor's page writes is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.analysis.generation import Draw, read_draws, write_draws
from model.analysis.sampling import Sampling
from model.run import Token
from model.text.masking import Place, read_places, write_places
from tests.addresses import table
from tests.readme import part
from viz.ui.cells import _read_places, _write_places
from viz.ui.choices import CHOICES, DECODER, READER, of, owned_by
from viz.ui.links import PAGES
from viz.ui.long_texts import LongTexts


def test_the_readme_lists_all():
    assert part("addresses") == table(), "python -m tests.addresses"


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_is_read_as_it_was_written(name):
    choice = CHOICES[name]
    values = [*choice.options, choice.default, *({True, False} if isinstance(choice.default, bool) else ())]
    for value in [value for value in values if value is not None and value != ()]:
        again = choice.parse(choice.write(value))
        assert again == value and type(again) is type(value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        *(("layer", "-1"), ("layer", "1.5"), ("layer", "x"), ("layer", ""), ("layer", "9" * 9), ("least", "nan")),
        *(("least", "0.6"), ("temperature", "nan"), ("show", "heads"), ("top_p", "0"), ("mask_off", "maybe")),
        *(("softmax_temperature", "3"), ("followed", "1"), ("followed", "1.2.3"), ("summed", "1..2"), ("summed", "")),
        *(("numbers", "<b>"), ("similarity_of", "token"), ("target_ids", "1.x."), ("seed", "-1"), ("map_axes", "4")),
    ],
)
def test_what_can_never_be_is_refused(name, said):
    with pytest.raises(ValueError):
        CHOICES[name].parse(said)


@given(st.sampled_from(sorted(CHOICES)), st.text(max_size=30))
def test_whatever_an_address_says_is_a_value_or_a_value_error(name, said):
    choice = CHOICES[name]
    try:
        value = choice.parse(said)
    except ValueError:
        return
    assert choice.parse(choice.write(value)) == value


def test_every_choice_counts_on_a_page_that_there_is():
    assert {page for choice in CHOICES.values() for page in choice.pages} <= set(PAGES)
    assert set(owned_by(READER)) | set(owned_by(DECODER)) == {n for n, choice in CHOICES.items() if choice.owner}
    assert "layer" in of("attention") and "layer" not in of("tokenization") and "model" in of("tokenization")


@given(st.lists(st.integers(0, 50), min_size=1, max_size=60))
def test_places_of_a_card_are_read_as_they_were_written(places):
    assert _read_places(_write_places(places), 51) == tuple(places)


@pytest.mark.parametrize("said", ["", "3-1", "5", "1.", "a", "1-2-3", "-1"])
def test_places_that_are_not_there_are_refused(said):
    with pytest.raises(ValueError):
        _read_places(said, 5)


def test_what_was_drawn_is_read_as_it_was_written():
    greedy, warm = Sampling(0), Sampling(0.85, 40, 0.95)
    draws = [Draw(3, greedy, 0), Draw(511, greedy, 0), Draw(7, warm, 12), Draw(7, warm, 13)]
    assert write_draws(draws) == "3.511@0,0,1,0~7@0.85,40,0.95,12~7@0.85,40,0.95,13"
    assert read_draws(write_draws(draws)) == draws
    more = [Draw(1, warm, None), Draw(2, Sampling(0.5, 0, 1, 0.05, 0.9, 1.2, 3), 2**31 - 1)]  # by hand; all of it
    assert write_draws(more) == "1@0.85,40,0.95,hand~2@0.5,0,1,2147483647,0.05,0.9,1.2,3"
    assert read_draws(write_draws(more)) == more


@pytest.mark.parametrize(
    "said",
    [
        *("3", "3@1,0,1", "x@1,0,1,0", "3@-1,0,1,0", "3@1,0,0,0", "3@nan,0,1,0", "3@1,0,1,-1", "@1,0,1,0"),
        *("-1@1,0,1,0", "3@1,0,1,foot", "3@1,0,1,0,2,1,1,0", "3@1,0,1,0,0,1,1", "3@1,0,1,0,0,1,nan,0"),
    ],
)
def test_what_cannot_have_been_drawn_is_refused(said):
    with pytest.raises(ValueError):
        read_draws(said)


def test_hidden_words_are_read_as_they_were_written():
    token = Token(5, b" cat", "␣cat", 0, 0, False)
    places = (Place(0, 6, "the ~-", token), Place(8, 9, "é\n", None))
    said = write_places(places)
    assert read_places(said, "[MASK] [M", lambda id: token, 10) == places
    for text, n_vocab in (("[MASK] [", 10), ("[MASK] [M", 5)):  # a shorter text; a vocabulary without the token
        with pytest.raises(ValueError):
            read_places(said, text, lambda id: token, n_vocab)


def test_a_long_text_is_found_by_its_hash_while_there_is_room():
    texts = LongTexts(most=10)
    first = texts.keep("a" * 6)
    assert texts.find(first) == "a" * 6 and texts.keep("a" * 6) == first and len(first) == 32
    second = texts.keep("b" * 6)
    assert texts.find(first) is None and texts.find(second) == "b" * 6
    assert texts.find("nothing") is None
