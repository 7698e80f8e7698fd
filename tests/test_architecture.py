"""Architectures: the built-in model's, what a run of one keeps, and one in words."""

from dataclasses import replace

from model.analysis.parameters import parameters_by_part
from model.architecture import UNKNOWN, Stack, described, record_bytes, weights_bytes
from model.architectures.description import describe
from model.builtin.transformer import Transformer
from tests.architectures import BRAND_NEW, BUILT_IN, config_of, parts_expected
from viz.figures.architecture import drawing_words, facts
from viz.figures.block import block_drawing


def test_the_built_in_model_is_described_by_its_own_config(tiny):
    a = tiny.architecture()
    assert a == described(tiny._transformer.config, "decoder") and a.known
    assert (a.family, a.norm, a.norm_kind, a.tied, a.head) == ("decoder", "pre", "LayerNorm", True, "tokens")
    assert described(replace(BUILT_IN, causal=False), "encoder").family == "encoder"
    parts = parameters_by_part(tiny.parameter_shapes())
    assert {part: n for part, n in parts.items() if part in ("attention", "MLP", "norms")} == parts_expected(a)
    assert parts["embeddings"] == tiny.info.n_vocab * 32 and parts["positions"] == 32 * 32
    assert sum(parts.values()) == tiny.info.n_parameter


def test_blocks_of_attention_alone_have_no_mlp():
    config = replace(BUILT_IN, mlp=False)
    a = described(config, "decoder")
    shapes = {name: tuple(p.shape) for name, p in Transformer(config).named_parameters()}
    parts = parameters_by_part(shapes)
    assert {part: parts.get(part, 0) for part in ("attention", "MLP", "norms")} == parts_expected(a)
    values = {fact.name: fact.value for fact in facts(a)}
    assert (values["MLP"], values["Biases"]) == ("none", "everywhere") and "Width of the MLP" not in values
    assert ">MLP<" not in block_drawing(a) and ">MLP<" in block_drawing(described(BUILT_IN, "decoder"))
    assert "MLP: none" in drawing_words(a)


def test_memory_is_that_of_the_arrays_a_run_holds(tiny, tiny_run):
    a, n_token = tiny.architecture(), len(tiny_run.tokens)
    held = sum(array.nbytes for one in tiny_run.attention for array in (one.query, one.key, one.value))
    assert record_bytes(a, n_token) == held
    assert weights_bytes(a, n_token) == 3 * 4 * n_token**2 * 4
    # grouped queries: one layer, 4 heads of 8 over 2 key heads: (4 + 2 · 2) · 8 floats a token
    one = Stack("decoder", "tokens", 1, 4, 2, 8, 48, 99, ("rotary",), (None,))
    assert record_bytes(replace(a, stacks=(one,)), 10) == 10 * 8 * 8 * 4
    # a decoder that also looks at the other stack keeps twice as much
    assert record_bytes(replace(a, stacks=(one, replace(one, cross=True))), 10) == 3 * 10 * 8 * 8 * 4


def test_of_an_unknown_model_it_is_said_that_it_is_unknown():
    a = describe(BRAND_NEW)
    assert record_bytes(a, 10) is None and weights_bytes(a, 10) is None
    values = {fact.name: fact.value for fact in facts(a)}
    for name in ("Family", "Layers", "Positions", "Attention", "Norms", "MLP", "Biases", "Tied", "Longest text"):
        assert values[name] == UNKNOWN, name
    assert "unknown" in drawing_words(a)


def test_an_encoder_decoder_says_what_differs():
    values = {fact.name: fact.value for fact in facts(describe(config_of("whisper")))}
    assert values["Longest text"] == "encoder 1,500 · decoder 448"
    assert values["Positions"] == "encoder sinusoidal · decoder learned"
    assert values["Heads"] == "6"
    assert values["Biases"] == "query, value, output, MLP"
    values = {fact.name: fact.value for fact in facts(describe(config_of("t5")))}
    assert values["Longest text"] == "no fixed limit" and values["Biases"] == "none"
