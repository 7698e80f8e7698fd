"""`regard report`: the file that the app makes too, links that restore what it shows, and sentences."""

import html as markup
import re
from urllib.parse import parse_qs, urlsplit

import pytest

from model.analysis.generation import read_draws
from tests.conftest import REPEATED
from tests.offline.test_page import script, unpack
from tests.test_commands import folder, regard, sentence, tiny_models  # noqa: F401 (fixtures)
from viz.commands import report
from viz.ui import links
from viz.ui.choices import CHOICES


def links_of(html: str) -> list[tuple[str, dict[str, str]]]:
    found = [urlsplit(markup.unescape(each)) for each in re.findall(r'href="([^"]+)"', html)]
    assert all(f"{each.scheme}://{each.netloc}" == report.ADDRESS for each in found)
    return [(each.path, {name: values[0] for name, values in parse_qs(each.query).items()}) for each in found]


def test_a_report_of_a_text(tmp_path):
    where = tmp_path / "x.html"
    assert regard("report", REPEATED, "--layer", 1, "--head", 2, "--note", "<b>look</b>", "-o", where) == 0
    html = where.read_text("utf-8")
    ((path, query),) = links_of(html)
    assert path == "/attention" and query == {"model": "story", "text": REPEATED, "layer": "1", "head": "2"}
    assert "&lt;b&gt;look&lt;/b&gt;" in html


def test_a_report_of_a_writing(tmp_path):
    where = tmp_path / "x.html"
    assert regard("report", "the cat", "--write", 5, "--seed", 3, "-o", where) == 0
    html = where.read_text("utf-8")
    for path, query in links_of(html):
        assert path == "/generation"
        for name, value in query.items():
            assert CHOICES[name].parse(value) is not None  # as the page that opens reads it
        assert [draw.seed for draw in read_draws(query["written"])] == [3] * 5
    said, _ = unpack(script(html, "data"), script(html, "numbers"))
    (view,) = said["readings"][0]["views"]
    assert len(view["film"]["view"]["probability"]) == 5
    assert "the last 5 were written by the model" in html


def test_a_report_of_two_texts(tmp_path):
    where = tmp_path / "x.html"
    assert regard("report", "the cat", "--model", "pair", "-o", where) == 0
    html = where.read_text("utf-8")
    assert "cross-attention" in html and "Tokens of the source" in html
    assert links_of(html)[0][1]["kind"] == "cross"


def test_a_text_too_long_for_an_address_has_no_link():
    assert report.LONGEST_TEXT == links.LONGEST_TEXT
    assert report._link("attention", "x" * report.LONGEST_TEXT, "story", (0, 0), "self")
    assert not report._link("attention", "x" * report.LONGEST_TEXT + "x", "story", (0, 0), "self")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["the cat", "--layer", "9", "--head", "0"], "has no layer 9: layers go from 0 to 2."),
        (["the cat", "--attention", "cross"], "has no attention of the kind cross"),
        (["the cat", "--model", "reader", "--write", "3"], "is no decoder, which --write needs"),
        ([" "], "The text is empty"),
    ],
)
def test_sentences(argv, said, capsys):
    assert said in sentence(capsys, "report", *argv)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["a", "--layer", "1"], "--layer and --head: give both, or neither"),
        (["a", "--address", "javascript:x"], "does not begin with http:// or https://"),
        (["a", "--write", "0"], "is not a whole number from 1 to 200"),
    ],
)
def test_wrong_commands(argv, said, capsys):
    assert regard("report", *argv) == 2
    assert said in capsys.readouterr().err
