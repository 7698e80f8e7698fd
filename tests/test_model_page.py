"""The page about the model: its charts by their numbers, and the page as a visitor sees it."""

import pytest

from viz.figures.model_charts import memory_lines, parameter_bars, size_in_words


def test_bars_and_lines_hold_the_numbers():
    bar = parameter_bars({"attention": 30, "norms": 10}, "light").data[0]
    assert list(bar.x) == [30, 10] and list(bar.y) == ["attention", "norms"]
    assert list(bar.text) == ["30 · 75.0%", "10 · 25.0%"]
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
    assert "1.91 hours" in words and "Project Gutenberg" in words
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
