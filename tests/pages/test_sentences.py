"""The lesson of a few lines: a run is there at once; what is trained here, what cannot be, and what is forgotten."""

from threading import Event

import pytest
from streamlit.testing.v1 import AppTest

from model.lab import finished, sentences
from tests.hostile.pages import faults
from tests.hostile.strings import ATOMS
from tests.pages import reading
from tests.words import seen
from viz.sections.training import other_line
from viz.sections.training import sentences as lesson
from viz.ui import choices, trainings

LONGEST = 60  # seconds, on a busy machine
FAST = {"learned_rate": 0.01, "learned_steps": 12}


@pytest.fixture
def open_lesson(open_page):
    """`open_lesson(learned_steps=12)`: the lesson as a link opens it; all that trains in it is stopped at last."""
    opened = []

    def open(**link) -> AppTest:
        opened.append(open_page("training", lesson="sentences", **link))
        return opened[-1]

    yield open
    for app in opened:
        for kind in (lesson.KIND, other_line.KIND):
            if training := of(app, kind):
                training.stop()
                assert training.wait(LONGEST)


def of(app: AppTest, kind: str = lesson.KIND) -> trainings.Training | None:
    return app.session_state.trainings.get(kind) if "trainings" in app.session_state else None


def ended(app: AppTest, kind: str = lesson.KIND) -> AppTest:
    assert of(app, kind).wait(LONGEST)
    return app.run()


def said(app: AppTest) -> str:
    assert not app.exception and not app.error
    return seen(reading.said(app))


def courses(app: AppTest) -> list[dict]:
    """What is sent of each course, the lines' first."""
    sent = [each.proto for each in app.get("bidi_component") if each.proto.component_name.endswith("regard_learning")]
    return [reading.json.loads(proto.mixed.json or proto.json) for proto in sent]


def trained(app: AppTest) -> AppTest:
    return ended(app.button(key="train_lines").click().run())


def test_a_finished_run_is_there_at_once(open_lesson):
    app = open_lesson()
    lines, other = courses(app)
    kept = finished.finished()
    assert lines["steps"] == [checkpoint.step for checkpoint in kept.checkpoints]
    assert lines["courses"][0]["losses"][-1] == pytest.approx(list(kept.checkpoints[-1].losses[0]), abs=1e-3)
    assert [line["written"][-1] for line in lines["courses"][0]["lines"]] == [
        ["am", "a", "student", "."],
        ["love", "to", "study", "."],
        ["will", "graduate", "soon", ".", "<s>"],
    ]
    assert len(other["courses"]) == 2 and other["steps"][-1] == finished.TUNED_STEPS
    assert of(app) is None and of(app, other_line.KIND) is None
    assert "Shown is a run that was trained once with these settings" in said(app)
    assert app.button(key="train_lines").label == "Train again"


def test_what_is_chosen_at_first_is_what_ships():
    chosen = {name: choice.default for name, choice in choices.CHOICES.items()}
    kept = finished.finished()
    assert (
        kept.settings
        == sentences.Settings()
        == sentences.Settings(
            sentences.lines_of(chosen["learned"]),
            chosen["learned_units"],
            chosen["learned_apart"],
            chosen["learned_rate"],
            chosen["learned_steps"],
            chosen["learned_seed"],
        )
    )
    assert (kept.other, kept.rate, finished.TUNED_STEPS) == tuple(
        chosen[name] for name in ("other_line", "other_rate", "other_steps")
    )
    assert choices.LINES_UNITS == sentences.UNITS and max(choices.RATES) <= sentences.MOST_RATE


def test_it_is_trained_here_and_compared_with_what_ships(open_lesson):
    app = trained(open_lesson())
    assert of(app).state == trainings.ENDED
    assert courses(app)[0]["steps"] == [checkpoint.step for checkpoint in of(app).steps]
    apart = finished.difference(finished.finished().checkpoints, of(app).steps)
    assert apart < 0.05  # another machine has other last digits
    assert f"from the run that ships: {apart:.4f} nats" in said(app)
    # what begins from it is this session's too
    assert len(courses(app)) == 1 and "press “Fine-tune”" in said(app)


def test_other_settings_are_not_trained_before_one_says_so(open_lesson):
    app = open_lesson()
    app.select_slider(key="learned_rate").set_value(0.01)
    app.number_input(key="learned_steps").set_value(12).run()
    assert courses(app) == [] and "Not trained yet with these settings: press “Train”" in said(app)
    app = trained(app)
    assert courses(app)[0]["steps"] == list(range(13)) and "Not trained yet with these settings: press “Train”" not in (
        said(app)
    )
    app.number_input(key="learned_steps").set_value(300)
    app.select_slider(key="learned_rate").set_value(0.0003).run()
    assert courses(app)[0]["steps"][-1] == 300  # what ships


@pytest.mark.parametrize("units", sentences.UNITS)
def test_a_link_shows_what_was_seen(open_lesson, units):
    link = FAST | {"learned": "a b a c\nd e", "learned_units": units, "learned_seed": 3, "learned_at": 7}
    app = ended(open_lesson(**link))
    (lines,) = courses(app)
    settings = sentences.Settings(("a b a c", "d e"), units, False, 0.01, 12, 3)
    run = sentences.begin(settings)
    for checkpoint, sent in zip(run.learner.steps(12), lines["courses"][0]["losses"], strict=True):
        assert sent == pytest.approx(list(checkpoint.losses[0]), abs=0.02)
    assert lines["at"] == 7
    told = reading.address(app)
    assert {name: told.get(name, units) for name in link} == {name: str(value) for name, value in link.items()}


def test_a_link_fine_tunes_what_it_trained(open_lesson):
    app = open_lesson(**FAST, other_line="I am a teacher.", other_steps=3, other_at=2)
    app = ended(ended(app), other_line.KIND)
    assert [course["steps"] for course in courses(app)] == [list(range(13)), [0, 1, 2, 3]]
    assert courses(app)[1]["at"] == 2


def test_lines_by_themselves_cannot_all_be_known(open_lesson):
    app = ended(open_lesson(learned_apart="true", **FAST))
    assert "Nobody can know better" in said(app) and "“am”, “love”, “will”" in said(app)
    assert ["the least possible", pytest.approx(0.2197, abs=1e-4)] in courses(app)[0]["marks"]


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (" \n ", "There is no line to learn: type at least one, of two words or more."),
        ("word", "Of one token, nothing is left to predict but the end: type a second word."),
        ("a line\n" * 10_000, "These are 10,000 lines of 60,000 characters: at most 30 lines of 2,000 characters"),
    ],
)
def test_lines_that_cannot_be_learned_are_told(open_lesson, lines, sentence):
    app = open_lesson()
    app.text_area(key="learned").set_value(lines).run()
    assert sentence in said(app) and of(app) is None and courses(app) == []


def test_a_rate_that_destroys_is_told_and_the_checkpoint_before_kept(open_lesson):
    app = open_lesson()
    app.select_slider(key="learned_rate").set_value(10.0).run()
    app = trained(app)
    assert of(app).state == trainings.FAILED and [checkpoint.step for checkpoint in of(app).steps] == [0]
    assert "a learning rate of 10 is likely too high. The last checkpoint before, of step 0, is kept." in said(app)
    assert courses(app)[0]["steps"] == [0]


def test_zero_steps_show_random_numbers(open_lesson):
    app = open_lesson()
    app.number_input(key="learned_steps").set_value(0).run()
    assert courses(trained(app))[0]["steps"] == [0]


def test_stopped_it_goes_on_from_where_it_was(open_lesson):
    gate = Event()
    before = trainings.Training("another's", lambda: iter([gate.wait(LONGEST)]), LONGEST)
    trainings.LINE.join(before)
    try:
        app = open_lesson(**FAST)
        assert "This waits for its turn: one is before it." in said(app)
        app.button(key="a_few_lines_stop").click().run()
        assert of(app).state == trainings.STOPPED
    finally:
        gate.set()
    app.button(key="train_lines").click().run()
    app = ended(app)
    run, steps = app.session_state.lines_begun, of(app).steps
    # as if it had been stopped after the fifth step
    del steps[6:]
    of(app).state, run.learner.step = trainings.STOPPED, 5
    app.run().button(key="go_on_lines").click().run()
    assert [checkpoint.step for checkpoint in ended(app).session_state.trainings[lesson.KIND].steps] == list(range(13))


def test_a_word_that_it_never_saw(open_lesson):
    app = open_lesson()
    assert "“teacher”: out of the vocabulary." in said(app) and "`[UNK]`, id 0" in said(app)
    app.text_input(key="unseen").set_value("I love to study.").run()
    assert "All of it is in the vocabulary" in said(app)
    app.text_input(key="unseen").set_value("*zebra* [x](y)").run()
    assert "“\\*”, “zebra”" in reading.said(app) or "“*”, “zebra”" in said(app)
    app.text_input(key="unseen").set_value("  ").run()
    assert "There is no text to read: type one." in said(app)


def test_fine_tuned_here_both_losses_are_told(open_lesson):
    app = open_lesson()
    app.text_input(key="other_line").set_value("I am a teacher.")
    app.number_input(key="other_steps").set_value(3).run()
    assert "Not in the vocabulary: “teacher”" in said(app) and "press “Fine-tune”" in said(app)
    app = ended(app.button(key="train_other").click().run(), other_line.KIND)
    checkpoints = of(app, other_line.KIND).steps
    assert courses(app)[1]["steps"] == [0, 1, 2, 3]
    table = next(html.value for html in app.get("html") if "perplexity before" in html.value)
    assert all(f"{checkpoints[i].loss(text):.3f}" in table for i in (0, 3) for text in (0, 1))
    app.text_input(key="other_line").set_value(" ").run()
    assert "There is no line to learn" in said(app)


def test_the_model_is_opened_by_the_pages(open_lesson):
    app = open_lesson()
    app.button(key="open_lines").click().run()
    assert app.session_state.page == "attention" and app.session_state.model.startswith("lab:")
    assert app.session_state.text == "I am a student.\nI love to study.\nI will graduate soon."
    assert "Lines by heart" in app.sidebar.selectbox(key="model").options
    assert not app.exception and not app.error and "**Check failed" not in reading.said(app)


def test_two_tabs_have_a_run_each(open_lesson):
    one, other = open_lesson(**FAST), open_lesson(**FAST | {"learned_steps": 8})
    assert of(one) is not of(other)
    assert courses(ended(one))[0]["steps"][-1] == 12 and courses(ended(other))[0]["steps"][-1] == 8


def test_lines_that_no_address_takes_stand_in_none(open_lesson):
    app = open_lesson()
    app.text_area(key="learned").set_value("a line\n" * 10_000).run()
    assert "learned" not in reading.address(app) and app.text_area(key="learned").value == "a line\n" * 10_000
    app.text_area(key="learned").set_value("a line").run()
    assert reading.address(app)["learned"] == "a line"


@pytest.mark.parametrize("units", sentences.UNITS)
def test_nothing_that_is_typed_is_markup(open_lesson, units):
    typed = [ATOMS[i] for i in (0, 3, 7, 14, 18)]
    link = {"learned": "\n".join(typed), "learned_units": units, "learned_steps": 1, "unseen": ATOMS[9]}
    app = open_lesson(**link, other_line=ATOMS[21], other_steps=1)
    app = ended(ended(app), other_line.KIND)
    assert len(courses(app)) == 2 and faults(app, *typed, ATOMS[9], ATOMS[21]) == []
