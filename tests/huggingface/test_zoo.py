"""Regard against transformers' own numbers, for tiny random models of every class in `tests.zoo`. No download.

A class is shown with its true numbers, or refused with the true reason. By which way it is read, by queries and keys or
by the weights it gives, depends on the version of transformers: it is told when the tests end, and never asserted.
"""

import re
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from model.analysis.attention import layer_weights
from model.analysis.head import head_steps
from model.huggingface import prepacking
from model.huggingface.language_model import HuggingFaceModel
from model.intervention import Intervention
from model.run import Attention, ModelNotAvailable, ModelRun, VisitorError
from model.text.writing import decoding_of
from tests import readme
from tests.huggingface.checkpoints import Wordless
from tests.zoo import N_SOURCE, N_TOKEN, ZOO, as_theirs, attentions_of, builder, tokens
from tests.zoo_table import PART, SAME, measured, said_in, versions

MAYBE = [name for name, animal in ZOO.items() if animal.refusal]
NOT_FOLLOWED = {  # of those that give queries and keys: the step of a head that is done in a way of their own
    "DogeForCausalLM": "Add to the residual stream",  # the stream is multiplied before
    "DeepseekV3ForCausalLM": "Query, key and value",  # of a vector between, narrower than the stream
    "Llama4ForCausalLM": "Query, key and value",  # its rotation is of complex numbers
    "MiMoV2FlashForCausalLM": "Query, key and value",  # its values are multiplied
    "OpenAIPrivacyFilterModel": "Query, key and value",  # scaled, both of them
}
# hybrids have tests of their own
SHOWN = [name for name, animal in ZOO.items() if not (animal.cannot or animal.refusal or animal.others)]


@dataclass(frozen=True)
class Pair:
    """A class as Regard shows it, and as transformers runs it with ``attn_implementation="eager"``."""

    name: str
    lm: HuggingFaceModel
    run: ModelRun
    theirs: Any  # the model
    inputs: dict[str, torch.Tensor]
    said: Any  # its output

    def look(self, intervention: Intervention) -> ModelRun:
        return self.lm.run(self.run.tokens, intervention, self.run.source)

    def their_hidden(self, output: Any) -> tuple[torch.Tensor, ...]:
        return output.decoder_hidden_states if self.run.source else output.hidden_states


@pytest.fixture(scope="module", params=SHOWN)
def pair(request) -> Pair:
    return read(request.param)


def read(name: str) -> Pair:
    """Raises `ModelNotAvailable` if Regard refuses the class."""
    if not hasattr(transformers, name):
        pytest.skip(f"transformers {transformers.__version__} has no {name}")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(prepacking, "_SMALLEST", 0)  # tiny models go the way of large ones
        lm = Wordless(builder(name), None, name=name, title=name, fingerprint="")
    source = tokens(N_SOURCE) if ZOO[name].family == "encoder-decoder" else ()
    run = lm.run(tokens(N_TOKEN), source=source)
    theirs = builder(name)("eager")
    ids, source_ids = (torch.tensor([[token.id for token in text]]) for text in (run.tokens, run.source))
    inputs = {"input_ids": source_ids, "decoder_input_ids": ids} if source else {"input_ids": ids}
    with torch.inference_mode():
        said = theirs(**inputs, output_attentions=True, output_hidden_states=True)
    return Pair(name, lm, run, theirs, inputs, said)


def test_every_heads_weights_are_the_models_own(pair, record_property):
    record_property("shown from", pair.lm.captured)
    check_weights(pair)


def check_weights(pair: Pair) -> None:
    assert pair.run.info.family == ZOO[pair.name].family
    said = attentions_of(pair.said, pair.theirs.config)
    assert tuple(said) == pair.run.kinds
    for kind, theirs in said.items():
        assert len(pair.run.layers(kind)) == len(theirs) == 2
        for layer, weights in zip(pair.run.layers(kind), theirs, strict=True):
            weights = weights.numpy()
            np.testing.assert_allclose(as_theirs(layer_weights(layer), weights), weights, atol=1e-5)
            np.testing.assert_allclose(layer_weights(layer).sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize("name", MAYBE)
def test_a_class_that_may_be_refused_is_so_for_its_true_reason_or_shown_truly(name, record_property):
    try:
        pair = read(name)
    except ModelNotAvailable as refusal:
        record_property("shown from", "refused")
        assert re.search(ZOO[name].refusal, str(refusal))
        assert name in str(refusal) and ("shows none" in str(refusal) or "no softmax attention" in str(refusal))
    else:
        record_property("shown from", pair.lm.captured)
        check_weights(pair)


def test_the_residual_stream_and_the_logits_are_the_models_own(pair):
    hidden = pair.their_hidden(pair.said)
    if ZOO[pair.name].unrepeatable:  # what needs no vector of its own is shown all the same, see below
        with pytest.raises(VisitorError, match="could not be repeated exactly"):
            pair.lm.unembed(np.zeros((1, pair.run.info.d_model), np.float32))
        return
    for ours, theirs in zip(pair.run.hidden[:-1], hidden[:-1], strict=True):  # the last may be behind a norm
        np.testing.assert_allclose(ours, theirs[0].numpy(), rtol=1e-4, atol=1e-4 * float(theirs.abs().max()))
    if not hasattr(pair.said, "logits"):
        with pytest.raises(VisitorError, match="no language-model head"):
            pair.lm.unembed(pair.run.hidden[-1])
        return
    logits = pair.said.logits[0].numpy()
    np.testing.assert_allclose(pair.lm.unembed(pair.run.hidden[-1]), logits, atol=1e-4 * np.abs(logits).max())
    assert pair.lm.unembed(pair.run.hidden[1, 4]).shape == (pair.run.info.n_vocab,)


def test_token_types_are_given_to_the_model(pair):
    n_type = pair.lm.opened.n_type
    if n_type in (0, 1):  # it takes none, or knows one: then nothing else may come
        return
    types = [int(position > 5) for position in range(N_TOKEN)]
    run = pair.lm.run([replace(token, type=type) for token, type in zip(pair.run.tokens, types, strict=True)])
    with torch.inference_mode():
        said = pair.theirs(**pair.inputs, token_type_ids=torch.tensor([types]), output_attentions=True)
    for ours, theirs in zip(run.attention, attentions_of(said, pair.theirs.config)["self"], strict=True):
        np.testing.assert_allclose(layer_weights(ours), theirs.numpy(), atol=1e-5)
    untold = zip(run.attention, pair.run.attention, strict=True)
    assert max(np.abs(layer_weights(ours) - layer_weights(theirs)).max() for ours, theirs in untold) > 1e-3


def test_predictions_are_the_models_own(pair):
    if not hasattr(pair.said, "logits"):
        assert pair.run.predictions is None
        return
    log_prob = pair.said.logits[0].log_softmax(-1)
    best = log_prob.topk(5)
    predictions = pair.run.predictions
    np.testing.assert_array_equal(predictions.top_id[:, :5], best.indices.numpy())
    np.testing.assert_allclose(predictions.top_log_prob[:, :5], best.values.numpy(), atol=1e-3)
    ids = [token.id for token in pair.run.tokens]
    if predictions.of_next:
        actual = [float(log_prob[t, id]) for t, id in enumerate(ids[1:])]
        np.testing.assert_allclose(predictions.next_log_prob[:-1], actual, atol=1e-3)
        assert np.isnan(predictions.next_log_prob[-1]) and predictions.next_rank[-1] == -1
    else:
        np.testing.assert_allclose(
            predictions.next_log_prob, [float(log_prob[t, id]) for t, id in enumerate(ids)], atol=1e-3
        )


def test_a_head_switched_off_is_its_slice_set_to_zero(pair):
    layer, head = 1, 2
    off = Intervention(heads_off=frozenset({(layer, head)}))
    try:
        changed = pair.look(off)
    except VisitorError as refusal:
        assert "none can be switched off" in str(refusal) and pair.lm.captured == "weights"
        return
    if not (output := ZOO[pair.name].output):  # what a head writes has changed from this layer on, and only there
        np.testing.assert_array_equal(changed.hidden[: layer + 1], pair.run.hidden[: layer + 1])
        assert np.abs(changed.hidden[layer + 1] - pair.run.hidden[layer + 1]).max() > 1e-4
        return
    call = iter(range(100))  # ALBERT calls the one module for each layer
    wanted = layer if pair.name == "AlbertForMaskedLM" else 0

    def without_head(module: torch.nn.Module, args: tuple) -> tuple | None:
        if next(call) != wanted:
            return None
        heads = args[0].clone()
        width = heads.shape[-1] // pair.run.info.n_head
        heads[..., head * width : (head + 1) * width] = 0
        return (heads, *args[1:])

    hook = pair.theirs.get_submodule(output).register_forward_pre_hook(without_head)
    try:
        with torch.inference_mode():
            said = pair.theirs(**pair.inputs)
    finally:
        hook.remove()
    logits = said.logits[0].numpy()
    assert np.abs(logits - pair.said.logits[0].numpy()).max() > 1e-3  # it makes a difference
    np.testing.assert_allclose(pair.lm.unembed(changed.hidden[-1]), logits, atol=1e-4 * np.abs(logits).max())
    np.testing.assert_array_equal(pair.run.hidden, pair.look(Intervention()).hidden)  # the next visitor's run is whole


@pytest.mark.parametrize(
    "change",
    [
        Intervention(heads_uniform=frozenset({(0, 1)})),
        Intervention(temperature=2.5),
        Intervention(scale=False, heads_off=frozenset({(1, 3)})),
        Intervention(causal_mask=False),
        Intervention(positions=False),
        Intervention(edges_off=frozenset({(0, 1, 5, 4), (1, 0, 3, 3)})),
        Intervention(rows_off=frozenset({(0, 1, 5), (1, 0, 3)})),
        Intervention(edges_off=frozenset({(0, 1, 5, 4)}), causal_mask=False, temperature=2.0),
    ],
    ids=["uniform", "temperature", "scale", "mask", "positions", "edges", "rows", "edges without mask"],
)
def test_the_record_says_what_was_done(pair, change):
    """What the heads gave to the output projection is weights·V of the record, whatever was changed."""
    if pair.lm.captured == "weights":
        with pytest.raises(VisitorError, match="code of its own"):
            pair.look(change)
        with pytest.raises(VisitorError, match="not the values"):
            pair.lm.recompute_layer(pair.run, 0)
        return
    for part, kept in (("mask", change.causal_mask), ("positions", change.positions)):
        if not kept and (reason := ZOO[pair.name].unchangeable.get(part)):
            with pytest.raises(VisitorError, match=reason):
                pair.look(change)
            return
    changed = pair.look(change)
    for layer in range(2):
        assert pair.lm.recompute_layer(changed, layer) < 1e-5
    weights, before = layer_weights(changed.attention[0]), layer_weights(pair.run.attention[0])
    if change.edges_off and change.causal_mask:
        others = np.arange(weights.shape[-1]) != 4
        assert weights[1, 5, 4] == 0
        np.testing.assert_allclose(weights[1, 5, others], before[1, 5, others] / (1 - before[1, 5, 4]), atol=1e-5)
    elif change.rows_off:
        np.testing.assert_allclose(weights, before, atol=1e-6)  # of the first layer: what it writes is what changes
        assert np.abs(changed.hidden[1] - pair.run.hidden[1])[5].max() > 1e-4
        np.testing.assert_allclose(changed.hidden[1][4], pair.run.hidden[1][4], atol=1e-5)
    elif change.heads_uniform:
        keys = weights[1, :, :N_TOKEN]  # a learned sink keeps its score
        seen = keys > 0
        left = keys.sum(-1, keepdims=True)
        np.testing.assert_allclose(keys, left * seen / seen.sum(-1, keepdims=True), atol=1e-6)
    elif not change.causal_mask:
        assert (weights[:, 0, :N_TOKEN] > 0).sum(-1).max() == N_TOKEN or not pair.run.info.causal
    elif change.temperature != 1:
        entropy = [-(w * np.log(np.maximum(w, 1e-30))).sum() for w in (weights, layer_weights(pair.run.attention[0]))]
        assert entropy[0] > entropy[1]
    elif not change.positions:
        assert np.abs(weights - layer_weights(pair.run.attention[0])).max() > 1e-3


def test_every_step_of_a_head_is_the_models_own_or_the_one_that_is_not_is_named(pair):
    for layer in range(2):
        if pair.lm.captured == "weights":
            assert "“Query, key and value”" in pair.lm.unfollowed(layer) and "gives weights" in pair.lm.unfollowed(
                layer
            )
            continue
        if step := NOT_FOLLOWED.get(pair.name):
            assert f"the step “{step}” of layer {layer} cannot be followed: " in pair.lm.unfollowed(layer)
            with pytest.raises(VisitorError, match=step):
                pair.lm.layer_parameters(layer)
            continue
        assert pair.lm.unfollowed(layer) is None
        parameters, output = pair.lm.layer_parameters(layer), pair.lm.attention_output(pair.run, layer)
        for head, query in product(range(pair.run.info.n_head), (0, 5, N_TOKEN - 1)):
            steps = head_steps(pair.run, parameters, layer, head, query)
            for each in (*steps.differences, *steps.against(output)):
                assert each.relative < SAME, each
    if ZOO[pair.name].output and pair.lm.unfollowed(1) is None:
        np.testing.assert_allclose(output.written, their_output(pair), atol=1e-5 * np.abs(output.written).max())


def their_output(pair: Pair) -> np.ndarray:
    """What the output projection of the last layer gives where transformers runs the class, (T, D)."""
    gave = []
    handle = pair.theirs.get_submodule(ZOO[pair.name].output).register_forward_hook(lambda *each: gave.append(each[2]))
    with torch.inference_mode():
        pair.theirs(**pair.inputs)
    handle.remove()
    return gave[-1].reshape(N_TOKEN, -1).numpy()


def test_logits_of_several_interventions_are_those_of_each_run(pair):
    changes = [Intervention(), *(Intervention(heads_off={(layer, head)}) for layer in (0, 1) for head in (0, 2, 3))]
    if pair.lm.captured == "queries and keys":
        changes += [Intervention(edges_off={(0, 1, 5, 4)}), Intervention(heads_uniform={(0, 1)}, temperature=2.0)]
    if pair.run.predictions is None or not pair.lm.opened.can_switch:
        changes = changes[:1]
    if pair.run.predictions is None:
        with pytest.raises(VisitorError, match="no language-model head"):
            pair.lm.logits(pair.run.tokens, changes, pair.run.source)
        return
    ours = list(pair.lm.logits(pair.run.tokens, changes, pair.run.source))
    largest = np.abs(ours[0]).max()
    for logits, change in zip(ours, changes, strict=True):
        run = pair.look(change)
        assert logits.shape == (N_TOKEN, run.info.n_vocab)
        if not ZOO[pair.name].unrepeatable:
            np.testing.assert_allclose(logits, pair.lm.unembed(run.hidden[-1]), atol=1e-4 * largest)
        best = torch.tensor(logits).log_softmax(-1).topk(5).values
        np.testing.assert_allclose(best, run.predictions.top_log_prob[:, :5], atol=1e-3)
    assert all(np.abs(logits - ours[0]).max() > 1e-4 * largest for logits in ours[1:7])  # each head counts
    last = list(pair.lm.logits(pair.run.tokens, changes[:3], pair.run.source, positions=[-1, 2]))
    for logits, all_of_them in zip(last, ours, strict=False):
        np.testing.assert_allclose(logits, all_of_them[[-1, 2]], atol=1e-4 * largest)


def test_written_token_by_token_it_says_what_the_whole_text_says(pair):
    """Several texts that part, and one of them twice."""
    if pair.run.predictions is None or pair.lm.info.family == "encoder":
        return
    tokens, source = list(pair.run.tokens), pair.run.source
    decoding = decoding_of(pair.lm, tokens[:7], source)
    texts, ids = [[*tokens[:7]]] * 2, (tokens[7].id, tokens[8].id)
    for rows in ([0, 0], [1, 0], [1, 1], None, [0, 1]):
        decoding.write(ids, rows)
        texts = [[*texts[row], pair.lm.token(id)] for row, id in zip(rows or (0, 1), ids, strict=True)]
        for logits, text in zip(decoding.logits, texts, strict=True):
            (whole,) = pair.lm.logits(text, source=source, positions=[-1])
            np.testing.assert_allclose(logits, whole[0], atol=1e-4 * np.abs(whole).max())


def test_queries_and_keys_are_the_runs_own_memory(pair):
    """A view would keep the whole fused tensor alive, and lie scattered in it."""
    for layer in pair.run.attention:
        for array in (layer.query, layer.key, layer.value) if isinstance(layer, Attention) else (layer.weights,):
            assert array.flags.c_contiguous and not array.flags.writeable


def test_the_zoo_is_large():
    assert len(SHOWN) >= 24


def test_the_readmes_table_is_of_this_zoo():
    """Its versions, classes and outcomes; measured again where these versions are installed."""
    said, theirs = said_in(readme.part(PART))
    assert re.fullmatch(r"Measured with transformers [\d.]+ and torch [\d.]+", said)
    theirs = [line.split(" | ") for line in theirs]
    assert [line[0] for line in theirs] == list(ZOO)
    assert all(line[-1] == "–" or float(line[-1]) < SAME for line in theirs)
    if said == versions():
        ours = [measured(name).row.split(" | ") for name in ZOO]
        assert [line[:-1] for line in theirs] == [line[:-1] for line in ours]  # last digits differ between processors


@pytest.mark.parametrize(
    ("name", "tables"),
    [
        ("GPT2LMHeadModel", ["transformer.wpe.weight"]),
        ("BertForMaskedLM", ["bert.embeddings.position_embeddings.weight"]),
        ("MarianMTModel", ["model.encoder.embed_positions.weight", "model.decoder.embed_positions.weight"]),
        # computed by a module that is no table
        (
            "M2M100ForConditionalGeneration",
            ["model.encoder.embed_positions.weights", "model.decoder.embed_positions.weights"],
        ),
    ],
)
def test_without_positions_is_transformers_with_zeros_for_their_vectors(name, tables):
    pair = read(name)
    for path in tables:
        module, _, attribute = path.rpartition(".")
        with torch.no_grad():
            getattr(pair.theirs.get_submodule(module), attribute).zero_()
    with torch.inference_mode():
        said = pair.theirs(**pair.inputs).logits[0]
    ours = pair.lm.unembed(pair.look(Intervention(positions=False)).hidden[-1])
    np.testing.assert_allclose(ours, said.numpy(), atol=1e-4 * float(said.abs().max()))
    assert float((said - pair.said.logits[0]).abs().max()) > 1e-2
