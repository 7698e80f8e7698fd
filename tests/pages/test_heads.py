"""The page Heads: scores of a tiny model over lines of a visitor's own, by its data and by what a visitor reads."""

from dataclasses import replace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import model
from model.analysis.attention_map import parse_heads
from model.analysis.head_means import head_means
from model.analysis.head_patterns import LABELS, SCORES
from model.analysis.knock_out import rank_correlation
from model.grid import Grid
from model.intervention import Intervention
from model.run import VisitorError
from model.text.passages import MOST_LINES
from tests.conftest import REPEATED
from tests.pages.reading import address, charts, numbers, said, traces
from viz.ui import knock_outs, surveys
from viz.ui.choices import ABLATIONS, MEAN

LINES = f"{REPEATED}\na cat and a dog sat on the mat"
MODEL = "decoder", "tiny"  # the kind, and what its folder is called


@pytest.fixture
def heads(open_with):
    """`heads(score="induction")`: the page, over two lines."""

    def open(**link: object) -> AppTest:
        app = open_with("heads", **({"texts": "own", "lines": LINES} | link))
        assert not app.exception and not app.error
        return app

    return open


def table(app: AppTest, column: str):
    """The table with a column of that name."""
    return next(frame.value for frame in app.dataframe if column in frame.value)


def test_every_head_has_a_label_in_the_map_and_a_row_in_the_table(heads):
    app = heads()
    rows = table(app, "called")
    points = [tuple(point) for trace in traces(app)[0] for point in numbers(trace["customdata"]).tolist()]
    assert sorted(points) == sorted(zip(rows["layer"], rows["head"], strict=True))
    assert set(rows["called"]) <= set(LABELS)
    assert f"{len(rows)} heads: " in said(app) and "over 2 texts and 8 of random tokens" in said(app)


@pytest.mark.parametrize("score", [score.name for score in SCORES])
def test_a_link_shows_a_score_with_its_definition(heads, score):
    app = heads(score=score)
    rows = table(app, "called")
    heatmap = numbers(charts(app)[0]["data"][0]["z"])
    assert rows.columns[3] == score and (np.diff(rows[score]) <= 0).all()
    for row in rows.itertuples():
        assert heatmap[row.layer, row.head] == pytest.approx(rows[score][row.Index])
    meaning = next(each.meaning for each in SCORES if each.name == score)
    assert meaning in said(app) and address(app)["score"] == score


def test_what_is_said_of_induction_is_compared_with_chance(heads):
    words = said(heads())
    assert "duction head" in words and "looking alike at everything gives (0." in words


def test_a_head_that_is_chosen_is_read_on_attention_with_its_strongest_text(heads):
    app = heads(layer=1, head=2, score="previous token")
    strongest = next(row for row in table(app, "score of").itertuples() if row[1] == "previous token")
    app = next(button for button in app.button if button.key == "open_one").click().run()
    assert not app.exception and app.title[0].value == "Attention"
    there = address(app)
    assert there["layer"] == "1" and there["head"] == "2" and there.get("text") == strongest[7]
    assert there.get("token", "0") == strongest[6].split()[0]
    assert int(there.get("key", 0)) == max(0, int(there.get("token", 0)) - 1)


def test_without_lines_it_asks_for_some_and_one_line_is_enough(heads):
    app = heads(lines="")
    assert "There are no texts yet" in said(app) and not charts(app)
    app = heads(lines=REPEATED)
    assert "over 1 text and" in said(app) and table(app, "score of")["± over texts"].isna().sum() > 0


def test_lines_of_your_own_are_bounded_and_a_long_list_is_kept_by_its_hash(heads):
    app = heads(lines=REPEATED)
    box = next(area for area in app.text_area if area.key == "lines_box")
    box.set_value("\n".join(["the cat saw"] * 10_000)).run()
    assert f"Of 10,000 lines the first {MOST_LINES}." in said(app)
    assert address(app)["lines"].startswith("hash:")


def test_of_a_text_longer_than_the_context_the_beginning_is_read(heads):
    assert "their beginning is read" in said(heads(lines=" ".join([REPEATED] * 30)))


def test_a_link_whose_long_list_is_not_kept_says_so(open_with):
    app = open_with("heads", texts="own", lines="hash:" + "0" * 32)
    assert "Paste them again" in said(app)


def test_what_was_stopped_shows_what_was_read_and_goes_on(heads, monkeypatch):
    lines = "the dog saw the cat\nthe cat and the dog and the mat"
    monkeypatch.setattr(surveys, "is_stopped", lambda of: of.model and "go on" not in stopped)
    stopped: set[str] = set()
    app = heads(lines=lines)
    assert "Stopped: " in said(app) and "of 10 texts were read" in said(app)
    stopped.add("go on")
    app = next(button for button in app.button if button.key == "go_on").click().run()
    assert "Stopped: " not in said(app) and "over 2 texts" in said(app)


def test_attention_knows_what_heads_are_called_only_where_they_were_scored(open_with, heads, monkeypatch):
    app = open_with("attention", show="chosen", heads="0.0")
    assert not [select for select in app.selectbox if select.key == "heads_called"]
    monkeypatch.setattr(surveys, "passages", lambda: tuple(LINES.split("\n")))
    heads()
    app = open_with("attention", show="chosen", heads="0.0")
    select = next(select for select in app.selectbox if select.key == "heads_called")
    label = select.options[0].rpartition(" (")[0]
    app = select.set_value(label).run()
    assert not app.exception and app.session_state.heads != "0.0"


def test_copying_is_read_off_the_parameters_and_where_it_cannot_be_it_says_why(heads):
    app = heads(score="copying")
    values = numbers(charts(app)[0]["data"][0]["z"])
    assert values.shape == (2, 4) and np.isfinite(values).all() and (np.abs(values) <= 1).all()
    rows = table(app, "called")
    assert (np.diff(rows["copying"]) <= 0).all() and "OV circuit" in said(app)


@pytest.mark.parametrize("ablation", ABLATIONS)
def test_the_loss_without_each_head_stands_beside_its_score(heads, folder, ablation):
    app = heads(knocked_out="true", text=REPEATED, ablation=ablation)
    score, random, text = (numbers(chart["data"][0]["z"]) for chart in charts(app)[-3:])
    lm = model.load(folder)
    tokens = lm.encode(REPEATED)
    trained = lm.run(tokens).predictions.loss
    means = head_means(lm.run(lm.encode(line)) for line in LINES.splitlines()) if ablation == MEAN else None
    for layer, head in np.ndindex(text.shape):
        changed = lm.run(tokens, Intervention(heads_off={(layer, head)}, means=means)).predictions.loss
        assert text[layer, head] == pytest.approx(changed - trained, abs=1e-4)
    assert score.shape == random.shape == text.shape and np.isfinite(random).all()
    correlations = table(app, "rank correlation")
    assert len(correlations) == 3
    assert correlations["rank correlation"][2] == pytest.approx(rank_correlation(random, text), abs=1e-3)
    assert "none stands for another" in said(app)
    assert f"where a head writes {'its mean' if means else 'nothing'}, from {trained:.2f} nats" in said(app)


def test_a_mean_is_over_the_texts_that_can_be_read(heads, folder):
    heads()  # the model is there now
    of = surveys.Subject(f"folder:{folder}", "self", None, ("the cat", "", "the dog saw the cat", ""))
    assert [len(run.tokens) for run in surveys.runs(of)] == [2, 5]
    with pytest.raises(VisitorError):
        list(surveys.runs(replace(of, texts=("",))))


def test_a_knock_out_that_is_stopped_shows_what_is_there_and_goes_on(heads, monkeypatch):
    monkeypatch.setattr(knock_outs, "is_stopped", lambda of: not stopped)
    stopped: set[str] = set()
    app = heads(knocked_out="true", text="the dog saw a dog and a cat")
    assert "Stopped: the layers that are there" in said(app) and "Nothing is there yet" in said(app)
    stopped.add("go on")
    app = next(button for button in app.button if button.key == "go_on_True").click().run()
    assert "Stopped" not in said(app) and len(charts(app)) == 4


def test_without_a_text_the_rest_is_said_all_the_same(heads):
    app = heads(knocked_out="true", text="a")
    assert not app.exception and "type more" in said(app) and "Random tokens" not in said(app)


def test_all_heads_that_are_called_alike_are_read_together_on_attention(heads):
    app = heads(lines="the cat saw a dog and a dog")
    button = next(button for button in app.button if button.key.startswith("together_"))
    label, n = button.key.removeprefix("together_"), int(button.label.split("(")[1][:-1])
    called = [(row.layer, row.head) for row in table(app, "called").itertuples() if row.called == label]
    app = button.click().run()
    assert app.title[0].value == "Attention" and address(app)["show"] == "chosen"
    assert sorted(parse_heads(address(app)["heads"], Grid(2, 4))) == sorted(called) and len(called) == n


@pytest.mark.parametrize("kind", ["encoder", "headless"])
def test_what_an_encoder_cannot_be_asked_is_said(open_page, encoders, monkeypatch, kind):
    monkeypatch.setenv("REGARD_MODEL_ROOTS", str(encoders))
    app = open_page("heads", model=f"folder:{encoders / kind}", texts="own", lines=LINES, score="copying", text="a cat")
    assert not app.exception and not app.error
    assert "see those on both sides" in said(app) and "foresees no next token" in said(app)
    assert "norm stands behind each sum" in said(app)


def test_cross_attention_is_scored_by_what_needs_no_distance(open_page):
    app = open_page(
        "heads", model="translator", kind="cross", texts="own", lines="The cat is here.", knocked_out="true"
    )
    assert not app.exception and not app.error
    assert list(table(app, "called").columns[3:]) == ["separators", "first token", "spread"]
    assert "Two texts have no distances" in said(app) and "Only decoders are given random tokens" in said(app)


def test_a_model_that_cannot_write_the_texts_is_scored_on_random_tokens_alone(open_page):
    app = open_page("heads", model="copier", texts="own", lines=f"{REPEATED}\nno such symbols", score="previous token")
    assert not app.exception and not app.error
    assert "no entries in its vocabulary for much of them" in said(app)
    assert "What is scored is random tokens" in said(app) and "texts of random tokens" in said(app)
    assert np.isfinite(numbers(charts(app)[0]["data"][0]["z"])).all()
    app = next(button for button in app.button if button.key == "open_one").click().run()
    assert not app.exception and app.title[0].value == "Attention"


def test_other_lines_of_a_link_stand_in_the_box(heads):
    app = heads()
    app.session_state.lines = "a dog sat"  # as Back and Forward set it
    app = app.run()
    box = next(area for area in app.text_area if area.key == "lines_box")
    assert box.value == "a dog sat" and "over 1 text" in said(app)
