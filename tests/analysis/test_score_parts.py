"""A score as pairs of parts, and what a head carries: by hand where the answer is known; for every kind of layer."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from model.analysis.attention import attention_weights, cell_arithmetic
from model.analysis.carried import carried, said_by
from model.analysis.score_parts import (
    BIAS,
    HEAD,
    INPUT,
    LAYER,
    MLP,
    OWN,
    POSITION,
    TOKEN,
    Part,
    added_up,
    grouped,
    largest,
    score_parts,
)
from model.intervention import Intervention
from model.layer import LayerParameters
from model.run import Attention, ModelInfo, ModelRun, Predictions, Token, VisitorError
from tests.conftest import REPEATED
from tests.huggingface.checkpoints import Wordless
from tests.zoo import N_SOURCE, N_TOKEN, ZOO, builder, tokens

_IDS = (0, 1, 0)  # a b a: the second a looks for what followed the first
_T, _P = slice(0, 3), slice(6, 10)  # where in the stream a token and its position stand; between, the token before


def _matrix(n: int, *places: tuple[int, int, float]) -> np.ndarray:
    matrix = np.zeros((1, n, 10), np.float32)
    for row, column, value in places:
        matrix[0, row, column] = value
    return matrix


def _layer(query: np.ndarray, key: np.ndarray, value: np.ndarray, output: np.ndarray) -> LayerParameters:
    return LayerParameters(
        None, query, None, key, None, value, None, output.transpose(0, 2, 1).copy(), None, alone=True
    )


LAYERS = (
    _layer(  # each token looks at the one before, and writes it beside itself
        _matrix(4, *((i - 1, 6 + i, 100) for i in range(1, 4))),
        _matrix(4, *((i, 6 + i, 1) for i in range(4))),
        _matrix(3, *((i, i, 1) for i in range(3))),
        _matrix(3, *((i, 3 + i, 1) for i in range(3))),
    ),
    _layer(  # looks for itself among those, and hands over what stands there twice
        _matrix(3, *((i, i, 2) for i in range(3))),
        _matrix(3, *((i, 3 + i, 3) for i in range(3))),
        _matrix(3, *((i, i, 1) for i in range(3))),
        _matrix(3, *((i, i, 2) for i in range(3))),
    ),
)


def induction(ids: tuple[int, ...] = _IDS) -> tuple[SimpleNamespace, ModelRun]:
    """Two layers of one head without norms, whose parameters are written here."""
    n = len(ids)
    table, positions = np.eye(3, 10, dtype=np.float32), np.eye(4, 10, 6, dtype=np.float32)
    stream, records = [table[list(ids)] + positions[:n]], []
    for its in LAYERS:
        query, key, value = (
            np.einsum("hkd,td->htk", matrix, stream[-1])
            for matrix in (its.query_weight, its.key_weight, its.value_weight)
        )
        records.append(Attention(query, key, value, 0.5, causal=True))
        mixed = attention_weights(records[-1], 0) @ value[0]
        stream.append(stream[-1] + (mixed @ its.output_weight[0].T).astype(np.float32))
    info = ModelInfo("w", "Worked", 2, 1, 1, 10, 3, 3, 4, 0, True, "")
    zeros, none = np.zeros((n, 1), np.float32), np.zeros((n, 1), np.int64)
    flat = zeros[:, 0].copy()
    run = ModelRun(
        info=info,
        tokens=tuple(Token(id, bytes([97 + id]), i, i + 1) for i, id in enumerate(ids)),
        attention=tuple(records),
        hidden=np.stack(stream),
        predictions=Predictions(none, zeros, flat, none[:, 0].copy(), flat.copy()),
        intervention=Intervention(),
    )
    lm = SimpleNamespace(
        info=info,
        layer_parameters=lambda layer: LAYERS[layer],
        embeddings=lambda: (table, positions),
        unembed=lambda x: x[..., _T],
    )
    return lm, run


def test_an_induction_head_by_hand():
    lm, run = induction()
    found = score_parts(lm, run, 1, 0, 2, 1)  # the second a looks at b
    assert found.parts == (Part(TOKEN), Part(POSITION), Part(HEAD, 0, 0), Part(OWN, 1))
    expected = np.zeros((4, 4))
    expected[0, 2] = 2 * 3 * 0.5  # that it is an a, times that head 0.0 wrote “after an a” there
    np.testing.assert_allclose(found.pairs, expected, atol=1e-6)
    assert found.total == pytest.approx(3) == found.score and not found.masked and found.why == ()
    its = carried(lm, run, 1, 0, 2, 1)
    weight = np.exp(3) / (2 * np.exp(3) + 1)  # the scores are 3, 3, 0: the first a has but itself before it
    assert its.weight == pytest.approx(weight, rel=1e-5)
    np.testing.assert_allclose(its.write, 2 * weight * np.eye(10)[1], atol=1e-5)  # a b, twice
    np.testing.assert_allclose(its.shares, [1, 0, 0, 0], atol=1e-6)
    said = said_by(lm, run, 1, 2, its.write)
    np.testing.assert_allclose(said.change, 2 * weight * np.array([-1, 2, -1]) / 3, atol=1e-4)
    assert said.up[0] == 1 and said.rank(1) == 0


def test_of_the_first_layer_there_is_no_earlier_head():
    lm, run = induction()
    found = score_parts(lm, run, 0, 0, 2, 1)
    assert found.parts == (Part(TOKEN), Part(POSITION), Part(OWN, 0))
    expected = np.zeros((3, 3))
    expected[1, 1] = 100 * 0.5
    np.testing.assert_allclose(found.pairs, expected, atol=1e-5)


def test_a_key_after_the_query_has_a_score_and_nothing_is_carried():
    lm, run = induction()
    found = score_parts(lm, run, 1, 0, 0, 1)
    assert found.masked and found.weight == 0
    assert found.total == pytest.approx(3) == found.score  # an a before b: what it would have
    its = carried(lm, run, 1, 0, 0, 1)
    assert its.length == 0 and not its.shares.any()
    with pytest.raises(IndexError):
        score_parts(lm, run, 1, 0, 0, 9)


def test_layers_are_read_together_but_for_one_that_is_opened():
    parts = (Part(TOKEN), Part(HEAD, 0, 0), Part(BIAS, 0), Part(MLP, 0), Part(LAYER, 1), Part(HEAD, 2, 0), Part(OWN, 3))
    groups, of_part = grouped(parts, None)
    assert groups == (Part(TOKEN), Part(LAYER, 0), Part(LAYER, 1), Part(LAYER, 2), Part(OWN, 3))
    assert of_part.tolist() == [0, 1, 1, 1, 2, 3, 4]
    opened, of_opened = grouped(parts, 0)
    assert opened == (*parts[:5], Part(LAYER, 2), Part(OWN, 3))
    pairs = np.arange(49.0).reshape(7, 7)
    together = added_up(pairs, of_part, of_opened)
    assert together.shape == (5, 7) and together.sum() == pairs.sum()
    np.testing.assert_array_equal(together[1], pairs[1:4].sum(0)[:7])
    assert largest(np.array([[1.0, -3.0], [0.0, 2.0]]), 9) == [(0, 1), (1, 1), (0, 0)]


CELLS = ((1, 9, 7), (3, 6, 6), (0, 4, 0), (2, 3, 5))  # head, query, key; one after the query
WHOLE = {"BertForMaskedLM"}  # a norm stands behind each sum
KINDS = (
    *("GPT2LMHeadModel", "LlamaForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM", "Gemma2ForCausalLM"),
    *("Olmo2ForCausalLM", "PhiForCausalLM", "GraniteForCausalLM", "OPTForCausalLM", "BertForMaskedLM"),
    *("T5EncoderModel", "T5ForConditionalGeneration"),
)


@pytest.mark.parametrize("name", KINDS)
def test_pairs_add_up_to_the_score_of_every_kind_of_layer_also_with_a_head_off(name):
    lm = Wordless(builder(name), None, name=name, title=name, fingerprint="")
    source = tokens(N_SOURCE) if ZOO[name].family == "encoder-decoder" else ()
    for intervention in (Intervention(), Intervention(heads_off=[(0, 1)])):
        run = lm.run(tokens(N_TOKEN), intervention, source)
        for head, query, key in CELLS:
            found = score_parts(lm, run, 1, head, query, key)
            cell = cell_arithmetic(run.layer(1), head, query, key)
            assert abs(found.total - cell.dot * cell.scale) < 1e-4 * max(1, abs(found.total))
            if not found.masked:
                assert found.score == pytest.approx(cell.score, abs=1e-5)
            its = carried(lm, run, 1, head, query, key)
            assert its.value_apart < 1e-4 * max(1, its.value_size)
            assert its.length == 0 or its.shares.sum() == pytest.approx(1)
            kinds = {part.kind for part in found.parts}
            assert kinds >= ({INPUT, LAYER} if name in WHOLE else {TOKEN, HEAD, MLP})
            assert bool(found.why) == (name in WHOLE)
            if intervention.heads_off and name not in WHOLE:
                off = found.parts.index(Part(HEAD, 0, 1))
                assert not found.pairs[off].any() and not found.pairs[:, off].any()


@pytest.mark.parametrize("name", ["tiny", "tiny_translator"])
def test_of_the_built_in_models_all_writes_of_a_head_are_what_it_adds(request, name):
    lm = request.getfixturevalue(name)
    text = lm.encode(REPEATED)
    source = text if lm.info.family == "encoder-decoder" else ()
    run = lm.run(text, source=source)
    query = len(text) - 1
    for layer in range(lm.info.n_layer):
        parameters, record = lm.layer_parameters(layer), run.layer(layer)
        made = [carried(lm, run, layer, 2, query, key) for key in range(query + 1)]
        mixed = attention_weights(record, 2, slice(query, query + 1))[0] @ record.value[2]
        np.testing.assert_allclose(sum(each.write for each in made), parameters.output_weight[2] @ mixed, atol=1e-4)
        for key in (0, query):
            found = score_parts(lm, run, layer, 2, query, key)
            assert abs(found.total - found.scaled) < 1e-4 * max(1, abs(found.scaled))


def test_words_are_what_the_logits_lose_with_the_write_the_last_size_frozen(tiny):
    run = tiny.run(tiny.encode(REPEATED))
    its = carried(tiny, run, 2, 1, 5, 3)
    said = said_by(tiny, run, 2, 5, its.write)
    x = run.stream[-1][5].astype(np.float64)
    norm = tiny._transformer.final_norm
    weight = norm.weight.view(-1).numpy() * tiny._transformer.token_embedding.weight.numpy()  # (V, D)
    size = np.sqrt(x.var() + norm.eps)
    expected = weight @ (its.write - its.write.mean()) / size
    np.testing.assert_allclose(said.change, expected - expected.mean(), rtol=1e-3, atol=1e-4)
    assert said.up[0] == expected.argmax() and said.down[0] == expected.argmin()


def test_where_it_cannot_be_said_a_sentence_says_why(tiny, tiny_run):
    headless = replace(tiny_run, predictions=None)
    with pytest.raises(VisitorError, match="no head that predicts tokens"):
        said_by(tiny, headless, 2, 1, np.ones(32))
    bent = SimpleNamespace(info=tiny.info, layer_parameters=tiny.layer_parameters)
    bent.unembed = lambda x: np.tanh(tiny.unembed(x))
    with pytest.raises(VisitorError, match="more than a norm and one matrix"):
        said_by(bent, tiny_run, 2, 1, np.arange(32.0))
    record = tiny_run.attention[1]
    half = replace(record, query=record.query.astype(np.float16), key=record.key.astype(np.float16), value=None)
    long = replace(tiny_run, attention=(tiny_run.attention[0], half, tiny_run.attention[2]))
    found = score_parts(tiny, long, 1, 0, 3, 2)
    assert not found.exact and abs(found.total - found.scaled) < 0.01 * max(1, abs(found.scaled))
    with pytest.raises(VisitorError, match="no values are kept"):
        carried(tiny, long, 1, 0, 3, 2)


def test_a_sink_has_no_parts():
    name = "GptOssForCausalLM"
    lm = Wordless(builder(name), None, name=name, title=name, fingerprint="")
    run = lm.run(tokens(N_TOKEN))
    for read in (score_parts, carried):
        with pytest.raises(VisitorError, match="The sink"):
            read(lm, run, 1, 0, 3, N_TOKEN)
    found = score_parts(lm, run, 1, 0, 3, 2)
    assert abs(found.total - found.scaled) < 1e-4
