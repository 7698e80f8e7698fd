"""A checkpoint is shown with the head that it holds: one that judges texts is no language model; a decoder without the
encoder that it reads is none either."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from model.builtin.classifier import margin
from model.huggingface.classifier import HuggingFaceClassifier
from model.run import ModelNotAvailable, VisitorError
from model.text.masking import masked
from tests.conftest import REPEATED
from tests.huggingface.checkpoints import BERT, BERT_TOKENS, byte_level, load, save, word_piece
from tests.pages.reading import said

GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "bos_token_id": 0, "eos_token_id": 0}
LLAMA = BERT | {"max_position_embeddings": 64, "num_key_value_heads": 2, "pad_token_id": 0}
T5 = {"d_model": 32, "num_layers": 2, "num_heads": 4, "d_kv": 8, "d_ff": 48, "decoder_start_token_id": 0}
STACK = {"layers": 2, "attention_heads": 4, "ffn_dim": 48}
BART = {f"{stack}_{name}": n for stack in ("encoder", "decoder") for name, n in STACK.items()}
BART |= {"d_model": 32, "max_position_embeddings": 64, "pad_token_id": 1, "eos_token_id": 2}
NAMES = {0: "bad", 1: "<b>good</b>", 2: "neither"}
JUDGE = {"id2label": NAMES, "label2id": {name: i for i, name in NAMES.items()}}


def saved(folder: Path, name: str, **more) -> Path:
    if not hasattr(transformers, name):
        pytest.skip(f"transformers {transformers.__version__} has no {name}")
    families = {"GPT2": GPT2, "Llama": LLAMA, "T5": T5, "Bart": BART}
    config = next((config for start, config in families.items() if name.startswith(start)), None)
    tokenizer: Tokenizer = word_piece() if config is None else byte_level()
    named = BERT_TOKENS if config is None else {}
    return save(folder, name, tokenizer, (config or BERT | {"max_position_embeddings": 64}) | more, **named)


CLASSES = [  # saved as, shown as, whether it predicts tokens
    ("GPT2ForSequenceClassification", "GPT2ForSequenceClassification", False),
    ("LlamaForSequenceClassification", "LlamaForSequenceClassification", False),
    ("BertForSequenceClassification", "BertForSequenceClassification", False),
    ("GPT2ForTokenClassification", "GPT2Model", False),
    ("GPT2ForQuestionAnswering", "GPT2Model", False),
    ("LlamaForTokenClassification", "LlamaModel", False),
    ("LlamaForQuestionAnswering", "LlamaModel", False),
    ("BertForTokenClassification", "BertModel", False),
    ("BertForNextSentencePrediction", "BertModel", False),
    ("T5ForTokenClassification", "T5EncoderModel", False),
    ("T5ForQuestionAnswering", "T5Model", False),
    ("BartForSequenceClassification", "BartModel", False),
    ("BartForQuestionAnswering", "BartModel", False),
    ("GPT2Model", "GPT2Model", False),
    ("BartModel", "BartModel", False),
    ("ElectraForPreTraining", "ElectraModel", False),
    ("BertForPreTraining", "BertForMaskedLM", True),
    ("GPT2DoubleHeadsModel", "GPT2LMHeadModel", True),
    ("GPT2LMHeadModel", "GPT2LMHeadModel", True),
]


@pytest.mark.parametrize(("name", "shown", "predicts"), CLASSES)
def test_a_checkpoint_is_shown_with_the_head_that_it_holds(name, shown, predicts, tmp_path):
    lm = load(saved(tmp_path / "model", name))
    source = lm.encode(REPEATED) if lm.info.family == "encoder-decoder" else ()
    run = lm.run(lm.encode(REPEATED), source=source)
    assert lm.opened.class_name == shown
    assert (run.predictions is not None) == predicts
    assert bool(lm.info.labels) == shown.endswith("SequenceClassification")
    if not predicts:
        with pytest.raises(VisitorError, match="no language-model head"):
            lm.unembed(run.stream[-1])


@pytest.mark.parametrize(("name", "predicts"), [("GPT2ForSequenceClassification", False), ("GPT2LMHeadModel", True)])
@pytest.mark.parametrize("named", [None, [], ["SomebodysOwnModel"], ["pipeline"], [7]], ids=str)
def test_where_no_class_is_named_the_files_must_tell(name, predicts, named, tmp_path):
    folder = saved(tmp_path / "model", name)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": named}))
    lm = load(folder)
    assert (lm.run(lm.encode(REPEATED)).predictions is not None) == predicts


# --- decoders without what they read ---


PAIR = {name: n for name, n in BART.items() if name != "max_position_embeddings"} | {"bos_token_id": 0}
SPEECH = {"max_source_positions": 64, "max_target_positions": 64}
MOONSHINE = {f"{stack}_num_{part}": n for stack in ("encoder", "decoder") for part, n in (("hidden_layers", 2),)}
MOONSHINE |= {"encoder_num_attention_heads": 4, "decoder_num_attention_heads": 4}
BLIP = {"text_config": BERT | {"vocab_size": 280}, "vision_config": BERT | {"image_size": 16, "patch_size": 8}}
NO_TEXT = [  # a class, its configuration, and what is said of it
    ("WhisperForConditionalGeneration", PAIR | SPEECH | {"num_mel_bins": 8}, "reads sound"),
    ("WhisperForCausalLM", PAIR | SPEECH | {"num_mel_bins": 8}, "WhisperModel, which reads sound"),
    (
        "Speech2TextForConditionalGeneration",
        PAIR | SPEECH | {"input_feat_per_channel": 8, "conv_channels": 16},
        "reads sound",
    ),
    ("MoonshineForConditionalGeneration", MOONSHINE | {"hidden_size": 32, "intermediate_size": 48}, "reads sound"),
    ("TrOCRForCausalLM", {"d_model": 32} | {k: v for k, v in PAIR.items() if "decoder" in k}, "a decoder alone"),
    ("BlipForConditionalGeneration", BLIP, "BlipForConditionalGeneration, which reads pictures"),
    ("BlipTextLMHeadModel", BERT | {"encoder_hidden_size": 32}, "a decoder alone"),
    ("BartForCausalLM", BART, r"a decoder alone \(BartForCausalLM\): .*layers.0.encoder_attn"),
    ("GPT2LMHeadModel", GPT2 | {"add_cross_attention": True}, "a decoder alone"),
]


@pytest.mark.parametrize(("name", "config", "reason"), NO_TEXT, ids=[each[0] for each in NO_TEXT])
def test_no_decoder_is_shown_without_what_it_reads(name, config, reason, tmp_path):
    if not hasattr(transformers, name):
        pytest.skip(f"transformers {transformers.__version__} has no {name}")
    folder = save(tmp_path / "model", name, byte_level(), config)
    with pytest.raises(ModelNotAvailable, match=reason):
        load(folder)


def test_one_that_reads_text_beside_classes_that_hear_is_shown(tmp_path):
    """Of SeamlessM4T there is a class for each way between text and speech."""
    sizes = {f"{stack}_{name}": n for stack in ("encoder", "decoder") for name, n in STACK.items()} | {
        "speech_encoder_layers": 1,
        "speech_encoder_attention_heads": 4,
        "speech_encoder_intermediate_size": 48,
    }
    sizes |= {"hidden_size": 32, "max_position_embeddings": 64}
    lm = load(save(tmp_path / "model", "SeamlessM4TForTextToText", byte_level(), sizes))
    assert (lm.opened.class_name, lm.info.family) == ("SeamlessM4TForTextToText", "encoder-decoder")


def test_a_pair_of_sound_and_text_is_refused(tmp_path):
    hears = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 48}
    hears |= {"conv_dim": [8], "conv_stride": [2], "conv_kernel": [3], "num_conv_pos_embedding_groups": 2}
    words = byte_level()
    config = transformers.SpeechEncoderDecoderConfig.from_encoder_decoder_configs(
        transformers.Wav2Vec2Config(**hears, num_feat_extract_layers=1),
        transformers.BartConfig(vocab_size=words.get_vocab_size(), **BART),
    )
    transformers.SpeechEncoderDecoderModel(config).save_pretrained(tmp_path)
    transformers.PreTrainedTokenizerFast(tokenizer_object=words).save_pretrained(tmp_path)
    with pytest.raises(ModelNotAvailable, match="SpeechEncoderDecoderModel, which reads sound"):
        load(tmp_path)


@pytest.mark.parametrize("named", [True, False])
def test_a_pair_of_a_picture_and_a_text_is_refused(named, tmp_path):
    sees = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    words, writes = byte_level(), {"d_model": 32} | {k: v for k, v in PAIR.items() if "decoder" in k}
    config = transformers.VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        transformers.ViTConfig(**sees, image_size=32, patch_size=8),
        transformers.TrOCRConfig(vocab_size=words.get_vocab_size(), **writes),
    )
    transformers.VisionEncoderDecoderModel(config).save_pretrained(tmp_path)
    transformers.PreTrainedTokenizerFast(tokenizer_object=words).save_pretrained(tmp_path)
    if not named:
        stated = json.loads((tmp_path / "config.json").read_text())
        (tmp_path / "config.json").write_text(json.dumps(stated | {"architectures": None}))
    with pytest.raises(ModelNotAvailable, match="VisionEncoderDecoderModel, which reads pictures"):
        load(tmp_path)


# --- a judge ---


@pytest.fixture(scope="module")
def bert(tmp_path_factory) -> tuple[HuggingFaceClassifier, transformers.PreTrainedModel]:
    """As Regard shows it, and as transformers runs it."""
    folder = saved(tmp_path_factory.mktemp("judge") / "bert", "BertForSequenceClassification", **JUDGE)
    theirs = transformers.BertForSequenceClassification.from_pretrained(folder, attn_implementation="eager")
    return load(folder), theirs.eval()


@pytest.mark.parametrize("texts", [(REPEATED,), ("the cat saw", "a dog")], ids=["one", "two"])
def test_a_judge_says_what_transformers_says(bert, texts):
    lm, theirs = bert
    tokens = lm.encode(*texts)
    assert lm.info.labels == tuple(NAMES.values())
    types = torch.tensor([[token.type for token in tokens]])
    with torch.inference_mode():
        logits = theirs(torch.tensor([[token.id for token in tokens]]), token_type_ids=types).logits[0]
    found = lm.classify(tokens)
    assert found.labels == lm.info.labels
    np.testing.assert_allclose(found.log_prob, logits.log_softmax(-1).numpy(), atol=1e-4)


def test_its_gradients_are_transformers_gradients(bert):
    lm, theirs = bert
    tokens = lm.encode("the cat saw", "a dog")
    x = theirs.bert.embeddings.word_embeddings(torch.tensor([[token.id for token in tokens]])).detach().requires_grad_()
    logits = theirs(inputs_embeds=x, token_type_ids=torch.tensor([[token.type for token in tokens]])).logits
    for label in range(3):
        (gradient,) = torch.autograd.grad(margin(logits, label).sum(), x, retain_graph=True)
        expected = (gradient * x)[0].sum(-1).detach().numpy()
        np.testing.assert_allclose(lm.gradient_x_input(tokens, label), expected, atol=1e-4)
    with pytest.raises(IndexError, match="no label 3"):
        lm.gradient_x_input(tokens, 3)


def test_its_occlusion_is_what_a_hidden_token_costs(bert):
    lm, _ = bert
    tokens = lm.encode(REPEATED)
    costs = lm.occlusion(tokens, 1)
    hidden = lm.classify(masked(tokens, 3, lm.mask_token())).log_prob
    whole = lm.classify(tokens).log_prob
    ahead = [log_prob[1] - (log_prob[0] + log_prob[2]) / 2 for log_prob in (whole, hidden)]
    assert costs[3] == pytest.approx(ahead[0] - ahead[1], abs=1e-4)
    assert costs.shape == (len(tokens),)


@pytest.mark.parametrize(
    ("problem", "n_label"), [("regression", 1), ("multi_label_classification", 3), ("single_label_classification", 2)]
)
def test_only_one_of_several_labels_has_a_probability(problem, n_label, tmp_path):
    lm = load(saved(tmp_path / "model", "BertForSequenceClassification", problem_type=problem, num_labels=n_label))
    assert len(lm.info.labels) == (n_label if problem == "single_label_classification" else 0)
    assert lm.run(lm.encode(REPEATED)).predictions is None


@pytest.mark.parametrize("missing", ["bert.pooler.dense.weight", "classifier.weight"])
def test_a_judges_head_is_not_made_up(missing, tmp_path):
    folder = saved(tmp_path / "model", "BertForSequenceClassification", **JUDGE)
    weights = load_file(folder / "model.safetensors")
    del weights[missing]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    lm = load(folder)
    assert lm.opened.class_name == "BertModel" and not lm.info.labels


# --- on the pages ---


@pytest.fixture
def open_with(open_page, tmp_path, monkeypatch):
    monkeypatch.setenv("REGARD_MODEL_ROOTS", str(tmp_path))

    def open(name: str, page: str, **link):
        folder = saved(tmp_path / "model", name, **JUDGE)
        app = open_page(page, model=f"folder:{folder}", text="the cat saw the dog", **link)
        assert not app.exception
        return app, load(folder)

    return open


def test_the_chosen_judge_judges_on_the_page(open_with):
    app, lm = open_with("BertForSequenceClassification", "understanding", section="sentiment")
    found = lm.classify(lm.encode("the cat saw the dog"))
    words = said(app)
    assert "was trained to judge texts, and to give each of its 3 labels a probability" in words
    assert app.header[0].value == "What is this?"
    assert "3 answers, token by token" in words and "Attention is not explanation" in words + str(app.subheader)
    assert "Our encoder" not in words and "On film reviews" not in words
    assert ("&#60;b&#62;good" in words) == (found.best == 1)  # labels from outside are text


def test_a_judge_without_a_mask_says_so(open_with):
    app, _ = open_with("GPT2ForSequenceClassification", "understanding", section="sentiment")
    words = said(app)
    assert "has no token that hides another, so none can be hidden" in words
    assert "2 answers, token by token" in words and "click it for its arithmetic" not in words


def test_a_judge_is_said_to_write_nothing(open_with):
    app, _ = open_with("GPT2ForSequenceClassification", "generation")
    assert any("was trained to judge texts, not to write them" in warning.value for warning in app.warning)


def test_home_ends_with_its_labels(open_with):
    app, _ = open_with("GPT2ForSequenceClassification", "home")
    assert "It judges the text as a whole." in said(app)
