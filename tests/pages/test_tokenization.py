"""The Tokenization page and its pictures: tokens per word, and the ladder of merges."""

from html import unescape

import plotly.graph_objects as go
import pytest

from model.run import Token
from model.text.bpe import Merge, Piece
from model.text.unigram import Best
from model.text.word_piece import Match
from tests.huggingface.checkpoints import BERT, save
from tests.tiny_tokenizers import byte_level, sentencepiece_bpe, unigram, word_piece
from viz.figures import theme
from viz.figures import tokenization as figures
from viz.sections.tokenization import steps

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


NAMES = {0: b"a", 1: b"b", 2: b"ab", 3: b" <", 4: b"\xe2", 5: b"<unk>"}


def named(id: int) -> Token:
    return Token(id, NAMES[id], 0, 0)


def test_a_row_for_each_merge_says_what_it_joined():
    before = Merge((Piece(0, 0, 1), Piece(1, 1, 2), Piece(0, 2, 3), Piece(1, 3, 4)), (), None, None)
    after = Merge((Piece(2, 0, 2, 2), Piece(2, 2, 4, 2)), (0, 1), (0, 1), 1234)
    first, second = figures.merge_steps([before, after], named, "single bytes")
    assert (first.name, first.notes, [cell.kind for cell in first.cells]) == ("single bytes", ("",), ["piece"] * 4)
    assert (second.name, second.notes) == ("a + b", ("no. 1,234",))
    assert [(cell.label, cell.width, cell.kind) for cell in second.cells] == [("ab", 2, "joined")] * 2


def test_a_row_for_each_look_up_says_what_was_tried_and_what_is_left():
    tried = ("cats", "cat", "ca", "c")
    matches = [Match(0, (), Piece(2, 0, 2, 2)), Match(2, tried, None)]
    first, second = figures.match_steps(matches, "abcats", {2: "ab"}.__getitem__)
    assert [(cell.label, cell.width, cell.kind) for cell in first.cells] == [("ab", 2, "joined"), ("cats", 4, "rest")]
    assert (second.name, second.notes) == ("nothing fits", ("cats, cat, ca … (4)",))
    assert [(cell.label, cell.kind) for cell in second.cells] == [("ab", "piece"), ("cats", "rest")]


def test_a_row_for_each_place_says_the_best_piece_up_to_there():
    best = [
        Best(Piece(0, 0, 1), -2, -2, False),
        Best(Piece(2, 0, 2, 2), -3, -3, True),
        Best(Piece(5, 2, 3, 4), -20, -23, True),
    ]
    rows = figures.lattice_steps(best, "ab🐈", named, unknown=5, shown=str)
    assert [row.name for row in rows] == ["a", "ab", "ab🐈"]
    assert [row.notes for row in rows] == [("-2.00", "-2.00"), ("-3.00", "-3.00"), ("-20.00, unknown", "-23.00")]
    shown = [[(cell.label, cell.width, cell.kind) for cell in row.cells] for row in rows]
    assert shown == [
        [("a", 1, "piece"), ("", 5, "blank")],
        [("ab", 2, "joined"), ("", 4, "blank")],
        [("", 2, "blank"), ("🐈", 4, "joined")],
    ]


def test_the_table_draws_a_piece_as_wide_as_its_parts_and_frames_what_was_joined():
    drawn = [
        figures.tokens_step("single bytes", [""], [Piece(3, 0, 1), Piece(4, 1, 2)], named),
        figures.Step("␣ + <", ("no. 7",), (figures.piece_cell(named(3), 2, "joined"),)),
    ]
    table = figures.steps_table(("step", "merge learned as"), drawn)
    assert table.count("<tr>") == 3 and "colspan='2'>the pieces</th>" in table
    assert "<td colspan='2' class='joined' title='20 3C, id 3'><span>␣&lt;</span></td>" in table
    assert "<td colspan='1' class='piece' title='E2, id 4'><span>&lt;E2&gt;</span></td>" in table
    assert "<th scope='row'>␣ + &lt;</th>" in table and "<td class='note'>no. 7</td>" in table
    assert table.count("class='joined'") == 1


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_the_steps_of_a_stretch_end_as_encode_cuts_it(story, text):
    """Whatever the token, the bytes around it are whole characters, and their merges end at their tokens."""
    tokens = story.encode(text)
    cutting = story.cutting()
    cut = cutting.cut(text, tokens)
    for chosen in range(min(len(tokens), 100)):
        word = cut.words[cut.word_of[chosen]]
        low, high = figures.stretch_around(tokens, chosen, word.first, word.last, 16)
        assert word.first <= low <= chosen <= high <= word.last
        pieces = cutting.model.pieces(steps.part_of(cutting, word, low, high)[0])
        assert [piece.id for piece in pieces] == [token.id for token in tokens[low : high + 1]]


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
    assert at.selectbox(key="word_cut").value == 3
    at.selectbox(key="word_cut").set_value(1).run()
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
    assert (at.selectbox(key="word_cut").value is None) == (shown == end)


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
    assert f"{n_merge:,} learned merges" in words_of(at)
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


OTHERS = {  # a model of each kind of tokenizer, and what is said of how it cuts and of what it does not know
    "gpt2": ("GPT2LMHeadModel", byte_level, "single bytes", "nothing is ever unknown"),
    "llama": ("LlamaForCausalLM", sentencepiece_bpe, "single characters", "nothing is ever unknown"),
    "bert": ("BertForMaskedLM", word_piece, "the **longest** entry", "A word that they cannot make is “[UNK]”"),
    "t5": ("T5EncoderModel", unigram, "**highest sum**", "A character that is no entry is “<unk>”"),
}


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    sizes = {
        "gpt2": {"n_positions": 64, "n_embd": 32, "n_layer": 2, "n_head": 4},
        "llama": BERT | {"max_position_embeddings": 64},
        "bert": BERT | {"max_position_embeddings": 64},
        "t5": {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4},
    }
    for name, (kind, words, *_) in OTHERS.items():
        tokenizer = words()
        marks = {which: mark for which, mark in tokenizer.special_tokens_map.items() if isinstance(mark, str)}
        save(root / name, kind, tokenizer.backend_tokenizer, sizes[name], **marks)
    return root


@pytest.mark.parametrize("name", OTHERS)
def test_every_kind_of_tokenizer_shows_its_steps(open_page, others, monkeypatch, name):
    """For each token: its word's steps end at its tokens, the chart counts them, and the samples are cut."""
    monkeypatch.setenv("REGARD_MODEL_ROOTS", str(others))
    how, unknown = OTHERS[name][2:]
    text = "The élève's 🐈 move"
    at = open_page("tokenization", model=f"folder:{others / name}", text=text)
    tokens = at.dataframe[-1].value
    for token in range(len(tokens)):
        at.session_state.token = token
        at.run()
        assert not at.exception and not at.error and "Check failed" not in words_of(at)
        nothing = "stands for nothing in your text" in words_of(at)
        assert nothing == (tokens.special[token] and tokens.start[token] == tokens.end[token])
        assert ("Check:" in words_of(at)) != nothing
        if not nothing:
            table = next(html.proto.body for html in at.get("html") if "class='merges'" in html.proto.body)
            assert "as typed" in table and "pre-tokenized" in table and "Ġ" not in table
    said = unescape(words_of(at))
    assert how in said and unknown in said
    samples = at.dataframe[-2].value.set_index("what")
    assert (samples["tokens"] > 0).all() and ("unknown" in samples) == ("unknown" not in unknown)


def test_a_tokenizer_that_cuts_by_chance_shows_its_tokens_alone(open_page, tmp_path, monkeypatch):
    monkeypatch.setenv("REGARD_MODEL_ROOTS", str(tmp_path))
    tokenizer = byte_level().backend_tokenizer
    tokenizer.model.dropout = 1e-9  # far too seldom to change what is read when it is loaded
    save(tmp_path / "gpt2", "GPT2LMHeadModel", tokenizer, {"n_positions": 64, "n_embd": 32, "n_layer": 2, "n_head": 4})
    at = open_page("tokenization", model=f"folder:{tmp_path / 'gpt2'}", text="the cat")
    assert not at.exception and not at.error
    assert [info.value for info in at.info] == [
        "How words are put together is not shown for this tokenizer: it leaves merges out at random."
    ]
    assert "Check:" not in words_of(at) and at.dataframe[-1].value.token.tolist()[-1] == "␣cat"
