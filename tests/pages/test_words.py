"""On the page Generation: the logit of a word, worked out as one product."""

import numpy as np
import pytest

from model.analysis.generation import read_on
from model.analysis.sampling import Sampling
from tests.pages.reading import numbers, said, traces

TEXT = "the cat saw the dog"


def html_of(app) -> str:
    return " ".join(element.proto.body for element in app.get("html"))


@pytest.fixture
def chosen(story) -> tuple[np.ndarray, int]:
    """The logits (V,) of what comes next, and the id of the third of them."""
    run, choice = read_on(story, story.encode(TEXT), Sampling())
    return story.unembed(run.stream[-1, -1]), int(choice.best(3)[2])


def test_nothing_is_worked_out_until_a_token_is_chosen(open_page, story):
    app = open_page("generation", text=TEXT, last_vector="true")
    assert f"What {story.info.n_layer} layers have made of the last token" in said(app)
    assert "The logit of “" not in html_of(app)


def test_a_logit_is_the_sum_of_its_terms_and_stands_beside_its_rivals(open_page, story, chosen):
    logits, id = chosen
    app = open_page("generation", text=TEXT, word=id, numbers="word_terms")
    assert not app.exception and not app.error
    card = html_of(app)
    assert f"The logit of “{story.token(id).label}”" in card and "✓ Check:" in card
    assert f"<b>{logits[id]:.4f}</b>" in card
    (table,) = [each.value for each in app.dataframe if "h·w" in each.value]
    assert table["id"][0] == id and len(table) == 7
    np.testing.assert_allclose(table["logit"], logits[table["id"]], atol=1e-5)
    np.testing.assert_allclose(table["h·w"], table["logit"], atol=1e-4)  # this model has neither bias nor cap
    (bars,) = [each for each in traces(app) if str(each[0].get("name")).startswith(story.token(id).label)]
    for bar, logit in zip(bars, logits[table["id"][:2]], strict=True):
        assert numbers(bar["y"]).sum() == pytest.approx(logit, abs=1e-4)


def test_any_token_behind_any_other_may_be_chosen_by_a_link(open_page, story):
    app = open_page("generation", text=TEXT, word=7, word_behind=1)
    assert not app.exception and not app.error
    run = story.run(story.encode(TEXT))
    assert f"<b>{story.unembed(run.stream[-1, 1])[7]:.4f}</b>" in html_of(app)
    app = open_page("generation", text=TEXT, word=10**6)
    assert any("The link asks for token 1,000,000 of 8,192" in info.value for info in app.info)
