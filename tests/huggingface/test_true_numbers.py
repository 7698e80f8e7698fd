"""Numbers that are easily taken for others: the residual stream, the scale, an even head; and what a saved
configuration asks for. Each against transformers' own arithmetic.
"""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers

from model.analysis.attention import layer_weights
from model.huggingface import hooks
from model.huggingface.capture import Recorder
from model.huggingface.language_model import HuggingFaceModel
from model.intervention import Intervention
from model.run import Attention, ModelRun, VisitorError
from tests.conftest import REPEATED
from tests.huggingface.checkpoints import BERT, BERT_TOKENS, byte_level, load, save, word_piece
from tests.zoo import N_SOURCE, N_TOKEN, ZOO, builder, tokens
from viz.figures.score_scale import can_go, is_usual, scale_in_words, weights_formula


def opened(name: str, **options) -> HuggingFaceModel:
    if not hasattr(transformers, name):
        pytest.skip(f"transformers {transformers.__version__} has no {name}")
    return HuggingFaceModel(builder(name, **options), None, name=name, title=name, fingerprint="")


def read(lm: HuggingFaceModel, intervention: Intervention | None = None) -> ModelRun:
    source = tokens(N_SOURCE) if lm.info.family == "encoder-decoder" else ()
    return lm.run(tokens(N_TOKEN), intervention or Intervention(), source)


# --- the residual stream ---


class Elsewhere(transformers.GPT2LMHeadModel):
    """Its hidden states are none of what goes through its blocks."""

    def forward(self, *args, **options):
        output = super().forward(*args, **options)
        if output.hidden_states is not None:
            output.hidden_states = tuple(2 * states for states in output.hidden_states)
        return output


def test_hidden_vectors_that_are_not_transformers_own_are_not_shown():
    def build(attn_implementation: str) -> Elsewhere:
        torch.manual_seed(0)
        config = transformers.GPT2Config(**ZOO["GPT2LMHeadModel"].options)
        return Elsewhere._from_config(config, attn_implementation=attn_implementation)

    lm = HuggingFaceModel(build, None, name="", title="Tiny", fingerprint="")
    run = read(lm)
    assert run.hidden is None and len(run.attention) == 2 and run.predictions is not None
    with pytest.raises(VisitorError, match="Regard shows no hidden vectors of Tiny: none that it found"):
        _ = run.stream
    assert lm.info.d_model == 32
    with pytest.raises(VisitorError, match="cannot read single vectors"):
        lm.unembed(np.zeros(32, np.float32))
    assert lm.recompute_layer(run, 1) < 1e-5  # its attention is checked all the same


def test_the_stream_is_looked_for_in_every_list_of_modules():
    """XLM has no blocks: its layers are four lists side by side, of which one is entered by the residual stream and
    another one leads to the last of it.
    """
    lm = opened("XLMWithLMHeadModel")
    names = {part: name for name, part in lm.opened.transformer.named_modules()}
    assert [names[block] for block in lm.opened.stream.blocks] == [
        "transformer.attentions.0",
        "transformer.attentions.1",
    ]
    assert names[lm.opened.stream.last] == "transformer.layer_norm2.1"


def test_what_a_class_does_between_two_blocks_belongs_to_the_stream():
    """DeBERTa with a convolution behind its first layer."""
    lm = opened("DebertaV2ForMaskedLM", conv_kernel_size=3)
    theirs = builder("DebertaV2ForMaskedLM", conv_kernel_size=3)("eager")
    blocks: list[torch.Tensor] = []
    theirs.deberta.encoder.layer[0].register_forward_hook(lambda *args: blocks.append(args[2][0]))
    ids = torch.tensor([[token.id for token in tokens(N_TOKEN)]])
    with torch.inference_mode():
        states = theirs(ids, output_hidden_states=True).hidden_states
    np.testing.assert_allclose(read(lm).hidden[1], states[1][0].numpy(), atol=1e-4)
    assert float((states[1] - blocks[0]).abs().max()) > 0.1


@pytest.mark.parametrize("added", [0.0, 1.0])
@torch.inference_mode()
def test_blocks_that_are_run_in_rounds_are_known_by_what_leaves_them(added):
    """Where something is added between two rounds through the same blocks, what enters a block is no hidden state."""
    torch.manual_seed(0)
    body, x = torch.nn.Module(), torch.randn(1, 3, 4)
    body.layers = torch.nn.ModuleList([torch.nn.Linear(4, 4) for _ in range(2)])

    def read() -> list[torch.Tensor]:
        states, now = [x], x
        for _ in range(2):
            for layer in body.layers:
                now = layer(now)
                states.append(now)
            now = now + added
        return states

    stream = hooks.find_stream([list(body.layers) * 2], body, read, read(), pads=False)
    assert (stream.enters, stream.last, stream.n_last) == (added == 0, body.layers[1], 2)
    hooks.watch_stream(stream)
    with Recorder() as recorder:
        states = read()
    np.testing.assert_array_equal(recorder.hidden.numpy(), torch.cat(states).numpy())


def test_a_typed_padding_token_is_text():
    """XLM would leave it out, but for the mask that its tokenizer gives."""
    lm, theirs = opened("XLMWithLMHeadModel"), builder("XLMWithLMHeadModel")("eager")
    text = list(tokens(N_TOKEN))
    text[4] = text[-1] = replace(text[4], id=theirs.config.pad_index)
    ids = torch.tensor([[token.id for token in text]])
    with torch.inference_mode():
        said = theirs(ids, attention_mask=torch.ones_like(ids), output_attentions=True).attentions
        shorter = theirs(ids, output_attentions=True).attentions
    ours = layer_weights(lm.run(text).attention[0])
    np.testing.assert_allclose(ours, said[0][0].numpy(), atol=1e-5)
    assert np.abs(ours - shorter[0][0].numpy()).max() > 0.01


# --- the scale ---

SCALES = {  # what q·k is multiplied with: read by hand in each class
    "LlamaForCausalLM": 8**-0.5,
    "GraniteForCausalLM": 0.2,
    "GraniteMoeForCausalLM": 1.0,
    "Gemma3ForCausalLM": 256**-0.5,
    "OPTForCausalLM": 8**-0.5,  # multiplied into its queries
    "EsmForMaskedLM": 8**-0.5,  # the same
    "T5ForConditionalGeneration": 1.0,
}


@pytest.mark.parametrize("name", SCALES)
def test_the_scale_is_this_models_wherever_it_is_applied(name):
    lm = opened(name)
    run, without = read(lm), read(lm, Intervention(scale=False))
    assert [layer.whole_scale for layer in run.attention] == pytest.approx([SCALES[name]] * 2, rel=1e-5)
    first, bare = run.attention[0], without.attention[0]
    keys = first.key.repeat(lm.info.n_head // len(first.key), axis=0).astype(np.float64)
    dots = first.query.astype(np.float64) @ keys.transpose(0, 2, 1) / first.query_scale  # (H, T, S) as projected
    scores = dots if bare.bias is None else dots + bare.bias
    scores = np.where(layer_weights(first) > 0, scores, -np.inf)
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    np.testing.assert_allclose(layer_weights(bare), powers / powers.sum(-1, keepdims=True), atol=1e-4)
    assert lm.recompute_layer(without, 1) < 1e-4
    moved = np.abs(layer_weights(bare) - layer_weights(first)).max()
    assert moved < 1e-6 if SCALES[name] == 1 else moved > 1e-2


class Unfound(transformers.OPTForCausalLM):
    """Hands its scores' scale over as 1, and where it was applied cannot be seen."""


def test_a_scale_that_is_not_found_is_not_taken_away():
    def build(attn_implementation: str) -> transformers.OPTForCausalLM:
        torch.manual_seed(0)
        config = transformers.OPTConfig(**ZOO["OPTForCausalLM"].options)
        transformer = Unfound._from_config(config, attn_implementation=attn_implementation)
        for layer in transformer.model.decoder.layers:
            # lengths that differ from token to token: no one number leads from the projection to the queries
            layer.self_attn.q_proj = torch.nn.Sequential(layer.self_attn.q_proj, torch.nn.Tanh())
        return transformer

    lm = HuggingFaceModel(build, None, name="", title="Tiny", fingerprint="")
    run = read(lm)
    assert run.attention[0].query_scale is None and not can_go(run.attention)
    assert "was not found, so the scale cannot be taken away" in scale_in_words(run.attention, 0)
    with pytest.raises(VisitorError, match="in a place that Regard has not found"):
        read(lm, Intervention(scale=False))


def scaled(*scales: float, query_scale: float | None = 1.0, d_head: int = 8) -> list[Attention]:
    vectors = np.ones((1, 3, d_head), np.float32)
    return [
        Attention(vectors.copy(), vectors.copy(), vectors.copy(), scale, causal=True, query_scale=query_scale)
        for scale in scales
    ]


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        (scaled(8**-0.5, 8**-0.5), "without it, scores are √8 = 2.8 times larger, and"),
        (scaled(1.0, query_scale=8**-0.5), "without it, scores are √8 = 2.8 times larger, and"),
        (scaled(0.02, 0.02), "without it, scores are 50 times larger, and"),
        (scaled(0.8), "without it, scores are 1.25 times larger, and"),
        (scaled(0.1, 0.05), "without it, scores are in layer 0 10.0 times larger, and"),
        (scaled(2.0), "makes scores larger; without it, they are 2.0 times smaller"),
        (scaled(1.0, 1.0), "does not scale its scores: they are q·k as they are"),
        (scaled(1.0, 0.5), "in layer 0 it is 1, and nothing changes there"),
    ],
)
def test_the_factor_is_said_in_words(layers, said):
    assert said in scale_in_words(layers, 0)
    assert can_go(layers) == ("does not scale" not in said)
    assert is_usual(layers[0]) == ("√8" in said)


def test_the_formula_is_this_layers():
    assert weights_formula(scaled(8**-0.5)[0]) == "softmax(Q·Kᵀ/√d)·V"
    assert weights_formula(scaled(0.02)[0]) == "softmax(0.02·Q·Kᵀ)·V"
    assert weights_formula(scaled(1.0)[0]) == "softmax(Q·Kᵀ)·V"


@pytest.mark.parametrize(("multiplier", "times"), [(0.02, "50 times larger"), (8**-0.5, "√8 = 2.8 times larger")])
def test_the_page_says_this_models_factor(multiplier, times, tmp_path, monkeypatch, open_page):
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    config = sizes | {"attention_multiplier": multiplier, "max_position_embeddings": 40, "pad_token_id": 0}
    folder = save(tmp_path / "granite", "GraniteForCausalLM", byte_level(), config)
    monkeypatch.setenv("REGARD_MODEL_ROOTS", str(tmp_path))
    app = open_page("mechanism", model=f"folder:{folder}", text=REPEATED)
    assert not app.exception
    assert any(f"scores are {times}" in element.value for element in app.caption)


# --- a head made uniform ---


def test_numbers_in_a_mask_do_not_keep_a_head_from_being_uniform():
    """Doge adds numbers of its own to its mask; where they forbid nothing, they are left out with the queries."""
    lm = opened("DogeForCausalLM")
    run, uniform = read(lm), read(lm, Intervention(heads_uniform=frozenset({(0, 1)})))
    assert run.attention[0].bias is not None
    weights = layer_weights(uniform.attention[0])
    even = np.tril(np.ones((N_TOKEN, N_TOKEN)))
    np.testing.assert_allclose(weights[1], even / even.sum(-1, keepdims=True), atol=1e-6)
    np.testing.assert_allclose(weights[0], layer_weights(run.attention[0])[0], atol=1e-6)
    assert lm.recompute_layer(uniform, 0) < 1e-5


def test_numbers_in_a_mask_are_scores_like_others():
    """A temperature divides them too."""
    lm = opened("DogeForCausalLM")
    run, warm = read(lm), read(lm, Intervention(temperature=2.0))
    powers = np.sqrt(layer_weights(run.attention[0]).astype(np.float64))  # softmax(z / 2) is √softmax(z), normalised
    expected = powers / powers.sum(-1, keepdims=True)
    np.testing.assert_allclose(layer_weights(warm.attention[0]), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (Intervention(causal_mask=False), "mixes its causal mask with other numbers"),
        (Intervention(positions=False), "which of them tell positions is not known"),
    ],
)
def test_what_numbers_in_a_mask_make_unknown_is_refused(change, said):
    with pytest.raises(VisitorError, match=said):
        read(opened("DogeForCausalLM"), change)


# --- what a saved configuration asks for ---

ASKED = [
    {"output_attentions": True},
    {"return_dict": False},
    {"output_attentions": True, "output_hidden_states": True, "return_dict": False, "use_cache": True},
    {"output_attentions": True, "attn_implementation": "sdpa"},
    {"attn_implementation": "flash_attention_2"},
    {"torchscript": True},
    {"gradient_checkpointing": True},
    {"chunk_size_feed_forward": 4},
    {"dtype": "float16"},
]


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: " ".join(asked))
@pytest.mark.parametrize("name", ["BertForMaskedLM", "GPT2LMHeadModel"])
def test_what_a_saved_configuration_asks_of_a_call_changes_nothing(name, asked, tmp_path):
    if name == "BertForMaskedLM":
        folder = save(tmp_path / "model", name, word_piece(), BERT | {"max_position_embeddings": 40}, **BERT_TOKENS)
    else:
        config = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 40, "bos_token_id": 0, "eos_token_id": 0}
        folder = save(tmp_path / "model", name, byte_level(), config, eos_token="<|endoftext|>")
    before = load(folder)
    run = before.run(before.encode(REPEATED))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | asked))
    after = load(folder)
    again = after.run(after.encode(REPEATED))
    assert after.captured == before.captured
    np.testing.assert_array_equal(again.hidden, run.hidden)
    for ours, theirs in zip(again.attention, run.attention, strict=True):
        np.testing.assert_array_equal(layer_weights(ours), layer_weights(theirs))


def test_the_factor_before_is_looked_for_in_fused_projections_too():
    rng = np.random.default_rng(0)
    fused = torch.from_numpy(rng.standard_normal((1, 5, 3 * 8)).astype(np.float32))
    query = 0.25 * fused[0, :, 8:16].reshape(5, 2, 4).transpose(0, 1).contiguous().numpy()
    assert hooks._factor(query, [fused]) == pytest.approx(0.25)
    assert hooks._factor(query**2, [fused]) is None
