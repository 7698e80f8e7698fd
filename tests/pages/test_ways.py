"""On the page Generation: several ways to go on, drawn with different seeds or found by a beam, as one tree."""

import math

import pytest

from model.analysis.beam import beam_search
from model.analysis.generation import generate
from model.analysis.sampling import Sampling
from model.text.prompt import written_text
from tests.pages.reading import component, said
from viz.sections.generation.ways import where

TEXT = "the cat saw the dog"
LINK = {"text": TEXT, "n_generate": 6, "temperature": 0.9, "top_k": 20}


def texts(app) -> list[str]:
    return [each["text"] for each in component(app, "beam_tree")["candidates"]]


def test_each_drawn_text_is_what_its_seed_makes(open_page, story):
    app = open_page("generation", **LINK, ways="drawn", n_samples=3, seed=5, numbers="ways")
    assert not app.exception and not app.error
    tree, seeds = component(app, "beam_tree"), app.dataframe[0].value["seed"].tolist()
    assert sorted(seeds) == [5, 6, 7]
    scores = [candidate["score"] for candidate in tree["candidates"]]
    assert scores == sorted(scores, reverse=True)
    for seed, candidate in zip(seeds, tree["candidates"], strict=True):
        steps = list(generate(story, story.encode(TEXT), 6, Sampling(0.9, top_k=20), seed))
        assert candidate["text"] == written_text(step.token for step in steps)
        assert candidate["sum"] == pytest.approx(sum(math.log(step.probability) for step in steps), abs=1e-3)
        node, labels = candidate["node"], []
        while node:
            labels.insert(0, tree["nodes"][node][2])
            node = tree["nodes"][node][3]
        assert labels == [step.token.label for step in steps]
    assert "the seeds 5 to 7" in said(app)


def test_at_temperature_0_all_are_one(open_page):
    app = open_page("generation", **LINK | {"temperature": 0}, ways="drawn")
    assert len(set(texts(app))) == 1 and "all are the same" in said(app)
    assert len(component(app, "beam_tree")["nodes"]) == 7  # one path


def test_the_beam_is_the_search_over_the_same_text(open_page, story):
    app = open_page("generation", **LINK, ways="beam", width=3, penalty=0.5)
    assert not app.exception and not app.error
    special = {id for id in range(story.info.n_vocab) if story.token(id).special}
    beam = beam_search(story.decoding(story.encode(TEXT)), special, 6, 3, 0.5)
    assert texts(app) == [written_text(map(story.token, each.ids)) for each in beam.finished]


def test_a_full_context_has_no_way_on(open_page):
    app = open_page("generation", text="a b c d e f g h i j k l m n o p q r s t u v w x y z " * 2, model="copier")
    assert not app.exception
    app = open_page("generation", text="abcd" * 10, model="copier", ways="beam")
    assert not app.exception and any("context is full" in info.value for info in app.info)


def test_the_same_seed_under_two_settings_and_where_they_part(open_page, story):
    app = open_page("generation", **LINK, ways="settings", seed=5, other_temperature=0.0)
    assert not app.exception and not app.error
    mine, other = (
        [step.token for step in generate(story, story.encode(TEXT), 6, sampling, 5)]
        for sampling in (Sampling(0.9, top_k=20), Sampling(0))
    )
    assert texts(app) == [written_text(mine), written_text(other)]
    apart = next(i for i in range(6) if mine[i].id != other[i].id)
    assert where(apart) in said(app) and f"draws “{mine[apart].label}”" in said(app)
    app.slider(key="other_temperature").set_value(0.9).run()
    app.slider(key="other_top_k").set_value(20).run()
    assert len(set(texts(app))) == 1 and "Both write the same" in said(app)
