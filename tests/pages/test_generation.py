"""The Generation page as a visitor reads it, by what transformers' and our own arithmetic say."""

import threading

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from model.analysis.attention import attention_weights
from model.analysis.generation import read_on
from model.analysis.logits import entropy
from model.analysis.sampling import Sampling
from tests.pages.reading import numbers, said, traces
from viz.figures.numbers import percent
from viz.sections.generation.continuation import AT_ONCE


@pytest.fixture
def write(open_page):
    """`write(text="…")`: the generation page, opened without an error."""

    def open(**link: object) -> AppTest:
        at = open_page("generation", **link)
        assert not at.exception
        return at

    return open


def click(at: AppTest, key: str) -> AppTest:
    at.button(key=key).click().run()
    assert not at.exception
    return at


def finish(at: AppTest) -> AppTest:
    """What the browser's clock does: run again until nothing is left to write."""
    while at.session_state.to_go:
        at.run()
        assert not at.exception
    return at.run()


def generate_many(at: AppTest, n: int) -> AppTest:
    at.number_input(key="n_generate").set_value(n)
    return finish(click(at, "next_many"))


def ids_of(at: AppTest) -> list[int]:
    return [step.token.id for step in at.session_state.generated]


def bars(at: AppTest, i: int) -> dict:
    return traces(at)[i]


def test_the_page_shows_what_may_come_next(write, story):
    at = write()
    _, choice = read_on(story, story.encode("The cat sat on the mat"), Sampling())
    probability, chance = bars(at, 0)
    np.testing.assert_allclose(numbers(probability["x"]), choice.probability[choice.best(10)], rtol=1e-5)
    np.testing.assert_allclose(numbers(chance["x"]), numbers(probability["x"]), rtol=1e-5)
    shown = {metric.label: metric.value for metric in at.metric}
    assert shown["Tokens kept"] == f"{story.info.n_vocab:,} of {story.info.n_vocab:,}"
    assert shown["Entropy, model"] == shown["Entropy, drawn"] == f"{entropy(choice.probability):.2f} nats"
    assert "exactly the probability the model gave it" in said(at)


def test_sliders_change_chances_and_numbers(write, story):
    at = write()
    at.slider(key="temperature").set_value(0.5)
    at.slider(key="top_k").set_value(4)
    at.slider(key="n_shown").set_value(6).run()
    _, choice = read_on(story, story.encode("The cat sat on the mat"), Sampling(0.5, top_k=4))
    np.testing.assert_allclose(numbers(bars(at, 0)[1]["x"]), choice.chance[choice.best(6)], rtol=1e-5)
    shown = {metric.label: metric.value for metric in at.metric}
    assert shown["Tokens kept"].startswith(f"{choice.kept.sum()} of")
    assert shown["Mass kept"] == percent(choice.mass_kept)
    assert shown["Entropy, drawn"] == f"{entropy(choice.chance):.2f} nats"
    assert "only the 4 most probable" in said(at)


def test_greedy_is_explained(write):
    at = write()
    at.slider(key="temperature").set_value(0.0).run()
    assert "Greedy" in said(at)
    assert at.slider(key="top_k").disabled and at.number_input(key="seed").disabled


def test_a_seed_gives_the_same_text_in_one_go_or_one_by_one(write):
    at = write()
    in_one_go = ids_of(generate_many(at, 4))
    assert len(in_one_go) == 4
    click(at, "clear")
    assert ids_of(at) == []
    for _ in range(4):
        click(at, "next_one")
    assert ids_of(at) == in_one_go
    click(at, "clear")
    at.number_input(key="seed").set_value(1)
    assert ids_of(generate_many(at, 4)) != in_one_go


def test_writing_can_be_stopped(write):
    at = write()
    click(at, "next_many")
    assert "Stop" in at.button(key="stop").label and at.button(key="next_one").disabled
    at.run()
    click(at, "stop")
    n = len(ids_of(at))
    assert 0 < n < 20
    assert len(ids_of(at.run())) == n


def test_many_write_in_turns_each_what_it_would_alone(write):
    alone = [ids_of(generate_many(write(seed=seed), 12)) for seed in range(3)]
    many = [write(seed=seed, n_generate=12) for seed in range(3)]
    for at in many:
        click(at, "next_many")
    for done in range(1, 20):
        if not any(at.session_state.to_go for at in many):
            break
        # one with the click; nobody is given more than a few before the others have their turn, nor nothing
        assert all(done < len(ids_of(at)) <= 1 + AT_ONCE * done for at in many)
        for at in many:
            at.run()
    assert [ids_of(at) for at in many] == alone


def test_writing_stops_once_a_text_was_written_and_goes_on_if_told(write):
    at = generate_many(write(temperature=0), 15)
    text = b"".join(step.token.piece for step in at.session_state.generated).decode()
    stop = text[8:10]
    at = generate_many(write(temperature=0, stop_at=stop), 15)
    part = b"".join(step.token.piece for step in at.session_state.generated).decode()
    n = len(ids_of(at))
    assert text.startswith(part) and stop in part and n < 15
    assert "was written, which ends each writing" in said(at)
    assert len(ids_of(generate_many(at, 2))) > n


@pytest.mark.parametrize("link", [{}, {"no_repeat_ngram": 3}])
def test_what_is_seldom_set_is_folded_away_unless_a_link_sets_it(write, link):
    at = write(**link)
    drawn = {each.key: each.value for each in at.slider}
    assert drawn.get("no_repeat_ngram") == link.get("no_repeat_ngram") and "temperature" in drawn
    assert at.session_state.no_repeat_ngram == link.get("no_repeat_ngram", 0)


@pytest.mark.parametrize("n, sentence", [(0, "0 tokens are none"), (10**6, "1,000,000 tokens are more than the 200")])
def test_a_number_of_tokens_that_cannot_be_written_is_said_and_not_another_written(write, n, sentence):
    at = write()
    at.number_input(key="n_generate").set_value(n).run()
    button = at.button(key="next_many")
    assert button.disabled and button.label == f"Generate {n}"
    assert any(sentence in info.value for info in at.info)


def test_what_a_link_asks_and_cannot_be_is_said(write):
    at = write(temperature="nan", n_generate=10**6, stop_at="")
    asked = said(at)
    assert "The link asked for temperature “nan”, which does not exist here: showing 1." in asked
    assert "The link asked for n_generate “1000000”, which does not exist here: showing 20." in asked
    assert len(ids_of(generate_many(at, 3))) == 3  # an empty stop ends nothing


def test_nothing_is_written_for_a_page_that_asks_no_more(write):
    """As one whose tab was closed in mid-run."""
    threads = set(threading.enumerate())
    at = click(write(n_generate=200), "next_many")
    n = len(ids_of(at))
    assert 0 < n <= 1 + AT_ONCE and at.session_state.to_go == 200 - n
    assert not {each for each in set(threading.enumerate()) - threads if each.is_alive()}


def test_a_decoder_without_a_head_is_said_to_write_nothing(open_page, tmp_path, monkeypatch):
    from transformers import GPT2Config, GPT2Model

    from tests.tiny_tokenizers import of_family

    folder = tmp_path / "headless"
    GPT2Model(GPT2Config(vocab_size=120, n_positions=40, n_embd=16, n_layer=1, n_head=2)).save_pretrained(folder)
    of_family("decoder").save_pretrained(folder)
    monkeypatch.setenv("REGARD_MODEL_ROOTS", str(tmp_path))
    at = open_page("generation", model=f"folder:{folder}", text="the cat")
    assert not at.exception and "has no head that predicts tokens. Choose a decoder" in said(at)


def test_an_opened_token_shows_its_choice_and_where_it_looked(write, story):
    at = write(layer=2, head=3)
    generate_many(at, 3)
    at.session_state.opened = 1  # what a click on its chip does
    at.run()
    assert not at.exception
    step = at.session_state.generated[1]
    tokens = [*story.encode("The cat sat on the mat"), at.session_state.generated[0].token]
    run, choice = read_on(story, tokens, step.sampling)
    assert f"Behind the choice of token {len(tokens)}" in said(at)
    assert f"**{step.number:.6f}**" in said(at)
    drawn = numbers(bars(at, 1)[0]["x"])
    assert drawn.max() == pytest.approx(choice.probability.max(), rel=1e-5)
    assert np.isclose(drawn, step.probability, rtol=1e-5).any()
    row = attention_weights(run.attention[2], 3, slice(len(tokens) - 1, len(tokens)))[0]
    np.testing.assert_allclose(numbers(bars(at, 2)[0]["y"]), row, atol=1e-6)
    at.toggle(key="mean_of_heads").set_value(True).run()
    mean = np.mean(
        [attention_weights(run.attention[2], head)[len(tokens) - 1] for head in range(run.info.n_head)], axis=0
    )
    np.testing.assert_allclose(numbers(bars(at, 2)[0]["y"]), mean, atol=1e-6)


def test_a_continuation_is_dropped_with_a_word_when_the_text_changes(write):
    at = write()
    click(at, "next_one")
    at.text_area(key="text").set_value("Once upon a time").run()
    assert ids_of(at) == []
    assert "its continuation was dropped" in said(at)
    assert "its continuation was dropped" not in said(at.run())


def test_what_was_written_can_be_added_to_the_text(write):
    at = write()
    generate_many(at, 3)
    new = b"".join(step.token.piece for step in at.session_state.generated).decode(errors="ignore")
    click(at, "add")
    assert at.text_area(key="text").value == "The cat sat on the mat" + new
    assert ids_of(at) == []
    assert "dropped" not in said(at)


def test_a_full_context_gets_a_sentence(write, story):
    n = story.info.n_context
    full = "the" + " the" * (n - 2)
    at = write(text=full)
    assert len(story.encode(full)) == n - 1
    assert not at.button(key="next_one").disabled
    generate_many(at, 5)
    assert len(ids_of(at)) == 1
    assert f"The context is full: Story reads at most {n} tokens, and the text now has {n}." in said(at)
    assert at.button(key="next_one").disabled and at.button(key="next_many").disabled


@pytest.mark.parametrize(
    "text", ["a", "🙂", "今天", "مرحبا", "<script>alert(1)</script> **b** $x$", "a\x07\u200b", "\n"]
)
def test_unusual_texts_are_continued(write, text):
    at = write()
    at.text_area(key="text").set_value(text).run()
    generate_many(at, 2)
    at.session_state.opened = 0
    at.run()
    assert not at.exception
    html = " ".join(element.proto.body for element in at.get("html"))
    assert "<script>" not in html
    assert "\ufffd" not in html + said(at)
