"""The report: its numbers are the run's, its size is bounded, and what came from outside is text in it."""

import base64
import json
import re
import zlib
from datetime import date

import numpy as np
import pytest

from model.analysis.attention import attention_weights, pooled_overview
from model.run import DenseAttention
from tests.conftest import REPEATED
from tests.offline.test_page import HOSTILE, script, unpack
from viz.figures.scale import ColourScale
from viz.offline.report import MOST_EXACT, NOTHING, UNIT, Heads, Map, Reading, View, in_units, reading_of, report


def rows(n_layer: int, n_head: int, n: int, seed: int = 0) -> list[DenseAttention]:
    """Random weights that see everything: what packs worst."""
    scores = np.random.default_rng(seed).normal(0, 1.5, (n_layer, n_head, n, n))
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    return [DenseAttention(each) for each in weights.astype(np.float32)]


def reading(layers, n: int, **more) -> Reading:
    labels = [f"t{i}" for i in range(n)]
    return Reading("a text", "A model", "abcdef", ["about it"], Heads(layers, labels, labels), **more)


def data_of(html: str):
    return unpack(script(html, "data"), script(html, "numbers"))


def test_the_weights_of_all_heads_are_those_of_the_run(tiny):
    run = tiny.run(tiny.encode(REPEATED))
    said, arrays = data_of(report([reading_of(run, REPEATED, head=(1, 2))]))
    heads = said["readings"][0]["heads"]
    n = len(run.tokens)
    maps = arrays[heads["maps"]["$columns"]["w"]].reshape(heads["n_layer"], heads["n_head"], n, n)
    for layer, attention in enumerate(run.attention):
        for head in range(run.info.n_head):
            wrong = np.abs(maps[layer, head] / UNIT - attention_weights(attention, head))
            assert wrong.max() <= 0.5 / UNIT + 1e-7
    assert heads["rows"] == run.labels and heads["head"] == [1, 2] and heads["exact"]


def test_twelve_by_twelve_heads_of_64_tokens_are_at_most_a_megabyte():
    html = report([reading(rows(12, 12, 64), 64)])
    assert len(html.encode()) <= 1_000_000
    said, arrays = data_of(html)
    assert said["readings"][0]["heads"]["exact"]
    assert arrays[0].size == 144 * 64 * 64


def test_a_long_text_is_pooled_as_on_the_grid():
    n = 1 + int((MOST_EXACT / 4) ** 0.5)
    layers = rows(2, 2, n)
    html = report([reading(layers, n)])
    said, arrays = data_of(html)
    heads = said["readings"][0]["heads"]
    assert not heads["exact"] and "largest weight of several tokens" in html and "The same as lines" not in html
    assert np.array_equal(arrays[0], in_units(pooled_overview(layers).maximum).ravel())
    assert len(heads["rows"]) == 64 and heads["rows"][0] == "t0 … t11"


def test_a_weight_that_is_not_there_is_none():
    shown = Map(np.array([[0.25, np.nan], [1, 0]], np.float32), ["a", "b"], ["c", "d"], ColourScale(0.0, 2.0))
    said, arrays = data_of(report([Reading("x", "m", "f", [], views=[View("A map", map=shown)])]))
    assert arrays[0].tolist() == [2500, NOTHING, 10000, 0]
    view = said["readings"][0]["views"][0]["map"]
    assert view["scale"] == {"low": 0, "high": 2, "log": False}
    assert view["marks"][0] == [0, "0"] and view["marks"][-1] == [1, "2"]


def test_what_came_from_outside_is_text(tiny):
    run = tiny.run(tiny.encode("a <b> & </script>"))
    view = View(HOSTILE, link="attention?text=%22%3E<img>", note=HOSTILE)
    made = report(
        [reading_of(run, HOSTILE, head=(0, 0), views=[view], note=HOSTILE, more=[HOSTILE])], address="http://x"
    )
    html = made.encode().decode()
    assert html.count("<script") == html.count("</script>") == 4
    assert "<img" not in html and "<!--" not in html.split("<body>")[1]
    assert 'href="http://x/attention?text=%22%3E&lt;img&gt;"' in html


@pytest.mark.parametrize("address", ["javascript:alert(1)//", "", "data:text/html,"])
def test_only_an_address_of_the_web_is_a_link(address):
    html = report([reading(rows(1, 1, 2), 2, link="attention?text=x")], address=address)
    assert "<a " not in html


def test_a_view_can_be_cited_and_opened():
    html = report(
        [reading(rows(1, 1, 2), 2, link="attention?text=x&layer=0")], address="http://h:1/", day=date(2026, 2, 3)
    )
    link = "http://h:1/attention?text=x&amp;layer=0"
    assert f'href="{link}"' in html
    plain = re.findall(r"<pre>(.*?)</pre>", html, re.DOTALL)[1]
    assert (
        plain.endswith(f"2026-02-03. {link}") and "Layer 0, head 0 of “a text”, model A model, weights abcdef" in plain
    )


def test_scripts_travel_once_and_only_those_that_are_needed():
    program = zlib.decompress(base64.b64decode(script(report([reading(rows(1, 1, 2), 2)]), "script"))).decode()
    assert re.findall(r'regard\.define\("(\w+)"', program) == ["token_chips", "head_grid", "head_map", "token_graph"]
    assert json.loads(script(report([Reading("x", "m", "f", [])]), "data")) == {
        "page": {"readings": [{"heads": None, "views": []}]},
        "arrays": [],
    }
