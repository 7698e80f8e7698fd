"""The lesson of fine-tuning: a model comes of it that every page opens; what it gained and forgot; what cannot be."""

import io
import shutil
import zipfile

import pytest
from streamlit.testing.v1 import AppTest

import model
from tests.pages import reading
from tests.words import seen
from viz.sections.training import before_after
from viz.sections.training import fine_tuning as lesson
from viz.ui import lab_models, trainings

LONGEST = 120  # seconds, on a busy machine
LINES = "The robot Zib eats screws.\nZib sings to the kettle."


@pytest.fixture
def open_lesson(open_page):
    """`open_lesson(tuned_steps=6)`: the lesson as a link opens it; what trains in it is stopped at last."""
    opened = []

    def open(**link) -> AppTest:
        opened.append(open_page("training", lesson="fine-tuning", **({"tuned_lines": LINES, "tuned_steps": 6} | link)))
        return opened[-1]

    yield open
    for app in opened:
        if training := of(app):
            training.stop()
            assert training.wait(LONGEST)


def of(app: AppTest) -> trainings.Training | None:
    return app.session_state.trainings.get(lesson.KIND) if "trainings" in app.session_state else None


def ended(app: AppTest) -> AppTest:
    assert of(app).wait(LONGEST)
    return app.run()


def said(app: AppTest) -> str:
    assert not app.exception and not app.error
    return seen(reading.said(app))


def labels(app: AppTest) -> list[str]:
    return [button.label for button in app.button]


def tuned(app: AppTest) -> str:
    """The name of the model that came of it."""
    (name,) = app.session_state.trained_here
    return name


def test_at_first_the_model_is_shown_as_it_is(open_lesson):
    app = open_lesson()
    assert "Shown is the model as it is." in said(app) and of(app) is None
    assert "Fine-tune" in labels(app) and "Open this model" not in labels(app)
    assert "regard finetune MODEL --data lines.txt --out tuned" in "\n".join(code.value for code in app.code)
    assert "tuned" not in reading.address(app)


def test_what_it_learns_what_it_forgets_and_which_heads_moved(open_lesson, story):
    app = ended(open_lesson().button(key="tune").click().run())
    name = tuned(app)
    assert of(app).state == trainings.ENDED and [step.step for step in of(app).steps] == [0, 5, 6]
    told = said(app)
    assert "After **6 steps**, each next token of your lines is on average" in told and "times more** probable" in told
    assert "Story + your lines, 6 steps" in app.sidebar.selectbox(key="model").options
    first, last = of(app).steps[0], of(app).steps[-1]
    (course, heads) = reading.charts(app)
    assert reading.numbers(course["data"][0]["y"])[-1] == pytest.approx(last.lines)
    assert reading.numbers(course["data"][1]["y"])[0] == pytest.approx(first.held_out)
    assert last.lines < first.lines - 1
    # the table is made in another way, one text after the other
    (table,) = [html.proto.body for html in app.get("html") if "held-out stories: perplexity" in html.proto.body]
    for nats in (first.lines, last.lines, first.held_out, last.held_out):
        perplexity = 2.718281828459045**nats
        assert (f"{perplexity:,.2f}" if perplexity < 100 else f"{perplexity:,.0f}") in table
    values = reading.numbers(heads["data"][0]["z"])
    assert values.shape == (story.info.n_layer, story.info.n_head) and 0 < values.max() <= 1
    assert "Before: Story" in told and "After: Story + your lines, 6 steps" in told
    assert lab_models.SHELF.find(app.session_state.on_shelf, name).lm.info.n_layer == story.info.n_layer


def test_what_came_of_it_is_opened_and_says_where_it_came_from(open_lesson):
    app = ended(open_lesson(tuned_steps=1).button(key="tune").click().run())
    name = tuned(app)
    app.session_state[before_after.OPENED] = before_after._at(name, 3, 2)  # as a click on a head
    app.run()
    assert app.title[0].value == "Attention" and not app.exception
    assert (app.session_state.model, app.session_state.layer, app.session_state.head) == (name, 3, 2)
    app.switch_page("viz/pages/model.py").run()
    assert (
        "It was **trained in this session**, on the page Training. It began as Regard's Story model (weights "
        in said(app)
    )
    assert "fine-tuned on 2 lines of a visitor's in 1 step of AdamW, with a learning rate of 0.0003 and the seed 0" in (
        said(app)
    )


def test_it_is_taken_along_as_a_folder(open_lesson, tmp_path):
    app = ended(open_lesson(tuned_steps=1).button(key="tune").click().run())
    trained = lab_models.SHELF.find(app.session_state.on_shelf, tuned(app))
    with zipfile.ZipFile(io.BytesIO(lesson.packed(trained))) as archive:
        archive.extractall(tmp_path)
    lm = model.load(tmp_path / "story-tuned")
    tokens = trained.lm.encode("Zib sings")
    (ours,), (theirs,) = trained.lm.logits(tokens), lm.logits(tokens)
    assert abs(ours - theirs).max() < 1e-4
    assert "fine-tuned on 2 lines" in (tmp_path / "story-tuned" / "README.md").read_text(encoding="utf-8")
    assert (tmp_path / "story-tuned" / "NOTICE.md").is_file()
    assert "Download as a folder" in [button.label for button in app.get("download_button")]


def test_it_goes_on_and_a_link_makes_it_again(open_lesson):
    app = ended(open_lesson().button(key="tune").click().run())
    address = reading.address(app)
    assert address["tuned"] == "true" and address["tuned_steps"] == "6"
    before = of(app).steps[-1]
    app = ended(app.button(key="tune_more").click().run())
    assert [step.step for step in of(app).steps] == [0, 5, 6, 10, 12]
    assert "Story + your lines, 12 steps" in app.sidebar.selectbox(key="model").options
    again = ended(open_lesson(**{name: value for name, value in address.items() if name != "lesson"}))
    assert of(again).steps[-1].step == 6 and of(again).steps[-1].lines == pytest.approx(before.lines, abs=1e-3)


def test_a_learning_rate_of_10_keeps_the_last_good_model(open_lesson):
    app = ended(open_lesson(tuned_rate=10, tuned_steps=50).button(key="tune").click().run())
    assert of(app).state == trainings.FAILED
    assert "a learning rate of 10 is likely too high" in said(app)
    assert "Shown is the model as it is." in said(app)  # nothing was learned before that


@pytest.mark.parametrize(
    ("link", "sentence"),
    [
        ({"tuned_steps": 0}, "0 steps are asked for: a fine-tuning takes 1 to 200."),
        ({"tuned_lines": " "}, "There are no lines to learn from: write one at least, or choose an example."),
        ({"tuned_lines": "a\n" * 10_000}, "There are 10,000 lines: at most 40 are learned here. Remove some."),
    ],
)
def test_what_cannot_be_trained_is_a_sentence_and_the_rest_is_shown(open_lesson, link, sentence):
    app = open_lesson(**link)
    assert [seen(warning.value) for warning in app.warning] == [sentence]
    assert "Before and after" in said(app) and "Before: Story" in said(app)


def test_one_word_is_told_when_it_is_to_be_learned(open_lesson):
    app = open_lesson(tuned_lines="a").button(key="tune").click().run()
    assert any("Each line is a single token" in seen(warning.value) for warning in app.warning)
    assert of(app) is None and not app.exception


def test_two_models_that_have_nothing_in_common_are_compared_by_what_can_be(open_lesson):
    app = open_lesson(tuned_after="copier")
    told = said(app)
    assert "so their perplexities are of different tokens: compare the bits" in told
    assert "Not read (–): " in told  # the stories, by one that reads 40 symbols
    assert "The two models have other layers and heads" in "\n".join(seen(w.value) for w in app.warning)


def test_folders_of_ones_own_are_compared_by_a_link(open_lesson, tiny_gpt2, tmp_path, monkeypatch):
    import torch
    from transformers import AutoModelForCausalLM

    before, after = (shutil.copytree(tiny_gpt2, tmp_path / name) for name in ("before", "after"))
    network = AutoModelForCausalLM.from_pretrained(after)
    torch.nn.init.normal_(network.transformer.h[1].attn.c_attn.weight, std=1.0)
    network.save_pretrained(after)
    monkeypatch.setenv("REGARD_MODEL_ROOTS", str(tmp_path))
    link = {"tuned_lines": "the cat saw", "tuned_before": f"folder:{before}", "tuned_after": f"folder:{after}"}
    app = open_lesson(text="the cat saw the dog", **link)
    told = said(app)
    assert "Before: before" in told and "After: after" in told and not app.info
    values = reading.heatmap(app)
    assert not values[0].any() and values[1].all()  # only the second layer looks elsewhere
    assert reading.address(app).items() >= link.items()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("lab:0123456789abcdef", "was trained in one visitor's session, which alone can open it"),
        ("folder:/etc", "this server opens no folders"),
        ("encoder", "Encoder is no decoder, and predicts no next token. Choose another model."),
        ("nonsense", "There is no model “nonsense” here."),
    ],
)
def test_a_link_to_a_model_that_cannot_be_compared_says_why(open_lesson, name, sentence):
    app = open_lesson(tuned_after=name)
    (told,) = [seen(info.value) for info in app.info]
    assert sentence in told
    assert "Shown is the model as it is." in said(app) and "tuned_after" not in reading.address(app)
