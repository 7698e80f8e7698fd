"""Training, a copier is born: the course that ships, its moments on other pages, and one that trains here."""

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from model import catalog
from model.lab import copier, course
from tests.pages import reading
from tests.words import seen
from viz.components.course import Course, Rest
from viz.sections.training import copier_live
from viz.ui import trainings

RUN = copier.read(catalog.WEIGHTS / "copier")
STEPS = [each.step for each in RUN.checkpoints]
SMALL = {"copier_width": 8, "copier_steps": 60}
LONGEST = 60


def said(app: AppTest) -> str:
    assert not app.exception and not app.error
    return seen(reading.said(app))


def view(app: AppTest) -> dict:
    """What is sent of the last course on the page: that which ships, or the one below it."""
    sent = [each.proto for each in app.get("bidi_component") if each.proto.component_name.endswith("regard_course")]
    return reading.json.loads(sent[-1].mixed.json or sent[-1].json)["view"]


def training(app: AppTest) -> trainings.Training | None:
    kept = app.session_state.trainings if "trainings" in app.session_state else {}
    return kept.get(copier_live.KIND)


def ended(app: AppTest) -> AppTest:
    assert training(app).wait(LONGEST)
    return app.run()


@pytest.fixture
def open_lesson(open_page):
    return lambda **link: open_page("training", **link)


def test_the_course_that_ships_is_shown_at_the_moment_of_the_lock(open_lesson):
    app = open_lesson()
    sent = view(app)
    assert sent["steps"] == STEPS and sent["until"] == STEPS[-1]
    assert sent["steps"][sent["locked"]] == RUN.locked.step
    assert sent["losses"][0]["values"] == pytest.approx([each.known for each in RUN.checkpoints], abs=1e-4)
    assert sent["induction"][-1] == pytest.approx(RUN.checkpoints[-1].induction.ravel().tolist(), abs=1e-4)
    assert "".join(sent["labels"]) == copier.examples()[0][0] and sent["marked"] == list(copier.examples()[0][1])
    assert f"**Step {RUN.locked.step}.** This is the moment" in said(app)
    assert "checkpoint" not in reading.address(app) and "enlarged" not in reading.address(app)


def test_the_maps_are_sent_as_the_halves_that_are_seen():
    maps = copier.maps(copier.Run(RUN.settings, RUN.checkpoints[-1:]), copier.examples()[0][0])
    from viz.components.course import _packed

    n = maps.shape[-1]
    sent = _packed(maps[..., *np.tril_indices(n)]).reshape(2, 2, -1)
    assert sent[1, 0, 7 * 8 // 2 + 3] / 65535 == pytest.approx(maps[0, 1, 0, 7, 3], abs=1e-5)


def test_a_link_brings_a_checkpoint_and_a_head(open_lesson):
    app = open_lesson(checkpoint=STEPS[2], enlarged="0.1")
    assert f"**Step {STEPS[2]}.** The two heads are not there yet" in said(app)
    assert reading.address(app)["checkpoint"] == str(STEPS[2]) and reading.address(app)["enlarged"] == "0.1"
    assert f"**Step {STEPS[-1]}.** Both heads are there" in said(open_lesson(checkpoint=STEPS[-1]))


def test_a_checkpoint_that_was_not_kept_and_a_head_that_is_none_are_said(open_lesson):
    app = open_lesson(checkpoint=STEPS[3] + 1, enlarged="5.0")
    assert f"not kept after step {STEPS[3] + 1}: shown is the nearest, {STEPS[3]}." in said(app)
    assert "The copier has no layer 5, head 0" in said(app)
    assert reading.address(app)["checkpoint"] == str(STEPS[3])


def test_what_the_browser_sends_is_a_checkpoint_and_a_head_or_nothing():
    assert Rest.parse({"at": 2, "head": 3}, 3, 4) == Rest(2, 3)
    for sent in (None, {}, {"at": 3, "head": 0}, {"at": -1, "head": 0}, {"at": 0, "head": 4}, {"at": "0", "head": 0}):
        assert Rest.parse(sent, 3, 4) is None


def test_a_moment_opens_on_another_page_with_its_text_and_head(open_lesson):
    app = open_lesson(checkpoint=STEPS[4], enlarged="0.1")
    app.button(key="copier_open_attention").click().run()
    assert not app.exception and app.title[0].value == "Attention"
    state = app.session_state
    assert (state.model, state.text) == (f"copier@{STEPS[4]}", copier.examples()[0][0])
    assert (state.layer, state.head) == (0, 1)
    app = open_lesson(checkpoint=STEPS[-1])
    app.button(key="copier_open_head").click().run()
    assert app.session_state.model == "copier" and app.title[0].value == "Inside a head"


def test_the_numbers_are_those_of_the_card(open_lesson):
    app = open_lesson(numbers="copier_course")
    table = next(each.value for each in app.dataframe if "copied" in each.value.columns)
    assert list(table.index) == STEPS
    assert table["induction 1.0"].to_numpy() == pytest.approx([each.induction[1, 0] for each in RUN.checkpoints])


def test_the_heads_that_it_needs_are_named(open_lesson):
    needed = np.argwhere(RUN.without > RUN.checkpoints[-1].known + 1)
    names = " and ".join(f"layer {layer}, head {head}" for layer, head in needed)
    assert f"Copying needs {names}, and no other." in said(open_lesson())


def test_one_is_trained_to_its_end_and_becomes_a_model_of_the_session(open_lesson):
    app = open_lesson(**SMALL)
    assert training(app) is None
    app = ended(app.button(key="copier_train").click().run())
    assert [each.step for each in training(app).steps] == [0, 20, 40, 60]
    assert "**After 60 steps:**" in said(app) and "did not come to stay within 60 steps" in said(app)
    assert view(app)["steps"] == [0, 20, 40, 60] and view(app)["beside"]["steps"] == STEPS
    assert reading.address(app)["copier_trained"] == "true"
    app.toggle(key="copier_mlp").set_value(True).run()
    assert "copier_trained" not in reading.address(app)
    assert "trained with other settings than those that are chosen now" in said(app)
    app.toggle(key="copier_mlp").set_value(False).run()
    assert reading.address(app)["copier_trained"] == "true"
    app.button(key="copier_open_own").click().run()
    assert not app.exception and app.title[0].value == "Attention"
    assert app.session_state.model.startswith("lab:") and app.session_state.text == copier.examples()[0][0]
    assert "My copier, step 60" in said(app)


def test_one_that_is_stopped_goes_on_with_the_same_numbers(open_lesson, monkeypatch):
    settings = course.Settings(d_model=8, n_step=60, every=20)
    whole = list(course.train(settings))
    first = course.train(settings)
    begun = copier_live.Begun(settings, first)
    stopped = trainings.Training("x", lambda: copier_live.rest_of(begun.course), 9)
    stopped.steps += [next(begun.course), next(begun.course)]
    rest = list(copier_live.rest_of(begun.course))
    assert [each.step for each in rest] == [40, 60]
    for one, other in zip(whole[2:], rest, strict=True):
        assert one.known == other.known and np.array_equal(one.induction, other.induction)


def test_a_page_goes_on_where_it_stopped(open_lesson):
    app = open_lesson(copier_width=8, copier_steps=2000)
    app.button(key="copier_train").click().run()
    work = training(app)
    work.stop()
    assert work.wait(LONGEST) and work.state == trainings.STOPPED
    n = len(work.steps)
    app.session_state.copier_begun.settings  # noqa: B018
    app.run()
    app.button(key="copier_go_on").click().run()
    again = training(app)
    assert again is not work and again.steps[:n] == work.steps
    again.stop()
    assert again.wait(LONGEST)
    steps = [each.step for each in again.steps]
    assert steps == sorted(set(steps))


@pytest.mark.parametrize(
    ("preset", "chosen", "why"),
    [
        (1, ("copier_spans", False), "**A fixed period.**"),
        (2, ("copier_known", False), "**Loss on all symbols.**"),
        (3, ("copier_layers", 1), "**One layer only.**"),
    ],
)
def test_a_preset_says_why_it_fails(open_lesson, preset, chosen, why):
    app = open_lesson(copier_width=64)
    assert "**One layer only.**" not in said(app)
    app.button(key=f"copier_preset_{preset}").click().run()
    assert app.session_state[chosen[0]] == chosen[1] and app.session_state.copier_width == 32
    assert why in said(app)
    app.button(key="copier_preset_0").click().run()
    assert why not in said(app)


def test_a_fixed_period_is_judged_by_its_own_rows_and_by_others(open_lesson):
    app = ended(open_lesson(**SMALL, copier_spans="false").button(key="copier_train").click().run())
    assert [each["name"] for each in view(app)["losses"]] == [
        "Loss, rows with its period",
        "rows with pieces from random places",
    ]


def test_a_learning_rate_that_destroys_is_said_and_what_was_before_is_kept(open_lesson):
    app = ended(open_lesson(copier_width=8, copier_steps=200, copier_rate=10).button(key="copier_train").click().run())
    words = said(app)
    assert "a learning rate of 10 is likely too high. The checkpoints before are kept." in words
    assert view(app)["steps"][0] == 0 and "copier_go_on" not in [button.key for button in app.button]


def test_a_link_trains_again_what_was_seen(open_lesson):
    app = ended(open_lesson(**SMALL, copier_trained="true"))
    assert "**After 60 steps:**" in said(app)
    assert training(open_lesson(**SMALL)) is None


def test_a_course_of_another_shape_is_sent_whole():
    n = 5
    shown = Course(
        steps=[0, 10],
        losses={"a": np.array([3.0, 1.0])},
        guess=2.0,
        previous=np.zeros((2, 1, 4)),
        induction=np.ones((2, 1, 4)),
        maps=np.zeros((2, 1, 4, n, n)),
        labels=list("abcde"),
        marked=[False] * n,
        until=30,
    )
    assert shown.data["until"] == 30 and shown.data["locked"] is None and shown.data["beside"] is None
    assert shown.data["names"] == [f"layer 0, head {head}" for head in range(4)]
