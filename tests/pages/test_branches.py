"""On the page Generation: every way that was written from a text, as a tree; a link has them all."""

import math

import pytest

from model.analysis.generation import Draw, by_hand, generate, write_draws
from model.analysis.sampling import Sampling
from model.text.prompt import written_text
from tests.pages.reading import component

TEXT, WARM = "the cat saw the dog", Sampling(0.9, top_k=20)
LINK = {"text": TEXT, "temperature": 0.9, "top_k": 20}


@pytest.fixture(scope="module")
def ways(story):
    """Two texts that part after their second token, as steps: as drawn, and with the most probable other one there."""
    tokens = story.encode(TEXT)
    drawn = list(generate(story, tokens, 5, WARM, 3))
    begun = [*tokens, *(step.token for step in drawn[:2])]
    other = next(int(id) for id in drawn[2].candidates.ids if id != drawn[2].token.id)
    chosen = by_hand(story, begun, other, WARM)
    return drawn, [*drawn[:2], chosen, *generate(story, [*begun, chosen.token], 3, WARM, 3)]


def written(steps) -> str:
    return write_draws([Draw(step.token.id, step.sampling, 3 if step.number is not None else None) for step in steps])


def tree(app) -> dict:
    assert not app.exception and not app.error
    return component(app, "beam_tree")


def test_a_link_shows_all_branches_with_what_the_model_gave_them(open_page, ways):
    drawn, other = ways
    app = open_page("generation", **LINK, written=written(drawn), branches=written(other))
    shown = tree(app)
    assert shown["chosen"] == 0
    for steps, row in zip(ways, shown["candidates"], strict=True):
        assert row["text"] == written_text(step.token for step in steps) and row["tokens"] == len(steps)
        assert row["sum"] == pytest.approx(sum(math.log(step.probability) for step in steps), abs=1e-4)
    # what both begin with is one node, and what each goes on with another
    labels = ["".join(step.token.label for step in steps) for steps in (drawn[:2], drawn[2:], other[2:])]
    assert [node[2] for node in shown["nodes"]] == ["", *labels]
    assert [node[3] for node in shown["nodes"]] == [-1, 0, 1, 1]


def test_one_goes_back_and_forth_and_nothing_is_lost(open_page, ways):
    drawn, other = ways
    app = open_page("generation", **LINK, written=written(drawn), branches=written(other))
    for now, left in ((other, drawn), (drawn, other)):
        app.button(key="go_back").click().run()
        assert [row["text"] for row in tree(app)["candidates"]] == [
            written_text(step.token for step in steps) for steps in (now, left)
        ]
        assert [step.token.id for step in app.session_state.generated] == [step.token.id for step in now]
    app.button(key="clear").click().run()
    assert not app.exception and app.session_state.branches == ""


@pytest.mark.parametrize("which", ["nonsense", "9999999@1,0,1,0", "beginning", ".".join(["1"] * 600) + "@1,0,1,0"])
def test_what_is_no_branch_is_left_out(open_page, ways, which):
    drawn, other = ways
    no_branch = written(drawn[:3]) if which == "beginning" else which
    app = open_page("generation", **LINK, written=written(drawn), branches=f"{no_branch}_{written(other)}")
    assert len(tree(app)["candidates"]) == 2
    app = open_page("generation", **LINK, written=written(drawn), branches=no_branch)
    assert not app.exception and not app.error and "go_back" not in {button.key for button in app.button}
