"""Words of art stand in one list: the README has it, and each page explains those that it uses."""

import pytest

from tests.glossary import table
from tests.pages.reading import component
from tests.readme import part
from viz.ui.glossary import WORDS, on_page
from viz.ui.links import PAGES


def test_the_readme_lists_all():
    assert part("glossary") == table(), "python -m tests.glossary"


def test_each_word_is_explained_once_and_simply():
    names = [name for word in WORDS for name in word.name.split(", ")]
    assert len(names) == len(set(names))
    for word in WORDS:
        assert set(word.pages) <= set(PAGES), word.name
        assert 10 < len(word.meaning) < 160 and not word.meaning.endswith("."), word.name
        assert not set("|*`[]<>$") & set(word.meaning), f"{word.name}: no markup, neither Markdown's nor HTML's"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page or "home")
def test_a_page_explains_its_words(open_page, page):
    shown = component(open_page(page or "home"), "words")["words"]
    assert shown == [{"name": word.name, "meaning": word.meaning} for word in on_page(page)] and len(shown) > 2
