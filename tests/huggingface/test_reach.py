"""Texts of other lengths than the few tokens that a model is checked with when it is loaded.

Classes that read by windows, chunks or blocks do something else with them: they are shown truly, or refused with the
limit. Never is what was seen of a short text taken for what happens in a long one.
"""

from typing import Any

import numpy as np
import pytest
import torch

from model.analysis.attention import layer_weights
from model.huggingface.language_model import HuggingFaceModel
from model.run import ModelNotAvailable, PromptError, VisitorError
from tests.zoo import attentions_of, builder, tokens

LENGTHS = (1, 2, 3, 4, 5, 7, 8, 9, 13, 17, 31, 40)  # below, at and beyond windows of 4 and 8, and what pads to them


def load(name: str, **options: Any) -> HuggingFaceModel:
    return HuggingFaceModel(builder(name, **options), None, name=name, title="Tiny", fingerprint="")


def check(lm: HuggingFaceModel, theirs: Any, n_token: int, n_source: int = 0) -> None:
    """Weights, hidden vectors and probabilities of one text are those of transformers."""
    run = lm.run(tokens(n_token), source=tokens(n_source))
    ids, source = (torch.tensor([[token.id for token in text]]) for text in (run.tokens, run.source))
    inputs = {"input_ids": source, "decoder_input_ids": ids} if n_source else {"input_ids": ids}
    with torch.inference_mode():
        said = theirs(**inputs, output_attentions=True, output_hidden_states=True)
    for kind, layers in attentions_of(said, theirs.config).items():
        for ours, weights in zip(run.layers(kind), layers, strict=True):
            np.testing.assert_allclose(layer_weights(ours), weights.numpy(), atol=1e-5)
    states = said.decoder_hidden_states if n_source else said.hidden_states
    if run.hidden is not None:
        for ours, hidden in zip(run.hidden[:-1], states[:-1], strict=True):
            np.testing.assert_allclose(ours, hidden[0].numpy(), atol=1e-4 * float(hidden.abs().max()))
    best = said.logits[0].log_softmax(-1).max(-1).values
    np.testing.assert_allclose(run.predictions.top_log_prob[:, 0], best.numpy(), atol=1e-3)


def test_a_text_padded_to_a_window():
    lm, theirs = load("LongformerForMaskedLM"), builder("LongformerForMaskedLM")("eager")
    for n_token in LENGTHS:
        check(lm, theirs, n_token)


@pytest.mark.parametrize("name", ["LEDForConditionalGeneration", "LongT5ForConditionalGeneration"])
def test_a_source_read_by_windows(name):
    """Also where a window is as wide as the source is long: what is returned is square then, but no weights yet."""
    lm, theirs = load(name), builder(name)("eager")
    for n_source in LENGTHS:
        check(lm, theirs, n_token=6, n_source=n_source)


@pytest.mark.parametrize("name", ["BigBirdForMaskedLM", "BigBirdPegasusForConditionalGeneration"])
def test_a_class_that_changes_itself_with_the_length(name):
    """BigBird reads long texts by blocks, some chosen at random, and short ones whole: shown up to there."""
    blocks = {"attention_type": "block_sparse", "block_size": 4, "num_random_blocks": 1}
    lm = load(name, **blocks)
    n_source = 6 if lm.info.family == "encoder-decoder" else 0
    assert lm.info.n_context == (5 + 2 * 1) * 4
    for n_token in (1, 5, 12, 28):
        check(lm, builder(name)("eager"), n_token, n_source)  # of which nothing was ever read by blocks
    # what transformers makes of a short text is the same, whichever is asked for
    with torch.inference_mode():
        source = torch.tensor([[token.id for token in tokens(12)]])
        short = {"input_ids": source, "decoder_input_ids": source} if n_source else {"input_ids": source}
        torch.testing.assert_close(
            builder(name, **blocks)("eager")(**short).logits, builder(name)("eager")(**short).logits
        )
    with pytest.raises(PromptError) as refusal:
        lm.run(tokens(29), source=tokens(n_source))
    assert str(refusal.value) == (
        "The text is 29 tokens long, and Regard shows Tiny with at most 28: longer texts it reads by blocks, some of "
        "them chosen at random, which leaves no weight for each pair of tokens. Shorten it by 1."
    )


def test_a_class_that_reads_long_texts_in_chunks():
    lm, theirs = load("ReformerModelWithLMHead"), builder("ReformerModelWithLMHead")("eager")
    assert lm.info.n_context == 16
    for n_token in (1, 5, 16):
        check(lm, theirs, n_token)
    with pytest.raises(
        PromptError, match="17 tokens long, and Regard shows Tiny with at most 16: longer texts it reads"
    ):
        lm.run(tokens(17))


def test_chunks_shorter_than_what_a_model_is_checked_with():
    lm = load("ReformerModelWithLMHead", local_attn_chunk_length=4, lsh_attn_chunk_length=8)
    check(lm, builder("ReformerModelWithLMHead", local_attn_chunk_length=4, lsh_attn_chunk_length=8)("eager"), 4)
    with pytest.raises(PromptError, match="at most 4: longer texts"):
        lm.run(tokens(5))


def test_weights_of_what_are_no_tokens():
    with pytest.raises(ModelNotAvailable, match="also of sums over blocks of tokens, which are no tokens of the text"):
        load("LongT5ForConditionalGeneration", encoder_attention_type="transient-global", global_block_size=3)


def test_a_length_at_which_transformers_itself_stops():
    """Longformer's windows must divide each other: nobody knows that before the text comes."""
    lm = load("LongformerForMaskedLM", attention_window=[4, 6])
    with pytest.raises(VisitorError) as refusal:
        lm.run(tokens(13))
    assert str(refusal.value).startswith(
        "Tiny was read truly with the few tokens it was checked with, but this text of 13"
    )
    assert "an error of its own" in str(refusal.value) and str(refusal.value).endswith(
        "Try a shorter text, or another model."
    )
    check(lm, builder("LongformerForMaskedLM", attention_window=[4, 6])("eager"), 11)  # and then it reads on
