"""On the page Inside a head: one cell's score taken apart, what it carries, and the way to the head that made it."""

import numpy as np
import pytest

from model.analysis.attention_map import MapSpec
from model.analysis.carried import carried, said_by
from model.analysis.score_parts import score_parts
from model.text.prompt import Prompt, RunKey
from tests.conftest import REPEATED
from tests.pages.reading import charts, numbers, open_card, said
from viz.figures.score_parts import part_name
from viz.ui.cells import Cell

NUMBERS = "carried_parts.carried_words.score_map.score_pairs"


def tables(app) -> list:
    return [frame.value for frame in app.dataframe]


def test_the_page_takes_the_cell_of_its_link_apart(open_page, story):
    link = {"text": REPEATED, "layer": 1, "head": 3, "token": 5, "key": 3}
    shut = open_page("head", **link)
    assert "Which of them made it?" in said(shut) and not charts(shut)
    app = open_page("head", why="true", numbers=NUMBERS, **link)
    assert not app.exception and not app.error and "**Check failed" not in said(app)
    run = story.run(story.encode(REPEATED))
    score = score_parts(story, run, 1, 3, 5, 3)
    its = carried(story, run, 1, 3, 5, 3)
    words = said_by(story, run, 1, 5, its.write)
    pairs, together, said_words, parts = tables(app)
    assert pairs["of the score"].sum() == pytest.approx(score.scaled, abs=1e-4)
    assert pairs["of the score"].iloc[0] == score.pairs.ravel()[np.abs(score.pairs).argmax()]
    np.testing.assert_allclose(together.to_numpy(), score.pairs)  # few parts: each has its own row
    assert list(together.index) == [part_name(part) for part in score.parts]
    np.testing.assert_allclose(said_words["to the logit"], words.change[[*words.up, *words.down[::-1]]])
    assert parts["share"].sum() == pytest.approx(1)
    bars, heat, *_ = (chart["data"][0] for chart in charts(app))
    assert numbers(bars["x"]).sum() == pytest.approx(score.scaled, abs=1e-4)
    np.testing.assert_allclose(numbers(heat["z"]), score.pairs)
    assert f"**{score.score:.4f}**" in said(app) and "In words: behind" in said(app)


@pytest.mark.parametrize("model", ["story", "copier", "encoder", "sentiment", "translator"])
def test_every_built_in_model_is_taken_apart(open_page, model):
    app = open_page("head", model=model, text="the cat saw the dog", layer=1, head=1, token=2, key=1, why="true")
    assert not app.exception and not app.error and "**Check failed" not in said(app)
    assert "pairs add up to" in said(app) and "added up from its" in said(app)


def test_of_many_parts_each_layer_is_one_until_it_is_opened(open_page, story):
    link = {"text": REPEATED, "layer": 4, "head": 1, "token": 6, "key": 2, "why": "true", "numbers": "score_map"}
    app = open_page("head", **link)
    (closed,) = tables(app)
    layers = [f"layer {i}" for i in range(4)]
    assert list(closed.index) == list(closed.columns) == ["token", "position", *layers, "constants"]
    app.selectbox(key="key_layer").set_value(1).run()
    (opened,) = tables(app)
    heads = [f"head 1.{i}" for i in range(story.info.n_head)]
    assert [name for name in opened.columns if name.startswith("head")] == heads
    assert list(opened.index) == list(closed.index)
    of_layer = [name for name in opened.columns if name not in closed.columns]
    np.testing.assert_allclose(opened[of_layer].sum(axis=1), closed["layer 1"])


@pytest.mark.parametrize("where", ["writer_", "see_"])
def test_one_click_leads_to_the_head_that_wrote_a_part(open_page, story, where):
    app = open_page("head", text=REPEATED, layer=3, head=1, token=6, key=2, why="true")
    button = next(each for each in app.button if (each.key or "").startswith(f"{where}key_"))
    layer, head = map(int, button.key.split("_")[-2:])
    button.click().run()
    assert not app.exception and not app.error
    state = app.session_state
    assert (state.layer, state.head, state.token) == (layer, head, 2) and layer < 3
    assert state.page == ("head" if where == "writer_" else "attention")
    if where == "writer_":
        assert "pairs add up to" in said(app)  # and it can be asked again there


def test_the_card_of_a_cell_leads_there(open_page):
    app = open_page("attention", text=REPEATED, layer=1, head=2)
    open_card(app, Cell(RunKey("story", Prompt(REPEATED)), MapSpec(((1, 2),)), (4,), (1,)))
    app.button(key="card_why").click().run()
    state = app.session_state
    assert (state.page, state.layer, state.head, state.token, state.key) == ("head", 1, 2, 4, 1)
    assert "pairs add up to" in said(app)


def test_a_hidden_cell_and_the_first_layer(open_page):
    app = open_page("head", text=REPEATED, layer=0, head=1, token=2, key=5, why="true")
    assert not app.exception and "the mask hides it, and the weight is 0" in app.info[0].value
    assert "gets nothing of" in said(app) and "Who wrote that?" not in said(app)
