"""Texts x pages: whatever is typed, a page is drawn or says why not, and nothing of it is markup."""

import itertools
import time

import pytest

from tests.hostile.conftest import INPUTS
from tests.hostile.pages import PAGES, faults
from tests.hostile.strings import as_sent, texts

# where a page has more than one text, and sections that are chosen
MORE = {
    "translation": [{"target": None}, {"reference": None}],
    "understanding": [
        *({"section": section} for section in ("blank", "both", "sentiment")),
        {"section": "similarity", "second": None},
    ],
    "attention": [
        {"units": "words", "graph": "arcs"},
        {"units": "sentences", "panel": "received and given"},
        {"graph": "layers", "show": "all"},
    ],
    "heads": [{"texts": "own", "lines": None, "knocked_out": "true"}],
    "comparison": [{"other_text": None}, {"compare": "layers"}],
    "mechanism": [{"head_off": "true", "edge_off": "true"}],
}


def test_no_text_breaks_a_page_or_becomes_markup(open_page, capsys):
    slowest = (0.0, "")
    for i, text in enumerate(map(as_sent, itertools.islice(texts(1), INPUTS or 60))):
        page = PAGES[i % len(PAGES)]
        choices = MORE.get(page, [{}])
        choice = choices[i // len(PAGES) % len(choices)]
        start = time.process_time()
        app = open_page(page, text=text, **{name: text if value is None else value for name, value in choice.items()})
        slowest = max(slowest, (time.process_time() - start, f"{page} {text[:100]!r}"))
        assert faults(app, text) == [], (page, choice, text)
        assert app.title, (page, text)
    with capsys.disabled():
        print(f"\n{i + 1} texts; the dearest answer took {slowest[0]:.1f} s of the processor: {slowest[1]}")


HUGE = "the cat sat on the mat. " * 50_000
# the pages of a model and of training read no text of the sidebar's, that of heads one only to take them out
READERS = [page for page in PAGES if page not in ("model", "training")]
BOXES = [("text", page, {"knocked_out": "true"} if page == "heads" else {}) for page in READERS]
BOXES += [("target", "translation", {}), ("second", "understanding", {"section": "similarity"})]


@pytest.mark.parametrize(("box", "page", "choices"), BOXES)
def test_a_text_that_is_too_long_is_told_so(open_page, box, page, choices):
    app = open_page(page, **choices)
    app.text_area(key=box).set_value(HUGE).run()
    assert faults(app) == [] and app.title
    assert any(f"The text has {len(HUGE):,} characters" in said.value for said in app.warning)
    app.text_area(key=box).set_value("The cat sat.").run()
    assert faults(app) == [] and not app.warning
