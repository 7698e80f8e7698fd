"""The logit lens against transformers' own norm and head, and by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from model.analysis import lens as lens_module
from model.analysis.lens import logit_lens
from model.analysis.logits import log_probabilities
from model.run import VisitorError
from tests.huggingface.checkpoints import byte_level, load, save, save_bert

TEXT = "the cat saw the dog"


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    shape = {"n_layer": 2, "n_head": 2, "n_embd": 16, "n_positions": 40}
    return save(tmp_path_factory.mktemp("models") / "gpt2", "GPT2LMHeadModel", byte_level(), shape)


def test_each_cell_is_what_transformers_own_head_makes_of_that_layer(gpt2, monkeypatch):
    lm, transformer = load(gpt2), AutoModelForCausalLM.from_pretrained(gpt2).eval()
    monkeypatch.setattr(lens_module, "_AT_ONCE", 4 * lm.info.n_vocab)  # four rows at a time: blocks that cut layers
    tokens = lm.encode(TEXT)
    run = lm.run(tokens)
    lens = logit_lens(lm, run, range(len(tokens)))
    with torch.inference_mode():
        its = transformer(torch.tensor([[token.id for token in tokens]]), output_hidden_states=True)
        # the last of these has gone through the norm already
        logits = [transformer.lm_head(transformer.transformer.ln_f(x[0])) for x in its.hidden_states[:-1]]
        expected = torch.stack([*logits, its.logits[0]]).double().log_softmax(-1)  # (L + 1, T, V)
    best = expected.topk(5)
    assert lens.top_id.shape == (3, len(tokens), 5)
    assert (lens.top_id == best.indices.numpy()).all()
    np.testing.assert_allclose(lens.top_log_prob, best.values, atol=1e-4)
    answer = expected[-1].argmax(-1)
    assert (lens.answer == answer.numpy()).all()
    own = expected.gather(-1, answer.expand(3, -1)[..., None])
    np.testing.assert_allclose(lens.answer_log_prob, own[..., 0], atol=1e-4)
    assert (lens.answer_rank == (expected > own).sum(-1).numpy()).all()
    np.testing.assert_allclose(lens.entropy, -(expected.exp() * expected).sum(-1), atol=1e-4)
    assert lens.apart(run.predictions) < 1e-5


def test_the_last_row_is_what_the_run_predicts(tiny):
    run = tiny.run(tiny.encode(TEXT))
    lens = logit_lens(tiny, run, [1, 3])
    assert lens.positions.tolist() == [1, 3] and lens.apart(run.predictions) < 1e-5
    assert (lens.top_id[-1] == run.predictions.top_id[[1, 3], :5]).all()
    np.testing.assert_allclose(lens.entropy[-1], run.predictions.entropy[[1, 3]], atol=1e-5)
    assert not lens.answer_rank[-1].any()
    middle = log_probabilities(tiny.unembed(run.hidden[1, 3]))
    assert lens.top_id[1, 1, 0] == middle.argmax() and lens.top_log_prob[1, 1, 0] == pytest.approx(middle.max())


@pytest.mark.parametrize(
    "ranks, first", [([0, 0, 0], 0), ([5, 0, 0], 1), ([0, 3, 0], 2), ([9, 9, 0], 2), ([2, 0, 0], 1)]
)
def test_an_answer_is_settled_where_it_stays_in_the_first_place(ranks, first):
    """Three rows of one token: what comes first is known of each."""
    wanted = np.zeros((3, 1, 12), np.float32)
    for row, rank in enumerate(ranks):
        wanted[row, 0, 0], wanted[row, 0, 1 : 1 + rank] = 1, 2
    lm = SimpleNamespace(unembed=lambda hidden: hidden)
    info = SimpleNamespace(title="Made up", n_vocab=12)
    lens = logit_lens(lm, SimpleNamespace(predictions=object(), stream=wanted, info=info), [0])
    assert lens.answer_rank[:, 0].tolist() == ranks and lens.settled.tolist() == [first]


def test_what_cannot_be_read_says_why(tmp_path):
    lm = load(save_bert(tmp_path / "headless", "BertModel"))
    with pytest.raises(VisitorError, match="no head that predicts tokens"):
        logit_lens(lm, lm.run(lm.encode(TEXT)), [0])
