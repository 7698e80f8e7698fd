"""A prediction explained in eight ways, on Generation and on Understanding: against runs and gradients of the model."""

import numpy as np
import pytest

from model.analysis.attention import layer_weights
from model.analysis.logits import log_probabilities
from model.analysis.saliency import KENDALL, SPEARMAN, agreement, gradient_x_input, question
from model.language_model import Said
from model.text.masking import masked
from model.text.prompt import Prompt, RunKey
from tests.pages.reading import address, said
from viz.plain import plain
from viz.ui import saliency, session
from viz.ui.saliency import CARRIED, FLOW, GRADIENT, INTEGRATED, LAST, LEFT_OUT, MEAN, METHODS, ROLLOUT

TEXT = "the cat saw the dog"
MODEL = "weights", "weights"
TABLES = {"numbers": "saliency_agreement.saliency_map", "steps": 16}


def opened(open_page, page="generation", **link):
    app = open_page(page, **({"text": TEXT, "explained": "true"} | TABLES | link))
    assert not app.exception and not app.error and "**Check failed" not in said(app)
    return app


def tables(app):
    """What each token counts by each way, and how far the ways agree."""
    shown = [frame.value for frame in app.dataframe if LAST in frame.value.columns]
    return next(each for each in shown if LAST not in each.index), next(each for each in shown if LAST in each.index)


def test_nothing_is_asked_unasked(open_page):
    app = open_page("generation", text=TEXT)
    assert "They need not agree" not in said(app) and not app.dataframe
    assert not any(element.key == "steps" for element in app.get("button_group"))


def test_eight_answers_stand_side_by_side(open_page, story):
    app = opened(open_page, text="the cat saw the dog and", explained_token=4, explained_place=2)
    counts, _ = tables(app)
    assert tuple(counts.columns) == METHODS and len(counts) == 5
    tokens = story.encode("the cat saw the dog and")
    run = story.run(tokens)
    id = int(run.predictions.top_id[4, 1])

    def log_prob(rest) -> float:
        return log_probabilities(story.unembed(story.run(rest).hidden[-1, -1]))[id]

    whole = log_prob(tokens[:5])
    assert f"**{whole:.4f}** nats" in said(app)
    lost = [whole - log_prob((*tokens[:i], *tokens[i + 1 : 5])) for i in range(5)]
    np.testing.assert_allclose(counts[LEFT_OUT], lost, atol=1e-4)
    weights = np.array([layer_weights(layer)[:, 4, :5].mean(0) for layer in run.attention])
    np.testing.assert_allclose(counts[LAST], weights[-1], atol=1e-6)
    np.testing.assert_allclose(counts[MEAN], weights.mean(0), atol=1e-6)
    asked = question(story, tokens, Said(id, 4))
    np.testing.assert_allclose(counts[GRADIENT], gradient_x_input(story, asked), atol=1e-4)
    for name in (ROLLOUT, CARRIED):
        assert counts[name].sum() == pytest.approx(1, abs=1e-4)
    assert counts[FLOW].between(0, 1 + 1e-6).all()


def test_integrated_gradients_say_whether_they_add_up(open_page):
    app = opened(open_page, steps=64)
    (line,) = [each.value for each in app.markdown if "**Completeness:**" in each.value]
    total = tables(app)[0][INTEGRATED].sum()
    assert f"in 64 steps add up to {total:+.4f} nats" in line and "check_circle" in line
    assert line.count("The gap is **") == 1 and "take more steps" not in line


def test_how_far_they_agree_is_a_rank_correlation(open_page):
    for by in (SPEARMAN, KENDALL):
        app = opened(open_page, agreement=by)
        counts, agree = tables(app)
        for one, other in ((LAST, LEFT_OUT), (ROLLOUT, GRADIENT)):
            expected = agreement(counts[one].to_numpy(), counts[other].to_numpy(), by)
            assert agree.loc[one, other] == pytest.approx(expected, abs=1e-9)
        values = agree.to_numpy()[np.triu_indices(len(METHODS), 1)]
        assert f", {np.nanmin(values):+.2f}; nearest: " in said(app) and f", {np.nanmax(values):+.2f}." in said(app)


def test_what_attention_points_at_is_left_out_before_your_eyes(open_page, story):
    app = opened(open_page)
    counts = tables(app)[0]
    looked = int(counts[MEAN].argmax())
    place = int((counts[LEFT_OUT].abs() > abs(counts[LEFT_OUT].iloc[looked])).sum()) + 1
    (line,) = [each.value for each in app.markdown if each.value.startswith("On this text: attention")]
    assert f"({looked}), with {counts[MEAN].iloc[looked]:.3f}" in line
    assert f"{-counts[LEFT_OUT].iloc[looked]:+.4f} nats: number **{place}** of 5" in line
    tokens = story.encode(TEXT)
    rest = story.run([token for i, token in enumerate(tokens) if i != looked]).predictions
    assert f"“{story.token(int(rest.top_id[-1, 0])).label}”" in line
    assert "Jain & Wallace (2019)" in said(app)


def test_too_short_and_too_long_are_told(open_page):
    app = opened(open_page, text="the")
    assert [info for info in app.info if "nothing to compare: type more" in info.value]
    app = opened(open_page, text="the cat saw the dog " * 60)
    assert [info for info in app.info if "and of 256 at most each is left out in turn" in info.value]
    app = opened(open_page, text="the cat saw the dog " * 60, explained_token=3)
    assert len(tables(app)[0]) == 4


def test_what_was_stopped_shows_what_there_is_and_goes_on(open_page, story):
    text = "a dog sat on the mat with a cat"
    n = len(story.encode(text))
    app = open_page("generation", text=text, **TABLES)
    id = int(story.run(story.encode(text)).predictions.top_id[-1, 0])
    of = saliency.Subject(RunKey("story", Prompt(text)), Said(id, n - 1), 16)
    app.session_state[saliency._STOPPED] = of
    app.session_state.explained = True  # what a click on its heading does
    app.run()
    assert [info for info in app.info if info.value.startswith("Stopped")] and not app.exception
    app.button(key="saliency_on").click().run()
    assert tuple(tables(app)[0].columns) == METHODS and address(app)["explained"] == "true"


def test_a_label_is_explained_by_hiding(open_page):
    app = opened(open_page, "understanding", section="sentiment", explained_here="true", text="It is not good.")
    judge, counts = session.language_model("sentiment"), tables(app)[0]
    tokens = judge.encode("It is not good.")
    label = judge.classify(tokens).best
    np.testing.assert_allclose(counts[LEFT_OUT], judge.occlusion(tokens, label), atol=1e-4)
    np.testing.assert_allclose(counts[GRADIENT], judge.gradient_x_input(tokens, label), atol=1e-4)
    assert f"hidden behind {plain(judge.mask_token().label)}" in said(app) and "the lead of “" in said(app)


def test_a_guess_for_a_blank_is_explained(open_page):
    text = "She opened the [MASK] and went into the house."
    app = opened(open_page, "understanding", section="blank", explained_here="true", text=text)
    lm = session.language_model("encoder")
    tokens = lm.encode(text)
    blank = next(i for i, token in enumerate(tokens) if token.id == lm.mask_token().id)
    id = int(lm.run(tokens).predictions.top_id[blank, 0])
    before, after = (
        log_probabilities(lm.unembed(lm.run(each).hidden[-1, blank]))[id]
        for each in (tokens, masked(tokens, 1, lm.mask_token()))
    )
    counts = tables(app)[0]
    assert counts[LEFT_OUT].iloc[1] == pytest.approx(before - after, abs=1e-4)
    assert counts[LEFT_OUT].iloc[blank] == pytest.approx(0, abs=1e-5)


def test_a_model_that_gives_weights_alone_says_what_it_cannot(open_with):
    app = open_with("generation", explained="true", **TABLES)
    assert tuple(tables(app)[0].columns) == tuple(name for name in METHODS if name != CARRIED)
    assert f"Without {CARRIED}: " in said(app) and "**Completeness:**" in said(app)
