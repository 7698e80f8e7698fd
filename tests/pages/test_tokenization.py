"""The Tokenization page and its pictures: tokens per word, and the ladder of merges."""

import plotly.graph_objects as go
import pytest

from model.run import Token
from viz.figures import theme
from viz.figures import tokenization as figures

LONG = "The cat sat on the mat. " * 90  # more than the model reads
TEXTS = {
    "a repeated word": "the cat and the dog",
    "one character": "a",
    "one space": " ",
    "emoji": "🙂👨‍👩‍👧",
    "Chinese": "猫坐在垫子上，猫坐在垫子上。",
    "right to left": "القطة جلست على الحصيرة",
    "control characters": "a\x00b\x07\r\n\tc\x7f\u200b\u202e",
    "markup": "<script>alert(1)</script> `$x$` **b** :red[c]",
    "a very long word": "antidisestablishmentarianism" * 12,
    "longer than the model reads": LONG,
}


def test_merge_ladder_says_what_each_step_joined():
    steps = [[b"a", b"b", b"a", b"b", b"c"], [b"ab", b"ab", b"c"], [b"ab", b"abc"]]
    ranks = {(b"a", b"b"): 3, (b"ab", b"c"): 8}
    ladder = figures.merge_ladder(steps, lambda first, second: ranks[first, second])
    assert ladder == [
        figures.MergeStep((b"a", b"b", b"a", b"b", b"c"), (), None, None),
        figures.MergeStep((b"ab", b"ab", b"c"), (0, 1), (b"a", b"b"), 3),
        figures.MergeStep((b"ab", b"abc"), (1,), (b"ab", b"c"), 8),
    ]


def test_merge_table_draws_a_piece_as_wide_as_its_bytes_and_frames_what_was_joined():
    ladder = figures.merge_ladder([[b" ", b"<", b"\xe2"], [b" <", b"\xe2"]], lambda *pair: 1234)
    table = figures.merge_table(ladder)
    assert table.count("<tr>") == 3  # the head, the bytes, one merge
    assert "<td colspan='2' class='joined' title='20 3C'><span>␣&lt;</span></td>" in table
    assert "<td colspan='1' class='piece' title='E2'><span>&lt;E2&gt;</span></td>" in table
    assert "<th scope='row'>␣ + &lt;</th>" in table and "no. 1,234" in table
    assert table.count("class='joined'") == 1


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_the_ladder_of_a_stretch_ends_as_encode_cuts_it(story, text):
    """Whatever the token, the bytes around it are whole characters, and their merges end at their tokens."""
    tokens = story.encode(text)
    word_of = figures.words_of_tokens(story.tokenizer.words(text), tokens)
    for chosen in range(min(len(tokens), 100)):
        own = [i for i, word in enumerate(word_of) if word == word_of[chosen]]
        low, high = figures.stretch_around(tokens, chosen, own[0], own[-1], 16)
        assert own[0] <= low <= chosen <= high <= own[-1]
        *_, end = story.tokenizer.merge_steps(text[tokens[low].start : tokens[high].end])
        assert end == [token.piece for token in tokens[low : high + 1]]


def test_words_of_tokens():
    tokens = [Token(0, b"a", 0, 1), Token(1, b"\xe7", 1, 2), Token(2, b"\x8c\xab", 1, 2), Token(3, b" b", 2, 4)]
    assert figures.words_of_tokens(["a猫", " b"], tokens) == [0, 0, 0, 1]
    # a mask that was typed is a word; an end mark stands for nothing
    mask, end = Token(4, b"[MASK]", 4, 11, special=True), Token(5, b"<end>", 11, 11, special=True)
    assert figures.words_of_tokens(["a猫", " b", " [MASK]"], [*tokens, mask, end]) == [0, 0, 0, 1, 2, None]


def test_a_stretch_grows_on_both_sides_to_its_limit(story):
    tokens = story.encode("猫坐在垫子上")  # three bytes a character, one token each
    assert len(tokens) == 18
    assert figures.stretch_around(tokens, 7, 0, 17, 9) == (3, 11)
    assert figures.stretch_around(tokens, 7, 0, 17, 1) == (6, 8)  # never less than its own character
    assert figures.stretch_around(tokens, 0, 0, 17, 9) == (0, 8)
    assert figures.stretch_around(tokens, 0, 0, 17, 99) == (0, 17)


def test_tokens_per_word_keeps_repeated_words_apart():
    fig = figures.tokens_per_word(["the", " <b>", "the"], [1, 3, 2], chosen=2)
    assert isinstance(fig, go.Figure)
    heights = {x: y for bar in fig.data for x, y in zip(bar.x, bar.y, strict=True)}
    assert heights == {0: 1, 1: 3, 2: 2}
    assert list(fig.layout.xaxis.ticktext) == ["the", "␣&lt;b&gt;", "the"]
    assert fig.data[1].x == (2,) and fig.data[1].marker.color == theme.ACCENT


def test_a_word_is_named_visibly_and_shortly():
    assert figures.word_name(" a\n") == "␣a↵"
    assert figures.word_name("x" * 40) == "x" * 23 + "…"


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_the_page_reads_any_text(open_page, story, text):
    at = open_page("tokenization", text=text)
    assert not at.exception
    n_token = len(story.encode(text))
    shown = {metric.label: metric.value for metric in at.metric}
    assert shown["Tokens"] == f"{n_token:,}" and shown["Characters"] == f"{len(text):,}"
    assert len(at.dataframe[-1].value) == n_token
    assert any("Check:" in markdown.value for markdown in at.markdown)
    assert not any("Check failed" in markdown.value for markdown in at.markdown)
    said = [element.value for element in (*at.markdown, *at.caption)] + at.dataframe[-1].value["token"].tolist()
    drawn = [html.proto.body for html in at.get("html")]
    assert not any(sign in words for words in said + drawn for sign in ("\ufffd", "Ġ", "\u202e", "\x00"))
    assert not any("<script" in html for html in drawn)


def test_a_text_too_long_for_the_model_is_cut_with_a_word(open_page, story):
    at = open_page("tokenization", text=LONG)
    assert at.info[0].value.startswith(f"This text is {len(story.encode(LONG)):,} tokens long.")
    assert f"at most {story.info.n_context}" in at.info[0].value


def test_word_and_token_follow_each_other(open_page):
    at = open_page("tokenization", text="the cat and the dog", token=3)
    assert at.selectbox(key="word").value == 3
    at.selectbox(key="word").set_value(1).run()
    assert at.session_state.token == 1
    assert any("Token **1** is “␣cat”" in markdown.value for markdown in at.markdown)


def words_of(at) -> str:
    return "\n".join(element.value for element in (*at.markdown, *at.caption))


@pytest.mark.parametrize("token", range(6))
def test_an_end_mark_belongs_to_no_word(open_page, token):
    """The translator puts one behind every text: it has no merges, and is no part of the last word's."""
    at = open_page("tokenization", model="translator", text="a . a", token=token)
    end = len(at.dataframe[-1].value) - 1
    assert at.dataframe[-1].value.special.tolist() == [False] * end + [True]
    assert not at.exception and not at.error and "Check failed" not in words_of(at)
    shown = at.session_state.token
    assert ("Check:" in words_of(at)) == (shown != end)
    assert ("stands for nothing in your text" in words_of(at)) == (shown == end)
    assert (at.selectbox(key="word").value is None) == (shown == end)


@pytest.mark.parametrize(
    ("model", "text", "said"),
    [
        ("story", "a cat", "None of these is a special token."),
        ("translator", "a cat", "Typed, such a name is cut like any other text."),
        ("encoder", "a [MASK]", "read as special too."),
    ],
)
def test_which_special_tokens_can_be_typed_is_tried_out(open_page, model, text, said):
    assert said in words_of(open_page("tokenization", model=model, text=text))


def test_an_end_mark_is_no_piece_of_a_sample(open_page):
    """Else a rare alphabet would take more tokens than it has bytes."""
    at = open_page("tokenization", model="translator", text="a cat")
    samples = at.dataframe[-2].value.set_index("what")
    assert (samples["bytes per token"] >= 1).all() and samples.loc["a common word", "tokens"] == 1
    shown = {metric.label: metric.value for metric in at.metric}
    assert shown["Tokens"] == "3" and shown["Characters per token"] == f"{5 / 2:.2f}"


def test_the_vocabulary_adds_up(open_page, story):
    at = open_page("tokenization")
    n_merge = story.tokenizer.n_merge
    assert f"{n_merge:,} merges" in words_of(at)
    assert f"{story.info.n_vocab - 256 - n_merge} mark" in words_of(at)


def test_the_table_keeps_both_rows_of_a_repeated_word(open_page):
    table = open_page("tokenization", text="the cat and the dog").dataframe[-1].value
    assert list(table.columns) == ["position", "token", "id", "bytes", "start", "end", "special"]
    assert table.token.tolist() == ["the", "␣cat", "␣and", "␣the", "␣dog"]
    assert table.iloc[3][["bytes", "start", "end"]].tolist() == ["20 74 68 65", 11, 15]


def test_the_vocabulary_and_what_it_has_no_merges_for(open_page, story):
    at = open_page("tokenization")
    assert any(f"**{story.info.n_vocab:,}** entries" in markdown.value for markdown in at.markdown)
    samples = at.dataframe[-2].value.set_index("what")
    assert samples.loc["a common word", "tokens"] == 1
    assert samples.loc["an emoji", "bytes per token"] == 1
