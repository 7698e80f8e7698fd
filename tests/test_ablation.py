"""Heads, rows and edges of each kind of attention taken out, in both back ends: what the run then says of itself, and
what the model would do with weights that never had them.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from model.analysis.attention import layer_weights
from model.huggingface.language_model import HuggingFaceModel
from model.intervention import KINDS, NOTHING, UNCHANGED, Ablation, Intervention
from model.language_model import LanguageModel
from model.run import ModelRun, VisitorError
from tests.conftest import REPEATED
from tests.zoo import N_SOURCE, N_TOKEN, builder, tokens

LAYER, HEAD, QUERY, KEY = 1, 2, 4, 1
PLACES = {
    "heads_off": {(LAYER, HEAD)},
    "heads_uniform": {(LAYER, HEAD)},
    "rows_off": {(LAYER, HEAD, QUERY)},
    "edges_off": {(LAYER, HEAD, QUERY, KEY)},
}
# where the heads' outputs enter the output projection, in BART
PROJECTIONS = {
    "self": "model.decoder.layers.1.self_attn.out_proj",
    "encoder": "model.encoder.layers.1.self_attn.out_proj",
    "cross": "model.decoder.layers.1.encoder_attn.out_proj",
}


def taken_out(kind: str, **places: object) -> Intervention:
    return Intervention(**places) if kind == "self" else Intervention(**{kind: Ablation(**places)})


@pytest.fixture(scope="module")
def bart() -> HuggingFaceModel:
    return HuggingFaceModel(builder("BartForConditionalGeneration"), None, name="bart", title="Bart", fingerprint="")


@pytest.fixture(params=["builtin", "huggingface"])
def pair(request, tiny_translator, bart) -> tuple[LanguageModel, ModelRun]:
    """An encoder-decoder and its run."""
    if request.param == "huggingface":
        return bart, bart.run(tokens(N_TOKEN), source=tokens(N_SOURCE))
    lm = tiny_translator
    return lm, lm.run((lm.start_token(), *lm.encode(REPEATED)[:-1]), source=lm.encode("a dog sat on the mat"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", PLACES)
def test_the_run_says_what_was_taken_out_and_only_there(pair, kind, what):
    lm, run = pair
    changed = lm.run(run.tokens, taken_out(kind, **{what: PLACES[what]}), run.source)
    assert np.abs(changed.hidden[-1] - run.hidden[-1]).max() > 1e-4
    before, after = (layer_weights(each.layers(kind)[LAYER]) for each in (run, changed))
    others = np.arange(lm.info.n_head) != HEAD
    np.testing.assert_allclose(after[others], before[others], atol=1e-6)
    if what == "heads_uniform":
        seen = before[HEAD] > 0
        np.testing.assert_allclose(after[HEAD], seen / seen.sum(-1, keepdims=True), atol=1e-6)
    elif what == "edges_off":
        assert after[HEAD, QUERY, KEY] == 0 < before[HEAD, QUERY, KEY]
        kept = np.arange(before.shape[2]) != KEY
        expected = before[HEAD, QUERY, kept] / (1 - before[HEAD, QUERY, KEY])
        np.testing.assert_allclose(after[HEAD, QUERY, kept], expected, atol=1e-5)
    else:
        np.testing.assert_allclose(after, before, atol=1e-6)
    assert max(lm.recompute_layer(changed, layer) for layer in range(lm.info.n_layer)) < 1e-4
    if kind == "encoder":  # what a decoder's head sees has changed from its first layer on, what it asks has not
        assert np.array_equal(changed.attention[0].query, run.attention[0].query)
    else:
        assert np.array_equal(changed.encoder[1].query, run.encoder[1].query)
    if what == "rows_off" and kind != "encoder":
        assert np.array_equal(changed.hidden[LAYER + 1][:QUERY], run.hidden[LAYER + 1][:QUERY])


@pytest.mark.parametrize("kind", KINDS)
def test_a_head_of_transformers_that_is_off_is_its_slice_set_to_zero(bart, kind):
    run = bart.run(tokens(N_TOKEN), taken_out(kind, heads_off={(LAYER, HEAD)}), tokens(N_SOURCE))
    theirs = builder("BartForConditionalGeneration")("eager")
    width = bart.info.d_head

    def without_head(_: torch.nn.Module, args: tuple) -> tuple:
        heads = args[0].clone()
        heads[..., HEAD * width : (HEAD + 1) * width] = 0
        return (heads, *args[1:])

    theirs.get_submodule(PROJECTIONS[kind]).register_forward_pre_hook(without_head)
    ids = [torch.tensor([[token.id for token in text]]) for text in (run.source, run.tokens)]
    with torch.inference_mode():
        logits = theirs(input_ids=ids[0], decoder_input_ids=ids[1]).logits[0].numpy()
    np.testing.assert_allclose(bart.unembed(run.hidden[-1]), logits, atol=1e-4 * np.abs(logits).max())


@pytest.mark.parametrize("kind", KINDS)
def test_a_head_of_ours_that_is_off_is_its_columns_set_to_zero(tiny_translator, kind):
    lm = tiny_translator
    text, source = (lm.start_token(), *lm.encode(REPEATED)[:-1]), lm.encode("a dog sat on the mat")
    changed = lm.run(text, taken_out(kind, heads_off={(LAYER, HEAD)}), source)
    block = (lm.transformer.encoder if kind == "encoder" else lm.transformer.decoder)[LAYER]
    weight = (block.cross if kind == "cross" else block.attention).output.weight
    kept = weight.clone()
    weight[:, HEAD * lm.info.d_head : (HEAD + 1) * lm.info.d_head] = 0
    expected = lm.run(text, source=source)
    weight.copy_(kept)
    np.testing.assert_allclose(changed.hidden, expected.hidden, atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "places", "said"),
    [
        ("cross", {"heads_off": {(9, 0)}}, "no head 0 in layer 9 of cross attention"),
        ("encoder", {"heads_uniform": {(0, 4)}}, "no head 4 in layer 0 of encoder attention"),
        ("cross", {"edges_off": {(0, 0, 1, 50)}}, r"no tokens \[1, 50\] in texts of \d+ and \d+"),
        ("encoder", {"rows_off": {(0, 0, 50)}}, r"no tokens \[50\] in a text of"),
        (
            "cross",
            {"edges_off": {(1, 2, 0, key) for key in range(N_SOURCE)}},
            "query 0 of layer 1, head 2 of cross attention would see no key any more",
        ),
    ],
)
def test_what_is_not_there_cannot_be_taken_out(bart, kind, places, said):
    with pytest.raises(ValueError, match=said):
        bart.run(tokens(N_TOKEN), taken_out(kind, **places), tokens(N_SOURCE))


@pytest.mark.parametrize("kind", ["encoder", "cross"])
def test_a_class_that_does_its_attention_itself_says_so(kind):
    lm = HuggingFaceModel(builder("LongT5ForConditionalGeneration"), None, name="long", title="Long", fingerprint="")
    assert lm.captured == "weights"
    with pytest.raises(VisitorError, match="Long does its attention in code of its own"):
        lm.run(tokens(N_TOKEN), taken_out(kind, heads_off={(0, 0)}), tokens(N_SOURCE))


@pytest.mark.parametrize("kind", ["encoder", "cross"])
def test_a_model_of_one_stack_has_no_other_heads(tiny, kind):
    with pytest.raises(ValueError, match=f"this model has no {kind} attention"):
        tiny.run(tiny.encode(REPEATED), taken_out(kind, heads_off={(0, 0)}))


def test_equal_interventions_are_equal_keys_whatever_collection_the_places_came_in():
    some = Intervention(heads_off={(1, 2)}, cross=Ablation(edges_off=[[0, 1, 2, 3]]))
    same = Intervention(frozenset({(1, 2)}), cross=Ablation(edges_off=frozenset({(0, 1, 2, 3)})))
    assert some == same and hash(some) == hash(same)
    assert Intervention(cross=Ablation()) == UNCHANGED and some != replace(some, cross=NOTHING)


def test_what_is_changed_everywhere_is_told_from_what_is_taken_out():
    some = Intervention(heads_off={(1, 2)}, encoder=Ablation(rows_off={(0, 1, 2)}), temperature=2.0, scale=False)
    assert some.everywhere == Intervention(temperature=2.0, scale=False)
    assert some.beginning == (0, 0) and replace(some, encoder=NOTHING).beginning == (1, 1)
