"""The built-in encoder-decoder as a LanguageModel: what a run holds, against the transformer itself and by hand."""

import json

import numpy as np
import pytest
import torch

from model import catalog
from model.analysis.alignment import crossing
from model.analysis.attention import attention_weights
from model.analysis.parameters import parameters_by_part
from model.builtin.greedy import greedy
from model.intervention import Intervention
from model.run import ModelNotAvailable, PromptError
from model.text.units import units_of
from model.text.writing import write_target
from tests.architectures import parts_expected
from tests.conftest import REPEATED, write_tiny

TARGET = "a dog sat on the mat"


@pytest.fixture
def run(tiny_translator):
    lm = tiny_translator
    return lm.run((lm.start_token(), *lm.encode(TARGET)[:-1]), source=lm.encode(REPEATED))


def test_a_text_ends_with_the_end_token(tiny_translator):
    tokens = tiny_translator.encode(REPEATED)
    assert b"".join(token.piece for token in tokens[:-1]) == REPEATED.encode()
    assert tokens[-1].special and tokens[-1].start == tokens[-1].end == len(REPEATED)
    assert tiny_translator.encode("") == ()


def test_a_run_holds_all_three_kinds(tiny_translator, run):
    assert run.kinds == ("self", "encoder", "cross") and run.info.family == "encoder-decoder"
    n, n_source = len(run.tokens), len(run.source)
    for layer in range(3):
        assert run.layers("self")[layer].causal and not run.layers("encoder")[layer].causal
        for kind, shape in {"self": (n, n), "encoder": (n_source, n_source), "cross": (n, n_source)}.items():
            weights = attention_weights(run.layers(kind)[layer], 1)
            assert weights.shape == shape
            np.testing.assert_allclose(weights.sum(1), 1, atol=1e-5)


def test_predictions_are_of_the_next_token(tiny_translator, run):
    logits = torch.tensor(tiny_translator.unembed(run.hidden[-1]))
    log_prob = logits.log_softmax(-1)
    expected = [float(log_prob[t, token.id]) for t, token in enumerate(run.tokens[1:])]
    np.testing.assert_allclose(run.predictions.next_log_prob[:-1], expected, atol=1e-4)
    assert run.predictions.of_next and np.isnan(run.predictions.next_log_prob[-1])


def test_a_layer_done_again_by_hand(tiny_translator, run):
    assert all(tiny_translator.recompute_layer(run, layer) < 1e-4 for layer in range(3))


def test_what_it_writes_step_by_step_is_the_greedy_search(tiny_translator):
    lm = tiny_translator
    source = lm.encode(REPEATED)
    written = write_target(lm, source, lm.start_token(), 12)
    ids = greedy(lm._transformer, [[token.id for token in source]], lm.start_token().id, 12)
    assert [token.id for token in written[1:]] == ids[0]
    best = lm.beam_search(source, width=1).finished[0]
    assert list(best.ids[:12]) == ids[0]


def test_a_head_switched_off_writes_nothing(tiny_translator, run):
    lm = tiny_translator
    changed = lm.run(run.tokens, Intervention(frozenset({(1, 2)})), source=run.source)
    output = lm._transformer.decoder[1].attention.output.weight
    kept = output.clone()
    output[:, 16:24] = 0
    expected = lm.run(run.tokens, source=run.source)
    output.copy_(kept)
    np.testing.assert_allclose(changed.hidden, expected.hidden, atol=1e-4)
    assert np.abs(changed.hidden - run.hidden).max() > 0.1
    assert all(lm.recompute_layer(changed, layer) < 1e-4 for layer in range(3))


def test_scale_and_positions_hold_on_both_sides(tiny_translator, run):
    lm = tiny_translator
    without_scale = lm.run(run.tokens, Intervention(scale=False), source=run.source)
    assert {layer.scale for kind in run.kinds for layer in without_scale.layers(kind)} == {1.0}
    lost = lm.run(run.tokens, Intervention(positions=False), source=run.source)
    tables = lm._transformer.source_position.weight, lm._transformer.target_position.weight
    kept = [table.clone() for table in tables]
    for table in tables:
        table.zero_()
    expected = lm.run(run.tokens, source=run.source)
    for table, before in zip(tables, kept, strict=True):
        table.copy_(before)
    np.testing.assert_allclose(lost.hidden, expected.hidden, atol=1e-5)


def test_the_drawing_is_of_this_model(tiny_translator):
    architecture = tiny_translator.architecture()
    assert [stack.role for stack in architecture.stacks] == ["encoder", "decoder"]
    assert architecture.stacks[1].cross and not architecture.stacks[0].cross
    parts = parameters_by_part(tiny_translator.parameter_shapes())
    assert {part: n for part, n in parts.items() if part in ("attention", "MLP", "norms")} == parts_expected(
        architecture
    )
    assert "other" not in parts and sum(parts.values()) == tiny_translator.info.n_parameter


def test_what_cannot_be_read(tiny_translator):
    lm = tiny_translator
    start = (lm.start_token(),)
    with pytest.raises(PromptError, match="There is no text to read"):
        lm.run(start)
    with pytest.raises(
        PromptError, match=r"The text to read is 33 tokens long; Tiny reads at most 32\. Shorten it by 1"
    ):
        lm.run(start, source=start * 33)
    with pytest.raises(PromptError, match=r"The text is 40 tokens long"):
        lm.run(start * 40, source=start)


def test_a_config_that_says_something_else_is_refused(tmp_path):
    folder = write_tiny(tmp_path / "pair", architecture="encoder-decoder")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"n_expert": 2}))
    with pytest.raises(ModelNotAvailable, match="n_expert"):
        catalog.load("pair", weights=tmp_path)
    (folder / "config.json").write_text(json.dumps(config | {"architecture": "decoder"}))
    with pytest.raises(ModelNotAvailable, match="damaged"):
        catalog.load("pair", weights=tmp_path)


def test_the_shipped_translator_looks_at_the_noun_first_and_then_at_the_adjective():
    lm = catalog.load("translator")
    source = lm.encode("I would like a glass of red wine.")
    start = lm.start_token()
    run = lm.run((start, *lm.encode("Je voudrais un verre de vin rouge.")[:-1]), source=source)
    heads = [(layer, head) for layer in range(lm.info.n_layer) for head in range(lm.info.n_head)]
    words = [
        units_of(tokens, b"".join(token.piece for token in tokens if not token.special).decode(), "words")
        for tokens in (run.tokens[1:], run.source)
    ]
    read = crossing(run, heads, *words)
    aligned = dict(zip(words[0].labels, [words[1].labels[k] for k in read.weights.argmax(axis=1)], strict=True))
    assert (aligned["verre"], aligned["vin"], aligned["rouge"]) == ("glass", "wine", "red")
