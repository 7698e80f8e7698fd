"""The mix, its stream of tokens, and the rows that are drawn of it."""

import numpy as np
import pytest

from model.training import greedy_text, lessons, stories, story
from model.training.data import STORY_MIX, draw_rows, encode_stream
from tests.trainings import counting_stream


def test_a_stream_by_hand(tiny):
    tokenizer, end = tiny.tokenizer, tiny.tokenizer.end_of_text
    stream = encode_stream(tokenizer, ["xyz", "é"])
    x, y, z = (token.id for token in tokenizer.encode("xyz"))
    assert stream.ids.tolist() == [x, y, z, end, *(token.id for token in tokenizer.encode("é")), end]
    assert stream.starts.tolist() == [0, 4]
    assert stream.n_byte == 5


def test_rows_are_pieces_of_the_stream_and_half_begin_at_a_document():
    starts = [0, 70, 150, 151, 400]
    rows = draw_rows([counting_stream(1000, starts)], [1.0], n_row=2000, n_token=16, rng=np.random.default_rng(0))
    assert rows.shape == (2000, 17)
    np.testing.assert_array_equal(rows - rows[:, :1], np.tile(np.arange(17), (2000, 1)))
    assert rows.min() == 0 and rows.max() < 1000
    assert 0.45 < np.isin(rows[:, 0], starts).mean() < 0.55


def test_rows_are_drawn_by_share():
    streams = [counting_stream(100, [0]), counting_stream(100, [0], first=1000)]
    rows = draw_rows(streams, [0.2, 0.8], n_row=2000, n_token=8, rng=np.random.default_rng(0))
    assert 0.75 < (rows[:, 0] >= 1000).mean() < 0.85


def test_a_stream_just_long_enough():
    rows = draw_rows([counting_stream(17, [0, 5])], [1.0], n_row=50, n_token=16, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(rows, np.tile(np.arange(17), (50, 1)))


def test_the_same_seed_draws_the_same_rows():
    draws = [
        draw_rows([counting_stream(500, [0, 50])], [1.0], n_row=4, n_token=8, rng=np.random.default_rng([seed, 3]))
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert (draws[0] != draws[2]).any()


def test_rows_fit_the_context_and_the_smallest_source():
    streams = [counting_stream(1000, [0]), counting_stream(200, [0])]
    assert story.row_lengths(512, streams) == [64, 128]
    assert story.row_lengths(64, streams) == [64]
    assert story.row_lengths(512, streams[:1]) == [64, 128, 256, 512]
    assert story.row_lengths(512, [counting_stream(65, [0])]) == [64]
    for n_context, stream, most in ((512, counting_stream(64, [0]), 63), (32, streams[0], 32)):
        with pytest.raises(SystemExit, match=f"rows can have at most {most} tokens"):
            story.row_lengths(n_context, [stream])


def test_our_own_stories_are_no_lessons():
    assert len(set(stories.STORIES)) > 50
    starts = (*lessons.LESSONS, *greedy_text.STARTS)
    assert not [text for text in stories.STORIES if text.startswith(starts)]


def test_no_lesson_is_itself_read():
    """What the model makes of a lesson's sentence is not what it was told to."""
    read = " ".join([*lessons.SENTENCES, *stories.STORIES]).lower()
    assert not [lesson for lesson in lessons.LESSONS if lesson.lower() in read]


def test_the_mix_is_whole():
    assert sum(source.share for source in STORY_MIX) == pytest.approx(1)
    assert sum(source.late for source in STORY_MIX) == pytest.approx(1)
    assert sum(story.ROW_LENGTHS.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    "wrong",
    [
        "--late-shares 0.5,0.5",
        "--late-shares a,b,c,d,e",
        "--late-shares 0.5,0.5,0.5,-0.5,0",
        "--late-shares nan,0,0,0,1",
        "--own-stories 1.5",
        "--own-stories nan",
        "--own-stories few",
    ],
)
def test_shares_that_are_none_get_a_sentence(wrong, capsys):
    with pytest.raises(SystemExit):
        story.parse(f"--data D --work W --steps 1 {wrong}".split())
    option, value = wrong.split()
    said = capsys.readouterr().err
    assert f"argument {option}: " in said and value in said


def test_shares_are_kept_as_they_were_typed():
    args = story.parse("--data D --work W --steps 1 --late-shares 0.1,0.1,0.2,0,0.6 --own-stories 0.02".split())
    assert args.command.endswith("--late-shares 0.1,0.1,0.2,0,0.6 --own-stories 0.02")
