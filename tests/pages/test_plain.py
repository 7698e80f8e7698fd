"""Text from outside within Markdown stays text; tests/hostile asks a real browser the same of every page."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.words import seen
from viz.plain import plain
from viz.ui.prose import quoted

INK = st.text(alphabet=st.characters(exclude_categories=("C", "Z")) | st.sampled_from("  -_.:@=[]()<>`*#1w"))


@given(INK)
def test_no_character_is_lost(text):
    assert seen(plain(text)) == text


@given(INK)
def test_no_mark_is_left(text):
    left = re.sub(r":color\[&#\d+;\]|&#\d+;", " ", plain(text))
    assert not re.search(r"[\\`*{}\[\]<>|~$@=&]|:\S|--|www\.", left, re.IGNORECASE)
    assert not re.match(r"[ +#>-]|\d+[.)]", plain(text))


@pytest.mark.parametrize(
    "sentence",
    [
        "There is no head 9.9: layers go from 0 to 5, heads from 0 to 5.",
        "The text is 513 tokens long; Story reads at most 512. Shorten it by 1 token.",
        "“/home/me/my_model-2” is not a model folder: it holds no config.json (or it does).",
        "3",
    ],
)
def test_a_sentence_stays_a_sentence(sentence):
    assert plain(sentence) == sentence


def test_what_cannot_be_seen_is_shown_by_its_number():
    assert seen(plain("a\u202eb\u200bc\x00d\udcff")) == "aU+202EbU+200BcU+0000dU+DCFF"


def test_spaces_make_no_code_and_line_ends_no_paragraph():
    assert plain("    a\n\n    b") == "&#32;" * 4 + "a&#10;&#10;" + "&#32;" * 4 + "b"


def test_an_address_does_not_become_a_link_by_itself():
    assert plain("http://e.org a@e.org www.e.org") == (
        "http:color[&#58;]//e.org a:color[&#64;]e.org www:color[&#46;]e.org"
    )


def test_anything_can_be_shown():
    assert plain(3) == "3" and plain(ValueError("a*b")) == "a&#42;b"
    assert quoted("[a](b)") == "“&#91;a&#93;(b)”"
