"""On the page Generation: what each layer would say, by what the model makes of the hidden vectors of each."""

import numpy as np
import pytest

from model.analysis.logits import softmax
from tests.pages.reading import charts, numbers, said

TEXT = "the cat saw the dog and the dog saw the cat"
MODEL = ("decoder", "decoder")


def lens_chart(app) -> dict:
    return next(chart for chart in charts(app) if chart["data"][0].get("texttemplate"))


def test_each_cell_is_what_that_layer_would_say(open_page, story):
    app = open_page("generation", text=TEXT, numbers="lens_cell.lens_picture", lens_layer=2, lens_token=3)
    assert not app.exception and not app.error and "**Check failed" not in said(app)
    assert "the last row and the run's own predictions" in said(app)
    tokens = story.encode(TEXT)
    run = story.run(tokens)
    probability = softmax(story.unembed(run.hidden))  # (L + 1, T, V)
    tables = {tuple(frame.value.columns): frame.value for frame in app.dataframe}
    whole = next(table for columns, table in tables.items() if "would say" in columns)
    n = len(whole) // len(run.hidden)
    shown = probability[:, -n:] if len(tokens) - n <= 3 else probability[:, :n]
    np.testing.assert_allclose(whole["probability"], shown.max(-1).ravel(), atol=1e-4)
    assert whole["would say"].tolist() == [story.token(int(id)).label for id in shown.argmax(-1).ravel()]
    np.testing.assert_allclose(numbers(lens_chart(app)["data"][0]["z"]), shown.max(-1), atol=1e-4)
    cell = next(table for columns, table in tables.items() if columns == ("token", "probability"))
    best = np.argsort(-probability[2, 3])[:5]
    assert cell["token"].tolist() == [story.token(int(id)).label for id in best]
    np.testing.assert_allclose(cell["probability"], probability[2, 3, best], atol=1e-4)
    answer = probability[-1, 3].argmax()
    rank = int((probability[2, 3] > probability[2, 3, answer]).sum())
    assert f"has rank **{rank:,}** here" in said(app) and "After layer 1, behind" in said(app)


def test_colours_may_say_the_rank_or_the_entropy(open_page, story):
    run = story.run(story.encode("the cat"))
    p = softmax(story.unembed(run.hidden).astype(np.float64))
    ranks = (p > np.take_along_axis(p, p[-1].argmax(-1)[None, :, None], -1)).sum(-1)
    app = open_page("generation", text="the cat", lens="rank")
    np.testing.assert_allclose(numbers(lens_chart(app)["data"][0]["z"]), -np.log10(ranks + 1), atol=1e-4)
    app = open_page("generation", text="the cat", lens="entropy")
    np.testing.assert_allclose(numbers(lens_chart(app)["data"][0]["z"]), -(p * np.log(p)).sum(-1), atol=1e-3)


def test_of_a_long_text_a_dozen_tokens_stand_side_by_side(open_page, story):
    text = "the cat saw the dog and " * 5
    n = len(story.encode(text))
    app = open_page("generation", text=text, each_layer="true")
    assert numbers(lens_chart(app)["data"][0]["z"]).shape[1] == 12
    assert f"Tokens {n - 12} to {n - 1} of {n}" in said(app)
    app = open_page("generation", text=text, lens_token=0)
    assert "Tokens 0 to " in said(app) and lens_chart(app)["layout"]["shapes"][0]["x0"] == -0.5


def test_a_model_that_was_never_ours(open_with):
    app = open_with("generation", each_layer="true")
    assert lens_chart(app)["data"][0]["text"] and "the last row and the run's own predictions" in said(app)


def test_a_token_that_is_not_there_is_said(open_page):
    app = open_page("generation", text="the cat", lens_token=900, lens_layer=70)
    assert not app.exception and not app.error and lens_chart(app)


def test_a_prediction_is_taken_apart_and_its_parts_add_up(open_page, story):
    app = open_page("generation", text=TEXT, lens_token=4, parts="true", numbers="parts_by_head.parts_by_layer")
    assert not app.exception and not app.error and "**Check failed" not in said(app)
    run = story.run(story.encode(TEXT))
    logits = story.unembed(run.hidden[-1, 4])
    assert f"is **{logits.max():.4f}**" in said(app) and "parts add up to" in said(app)
    tables = [frame.value for frame in app.dataframe]
    by_layer = next(table for table in tables if "of it bias" in table)
    by_head = next(table for table in tables if "head 0" in table)
    np.testing.assert_allclose(by_head.sum(axis=1) + by_layer["of it bias"], by_layer["heads"], atol=1e-6)
    (bars,) = (chart["data"] for chart in charts(app) if chart["data"][0].get("name") == "embedding, constant")
    assert sum(numbers(bar["y"]).sum() for bar in bars) == pytest.approx(float(logits.max()), abs=1e-3)


def test_a_head_that_moved_the_prediction_leads_to_its_attention(open_page):
    app = open_page("generation", text=TEXT, lens_token=4, parts="true")
    button = next(button for button in app.button if (button.key or "").startswith("part_"))
    layer, head = map(int, button.key.split("_")[1:])
    button.click().run()
    assert not app.exception
    state = app.session_state
    assert (state.page, state.layer, state.head, state.token) == ("attention", layer, head, 4)


def test_a_model_that_was_never_ours_is_taken_apart_too(open_with):
    app = open_with("generation", parts="true")
    assert "parts add up to" in said(app) and "**Check failed" not in said(app)
