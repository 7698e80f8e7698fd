"""A conversation on Generation: what is read, what an address holds of it, and whose the tokens are."""

import json
import re

import numpy as np
import pytest

from model.analysis.attention import attention_weights
from model.analysis.turns import between_turns
from model.run import ModelRun
from model.text.conversation import LONGEST, Message, turns_of, write_messages
from model.text.units import Units
from tests.any_models import write_models
from tests.pages.reading import said
from viz.sections.generation import conversation
from viz.ui import session

TALK = (Message("user", "the cat"), Message("assistant", "a dog"))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def talk(root, open_page, monkeypatch):
    """`talk(text="…")`: Generation, with a tiny decoder that has a template."""
    monkeypatch.setenv("REGARD_MODEL_ROOTS", str(root))

    def open(**link):
        at = open_page("generation", model=f"folder:{root / 'decoder'}", chat="true", n_generate=4, **link)
        assert not at.exception
        return at

    return open


def bubbles(at):
    return [message.name for message in at.chat_message]


def roles(at):
    """The word above each bubble."""
    found = (
        re.match("<div[^>]*>(.*?)</div>", html.proto.body) for bubble in at.chat_message for html in bubble.get("html")
    )
    return [each[1] for each in found if each]


def say(at, words):
    """Said, and answered by one token: a tiny model's context is full soon."""
    at.chat_input(key="say").set_value(words).run()
    assert at.session_state.to_go and at.session_state.generated  # it answers by itself
    for key in ("stop", "clear", "next_one"):
        at.button(key=key).click().run()
        assert not at.exception
    return at


def test_what_was_said_is_read_before_the_text(talk):
    at = talk(text="the mat", before=write_messages(TALK))
    read = "</s>user the cat</s>assistant a dog</s>user the mat</s>assistant "
    assert read in session.language_model(at.session_state.model).chat_text("the mat", TALK)
    assert bubbles(at) == ["user", "assistant", "user"]


def test_an_answer_becomes_part_of_what_was_said(talk):
    at = say(talk(text="the cat"), "a")  # what had no answer is replaced
    assert at.session_state.text == "a" and at.session_state.before == ""
    (step,) = at.session_state.generated
    assert bubbles(at) == roles(at) == ["user", "assistant"]
    at.chat_input(key="say").set_value("b").run()
    assert at.session_state.generated and not at.exception
    assert json.loads(at.session_state.before) == [["user", "a"], ["assistant", step.token.piece.decode()]]
    assert at.session_state.text == "b" and bubbles(at) == ["user", "assistant", "user", "assistant"]
    at.button(key="take_back").click().run()
    assert at.session_state.text == "a" and at.session_state.before == "" and not at.session_state.generated


def test_a_conversation_that_is_too_long_can_be_taken_back(talk):
    at = talk(text="the mat", before=write_messages([*TALK, *TALK, *TALK]))
    assert "reads at most 40. Shorten it" in said(at)
    at.button(key="begin_anew").click().run()
    assert at.session_state.before == "" and "Shorten it" not in said(at)


def test_a_link_brings_the_conversation_back(talk):
    at = talk(text="the mat", before=write_messages(TALK), written="5.6@0,0,1,0")
    assert [step.token.id for step in at.session_state.generated] in ([], [5], [5, 6])  # what comes out the same
    assert json.loads(at.session_state.before) == [["user", "the cat"], ["assistant", "a dog"]]


def test_a_system_message_stands_first(talk):
    at = talk(text="the mat")
    at.text_input(key="system_message").set_value("a dog").run()
    assert json.loads(at.session_state.before) == [["system", "a dog"]] and not at.exception
    assert bubbles(at) == roles(at) == ["system", "user"]
    at.text_input(key="system_message").set_value("").run()
    assert at.session_state.before == ""


def test_beside_each_example_stands_what_a_small_model_makes_of_it(root, open_page, monkeypatch):
    monkeypatch.setenv("REGARD_MODEL_ROOTS", str(root))
    at = open_page("generation", model=f"folder:{root / 'decoder'}", text="the cat")
    assert not at.exception and conversation.READ.keys() == conversation.EXAMPLES.keys()
    for name, words in conversation.READ.items():
        assert words in said(at) and at.button(key=f"ask_{name}")


def test_nothing_said_and_too_much_said_are_told(talk):
    at = talk(text="the mat")
    at.chat_input(key="say").set_value("  ").run()
    assert "There is nothing to say" in said(at)
    long = write_messages([Message("user", "a" * (LONGEST - 3)), Message("assistant", "a")])
    at = talk(text="the cat", before=long)
    assert not at.exception and "tokens" in said(at)  # more than the model reads: said, and no traceback


def test_what_a_link_cannot_mean_is_told(talk):
    at = talk(text="the mat", before='[["tool","x"]]')
    assert "The link asked for before" in said(at) and at.session_state.before == ""


def test_the_story_model_has_no_conversation(open_page):
    at = open_page("generation", chat="true", before=write_messages(TALK))
    assert not at.exception and not bubbles(at) and "A conversation" not in said(at)


def test_attention_between_messages_is_that_of_their_tokens(talk):
    at = talk(text="the mat", before=write_messages(TALK), between_messages="true")
    lm = session.language_model(at.session_state.model)
    run = lm.run(lm.encode(lm.chat_text("the mat", TALK)))
    turns = turns_of(
        run.tokens, lambda some: lm.chat_text(some[-1].content, some[:-1]), (*TALK, Message("user", "the mat"))
    )
    shares = between_turns(run, turns)
    assert list(turns.labels)[:2] == ["template", "user 1"]
    assert shares[0, 1] == pytest.approx(by_hand(run, turns, 0, 1), abs=1e-6)
    np.testing.assert_allclose(shares.sum(-1), 1, atol=1e-5)
    assert "Attention between the messages" in [toggle.label for toggle in at.toggle]
    assert "the mean of all" in said(at)


def by_hand(run: ModelRun, turns: Units, layer: int, head: int) -> np.ndarray:
    """The same, cell by cell."""
    weights = attention_weights(run.attention[layer], head)
    cells = [
        [weights[turns.tokens(q)][:, turns.tokens(k)].sum(1).mean() for k in range(len(turns))]
        for q in range(len(turns))
    ]
    return np.array(cells)
