"""A logit as a product with one row of the output matrix, of classes that do more than that to it."""

import numpy as np
import pytest

from model.huggingface.language_model import HuggingFaceModel
from tests.zoo import builder, tokens

# a matrix alone; a soft cap; a factor; a division; a bias
CLASSES = ("GPT2LMHeadModel", "Gemma2ForCausalLM", "CohereForCausalLM", "GraniteForCausalLM", "PhiForCausalLM")


@pytest.mark.parametrize("name", CLASSES)
def test_terms_of_rows_make_the_logits(name):
    lm = HuggingFaceModel(builder(name), None, name=name, title=name, fingerprint="")
    hidden = lm.run(tokens(5)).stream[-1, -1]
    ids = [3, 0, 7]
    its = lm.unembedding(hidden, ids)
    logits = lm.unembed(hidden)[ids]
    np.testing.assert_allclose(its.logits, logits, rtol=1e-4, atol=1e-4 * float(np.abs(logits).max()))
    assert its.terms.shape == (3, len(its.vector))
    does_more = {"Gemma2ForCausalLM": its.cap is not None, "PhiForCausalLM": its.bias is not None}
    does_more |= dict.fromkeys(("CohereForCausalLM", "GraniteForCausalLM"), its.factor != 1)
    assert does_more.get(name, True)
