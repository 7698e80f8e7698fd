"""The film on the page Generation: what was written, among what could have been, and what each position looked at."""

import numpy as np
import pytest

from model.analysis.attention import attention_weights
from model.analysis.generation import by_hand, generate, read_draws, read_on
from model.analysis.sampling import Sampling
from tests.pages.reading import address, said, sent
from viz.offline import film

TEXT = "the cat saw the dog"
LINK = {"text": TEXT, "temperature": 0.8, "top_k": 4, "seed": 3, "layer": 2, "head": 3}


@pytest.fixture
def written(open_page, story):
    """The page with six tokens on it, and the steps that made them."""
    app = open_page("generation", **LINK)
    assert not app.exception
    app.number_input(key="n_generate").set_value(6)
    app.button(key="next_many").click().run()
    while app.session_state.to_go:
        app.run()
    app.run()
    assert not app.exception
    return app, list(generate(story, story.encode(TEXT), 6, Sampling(0.8, top_k=4), 3))


def test_it_shows_each_choice_as_it_was(written, story):
    app, steps = written
    message, tables = sent(app, "film")
    view, tokens, sampling = message["view"], [*story.encode(TEXT)], Sampling(0.8, top_k=4)
    assert view["n_before"] == len(tokens) and view["first"] == 0 and view["at"] == 5
    model, chance, cut = (tables["numbers"][name].reshape(6, -1) for name in ("probability", "chance", "cut"))
    for i, step in enumerate(steps):
        _, choice = read_on(story, tokens, sampling)
        best = choice.best(view["n_candidate"])
        assert view["candidates"][i] == [story.token(int(id)).label for id in best]
        np.testing.assert_allclose(model[i], choice.probability[best], rtol=1e-4)
        np.testing.assert_allclose(chance[i], choice.chance[best], rtol=1e-4)
        assert [view["reasons"][reason] for reason in cut[i]] == [None] * 4 + ["top-k"] * (len(best) - 4)
        assert best[view["drawn"][i]] == step.token.id
        assert view["rest"][i] == pytest.approx(1 - choice.probability[best].sum(), abs=1e-5)
        tokens.append(step.token)
    assert view["labels"] == [token.label for token in tokens]


def test_its_weights_are_those_of_the_whole_text(written, story):
    app, steps = written
    message, tables = sent(app, "film")
    run = story.run([*story.encode(TEXT), *(step.token for step in steps)])
    first, rows = len(run.tokens) - 7, tables["rows"]["weight"].reshape(6, -1) / 65535
    np.testing.assert_allclose(rows, attention_weights(run.attention[2], 3)[first:-1], atol=1e-5)
    assert "layer 2, head 3" in message["view"]["who"]
    app.toggle(key="mean_of_heads").set_value(True).run()
    rows = sent(app, "film")[1]["rows"]["weight"].reshape(6, -1) / 65535
    mean = np.mean([attention_weights(run.attention[2], head) for head in range(run.info.n_head)], axis=0)
    np.testing.assert_allclose(rows, mean[first:-1], atol=1e-5)


def test_its_bytes_are_those_of_the_cache(written, story):
    app, _ = written
    view = sent(app, "film")[0]["view"]
    tokens = story.encode(TEXT)
    assert view["n_byte"] * len(tokens) == story.decoding(tokens).n_byte


def test_a_link_with_a_token_that_was_chosen_by_hand_shows_the_same(written, open_page, story):
    app, steps = written
    draws = read_draws(address(app)["written"])
    tokens = [*story.encode(TEXT), *(step.token for step in steps[:3])]
    other = next(id for id in steps[3].candidates.ids.tolist() if id != steps[3].token.id)
    chosen = by_hand(story, tokens, other, Sampling(0.8, top_k=4))
    assert chosen.number is None and chosen.token.id == other
    (behind,) = generate(story, [*tokens, chosen.token], 1, Sampling(0.8, top_k=4), 3)
    before = ".".join(str(draw.id) for draw in draws[:3])
    link = f"{before}@0.8,4,1,3~{other}@0.8,4,1,hand~{behind.token.id}@0.8,4,1,3"
    again = open_page("generation", **LINK, written=link, opened=3)
    assert not again.exception and not again.info
    assert [step.token.id for step in again.session_state.generated] == [draw.id for draw in draws[:3]] + [
        other,
        behind.token.id,
    ]
    assert sent(again, "film")[0]["view"]["at"] == 3
    assert "Nothing drew it: it was chosen by hand." in said(again)
    assert address(again)["written"] == link


@pytest.mark.parametrize("id", [10**9, -1])
def test_a_token_that_does_not_exist_is_not_written_by_hand(open_page, id):
    app = open_page("generation", **LINK, written=f"{id}@1,0,1,hand")
    assert not app.exception and not app.error
    assert app.session_state.generated == []
    assert any("come out the same here" in info.value or "cannot be read" in info.value for info in app.info)


def test_of_a_long_text_only_the_end_is_drawn(open_page):
    app = open_page("generation", text="the cat " * 150, temperature=0)
    app.button(key="next_one").click().run()
    view = sent(app, "film")[0]["view"]
    assert view["first"] > 0 and view["n_before"] == 200
    assert f"The first {view['first']:,} tokens are left out." in said(app)


def test_of_many_written_tokens_the_last_are_played_and_the_others_are_counted(written, monkeypatch):
    app, steps = written
    monkeypatch.setattr(film, "MOST_WRITTEN", 4)
    monkeypatch.setattr(film, "MOST_BEFORE", 3)
    app.run()
    view = sent(app, "film")[0]["view"]
    assert (view["skipped"], view["at"], len(view["probability"])) == (2, 3, 4)
    assert view["labels"][-4:] == [step.token.label for step in steps[2:]]
    assert "Of 6 written ones the last 4 are played." in said(app)
