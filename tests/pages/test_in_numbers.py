"""Pre-training in numbers: what the cards say, by the page's words, tables and pictures."""

import html
import json
from dataclasses import replace

import numpy as np
import pytest

from model import catalog
from model.analysis.pre_training import PUBLISHED, PreTraining
from tests.pages.reading import address, charts, numbers, said
from viz.figures.pre_training import arithmetic, cost_table, duration, in_words, scientific, tokens_and_parameters
from viz.figures.training import learning_curves

OURS = PreTraining("a", "A", 3_000_000, 2_000_000, 500_000, 10_000_000, seconds=600.0, machine="one core")


@pytest.fixture
def opened(open_page):
    def open(**link):
        app = open_page("training", lesson="numbers", **link)
        assert not app.exception and not app.error and "**Check failed" not in said(app)
        return app

    return open


def test_every_card_with_a_history_has_its_curve(opened):
    app = opened()
    drawn = charts(app)
    cards = [json.loads(path.read_text("utf-8")) for path in catalog.WEIGHTS.glob("*/card.json")]
    curves = [found for card in cards if (found := learning_curves(card))]
    assert len(drawn) == len(curves) + 1
    shown = [[numbers(line["y"]).tolist() for line in chart["data"]] for chart in drawn[:-1]]
    assert sorted(shown) == sorted([list(map(list, each.values.values())) for each in curves])


def test_the_table_names_what_was_trained_here_and_what_was_published(opened):
    table = html.unescape("".join(element.proto.body for element in opened().get("html")))
    for path in catalog.WEIGHTS.glob("*/card.json"):
        card = json.loads(path.read_text("utf-8"))
        assert (f">{card['title']}<" in table) == ("own_parameters" not in card)
    assert table.count("not published") == 2 and ">3.13 × 10²³<" in table and ">GPT-3 Small<" in table


def test_a_link_opens_the_arithmetic_of_a_model(opened):
    app = opened(counted="gpt3")
    words = said(app)
    assert r"12 \cdot 96 \cdot 12{,}288^2" in words and "table D.1" in words and r"3.14 \cdot 10^{23}" in words
    assert address(app)["counted"] == "gpt3"
    assert "not published" in said(opened(counted="gpt2")) and "each billion tokens" in said(opened(counted="gpt2"))
    app = opened(counted="nonsense")
    assert "The link asked for counted “nonsense”, which does not exist here: showing story." in said(app)


def test_a_point_of_the_picture_is_a_training():
    fig = tokens_and_parameters((OURS, *PUBLISHED), "gpt3", "light")
    points = fig.data[-1]
    assert [(OURS, *PUBLISHED)[i].n_token for i in points.customdata] == list(points.y)
    assert list(points.text)[int(np.argmax(points.marker.size))] == "GPT-3"


def test_numbers_are_those_of_the_formula():
    (_, cells), *_, (_, gpt_3) = cost_table((OURS, *PUBLISHED), OURS.speed).rows
    assert cells == ("3 million", "2 million", "10 million", "3.3", "1.20 × 10¹⁴", "10 minutes")
    years = 6 * 12 * 96 * 12_288**2 * 3e11 / 2e11 / (365.25 * 86_400)
    assert gpt_3[-1] == f"about {float(f'{years:.2g}'):,.0f} years"
    lines = dict(arithmetic(OURS, OURS))
    assert lines["Operations a second"][-1] == r"= 2.00 \cdot 10^{11}"
    assert lines["Tokens a second, measured"][-1] == "= 16{,}667"
    short = dict(arithmetic(replace(OURS, seconds=10.73), OURS))["Tokens a second, measured"]
    assert short[1:] == (r"= \frac{10{,}000{,}000}{10.73}", "= 931{,}966")


def test_large_numbers_in_words():
    assert [in_words(n) for n in (12, 1_500_000, 174.6e9, 3e12)] == ["12", "1.5 million", "175 billion", "3 trillion"]
    assert scientific(1234567) == "1.23 × 10⁶"
    assert [duration(s) for s in (1, 90, 7200, 3 * 365.25 * 86_400)] == [
        "1 second",
        "1.5 minutes",
        "2 hours",
        "3 years",
    ]
