"""The page that breaks the mechanism, and its figures, by their data and by what a visitor reads."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from model.analysis.attention import attention_weights, visible
from model.analysis.sampling import Sampling, next_token
from model.intervention import Intervention
from tests.pages.reading import numbers, said, traces
from viz.figures.attention import attention_heatmap, cells_pooled
from viz.figures.generation import next_token_pairs
from viz.figures.mechanism import (
    has_room_for_pairs,
    token_loss_changes,
    token_losses,
    without_effect,
)
from viz.sections.mechanism.effect import loss_in_words, losses_in_words

REPEATED = "the dog and the cat"
HEAD = frozenset({(2, 3)})
LINKS = {
    "mask_off=true": Intervention(causal_mask=False),
    "scale_off=true": Intervention(scale=False),
    "positions_off=true": Intervention(positions=False),
    "softmax_temperature=0.4": Intervention(temperature=0.4),
    "head_uniform=true": Intervention(heads_uniform=HEAD),
    "head_off=true": Intervention(heads_off=HEAD),
    "row_off=true&token=2": Intervention(rows_off=frozenset({(2, 3, 2)})),
    "edge_off=true&token=4&key=2": Intervention(edges_off=frozenset({(2, 3, 4, 2)})),
    "mask_off=true&softmax_temperature=2&head_off=true": Intervention(HEAD, causal_mask=False, temperature=2.0),
}


@pytest.fixture
def broken(open_page):
    """`broken(mask_off="true")`: the page, opened without an error, at layer 2, head 3."""

    def open(**link: object) -> AppTest:
        app = open_page("mechanism", **{"text": REPEATED, "layer": 2, "head": 3} | link)
        assert not app.exception
        return app

    return open


@pytest.mark.parametrize("link", LINKS)
def test_a_link_breaks_what_it_says(broken, story, link):
    app = broken(**dict(part.split("=") for part in link.split("&")))
    tokens = story.encode(REPEATED)
    trained, changed = story.run(tokens), story.run(tokens, LINKS[link])
    before, after, following, losses = traces(app)
    np.testing.assert_array_equal(numbers(before[0]["z"]), attention_weights(trained.attention[2], 3))
    np.testing.assert_array_equal(numbers(after[0]["z"]), attention_weights(changed.attention[2], 3))
    for trace, run in zip(following, (trained, changed), strict=True):
        best = next_token(story.unembed(run.hidden[-1, -1]), Sampling()).probability.max()
        assert numbers(trace["x"]).max() == pytest.approx(best, rel=1e-6)
    for trace, run in zip(losses, (trained, changed), strict=True):
        assert numbers(trace["y"]).mean() == pytest.approx(run.predictions.loss, rel=1e-5)
    metrics = {metric.label: metric.value for metric in app.metric}
    assert metrics == {
        "Loss as trained": f"{trained.predictions.loss:.3f} nats",
        "Loss changed": f"{changed.predictions.loss:.3f} nats",
        "Perplexity as trained": f"{np.exp(trained.predictions.loss):,.1f}",
        "Perplexity changed": f"{np.exp(changed.predictions.loss):,.1f}",
    }
    assert said(app).count("**Check:** layer 2 of the changed model") == 1


@pytest.mark.parametrize("link", LINKS)
def test_only_without_the_mask_the_loss_loses_its_meaning(broken, link):
    app = broken(**dict(part.split("=") for part in link.split("&")))
    assert any("this loss loses its meaning" in warning.value for warning in app.warning) == ("mask_off" in link)


def test_nothing_changed_says_so(broken, story):
    app = broken()
    assert app.header[0].value == "Nothing is changed yet"
    assert "Flip one switch above, or several" in app.info[0].value
    before, following, losses = traces(app)
    assert len(following) == len(losses) == 1
    run = story.run(story.encode(REPEATED))
    np.testing.assert_array_equal(numbers(before[0]["z"]), attention_weights(run.attention[2], 3))
    assert [metric.label for metric in app.metric] == ["Loss as trained", "Perplexity as trained"]
    assert app.get_by_key("as_trained").disabled


def test_switches_combine_and_go_back(broken):
    app = broken()
    app.toggle(key="positions_off").set_value(True).run()
    app.toggle(key="head_uniform").set_value(True).run()
    app.select_slider(key="softmax_temperature").set_value(0.25).run()
    assert app.header[0].value == "Changed: without positions; softmax temperature 0.25; layer 2, head 3 uniform"
    app.slider(key="head").set_value(1).run()
    assert app.header[0].value == "Changed: without positions; softmax temperature 0.25; layer 2, head 1 uniform"
    app.button(key="as_trained").click().run()
    assert app.header[0].value == "Nothing is changed yet"
    assert not app.exception


def test_the_difference_in_words(broken, story):
    tokens = story.encode(REPEATED)
    trained, changed = (story.run(tokens, change).predictions for change in (Intervention(), Intervention(scale=False)))
    text = said(broken(scale_off="true"))
    assert loss_in_words(trained.loss, changed.loss) in text
    rises = trained.next_log_prob[:-1] - changed.next_log_prob[:-1]
    assert f"By 0.001 nats or more, {(rises >= 0.001).sum()} of 4 tokens became harder to predict" in text
    assert f"{(rises <= -0.001).sum()} easier" in text


def test_rounding_is_no_effect(broken, story):
    """An edge off in the last layer at the last query can change no loss, but the run takes another path."""
    layer, n = story.info.n_layer - 1, len(story.encode(REPEATED))
    text = said(broken(layer=layer, head=0, token=n - 1, key=1, edge_off="true"))
    assert "became harder to predict, 0 easier" in text and f"0 of {n - 1} tokens became harder" in text
    assert "**less than 0.001 nats** a token" in text and "Hit hardest" not in text


def test_what_changes_by_rounding_alone_is_neither_harder_nor_easier():
    before = np.array([1.0, 2.0, 3.0, 4.0])
    text = losses_in_words(["a", "b", "c", "d", "e"], before, before + np.array([1e-6, -1e-6, 0.5, -0.25]))
    assert text.startswith("By 0.001 nats or more, 1 of 4 tokens became harder to predict, 1 easier.")
    assert "“d” at position 3, from 3.00 to **3.50** nats" in text
    assert "Hit hardest" not in losses_in_words(["a", "b"], before[:1], before[:1] + 1e-6)
    assert "moves the loss on this text by **less than 0.001 nats**" in loss_in_words(2.0, 2.0 + 1e-6)
    rises, falls = loss_in_words(2.0, 2.0 + np.log(1.25)), loss_in_words(2.0, 2.0 - np.log(1.5))
    assert rises.startswith("The loss rises by 0.223 nats a token") and "**20.0 % less probability** (geo" in rises
    assert falls.startswith("The loss falls by 0.405 nats a token") and "**50.0 % more probability** (geo" in falls


def test_a_head_that_is_off_still_looks(broken):
    text = said(broken(head_off="true"))
    assert "**This map has not changed**: no weight has by 0.000001 or more. A head that is switched off still" in text


# switches that do nothing beside others

PARTS = {
    "mask": {"causal_mask": False},
    "scale": {"scale": False},
    "positions": {"positions": False},
    "uniform": {"heads_uniform": HEAD},
    "off": {"heads_off": HEAD},
    "row": {"rows_off": frozenset({(2, 3, 4)})},
    "edge": {"edges_off": frozenset({(2, 3, 4, 2)})},
}
NAMED = {"uniform": "head 3 uniform:", "row": "off for query 4:", "edge": "query 4 does not see key 2:"}


def combined(parts) -> Intervention:
    return Intervention(**{name: value for part in parts for name, value in PARTS[part].items()})


@pytest.mark.parametrize("n", range(1, len(PARTS) + 1))
def test_a_switch_is_said_to_do_nothing_where_it_does_nothing(tiny, tiny_run, n):
    """Each of any switches together is taken back: where that changes nothing, it is said, and nowhere else."""
    hidden = {}

    def hidden_with(parts) -> np.ndarray:
        key = frozenset(parts)
        if key not in hidden:
            hidden[key] = tiny.run(tiny_run.tokens, combined(key)).hidden
        return hidden[key]

    for parts in combinations(PARTS, n):
        text = " ".join(without_effect(tiny_run, combined(parts)))
        for part in parts:
            rest = [each for each in parts if each != part]
            idle = np.abs(hidden_with(parts) - hidden_with(rest)).max() < 1e-5
            assert idle == (part in NAMED and NAMED[part] in text), (parts, part)


def test_scale_and_temperature_that_undo_each_other(tiny, tiny_run):
    root = tiny.info.d_head**0.5
    both = Intervention(scale=False, temperature=root)
    assert np.abs(tiny.run(tiny_run.tokens, both).hidden - tiny_run.hidden).max() < 1e-4
    (text,) = without_effect(tiny_run, both)
    assert "both cancel" in text
    assert without_effect(tiny_run, Intervention(scale=False)) == []
    assert without_effect(tiny_run, Intervention(scale=False, temperature=2.0)) == []


def test_a_token_alone_gives_itself_all(tiny):
    run = tiny.run(tiny.encode("a"))
    idle = Intervention(causal_mask=False, scale=False, temperature=2.0, heads_uniform=HEAD)
    assert np.abs(tiny.run(run.tokens, idle).hidden - run.hidden).max() < 1e-6
    assert len(without_effect(run, idle)) == 4
    assert without_effect(run, Intervention(heads_off=HEAD, positions=False)) == []


def test_the_page_says_which_switches_do_nothing(broken):
    app = broken(head_off="true", head_uniform="true", row_off="true", token=2)
    (info,) = app.info
    assert info.value.startswith("These do nothing here:")
    assert "Layer 2, head 3 uniform: it is off and writes nothing" in info.value
    assert "Layer 2, head 3 off for query 2: it is off for every query." in info.value
    app.toggle(key="head_off").set_value(False).run()
    assert not app.info


def test_visible_keys_are_those_that_the_mask_leaves(tiny_run):
    attention = replace(tiny_run.attention[0], window=3)
    sees = visible(attention, 1)
    assert sees[5].nonzero()[0].tolist() == [3, 4, 5] and sees[0].tolist() == [True] + [False] * (len(sees) - 1)
    weights = attention_weights(attention, 1)
    assert ((weights > 0) == sees).all()


def test_without_the_mask_weight_lies_ahead(broken, story):
    run = story.run(story.encode(REPEATED), Intervention(causal_mask=False))
    ahead = np.triu(attention_weights(run.attention[2], 3), 1).sum() / 5
    assert f"**{100 * ahead:.1f} %** of all weight now lies on tokens that come later." in said(broken(mask_off="true"))


def test_the_chosen_weight_of_both_runs(broken, story):
    tokens = story.encode(REPEATED)
    weights = [
        attention_weights(story.run(tokens, change).attention[2], 3)[4, 1]
        for change in (Intervention(), Intervention(scale=False))
    ]
    app = broken(scale_off="true", token=4, key=1)
    assert app.button(key="open_as_trained").label.endswith(f"with **{weights[0]:.4f}**")
    assert app.button(key="open_changed").label.endswith(f"with **{weights[1]:.4f}**")


def test_the_button_opens_the_card_of_its_run(broken):
    app = broken(scale_off="true", token=4, key=1)
    app.button(key="open_changed").click().run()
    assert not app.exception
    cell = app.session_state.cell
    assert cell.run_key.intervention == Intervention(scale=False)
    assert (cell.spec.heads, cell.queries, cell.keys) == (((2, 3),), (4,), (1,))
    app.toggle(key="positions_off").set_value(True).run()  # the open card follows
    assert app.session_state.cell.run_key.intervention == Intervention(scale=False, positions=False)
    app.button(key="open_as_trained").click().run()
    app.toggle(key="positions_off").set_value(False).run()
    assert app.session_state.cell.run_key.intervention == Intervention()


def test_an_edge_that_is_off_has_no_weight(broken):
    app = broken(edge_off="true", token=4, key=2)
    assert "query 4 does not see key 2" in app.header[0].value
    assert app.button(key="open_changed").label.endswith("with **0.0000**")
    app.button(key="open_changed").click().run()
    assert not app.exception and app.session_state.cell.keys == (2,)
    app.slider(key="key").set_value(1).run()  # the edge follows the choice, and the open card with it
    assert app.session_state.cell.run_key.intervention == Intervention(edges_off=frozenset({(2, 3, 4, 1)}))


@pytest.mark.parametrize("link", [{"token": 0, "key": 0}, {"token": 1, "key": 3}])
def test_an_edge_that_is_not_there_cannot_go(broken, link):
    app = broken(edge_off="true", **link)  # the only key of its query, and one behind the mask
    assert app.toggle(key="edge_off").disabled and app.header[0].value == "Nothing is changed yet"
    assert "or sees nothing else: choose another key" in said(app)


@pytest.mark.parametrize(
    ("name", "wanted", "shown"), [("softmax_temperature", "3", "1"), ("mask_off", "maybe", "false")]
)
def test_a_link_that_asks_for_what_is_not_there(broken, name, wanted, shown):
    app = broken(**{name: wanted})
    assert f"The link asked for {name} “{wanted}”, which does not exist here: showing {shown}." in app.info[0].value
    assert app.header[0].value == "Nothing is changed yet"


def test_a_link_that_is_kept_says_nothing(broken):
    assert not [info for info in broken(**{key: "true" for key in ("mask_off", "head_off")}).info]


def test_one_token_has_no_loss(broken):
    app = broken(text="a", mask_off="true")
    assert "A text of one token has no loss" in said(app)
    assert not app.metric and not app.warning
    assert len(traces(app)) == 3


@pytest.mark.parametrize("text", ["🙂", "今天天气", "<script>alert(1)</script>", "\x00\x07", " ", "a a"])
def test_strange_texts_are_read(broken, text):
    app = broken(text=text, positions_off="true", mask_off="true", scale_off="true", softmax_temperature="0.1")
    assert "**Check failed" not in said(app)


def test_the_longest_text(broken, story):
    text = "the " * (story.info.n_context - 1) + "end"
    app = broken(text=text, scale_off="true")
    before, after, _, losses = traces(app)
    trained, changed = (story.run(story.encode(text), change) for change in (Intervention(), Intervention(scale=False)))
    for shown, run in ((before, trained), (after, changed)):
        drawn = attention_heatmap(attention_weights(run.attention[2], 3), run.labels).data[0].z
        np.testing.assert_array_equal(numbers(shown[0]["z"]), drawn)
    step = cells_pooled(story.info.n_context)
    assert (f"a cell is the largest of {step} × {step} weights" in said(app)) == (step > 1)
    expected = trained.predictions.next_log_prob[:-1] - changed.predictions.next_log_prob[:-1]
    shown = np.nansum([numbers(series["y"]) for series in losses], axis=0)  # one of the three says each
    np.testing.assert_allclose(shown, expected, atol=1e-5)


# the figures, by hand-worked arrays


def test_pairs_of_bars():
    fig = next_token_pairs(["a", "<b>"], {"as trained": np.array([0.5, 0.25]), "changed": np.array([0.125, 0.75])})
    assert [trace.name for trace in fig.data] == ["as trained", "changed"]
    assert [list(trace.x) for trace in fig.data] == [[0.5, 0.25], [0.125, 0.75]]
    assert list(fig.data[1].text) == ["12.5 %", "75.0 %"]
    assert list(fig.layout.yaxis.ticktext) == ["a", "&lt;b&gt;"]
    assert fig.layout.yaxis.range[0] > fig.layout.yaxis.range[1]  # the first on top
    assert fig.layout.xaxis.range[1] > 0.75


def test_losses_stand_at_the_tokens_they_are_of():
    """A repeated word keeps its place, and the first token has no loss."""
    fig = token_losses(["the", "cat", "the"], {"as trained": np.array([1.5, 0.5]), "changed": np.array([2.0, 4.0])})
    assert [list(trace.x) for trace in fig.data] == [[1, 2], [1, 2]]
    assert [list(trace.y) for trace in fig.data] == [[1.5, 0.5], [2.0, 4.0]]
    assert list(fig.data[0].customdata) == ["cat", "the"]
    assert dict(zip(fig.layout.xaxis.tickvals, fig.layout.xaxis.ticktext, strict=True))[2] == "the"
    assert fig.layout.xaxis.range[0] == 0.5


def test_changes_of_loss_have_a_sign():
    fig = token_loss_changes(["a", "b", "c", "d"], np.array([1.0, 2.0, 3.0]), np.array([1.5, 2.0, 1.0]))
    falls, rises, neither = fig.data
    np.testing.assert_array_equal(rises.y, [0.5, np.nan, np.nan])
    np.testing.assert_array_equal(falls.y, [np.nan, np.nan, -2])
    np.testing.assert_array_equal(neither.y, [np.nan, 0, np.nan])
    assert (falls.name, rises.name, neither.name) == ("falls", "rises", "changes by less than 0.001")


def test_room_for_pairs():
    assert has_room_for_pairs(64) and not has_room_for_pairs(65)
