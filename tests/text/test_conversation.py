"""Conversations: as links write them, and whose each token of a filled template is."""

import json

import pytest

from model.run import Token
from model.text.conversation import (
    ASSISTANT,
    LONGEST,
    MOST_MESSAGES,
    SYSTEM,
    TEMPLATE,
    USER,
    Message,
    read_messages,
    spans,
    turns_of,
    write_messages,
)

TALK = (Message(SYSTEM, "Be short."), Message(USER, "Who? <b>\n“你”"), Message(ASSISTANT, ""), Message(USER, "Who?"))


def letters(text):
    """Each character as a token."""
    return tuple(Token(ord(c), c.encode(), i, i + 1) for i, c in enumerate(text))


def test_a_link_brings_back_what_was_said():
    assert read_messages(write_messages(TALK)) == TALK
    assert write_messages(()) == "" and read_messages("") == ()


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "{}",
        "[1]",
        '["user"]',
        '[["user"]]',
        '[["user", 1]]',
        '[["tool", "x"]]',
        '[["user","a","b"]]',
        "[" * 100_000,
        json.dumps([[USER, "a"]] * (MOST_MESSAGES + 1)),
        json.dumps([[USER, "a" * (LONGEST + 1)]]),
    ],
)
def test_what_is_no_conversation_is_refused(text):
    with pytest.raises(ValueError):
        read_messages(text)


def by(template, last=""):
    """A template as a function: each message in the words of its role, and what an answer begins with."""
    return lambda messages: "".join(template[each.role].format(each.content.strip()) for each in messages) + last


SHORT = by({SYSTEM: "<s>{}", USER: "<u>{}", ASSISTANT: "<a>{}"}, "<a>")


def test_a_message_is_told_from_the_same_letters_of_the_template():
    assert spans(SHORT, (Message(USER, "u"), Message(ASSISTANT, " a "), Message(USER, "u"))) == (
        (3, 4),
        (7, 8),
        (11, 12),
    )


def test_an_empty_message_stands_between_its_neighbours():
    assert spans(SHORT, (Message(USER, "u"), Message(ASSISTANT, ""), Message(USER, "v"))) == ((3, 4), (7, 7), (10, 11))


@pytest.mark.parametrize("words", ["Who?", "Who\ue0f0?"])
def test_where_marks_would_change_the_text_messages_are_looked_for(words):
    def first_letter(messages):
        return f"{messages[0].content[0] == 'W'}: {messages[0].content}"

    assert spans(first_letter, (Message(USER, words),)) == ((6, 6 + len(words)),)


def test_a_message_that_a_template_leaves_out_has_no_tokens():
    talk, fill = (Message(SYSTEM, "Be short."), Message(USER, "Who?")), by({SYSTEM: "", USER: "user: {}"})
    assert spans(fill, talk) == ((0, 0), (6, 10))
    assert turns_of(letters("user: Who?"), fill, talk).labels == (TEMPLATE, USER)


def test_tokens_belong_to_messages_to_the_template_or_to_the_answer():
    talk = (Message(USER, "Who?"), Message(ASSISTANT, "I."), Message(USER, "You?"))
    turns = turns_of(letters(SHORT(talk) + "Yes"), SHORT, talk)
    assert turns.labels == (TEMPLATE, "user 1", TEMPLATE, "assistant 1", TEMPLATE, "user 2", TEMPLATE, "assistant 2")
    assert turns.starts.tolist() == [0, 3, 7, 10, 12, 15, 19, 22] and turns.n_token == 25


def test_one_of_a_role_has_no_number_and_white_space_counts_as_what_follows():
    tokens = (Token(0, b"u:", 0, 2), Token(1, b" Who", 2, 6), Token(2, b"?", 6, 7), Token(3, b"\n", 7, 8))
    turns = turns_of(tokens, by({USER: "u: {}"}, "\n"), (Message(USER, "Who?"),))
    assert turns.labels == (TEMPLATE, USER, TEMPLATE) and turns.starts.tolist() == [0, 1, 3]
