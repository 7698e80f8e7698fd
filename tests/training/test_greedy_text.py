"""What the card says of a model's own texts and of the words of lessons."""

import json

from model import catalog
from model.analysis.generation import generate
from model.analysis.sampling import Sampling
from model.training import greedy_text, lessons


def test_a_word_is_broken_where_tokens_meet_inside_it(tiny):
    """The tiny tokenizer holds "the", "cat" and "dog" whole, and no word that it has not read."""
    assert lessons.broken_words(tiny.tokenizer, "the cat and the dog") == []
    assert lessons.broken_words(tiny.tokenizer, "the visualization, the cat's users") == ["visualization", "users"]
    said = lessons.whole(tiny.tokenizer)
    assert said["words"] == len(lessons.lesson_words()) and said["sentences"] == len(lessons.LESSONS)
    assert 0 < said["whole_words"] < 20 and said["whole_sentences"] == 0


def test_greedy_text_is_the_most_probable_token_each_time(tiny):
    wrote = greedy_text.greedy_texts(tiny.transformer, tiny.tokenizer)
    assert [row["start"] for row in wrote] == list(greedy_text.STARTS)
    for row in wrote:
        tokens = tiny.encode(row["start"])
        steps = list(generate(tiny, tokens, greedy_text.N_TOKEN, Sampling(temperature=0), seed=0))
        written = [step.token for step in steps if not step.token.special]
        assert row["tokens"] == len(written)
        pieces = b"".join(token.piece for token in (*tokens, *written))
        assert row["text"] == pieces.decode(errors="replace")
        assert row["repeated_8_grams"] == greedy_text.repeated([token.id for token in (*tokens, *written)])


def test_repeated_eight_grams_by_hand():
    assert greedy_text.repeated(list(range(30))) == 0
    assert greedy_text.repeated([*range(7), *range(7)]) == 0  # seven tokens that come again are no loop yet
    assert greedy_text.repeated([*range(8), 9, *range(8)]) == 1
    assert greedy_text.repeated([1, 2] * 10) == 13 - 2  # 13 places, two different
    assert greedy_text.repeated([1, 2, 3]) == 0


def test_what_is_written_is_a_command(tiny_folder, capsys):
    greedy_text.main(["--weights", str(tiny_folder)])
    said = json.loads(capsys.readouterr().out)
    lm = catalog.load("tiny", weights=tiny_folder.parent)
    assert said["greedy"] == greedy_text.greedy_texts(lm.transformer, lm.tokenizer)
    assert said["lessons"] == lessons.whole(lm.tokenizer)
