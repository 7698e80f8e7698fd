"""On the page Generation: what the sliders that act in the browser are sent, and what is said of it."""

import numpy as np

from model.analysis.sampling import repeats
from tests.pages.reading import said, sent

TEXT = "the cat saw the dog and the dog saw the cat"


def test_nothing_is_sent_until_it_is_asked_for(open_page):
    app = open_page("generation", text=TEXT)
    assert not [each for each in app.get("bidi_component") if each.proto.component_name.endswith("playground")]


def test_the_whole_vocabulary_is_sent_by_rank(open_page, story):
    app = open_page("generation", text=TEXT, playground=True, temperature=0.5, top_p=0.9)
    assert not app.exception and not app.error
    message, tables = sent(app, "playground")
    view = message["view"]
    tokens = story.encode(TEXT)
    ids = [token.id for token in tokens]
    logits = story.unembed(story.run(tokens).stream[-1, -1])
    order = np.argsort(-logits, kind="stable")
    np.testing.assert_allclose(tables["numbers"]["logit"], logits[order], atol=1e-4)
    assert view["ids"] == order[:50].tolist()
    assert view["labels"] == [story.token(int(id)).label for id in order[:50]]
    assert sorted(order[view["there"]].tolist()) == sorted(set(ids))
    assert [story.token(int(order[rank])).label for rank in view["there"]] == view["names"]
    for n, some in enumerate(view["repeats"], 1):
        assert set(order[some].tolist()) == set(repeats(np.array(ids), n).tolist())
    assert view["own"]["temperature"] == 0.5 and view["own"]["top_p"] == 0.9 and view["step"] is None
    assert f"all {len(logits):,} logits are in your browser" in said(app)


def test_of_what_was_written_the_last_choice_is_tried_or_the_one_that_is_opened(open_page):
    written = "40.50.60@0.8,0,1,hand"
    app = open_page("generation", text=TEXT, playground=True, written=written)
    view = sent(app, "playground")[0]["view"]
    assert view["step"] == 2 and view["number"] is None and view["own"]["temperature"] == 0.8
    assert "**Check:** the logits kept when the token was written" in said(app)
    app = open_page("generation", text=TEXT, playground=True, written=written, opened=1)
    assert sent(app, "playground")[0]["view"]["step"] == 1


def test_a_vocabulary_of_a_few_entries_has_no_others(open_page):
    app = open_page("generation", text="a b c a", model="copier", playground=True)
    assert not app.exception and not app.error
    message, tables = sent(app, "playground")
    assert len(message["view"]["labels"]) == len(tables["numbers"]["logit"]) < 50
