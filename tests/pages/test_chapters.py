"""Parts of Generation that stand there as headings: what an address says of one opens it, and nothing else does."""

import json

from tests.pages.reading import address, said
from viz.sections.generation import behind_choice, surprise

TEXT = "the cat saw the dog"
# by the choice that says whether it is open: words of it, and what links from before there were chapters say of it
CHAPTERS = {
    "behind": ("This is where that position looks", {}),
    "playground": ("pull a slider, and see at once", {"playground": "true"}),
    "last_vector": ("have made of the last token is one vector", {"word": "7"}),
    "several": ("One text is one way", {"ways": "drawn", "n_generate": "2"}),
    "each_layer": ("grows from layer to layer", {"lens_token": "2"}),
    "explained": ("Which tokens made the next token?", {"explained": "true"}),
    "surprising": ("Every token of your text was the next one once", {"numbers": "surprise_own_numbers"}),
}


def opened(app) -> set[str]:
    assert not app.exception and not app.error
    return {name for name, (words, _) in CHAPTERS.items() if words in said(app)}


def test_one_is_open_at_first_and_all_others_are_headings(open_page):
    app = open_page("generation", text=TEXT)
    assert opened(app) == {"behind"}
    assert not CHAPTERS.keys() & address(app).keys()
    titles = [each.label for each in app.expander]
    assert {"Several ways to go on", "What each layer would say", "Behind the choice"} <= set(titles)
    app.session_state.behind, app.session_state.surprising = False, True  # what clicks on their headings do
    app.run()
    assert opened(app) == {"surprising"}
    told = address(app)
    assert (told["behind"], told["surprising"]) == ("false", "true")
    assert opened(open_page("generation", **told)) == {"surprising"}


def test_links_from_when_nothing_was_closed_open_what_they_say_something_of(open_page):
    old = {name: value for _, link in CHAPTERS.values() for name, value in link.items()}
    app = open_page("generation", text=TEXT, **old)
    assert opened(app) == CHAPTERS.keys() - {"several"}  # whose first words are of none of its ways
    assert "4 texts, drawn at" in said(app)
    assert address(app).items() >= old.items()
    app.session_state.each_layer = False
    assert "each_layer" not in opened(app.run()) and address(app)["each_layer"] == "false"


def test_of_a_long_text_some_tokens_have_chips_and_that_is_said(open_page, story, monkeypatch):
    n = len(story.encode(TEXT))
    for part in (behind_choice, surprise):
        monkeypatch.setattr(part, "MOST_CHIPS", 3)
    app = open_page("generation", text=TEXT, surprising="true")
    assert opened(app) == {"behind", "surprising"}
    rows = [part.proto for part in app.get("bidi_component") if part.proto.component_name.endswith("token_chips")]
    assert [len(json.loads(row.mixed.json or row.json)["chips"]) for row in rows] == [3, 3]
    assert f"The first {n - 3} have bars alone." in said(app) and f"Of {n} tokens the first 3 are drawn" in said(app)
