"""What was typed becomes tokens in one place, and what makes equal runs is an equal key."""

from dataclasses import replace

import numpy as np
import pytest

from model.huggingface.checkpoint import load
from model.intervention import Intervention
from model.run import PromptError
from model.text.prompt import Prompt, RunKey, as_read, encode, ids_in, text_of, tokens_of, written_text
from tests.any_models import write_models
from tests.conftest import REPEATED

SECOND = "a dog sat on the mat"


def ids(tokens) -> list[int]:
    return [token.id for token in tokens]


def test_a_text_and_what_was_generated_after_it(tiny):
    after = ids(tiny.encode(" cat"))
    tokens, source = tokens_of(tiny, Prompt(REPEATED, after))
    assert source == () and ids(tokens) == ids(tiny.encode(REPEATED)) + after
    text = text_of(Prompt(REPEATED, after), tiny.run(tokens))
    assert text == REPEATED + " cat"
    assert text[tokens[-len(after)].start : tokens[-1].end] == " cat"


def test_an_empty_text_has_no_tokens(tiny, tiny_translator):
    for lm in (tiny, tiny_translator):
        assert tokens_of(lm, Prompt("")) == ((), ())
        assert lm.encode("") == ()


def test_a_target_that_was_typed_or_whose_tokens_are_known(tiny_translator):
    lm, start = tiny_translator, tiny_translator.start_token()
    typed, source = tokens_of(lm, Prompt(REPEATED, target="a cat"))
    assert source == lm.encode(REPEATED) and typed[0] == start and written_text(typed) == "a cat"
    pieces = [id for byte in b"a cat" for id in ids(lm.encode(chr(byte)))[:1]]  # cut otherwise than its text would be
    known = Prompt(REPEATED, target="a cat", target_ids=pieces)
    assert ids(tokens_of(lm, known)[0]) == [start.id, *pieces] != ids(typed)
    assert ids(tokens_of(lm, Prompt(REPEATED, target_ids=()))[0]) == [
        start.id
    ]  # nothing was written, and that is known


def test_a_target_that_the_model_writes(tiny_translator):
    lm, prompt = tiny_translator, Prompt(REPEATED)
    greedy, source = tokens_of(lm, prompt)
    first = int(lm.run(greedy[:1], source=source).predictions.top_id[0, 0])
    assert ids(greedy[1:2]) == [first] or lm.token(first).special
    best = lm.beam_search(source, 3).finished[0].ids
    searched, _ = tokens_of(lm, prompt, lambda lm, source: lm.beam_search(source, 3).finished[0].ids)
    assert ids(searched)[1:] == list(best)
    assert prompt.writes_itself and not Prompt(REPEATED, target="a").writes_itself
    assert Prompt(REPEATED, target="a", target_ids=(1,)).without_target == prompt


def test_two_texts_are_read_by_every_model(tiny, tiny_translator):
    """As one text with a blank line, by those that do not read pairs."""
    for lm in (tiny, tiny_translator):
        both = lm.encode(REPEATED, SECOND)
        assert both == lm.encode(f"{REPEATED}\n\n{SECOND}") == encode(lm, f"{REPEATED}\n\n{SECOND}")


# --- what a model makes of a prompt ---


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def chatting(folders):
    """A decoder with a template for chats."""
    return load(folders / "decoder", name="decoder", title="Tiny")


def test_a_message_of_a_chat_is_read_in_the_words_of_the_template(chatting, tiny):
    typed = Prompt("the cat", chat=True)
    read = as_read(chatting, typed)
    assert read == Prompt(chatting.chat_text("the cat")) and read.text != "the cat"
    assert tokens_of(chatting, typed) == tokens_of(chatting, read) == (chatting.encode(read.text), ())
    assert as_read(tiny, typed) == Prompt("the cat")  # it has none
    assert as_read(chatting, Prompt("", chat=True)) == Prompt("")


def test_a_second_text_is_marked_where_the_model_reads_pairs(folders, tiny):
    both = Prompt("the cat", second="a dog")
    assert as_read(tiny, both) == Prompt("the cat\n\na dog") == as_read(tiny, Prompt("the cat\n\na dog"))
    encoder = load(folders / "encoder", name="encoder", title="Tiny")
    assert encoder.info.reads_pairs
    assert ids(tokens_of(encoder, both)[0]) == ids(encoder.encode("the cat", "a dog"))
    assert ids(tokens_of(encoder, Prompt("the\ncat\n", second="a dog"))[0]) == ids(encoder.encode("the\ncat", "a dog"))
    with pytest.raises(PromptError, match="holds a blank line, which would end it"):
        tokens_of(encoder, Prompt("the\n\ncat", second="a dog"))


def test_a_target_is_one_only_where_it_is_written_and_its_tokens_only_where_they_are_its_text(tiny, tiny_translator):
    pieces = ids(tiny_translator.encode("a cat")[:-1])
    known = Prompt(REPEATED, target="a cat", target_ids=pieces)
    assert as_read(tiny_translator, known) == known and as_read(tiny, known) == Prompt(REPEATED)
    for other in (pieces[:-1], [*pieces, 99_999], ()):
        assert as_read(tiny_translator, replace(known, target_ids=other)) == Prompt(REPEATED, target="a cat")
    empty = Prompt(REPEATED, target_ids=())
    assert as_read(tiny_translator, empty) == empty and not empty.writes_itself


@pytest.mark.parametrize(("words", "said"), [("", None), (".", ()), ("12.7.", (12, 7)), ("3", (3,))])
def test_ids_in_a_link(words, said):
    assert ids_in(words) == said


@pytest.mark.parametrize(
    "places", [[(1, 2), (0, 3)], {(0, 3), (1, 2)}, np.array([[1, 2], [0, 3], [1, 2]]), [[0, 3], [1, 2]]]
)
def test_equal_interventions_have_equal_keys(places):
    wanted = RunKey("tiny", Prompt(REPEATED), Intervention(heads_off=frozenset({(1, 2), (0, 3)})))
    key = RunKey("tiny", Prompt(REPEATED, []), Intervention(heads_off=places, temperature=1))
    assert key == wanted and hash(key) == hash(wanted)
    assert key != RunKey("tiny", Prompt(REPEATED), Intervention(heads_uniform=places))
    assert key != RunKey("tiny", Prompt(REPEATED, (1,)), wanted.intervention)
