"""Token types, by which a model tells two texts apart: the tokenizer's own, whatever a visitor types."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer, processors

from model.analysis.attention import layer_weights
from model.huggingface import checkpoint as huggingface
from model.huggingface.language_model import HuggingFaceModel
from model.run import ModelNotAvailable, PromptError
from model.text.masking import masked
from model.text.prompt import encode
from model.text.writing import placed
from tests.huggingface.checkpoints import BERT, BERT_TOKENS, save, word_piece

FIRST, SECOND = "the cat saw", "a dog"
CLASSES = {
    "BertForMaskedLM": {},
    "ElectraForMaskedLM": {"embedding_size": 16},
    "RoFormerForMaskedLM": {"embedding_size": 16},
    "ConvBertForMaskedLM": {"embedding_size": 16, "head_ratio": 2, "conv_kernel_size": 3},
    "MegatronBertForMaskedLM": {},
    "RemBertForMaskedLM": {"input_embedding_size": 16, "output_embedding_size": 16},
    "NystromformerForMaskedLM": {"segment_means_seq_len": 64, "num_landmarks": 64, "conv_kernel_size": 3},
    "IBertForMaskedLM": {"max_position_embeddings": 42, "type_vocab_size": 2},
    "DebertaV2ForMaskedLM": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "type_vocab_size": 2},
    "MobileBertForMaskedLM": {"embedding_size": 32, "intra_bottleneck_size": 32, "true_hidden_size": 32},
}


def xlnet_pieces() -> Tokenizer:
    """Its <cls> stands at the end and has type 2, after one text too."""
    tokenizer = word_piece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A:0 [SEP]:0 [CLS]:2",
        pair="$A:0 [SEP]:0 $B:1 [SEP]:1 [CLS]:2",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return tokenizer


def saved(folder: Path, name: str) -> Path:
    if name == "XLNetLMHeadModel":
        return save(
            folder, name, xlnet_pieces(), {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48}, **BERT_TOKENS
        )
    config = {"max_position_embeddings": 40} | BERT | CLASSES.get(name, {})
    return save(folder, name, word_piece(), config, **BERT_TOKENS)


def load(folder: Path) -> HuggingFaceModel:
    return huggingface.load(folder, name=folder.name, title="Tiny")


@pytest.fixture(scope="module")
def bert(tmp_path_factory) -> HuggingFaceModel:
    return load(saved(tmp_path_factory.mktemp("types") / "bert", "BertForMaskedLM"))


@pytest.mark.parametrize("name", [*CLASSES, "XLNetLMHeadModel"])
def test_one_text_and_two_are_read_as_transformers_reads_them(name, tmp_path):
    """`model(**tokenizer(…))`, eagerly: what anybody would compare with."""
    if not hasattr(transformers, name):
        pytest.skip(f"transformers {transformers.__version__} has no {name}")
    folder = saved(tmp_path / "model", name)
    lm, tokenizer = load(folder), transformers.AutoTokenizer.from_pretrained(folder)
    theirs = (
        getattr(transformers, name).from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
    )
    assert lm.info.reads_pairs
    shown = []
    for texts in ((FIRST,), (FIRST, SECOND)):
        inputs = tokenizer(*texts, return_tensors="pt", return_token_type_ids=True)
        with torch.inference_mode():
            said = theirs(**inputs, output_attentions=True, output_hidden_states=True)
        run = lm.run(lm.encode(*texts))
        assert [token.id for token in run.tokens] == inputs["input_ids"][0].tolist()
        assert [token.type for token in run.tokens] == inputs["token_type_ids"][0].tolist()
        for ours, weights in zip(run.attention, said.attentions, strict=True):
            np.testing.assert_allclose(layer_weights(ours), weights[0].numpy(), atol=1e-5)
        for ours, states in zip(run.hidden[:-1], said.hidden_states[:-1], strict=True):
            np.testing.assert_allclose(ours, states[0].numpy(), rtol=1e-4, atol=1e-4 * float(states.abs().max()))
        log_prob = said.logits[0].log_softmax(-1)
        np.testing.assert_allclose(run.predictions.top_log_prob[:, 0], log_prob.max(-1).values.numpy(), atol=1e-3)
        shown.append(run)
    with torch.inference_mode():
        untold = theirs(**{k: v for k, v in inputs.items() if k != "token_type_ids"}, output_attentions=True)
    pairs = zip(shown[1].attention, untold.attentions, strict=True)
    moved = [np.abs(layer_weights(ours) - weights[0].numpy()).max() for ours, weights in pairs]
    assert max(moved) > 0.01  # so the types do make a difference here


def test_a_separator_that_is_typed_changes_no_type(bert):
    tokens = bert.encode(f"{FIRST} [SEP] {SECOND} [SEP]")
    assert sum(token.id == 3 for token in tokens) == 3 and {token.type for token in tokens} == {0}
    types = [token.type for token in bert.encode("the [SEP] cat", SECOND)]
    second = len(bert.encode(SECOND)) - 1
    assert types == [0] * (len(types) - second) + [1] * second


def test_a_text_with_a_gap_is_read_as_two(bert):
    tokens = encode(bert, f"{FIRST}\n\n{SECOND}")
    assert [token.type for token in tokens] == [token.type for token in bert.encode(FIRST, SECOND)]


def test_a_hidden_token_stays_in_its_text(bert):
    tokens = bert.encode(FIRST, SECOND)
    assert tokens[-2].type == 1 and bert.mask_token().type == 0
    hidden = masked(tokens, len(tokens) - 2, bert.mask_token())
    assert [token.type for token in hidden] == [token.type for token in tokens]


def test_a_text_that_ends_within_the_first_of_two_is_one_text(open_page, tmp_path, monkeypatch):
    """On the page Understanding: what a blank would be without what comes after it."""
    folder = saved(tmp_path / "model", "BertForMaskedLM")
    monkeypatch.setenv("REGARD_MODEL_ROOTS", str(tmp_path))
    app = open_page("understanding", model=f"folder:{folder}", text=f"the [MASK] saw\n\n{SECOND}", section="blank")
    assert not app.exception
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    theirs = transformers.BertForMaskedLM.from_pretrained(folder).eval()
    with torch.inference_mode():
        best = theirs(**tokenizer("the [MASK]", return_tensors="pt")).logits[0, 2].softmax(-1).max()
    shown = next(caption.value for caption in app.caption if "Without what comes after it" in caption.value)
    assert f" {100 * float(best):.1f}\N{NO-BREAK SPACE}%" in shown.split("**")[2].split(",")[0]


def test_a_generated_token_goes_on_with_its_text(bert):
    tokens = [replace(token, type=1) for token in bert.encode(FIRST)]
    assert placed(bert.token(7), tokens).type == 1


def test_a_class_that_takes_no_types_reads_two_texts_without(tmp_path):
    config = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48, "max_position_embeddings": 40}
    lm = load(save(tmp_path / "distil", "DistilBertForMaskedLM", word_piece(), config, **BERT_TOKENS))
    tokens = lm.encode(FIRST, SECOND)
    assert lm.info.reads_pairs and tokens[-1].type == 1
    np.testing.assert_array_equal(lm.run(tokens).hidden, lm.run([replace(token, type=0) for token in tokens]).hidden)


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("RobertaForMaskedLM", {"max_position_embeddings": 42, "type_vocab_size": 1}),
        (  # it looks types up among its words
            "XLMWithLMHeadModel",
            {"emb_dim": 32, "n_layers": 2, "n_heads": 4, "asm": False, "n_langs": 1}
            | {"pad_index": 0, "unk_index": 1, "bos_index": 2, "eos_index": 3, "mask_index": 4},
        ),
    ],
)
def test_types_that_a_model_does_not_know_are_not_made_up(name, config, tmp_path):
    config = (BERT if "emb_dim" not in config else {}) | config
    lm = load(save(tmp_path / "model", name, word_piece(), config, **BERT_TOKENS))
    assert not lm.info.reads_pairs  # so that the app never asks for it
    assert lm.run(lm.encode(FIRST)).hidden is not None
    with pytest.raises(PromptError, match=r"of type 1, and the model knows types below 1 only"):
        lm.run(lm.encode(FIRST, SECOND))


class Elsewhere(transformers.PreTrainedTokenizerFast):
    """Calls its second text by another type than its own backend does."""

    def __call__(self, *texts, **options):
        encoding = super().__call__(*texts, **options)
        if len(texts) == 2:
            encoding["token_type_ids"] = [0] * len(encoding["input_ids"])
        return encoding


class Otherwise(transformers.PreTrainedTokenizerFast):
    def __call__(self, *texts, **options):
        encoding = super().__call__(*texts, **options)
        encoding["input_ids"] = encoding["input_ids"][::-1]
        return encoding


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Elsewhere, r"transformers reads “a b” and “c” otherwise \(weights or hidden vectors off by [\d.]+\)"),
        (Otherwise, "its tokenizer cuts “a b” otherwise in transformers"),
    ],
)
def test_a_model_that_is_read_otherwise_than_by_transformers_is_refused(kind, said, bert, tmp_path):
    """When it is loaded, one text and two are compared with what transformers makes of them."""
    weights = bert.opened.transformer.state_dict()

    def build(attn_implementation: str) -> transformers.BertForMaskedLM:
        config = transformers.BertConfig(**bert.opened.config.to_dict())
        transformer = transformers.BertForMaskedLM._from_config(config, attn_implementation=attn_implementation)
        transformer.load_state_dict(weights)
        return transformer

    with pytest.raises(ModelNotAvailable, match=said):
        HuggingFaceModel(build, kind(tokenizer_object=word_piece(), **BERT_TOKENS), name="", title="T", fingerprint="")
