"""A small change of a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.text.minimal_pair import minimal_pair


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("The cat sat on the mat", "The cats sat on the mat"),
        ("When Mary and John went out, John gave a drink to", "When Mary and John went out, Mary gave a drink to"),
        ("because it was too tired.", "because it was too wide."),
        ("le chat noir\n\nun chien", "le chien noir\n\nun chien"),
        ("ha ha ha", "ha ha"),
        ("ha", "ha ha"),
        ("?!", "?! ?!"),
        ("", ""),
    ],
)
def test_one_word_is_another(text, other):
    assert minimal_pair(text) == other


@given(st.text(min_size=1))
def test_it_is_never_the_same_text(text):
    assert minimal_pair(text) != text
