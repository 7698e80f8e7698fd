"""The door for notebooks: what one sees of a text, of a model in memory, and of weights from elsewhere."""

import html as markup
import subprocess
import sys
import textwrap
from types import SimpleNamespace

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

import model
import viz.notebook as regard
from model.analysis.attention import attention_weights
from tests.conftest import REPEATED, ROOT
from tests.offline.test_page import HOSTILE, script, unpack
from tests.readme import README
from viz.offline.report import NOTHING, UNIT


@pytest.fixture
def seen(tiny):
    return regard.read(REPEATED, tiny)


def maps_of(picture) -> np.ndarray:
    """What the page of a picture holds, (L, H, Q, K) in ten-thousandths."""
    said, arrays = unpack(script(picture.html, "data"), script(picture.html, "numbers"))
    heads = said["readings"][0]["heads"]
    shape = heads["n_layer"], heads["n_head"], len(heads["rows"]), len(heads["columns"])
    return arrays[heads["maps"]["$columns"]["w"]].reshape(shape)


def test_it_needs_no_server():
    code = (
        "import sys, viz.notebook; print(sorted({'streamlit', 'torch', 'transformers', 'plotly'} & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).strip() == "[]"
    assert all(getattr(regard, name) for name in regard.__all__)


def test_what_was_read_shows_itself_in_a_frame(seen):
    shown = seen._repr_html_()
    page = markup.unescape(shown.partition('srcdoc="')[2].partition('"')[0])
    assert shown.startswith("<iframe") and shown.count('"') == 8 and page.startswith("<!DOCTYPE html>")
    maps = maps_of(seen.heads())
    for layer, attention in enumerate(seen.run.attention):
        for head in range(seen.run.info.n_head):
            assert np.abs(maps[layer, head] / UNIT - attention_weights(attention, head)).max() <= 0.5 / UNIT + 1e-7


def test_arrays_tables_and_figures_are_what_they_are(seen):
    weights = seen.weights(1, 2)
    np.testing.assert_array_equal(weights, attention_weights(seen.run.attention[1], 2))
    table = seen.table(1, 2)
    assert isinstance(table, pd.DataFrame) and table.shape == weights.shape
    assert table.columns[0] == f"0 {seen.run.labels[0]}" and table.index.is_unique
    fig = seen.figure(1, 2)
    assert isinstance(fig, go.Figure) and np.allclose(np.array(fig.data[0].z, float), weights, atol=1e-6)
    assert list(seen.tokens["token"]) == seen.run.labels
    said = seen.predictions
    assert np.allclose(said["probability of the real one"][:-1], np.exp(seen.run.predictions.next_log_prob[:-1]))
    assert np.isnan(said["probability of the real one"].iloc[-1])


def test_without_a_head_is_the_same_as_taking_it_out(seen, tiny):
    changed = seen.without((1, 2)).without((0, 0))
    off = model.Intervention(heads_off=frozenset({(1, 2), (0, 0)}))
    np.testing.assert_array_equal(
        changed.run.predictions.next_log_prob, tiny.run(seen.run.tokens, off).predictions.next_log_prob
    )
    assert "Read without 0.0, 1.2 (layer.head)." in changed.heads().html
    assert not seen.run.intervention.heads_off


def test_one_head_alone(seen):
    for lines in (False, True):
        said, arrays = unpack(*(script(seen.head(1, 2, lines=lines).html, kind) for kind in ("data", "numbers")))
        (view,) = said["readings"][0]["views"]
        assert said["readings"][0]["heads"] is None and view["map"]["lines"] == lines
        assert np.abs(arrays[0] / UNIT - seen.weights(1, 2).ravel()).max() <= 0.5 / UNIT + 1e-7


def test_cross_attention_of_a_translator(tiny_translator):
    seen = regard.read("the cat", tiny_translator)
    assert seen.weights(0, 0).shape == (len(seen.run.tokens), len(seen.run.source))
    assert seen.table(0, 0, "encoder").shape == (len(seen.run.source),) * 2
    with pytest.raises(regard.VisitorError, match="has no attention of the kind nothing: self, encoder, cross"):
        seen.weights(0, 0, "nothing")


def test_saved(seen, tmp_path):
    seen.save(tmp_path / "x.npz")
    again = model.load_run(tmp_path / "x.npz").run
    np.testing.assert_array_equal(again.attention[2].query, seen.run.attention[2].query)
    seen.save(tmp_path / "x.html")
    assert (tmp_path / "x.html").read_text("utf-8") == seen.heads().html
    with pytest.raises(regard.VisitorError, match=r"x\.gif does not end with \.html or \.npz"):
        seen.save(tmp_path / "x.gif")


@pytest.fixture(scope="module")
def gpt2(tiny_gpt2):
    """(transformers' own attentions of a text, its model and tokenizer)"""
    import torch
    from transformers import AutoTokenizer, GPT2LMHeadModel

    transformer = GPT2LMHeadModel.from_pretrained(tiny_gpt2, attn_implementation="eager").eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny_gpt2)
    ids = tokenizer(REPEATED, return_tensors="pt").input_ids
    with torch.no_grad():
        outputs = transformer(ids, output_attentions=True)
    return outputs.attentions, tokenizer.convert_ids_to_tokens(ids[0]), transformer, tokenizer


def test_transformers_attentions_are_shown_as_regards_own(gpt2, tiny_gpt2):
    """In place of BertViz's `model_view(attentions, tokens)`, one line."""
    attentions, tokens, *_ = gpt2
    given = regard.heads(attentions, tokens)
    own = regard.read(REPEATED, tiny_gpt2).heads()
    assert given.reading.heads.rows == own.reading.heads.rows
    theirs, ours = maps_of(given).astype(int), maps_of(own).astype(int)
    assert theirs.shape == ours.shape and np.abs(theirs - ours).max() <= 1  # of ten thousand: the last digit


def test_what_the_readme_shows_runs(gpt2):
    attentions, tokens, *_ = gpt2
    code = textwrap.dedent(README.read_text(encoding="utf-8").split("```py\n")[1].split("```")[0])
    exec(code, {"regard": regard, "outputs": SimpleNamespace(attentions=attentions), "tokens": tokens})


def test_a_model_in_memory_is_read_and_stays_as_it_is(gpt2):
    attentions, _, transformer, tokenizer = gpt2
    before = {name: weight.clone() for name, weight in transformer.state_dict().items()}
    seen = regard.read(REPEATED, regard.of(transformer, tokenizer))
    for layer, theirs in enumerate(attentions):
        for head in range(theirs.shape[1]):
            np.testing.assert_allclose(seen.weights(layer, head), theirs[0, head].numpy(), atol=1e-5)
    assert transformer.config._attn_implementation == "eager"
    assert all((weight == before[name]).all() for name, weight in transformer.state_dict().items())


def test_arrays_of_ones_own():
    weights = np.random.default_rng(0).dirichlet(np.ones(4), (2, 3, 5)).astype(np.float32)  # (L, H, Q, K)
    picture = regard.heads(weights, list("abcde"), keys=list("wxyz"))
    assert np.abs(maps_of(picture) / UNIT - weights).max() <= 0.5 / UNIT + 1e-7
    assert "Cite this view" not in picture.html
    assert maps_of(regard.heads(weights[0])).shape == (1, 3, 5, 4)
    some = maps_of(regard.heads([weights[0], None], list("abcde"), keys=list("wxyz")))
    assert (some[1] == NOTHING).all() and (some[0] != NOTHING).all()
    hostile = regard.heads(weights[..., :1], [HOSTILE] * 5, keys=["k"]).html
    assert hostile.encode() and hostile.count("<script") == 4


@pytest.mark.parametrize(
    ("attentions", "tokens", "said"),
    [
        ((), None, "There are no weights: transformers gives them with attn_implementation='eager'"),
        ([None, None], None, "There are no weights"),
        ([np.zeros((2, 3, 4, 4))], None, r"these are \(2, 3, 4, 4\) of float64\. Choose one text"),
        ([np.zeros((4, 4))], None, r"Weights of a layer are heads × rows × columns"),
        ([(np.zeros((1, 1, 4, 4)),)], None, "These are weights of several steps"),
        ([np.zeros((1, 4, 4)), np.zeros((2, 4, 4))], None, "The layers are of different shapes"),
        ([np.full((1, 4, 4), 2.0)], None, "Weights are from 0 to 1; these are not"),
        ([np.full((1, 4, 4), -np.inf)], None, "Weights are from 0 to 1; these are not"),
        ([np.zeros((1, 4, 4))], ["a"], "There are 1 tokens for 4 places"),
        ([np.zeros((1, 4, 5))], list("abcd"), None),
    ],
)
def test_what_is_no_weights_is_told_in_a_sentence(attentions, tokens, said):
    if said is None:
        assert maps_of(regard.heads(attentions, tokens)).shape == (1, 1, 4, 5)  # columns without names are numbers
        return
    with pytest.raises(regard.VisitorError, match=said):
        regard.heads(attentions, tokens)


@pytest.mark.parametrize(("place", "said"), [((9, 0), "has no layer 9"), ((0, -1), "are counted from 0")])
def test_heads_that_are_not_there(seen, place, said):
    with pytest.raises(regard.VisitorError, match=said):
        seen.weights(*place)
    with pytest.raises(regard.VisitorError, match="The text is empty"):
        regard.read(" ", seen.lm)


def test_scores_are_a_table_of_heads(tiny):
    table = regard.scores(tiny, [REPEATED])
    assert list(table.index) == [(layer, head) for layer in range(3) for head in range(4)]
    assert {"label", "induction", "previous token"} <= set(table.columns)
