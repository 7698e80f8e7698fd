"""The page about the model: its charts by their numbers, and the page as a visitor sees it."""

import html
import json

import pytest

from model import catalog
from viz.figures.architecture import facts
from viz.figures.block import block_drawing
from viz.figures.model_charts import learning_lines, memory_lines, parameter_bars, size_in_words
from viz.figures.numbers import percent
from viz.figures.training import (
    how_long,
    how_trained,
    how_well,
    learning_curves,
    training_table,
    what_it_read,
    written_by_itself,
)

TRAINED = {"hours": 1.5, "machine": "x86_64, 2 threads, cpu", "steps": 1200, "tokens": 3_000_000, "seed": 7}
# cards as each training writes them
CARDS = {
    "decoder": TRAINED
    | {
        "data": {"tinystories_5k": {"share": 0.75, "tokens": 1000}, "<b>new</b>": {"share": 0.25, "tokens": 500}},
        "held_out": {
            "tinystories_5k": {"nats_per_token": 2.5, "perplexity": 12.18, "bits_per_byte": 0.9, "five_gram": 1.3596},
            "gutenberg_simple": {"bits_per_byte": 1.5, "five_gram": 1.453},
            "all": {"bits_per_byte": 0.9, "five_gram": 1.3596},
        },
        "counted_in_all": ["tinystories_5k"],
        "lessons": {"words": 137, "whole_words": 136, "sentences": 31, "whole_sentences": 30, "own_sentences": 100},
        "greedy": [
            {"start": "A <b>", "text": "A <b> and a", "tokens": 60, "repeated_8_grams": 0},
            {"start": "O", "text": "O a a a", "tokens": 59, "repeated_8_grams": 51},
        ],
        "history": {
            "columns": ["step", "tokens", "seconds", "all", "tinystories_5k"],
            "unit": "bits per byte",
            "rows": [[1, 10, 1, 3.0, 4.0], [2, 20, 2, 2.0, 2.5]],
        },
    },
    "encoder": TRAINED
    | {
        "start": "word vectors",
        "data": {"reviews": {"share": 1.0, "tokens": 1000}},
        "held_out": {"reviews": {"hidden_tokens": 1639, "accuracy": 0.2575, "unigram_accuracy": 0.0554}},
        "history": {"columns": ["step", "tokens", "seconds", "nats", "named right"], "rows": [[1, 10, 1, 3.0, 0.1]]},
    },
    "encoder-decoder": TRAINED
    | {
        "data": {"train": 161172, "valid": 2959, "test": 1411},
        "test": {"sentences": 1000, "greedy": {"BLEU": 41.11, "chrF": 58.45, "signatures": "…"}},
        "history": {"columns": ["step", "tokens", "seconds", "valid nats"], "rows": [[1, 10, 1, 3.0]]},
    },
    "classifier": TRAINED
    | {
        "data": {"films": {"share": 1.0, "texts": 8662}},
        "test": {"films": {"texts": 500, "margin": 0.044, "fine-tuned": 0.702, "bag of words": 0.75}},
        "history": {
            "columns": ["step", "tokens", "seconds", "valid nats", "valid accuracy"],
            "fine-tuned": [[1, 10, 1, 0.7, 0.5], [2, 20, 2, 0.6, 0.6]],
            "from scratch": [[1, 10, 1, 0.9, 0.4]],
        },
    },
}
CELLS = {  # what the tables of each must say
    "decoder": ["TinyStories, a sample", "75.0 %", "&lt;b&gt;new&lt;/b&gt;", "2.50", "12.2", "0.900", "1.360"],
    "encoder": ["Reviews", "100.0 %", "1,639", "25.8 %", "5.5 %"],
    "encoder-decoder": ["trained on", "161,172", "2,959", "1,411", "greedy", "41.1", "58.5"],
    "classifier": ["Film reviews", "8,662", "500", "4.4 %", "fine-tuned", "70.2 %", "bag of words", "75.0 %"],
}
KEPT = ("share", "accuracy", "fine-tuned", "linear layer", "margin")  # of a card's rows, as shares
LINES = {  # unit, and each line's values
    "decoder": ("bits per byte", {"All together": [3.0, 2.0], "TinyStories, a sample": [4.0, 2.5]}),
    "encoder": ("nats", {"nats": [3.0]}),
    "encoder-decoder": ("valid nats", {"valid nats": [3.0]}),
    "classifier": ("valid nats", {"fine-tuned": [0.7, 0.6], "from scratch": [0.9]}),
}


@pytest.mark.parametrize("family", CARDS)
def test_a_card_is_told_by_what_it_states(family):
    card = CARDS[family]
    assert "**1.50 hours**" in how_trained(card) and ("from word vectors" in how_trained(card)) == ("start" in card)
    tables = training_table(what_it_read(card)) + training_table(how_well(card))
    for cell in CELLS[family]:
        assert f">{cell}<" in tables, cell
    assert "<b>" not in tables and "…" not in tables
    curves = learning_curves(card)
    assert (curves.unit, dict(curves.values)) == LINES[family]
    fig = learning_lines(curves)
    assert [list(line.y) for line in fig.data] == list(LINES[family][1].values())
    assert [list(line.x) for line in fig.data] == [curves.tokens[name] for name in curves.values]


def test_what_the_story_model_was_made_to_know_and_what_it_writes():
    card = CARDS["decoder"]
    assert "a list of 137 words in lessons" in how_trained(card) and "136 of them are one token" in how_trained(card)
    assert "in 30 of 31 sentences" in how_trained(card) and "stories" not in how_trained(card)
    own = {"stories": 64, "share": 0.005}
    assert "Towards the end, 0.50 % of what it read were 64 stories" in how_trained(card | {"own_stories": own})
    assert how_well(card).note.startswith("All together: without Simple fiction from Project Gutenberg; ")
    written = written_by_itself(card)
    assert "<b>A &lt;b&gt;</b> and a<" in written and "60 tokens; no eight in a row come twice" in written
    assert "<b>O</b> a a a<" in written and "59 tokens; 51 times, eight tokens come that have come before" in written


def test_whose_vectors_an_encoder_learned_and_what_a_layer_is_over():
    taught = {"read": 3000, "held_out": 40, "teacher": "<b>", "cosine": 0.71, "cosine_of_the_mean": 0.2}
    said = how_trained(TRAINED | {"sentences": taught})
    assert "3,000 sentences by" in said and "on 40 others, the cosine is 0.710" in said and "<b>" not in said
    said = how_trained(TRAINED | {"own_parameters": 1579, "encoder": "encoder"})
    assert "Its own are 1,579 of these weights" in said and "those of encoder, as they are" in said


def test_what_a_card_does_not_state_is_left_out():
    assert written_by_itself(TRAINED) == "" and "vocabulary" not in how_trained(TRAINED)
    assert how_well(TRAINED) is None and learning_curves(TRAINED) is None
    assert what_it_read(TRAINED).rows == ()


@pytest.mark.parametrize("name", [entry.name for entry in catalog.available() if entry.source == catalog.BUILT_IN])
def test_every_built_in_model_shows_where_its_weights_came_from(open_page, name):
    at = open_page("model", model=name)
    card = json.loads((catalog.WEIGHTS / name / "card.json").read_text(encoding="utf-8"))
    assert not at.exception and not at.error
    assert f"**{how_long(card['hours'])}**" in page_words(at)
    drawn = html.unescape("".join(element.proto.body for element in at.get("html")))
    for rows in (card["data"], card.get("held_out", {}), card.get("test", {})):
        for row in rows.values():
            if isinstance(row, dict):
                shares = [value for key, value in row.items() if key in KEPT]
                assert all(f">{percent(share)}<" in drawn for share in shares)
    # a layer that was fitted in one go has no curve
    assert at.get("plotly_chart")[-1].proto.alt.startswith("A line from") == (learning_curves(card) is not None)


def test_no_stack_of_an_encoder_decoder_is_said_to_share_layers(tiny_translator):
    a = tiny_translator.architecture()
    assert a.n_distinct_layer == sum(stack.n_layer for stack in a.stacks) == 6
    assert "sets of parameters" not in block_drawing(a)
    assert "Different layers" not in [fact.name for fact in facts(a)]


def test_bars_and_lines_hold_the_numbers():
    bar = parameter_bars({"attention": 30, "norms": 10}, "light").data[0]
    assert list(bar.x) == [30, 10] and list(bar.y) == ["attention", "norms"]
    assert list(bar.text) == ["30<br>75.0 %", "10<br>25.0 %"]
    fig = memory_lines([1, 10, 100], [8, 80, 800], [4, 400, 40_000], now=7)
    assert [list(line.y) for line in fig.data] == [[8, 80, 800], [4, 400, 40_000]]
    assert fig.layout.shapes[0].x0 == 7
    assert fig.layout.annotations[0].text == "your text: 7 tokens"
    assert not memory_lines([1, 10], [8, 80], [4, 400], now=None).layout.shapes


def test_sizes_are_said_in_words():
    assert [size_in_words(n) for n in (12, 7_077_888, 4e9)] == ["12 B", "7.08 MB", "4 GB"]


def page_words(at) -> str:
    return "\n".join(str(block.value) for block in (*at.title, *at.header, *at.markdown, *at.caption, *at.info))


def test_the_page_shows_the_model_that_is_chosen(open_page, story):
    at = open_page("model")
    assert not at.exception and not at.warning
    assert at.title[0].value == "The model"
    words = page_words(at)
    assert f"Where its {story.info.n_parameter:,} parameters are" in words
    assert "Check:** the parts add up" in words and "Check failed" not in words
    assert [chart.proto.alt for chart in at.get("plotly_chart")] != []


def test_the_page_needs_no_text(open_page):
    at = open_page("model")
    at.text_area(key="text").set_value("").run()
    assert not at.exception and not at.warning
    assert "parts add up" in page_words(at)


@pytest.mark.parametrize("text", ["a", "🙂👩‍👩‍👧", "今天天气很好", "<script>alert(1)</script>", "the " * 600])
def test_no_text_disturbs_it(open_page, text):
    at = open_page("model", text=text)
    assert not at.exception and not at.warning


def test_the_numbers_behind_the_bars_come_when_asked_for(open_page, story):
    at = open_page("model")
    assert not at.dataframe
    at.toggle(key="parameters_twin").set_value(True).run()
    assert at.dataframe[0].value["parameters"].sum() == story.info.n_parameter
