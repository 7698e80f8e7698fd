"""One step under the microscope: what a visitor reads of it, and what a link can ask for."""

import html
import io

import numpy as np
import pytest

from model.lab import by_hand, one_step, short_course
from tests.hostile.pages import faults
from tests.pages.reading import address, charts, numbers, said
from tests.pages.test_addresses import WIDGETS, shown
from viz.figures.numbers import in_full
from viz.figures.step_formulas import adamw_lines, clipping_lines, tex
from viz.sections.training.one_weight import arrays_of


@pytest.fixture
def opened(open_page):
    def open(**link):
        app = open_page("training", lesson="step", **link)
        assert not app.exception and not app.error
        words = said(app)
        assert "**Check failed" not in words and words.count("**Check:**") == 4
        return app

    return open


@pytest.fixture(scope="module")
def steps():
    training = one_step.train(short_course.settings_of())
    return training, lambda t: one_step.open_step(training, t)


@pytest.mark.parametrize("t", [1, 2, 60])
def test_numbers_are_those_of_the_chosen_step(opened, steps, t):
    training, open_step = steps
    step = open_step(t)
    words = said(opened(training_step=t, prediction=0))
    assert tex(step.answer.losses[0]) in words and tex(step.answer.loss) in words and tex(step.norm) in words
    assert ("all are shortened" in words) == step.clipped
    place = training.matrices[0].at(int(step.answer.targets[0]), 0)
    assert tex(step.gradient[place]) in words
    for values in (step.update.gradient, step.update.m, step.update.v, step.update.step, step.update.after):
        assert f"= {tex(values[place])}}}" in words
    assert f"1 - 0.95^{{{t}}}" in words


@pytest.mark.parametrize("place", [0, 11])
def test_a_token_at_either_end_of_the_batch(opened, steps, place):
    step = steps[1](3)
    app = opened(prediction=place)
    assert tex(step.answer.losses[place]) in said(app)
    drawn = html.unescape("".join(element.proto.body for element in app.get("html")))
    for number in (*step.answer.logits[place], *step.answer.gradient[place]):
        assert f">{in_full(number)}<" in drawn


@pytest.mark.parametrize(
    ("code", "name"),
    [("P", "position_embedding"), ("0.q", "blocks.0.attention.query"), ("1.down", "blocks.1.mlp.down")],
)
def test_any_matrix_can_be_looked_at(opened, steps, code, name):
    training, open_step = steps
    app = opened(matrix=code, matrix_row=2, matrix_column=3)
    matrix = next(each for each in training.matrices if each.name == f"{name}.weight")
    drawn = numbers(charts(app)[1]["data"][0]["z"])
    np.testing.assert_array_equal(drawn.reshape(matrix.shape), matrix.of(open_step(3).gradient))
    assert address(app).items() >= {"matrix": code, "matrix_row": "2", "matrix_column": "3"}.items()


def test_formulas_hold_numbers_of_any_size():
    """KaTeX refuses a power of a power without brackets."""
    sizes = np.array([0.0, 1e-30, -3e-9, 0.02, -5.5, 1e9])
    for values in (sizes, sizes[::-1]):
        made = by_hand.adamw(values, values, values, abs(values), t=1, rate=1e-7, settings=by_hand.Optimizer())
        for at in range(len(values)):
            lines = adamw_lines(made, at, t=1, rate=1e-7, settings=by_hand.Optimizer())
            lines += clipping_lines(abs(values[at]), 3, 1.0, 0.5, values[at])
            pieces = [piece for _, pieces in lines for piece in pieces]
            assert not any("}^" in piece or "nan" in piece for piece in pieces)
            assert all(piece.count("{") == piece.count("}") for piece in pieces)


def test_another_rate_is_another_training(opened):
    constant, linear = opened(training_step=30), opened(training_step=30, schedule="linear")
    assert "it stays" in said(constant) and "falls in a straight line" in said(linear)
    first, second = (numbers(charts(app)[0]["data"][0]["y"]) for app in (constant, linear))
    assert not np.array_equal(first, second) and np.array_equal(first[:6], second[:6])


def test_what_a_link_asks_for_and_is_not_there_is_said(opened):
    wanted = {"training_step": "100000", "matrix": "7.q", "prediction": "12", "matrix_row": "99"}
    words = html.unescape(said(opened(**wanted)))
    for name, value in wanted.items():
        assert f"The link asked for {name} “{value}”, which does not exist here" in words
    words = said(opened(training_step=0, matrix="W", schedule="cosine", prediction="x"))
    assert words.count("does not exist here") == 4


def test_other_lines_and_other_settings(opened):
    words = said(opened(learned="one two three", step_units="characters", clip=0, decay=1, step_rate=0.1, prediction=4))
    assert "learns the characters of “one two three”, all lines a step" in words
    assert "After “&#60;s&#62;one␣”, the model has" in words
    assert "nothing is clipped" in words and r"\cdot 1 \cdot" in words and "= 0.1 " in words


@pytest.mark.parametrize("learned", ["$x$ \\frac{1 <b>bold</b> [a](b)", "\u200b 猫 é", "a b\na c\na d\na e"])
def test_any_lines_can_be_learned(opened, learned):
    app = opened(learned=learned, prediction=1, training_step=60)
    assert faults(app, learned) == []


def test_lines_that_are_too_many_are_said_and_the_rest_of_the_page_stands(open_page):
    app = open_page("training", lesson="step", learned="a\n" * 40)
    assert not app.exception and not app.error and app.text_area("learned").value
    assert "at most 30 lines" in said(app) and "1 · The batch" not in said(app)


def test_its_address_shows_the_same_again_and_no_widget_is_told_what_it_knows(opened):
    link = {"training_step": "7", "prediction": "3", "matrix": "1.v", "matrix_row": "2", "matrix_column": "5"}
    link |= {"schedule": "linear", "step_rate": "0.1", "clip": "0.25", "decay": "0", "learned": "one two\nthree four"}
    first = opened(**link)
    assert address(first).items() >= link.items()
    again = opened(**{name: value for name, value in address(first).items() if name != "lesson"})
    assert shown(again) == shown(first)
    again.run()
    widgets = [each for kind in WIDGETS for each in again.get(kind) if not each.disabled]
    assert widgets and [each.key for each in widgets if each.proto.set_value] == []


def test_choosing_another_matrix_begins_at_its_first_weight(opened):
    app = opened(matrix="0.up", matrix_row=60, matrix_column=3)
    app.selectbox("matrix").set_value("1.q").run()
    assert not app.exception and not app.error and not app.toast
    assert app.session_state.matrix_row == 0 and app.session_state.matrix_column == 0


def test_all_arrays_can_be_had(steps):
    training, open_step = steps
    step = open_step(2)
    arrays = np.load(io.BytesIO(arrays_of(training, step)))
    name = training.matrices[0].name
    np.testing.assert_array_equal(arrays[f"after/{name}"], training.matrices[0].of(step.update.after))
    assert sum(arrays[each].size for each in arrays if each.startswith("gradient/")) == training.n_weight
    np.testing.assert_array_equal(arrays["logits"], step.answer.logits)
