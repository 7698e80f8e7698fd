"""How much each token counts: against autograd on transformers' own classes, captum, and texts read one by one."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from transformers import AutoModelForCausalLM

from model.analysis.attention import attention_weights
from model.analysis.logits import log_probabilities
from model.analysis.saliency import (
    AGREEMENTS,
    MOST_TOKENS,
    Integrated,
    Question,
    agreement,
    answer,
    attention_of,
    carried_of,
    gradient_x_input,
    integrated_gradients,
    left_out,
    mean_vector,
    question,
    start_of,
    steps,
)
from model.huggingface import prepacking
from model.language_model import Said
from model.run import PromptError, Token, VisitorError
from tests.any_models import write_models
from tests.conftest import REPEATED
from tests.head_models import MODELS
from tests.huggingface.checkpoints import byte_level, load, save

TEXT = "the cat saw the dog"
KINDS = ("gpt2", "llama")


@pytest.fixture(scope="module", params=KINDS)
def folder(request, tmp_path_factory):
    cls, config, _ = MODELS[request.param]
    return save(tmp_path_factory.mktemp("models") / request.param, cls, byte_level(), config)


def asked_of(lm, text=TEXT, position=-1, place=0) -> Question:
    tokens = lm.encode(text)
    position %= len(tokens)
    return question(lm, tokens, Said(int(lm.run(tokens).predictions.top_id[position, place]), position))


def theirs(folder):
    """transformers' own way from vectors to the log-probability of an entry behind the last of them."""
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()

    def said(vectors: torch.Tensor, id: int) -> torch.Tensor:
        return model(inputs_embeds=vectors).logits[:, -1].log_softmax(-1)[:, id]

    def vectors_of(tokens) -> torch.Tensor:
        return model.get_input_embeddings()(torch.tensor([[token.id for token in tokens]])).detach()

    return said, vectors_of


def test_gradient_times_input_is_autograd_s_on_transformers_own_class(folder):
    lm, (said, vectors_of) = load(folder), theirs(folder)
    asked = asked_of(lm, place=1)
    x = vectors_of(asked.tokens).requires_grad_()
    (gradient,) = torch.autograd.grad(said(x, asked.said.id).sum(), x)
    expected = (gradient * x).detach()[0].sum(-1).numpy()
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(gradient_x_input(lm, asked), expected, rtol=1e-3, atol=1e-4)


def test_integrated_gradients_are_captum_s(folder):
    if importlib.util.find_spec("captum") is None:
        pytest.skip("captum is not installed: pip install 'regard[captum]'")
    from captum.attr import IntegratedGradients

    lm, (said, vectors_of) = load(folder), theirs(folder)
    asked = asked_of(lm)
    baseline = mean_vector(lm, asked)
    x = vectors_of(asked.tokens)
    attributed, gap = IntegratedGradients(lambda vectors: said(vectors, asked.said.id)).attribute(
        x,
        torch.tensor(baseline).expand_as(x).contiguous(),
        n_steps=24,
        method="gausslegendre",
        return_convergence_delta=True,
    )
    found = integrated_gradients(lm, asked, baseline, 24)
    np.testing.assert_allclose(found.values, attributed[0].sum(-1).detach().numpy(), rtol=1e-3, atol=1e-4)
    assert found.gap == pytest.approx(float(gap), abs=1e-3)


def test_integrated_gradients_are_complete_with_enough_steps(tiny):
    asked = asked_of(tiny, REPEATED)
    baseline = mean_vector(tiny, asked)
    np.testing.assert_allclose(baseline, tiny.embeddings()[0].mean(0), atol=1e-6)
    found = integrated_gradients(tiny, asked, baseline, 64)
    assert abs(found.difference) > 0.05 and abs(found.gap) < 1e-3 * abs(found.difference)
    assert found.at_text == pytest.approx(answer(tiny, asked.tokens, asked.said).value, abs=1e-4)
    coarse = integrated_gradients(tiny, asked, baseline, 2)
    assert abs(coarse.gap) > 10 * abs(found.gap)
    assert coarse.values.shape == (len(asked.tokens),)


def test_steps_integrate_a_polynomial_exactly():
    at, weights = (np.concatenate(each) for each in zip(*steps(10), strict=True))
    assert len(at) == 10 and (at > 0).all() and (at < 1).all()
    for power in range(20):
        assert weights @ at**power == pytest.approx(1 / (power + 1), rel=1e-12)
    assert Integrated(np.array([1.0, 2.0]), 5.0, 1.0).gap == -1


def test_a_decoder_s_token_is_left_out_and_the_text_read_without_it(tiny):
    asked = asked_of(tiny, REPEATED, position=6)
    assert len(asked.tokens) == 7 and asked.mask is None
    for i in range(7):
        rest = [token for t, token in enumerate(asked.tokens) if t != i]
        log_prob = log_probabilities(tiny.unembed(tiny.run(rest).hidden[-1, -1]))
        found = left_out(tiny, asked, i)
        assert found.value == pytest.approx(log_prob[asked.said.id], abs=1e-4)
        assert found.best == log_prob.argmax() and found.best_log_prob == pytest.approx(log_prob.max(), abs=1e-4)


def test_an_encoder_s_token_is_hidden_and_one_label_s_lead_told(tmp_path):
    from tests.builtin.test_classifier import write_classifier

    lm = load_judge(write_classifier(tmp_path / "judge"))
    asked = question(lm, lm.encode(REPEATED), Said(2, None))
    assert asked.mask == lm.mask_token() and answer(lm, asked.tokens, asked.said).best is None
    whole = answer(lm, asked.tokens, asked.said).value
    lost = [whole - left_out(lm, asked, i).value for i in range(len(asked.tokens))]
    np.testing.assert_allclose(lost, lm.occlusion(asked.tokens, 2), atol=1e-4)
    np.testing.assert_allclose(gradient_x_input(lm, asked), lm.gradient_x_input(asked.tokens, 2), atol=1e-5)
    found = integrated_gradients(lm, asked, mean_vector(lm, asked), 64)
    assert abs(found.gap) < 1e-3 * max(1, abs(found.difference))
    np.testing.assert_allclose(start_of(asked), 1 / len(asked.tokens))


def load_judge(folder):
    from model import catalog

    return catalog.load(folder.name, weights=folder.parent)


def test_what_attention_and_its_values_say_of_a_row(tiny):
    asked = asked_of(tiny, REPEATED, position=5)
    run = tiny.run(tiny.encode(REPEATED))  # also what stands behind, which the position does not see
    start = start_of(asked)
    expected = np.mean([[attention_weights(run.layer(i), h)[5, :6] for h in range(4)] for i in range(3)], axis=(0, 1))
    np.testing.assert_allclose(attention_of(run, start, range(3)), expected, atol=1e-6)
    assert attention_of(run, start, [2]).sum() == pytest.approx(1, abs=1e-5)
    assert carried_of(tiny, run, start).sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("by", AGREEMENTS)
def test_agreement_is_scipy_s_on_sizes(by):
    one, other = np.random.default_rng(3).normal(size=(2, 12))
    other[[2, 5, 7]] = 0.5, -0.5, 0.0
    theirs = {"spearman": stats.spearmanr, "kendall": stats.kendalltau}[by](np.abs(one), np.abs(other)).statistic
    assert agreement(one, other, by) == pytest.approx(theirs, abs=1e-12)
    assert agreement(one, -one, by) == pytest.approx(1)
    assert np.isnan(agreement(one, np.ones(12), by))


def test_prepared_layers_let_the_same_gradient_through():
    layer, x = torch.nn.Linear(256, 300).requires_grad_(False), torch.randn(2, 3, 256)
    before, after = x.clone().requires_grad_(), x.clone().requires_grad_()
    layer(before).square().sum().backward()
    prepacking.prepack(layer)
    layer(after).square().sum().backward()
    torch.testing.assert_close(after.grad, before.grad, rtol=1e-4, atol=1e-4)


def test_what_cannot_be_asked_is_a_sentence(tiny, tiny_translator, tmp_path):
    tokens = tiny.encode("the cat")
    with pytest.raises(PromptError, match="nothing to compare: type more"):
        question(tiny, tokens[:1], Said(0, 0))
    with pytest.raises(PromptError, match=f"4,000 tokens here, and of {MOST_TOKENS} at most"):
        question(tiny, [Token(1, b"", 0, 0)] * 4000, Said(0, 3999))
    assert len(question(tiny, [Token(1, b"", 0, 0)] * 4000, Said(0, 20)).tokens) == 21
    asked = question(tiny, tokens, Said(0, 1))
    with pytest.raises(VisitorError, match="reads one text and writes another"):
        gradient_x_input(tiny_translator, asked)
    folders = write_models(tmp_path)
    headless = load(folders / "headless")
    with pytest.raises(VisitorError, match="no language-model head"):
        headless.gradients(headless.encode(TEXT), Said(0, 1), headless.token_vectors(headless.encode(TEXT))[None])


def test_vectors_that_are_read_otherwise_than_tokens_are_refused(tiny):
    class Bent(type(tiny)):
        def gradients(self, *asked):
            value, gradient = super().gradients(*asked)
            return value + 1, gradient

    bent = Bent(replace(tiny.info, title="Bent"), tiny.transformer, tiny.tokenizer)
    with pytest.raises(VisitorError, match="Bent reads the vectors of this text otherwise"):
        gradient_x_input(bent, asked_of(tiny))
