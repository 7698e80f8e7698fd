"""Heads that write their mean over texts: the mean by hand, and what the model does with it, done by hand."""

import io
from dataclasses import replace

import numpy as np
import pytest

import model
from model.analysis.attention import layer_weights
from model.analysis.head_means import head_means
from model.analysis.knock_out import losses, whole
from model.analysis.run_file import save_run
from model.intervention import UNCHANGED, Ablation, Intervention
from model.run import VisitorError
from tests.conftest import REPEATED

TEXTS = ("the dog sat", "a cat and a dog sat on the mat")
LAYER, HEAD = 1, 1


@pytest.fixture(params=["builtin", "transformers"])
def read(request, tiny, tiny_gpt2):
    """A model, and the module that what its heads of a layer give enters."""
    if request.param == "builtin":
        return tiny, tiny.transformer.blocks[LAYER].attention.output
    lm = model.load(tiny_gpt2)
    return lm, lm.opened.transformer.transformer.h[LAYER].attn.c_proj


def test_the_mean_is_over_all_tokens_of_all_texts(read):
    lm, _ = read
    runs = [lm.run(lm.encode(text)) for text in TEXTS]
    means = head_means(iter(runs))
    given = np.concatenate([layer_weights(run.attention[LAYER]) @ run.attention[LAYER].value for run in runs], 1)
    np.testing.assert_allclose(means.layers[LAYER], given.mean(1), atol=1e-6)
    assert (means.n_text, means.n_token) == (2, given.shape[1]) and len(means.layers) == lm.info.n_layer


def test_a_head_that_is_off_writes_it_at_every_token(read):
    lm, output = read
    means, tokens = head_means(map(lm.run, map(lm.encode, TEXTS))), lm.encode(REPEATED)
    changed = lm.run(tokens, Intervention(heads_off={(LAYER, HEAD)}, means=means))

    def replaced(_, args):
        heads = args[0].clone().unflatten(-1, (lm.info.n_head, -1))
        heads[..., HEAD, :] = heads.new_tensor(means.layers[LAYER][HEAD])
        return (heads.flatten(-2),)

    hook = output.register_forward_pre_hook(replaced)
    expected = lm.run(tokens)
    hook.remove()
    np.testing.assert_allclose(changed.hidden, expected.hidden, atol=1e-5)
    assert max(lm.recompute_layer(changed, layer) for layer in range(lm.info.n_layer)) < 1e-4
    nothing = lm.run(tokens, Intervention(heads_off={(LAYER, HEAD)}))
    assert np.abs(changed.hidden[-1] - nothing.hidden[-1]).max() > 1e-4
    with pytest.raises(VisitorError, match="means over texts"):
        save_run(changed, io.BytesIO())


def test_of_all_heads_together_as_one_by_one(read):
    lm, _ = read
    means, tokens = head_means(map(lm.run, map(lm.encode, TEXTS))), lm.encode(REPEATED)
    off = [frozenset({(a, b)}) for a in range(lm.info.n_layer) for b in range(lm.info.n_head)]
    changes = [UNCHANGED, *(Intervention(heads_off=heads, means=means) for heads in off)]
    for loss, change in zip(losses(lm, whole(tokens), [frozenset(), *off], means=means), changes, strict=True):
        assert loss == pytest.approx(lm.run(tokens, change).predictions.loss, abs=1e-4)
    row = [Intervention(rows_off={(LAYER, HEAD, len(tokens) - 1)}, means=each) for each in (means, None)]
    for logits, change in zip(lm.logits(tokens, row, positions=[-1]), row, strict=True):
        np.testing.assert_allclose(logits, lm.unembed(lm.run(tokens, change).hidden[-1, -1:]), atol=1e-4)


def test_of_another_kind_of_attention(tiny_translator):
    lm = tiny_translator
    text, source = (lm.start_token(), *lm.encode("a dog sat")), lm.encode("the cat saw the dog")
    run = lm.run(text, source=source)
    means = head_means([run], "cross")
    off = Intervention(cross=Ablation(heads_off={(0, 2)}, means=means))
    assert lm.recompute_layer(lm.run(text, off, source), 0) < 1e-4
    (logits,) = lm.logits(text, [off], source)
    np.testing.assert_allclose(logits, lm.unembed(lm.run(text, off, source).hidden[-1]), atol=1e-4)


def test_what_cannot_be_had_is_said(tiny_run):
    def half(layer):
        return replace(layer, query=layer.query.astype(np.float16), key=layer.key.astype(np.float16), value=None)

    halves = replace(tiny_run, attention=tuple(map(half, tiny_run.attention)))
    with pytest.raises(VisitorError, match="no values are kept"):
        head_means([halves])
    with pytest.raises(ValueError, match="no texts"):
        head_means([])
