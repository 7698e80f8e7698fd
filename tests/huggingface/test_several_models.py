"""Checkpoints that hold several models, as ``save_pretrained`` writes the whole: their text model is read through the
same door as any folder, and what lies beside it is named. What holds no text model is refused."""

import json

import numpy as np
import pytest
import torch
import transformers
from torch import nn

from model import catalog
from model.analysis.attention import layer_weights
from model.huggingface.beside import leave_out
from model.run import ModelNotAvailable
from model.sources.claims import check_build
from model.sources.cost import cost_of
from model.sources.places import Allowed
from tests.huggingface.checkpoints import byte_level, load
from tests.zoo import ZOO
from tests.zoo_sizes import rotary

SAME = 1e-5
READ = {  # a class, and how what it leaves out is called; "" for a pair
    "Gemma3ForConditionalGeneration": "Its part for pictures is in the files and is not read",
    "Mistral3ForConditionalGeneration": "Its part for pictures",
    "Qwen2VLForConditionalGeneration": "Its part for pictures",
    "Qwen3VLForConditionalGeneration": "Its part for pictures",
    "LlavaForConditionalGeneration": "Its part for pictures",
    "Qwen2AudioForConditionalGeneration": "Its part for sound",
    "EncoderDecoderModel": "",
    "T5GemmaForConditionalGeneration": "",
}


def with_vocabulary(options: dict, n: int) -> dict:
    return {
        name: with_vocabulary(value, n) if isinstance(value, dict) else n if name == "vocab_size" else value
        for name, value in options.items()
    }


def save(folder, name: str, n: int = 300, config: str = "", **changes):
    """Of the zoo, with some changes; or by a configuration of another class."""
    torch.manual_seed(0)
    options = changes if config else ZOO[name].options | changes
    config = getattr(transformers, config or ZOO[name].config)(**with_vocabulary(options, n))
    transformer = getattr(transformers, name)(config)
    for parameter in transformer.parameters():
        nn.init.normal_(parameter, std=0.3)
    transformer.save_pretrained(folder)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=byte_level(), eos_token="<|endoftext|>")
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", READ)
def test_a_whole_checkpoint_is_read_as_transformers_reads_text_with_it(name, tmp_path):
    folder = save(tmp_path / "mine", name)
    lm = catalog.load(f"folder:{folder}", allowed=Allowed((tmp_path,)))
    text, written = lm.encode("the cat saw the dog"), lm.encode("a dog")
    pair = lm.info.family == "encoder-decoder"
    run = lm.run(written, source=text) if pair else lm.run(text)
    ids, source = (torch.tensor([[token.id for token in tokens]]) for tokens in (run.tokens, run.source))
    inputs = {"input_ids": source, "decoder_input_ids": ids} if pair else {"input_ids": ids}
    theirs = getattr(transformers, name).from_pretrained(folder, attn_implementation="eager")
    with torch.inference_mode():
        said = theirs(**inputs, output_attentions=True, output_hidden_states=True)
    weights, hidden = (
        (said.decoder_attentions, said.decoder_hidden_states) if pair else (said.attentions, said.hidden_states)
    )
    for ours, its in zip(run.attention, weights, strict=True):
        np.testing.assert_allclose(layer_weights(ours), its[0].numpy(), atol=SAME)
    for ours, its in zip(run.hidden[:-1], hidden[:-1], strict=True):
        np.testing.assert_allclose(ours, its[0].numpy(), atol=SAME * float(its.abs().max()))
    best = said.logits[0].softmax(-1).max(-1).values.numpy()
    np.testing.assert_allclose(np.exp(run.predictions.top_log_prob[:, 0]), best, atol=SAME)
    # what is left out, and what is counted
    in_all = sum(weight.numel() for weight in theirs.parameters())
    cost, beside = cost_of(folder), lm.opened.beside
    assert in_all == lm.info.n_parameter + sum(beside.values())
    assert cost.n_parameter >= in_all and cost.n_layer == lm.info.n_layer * (1 + pair) and cost.n_head == 4
    assert bool(beside) == bool(READ[name]) == bool(lm.info.remarks)
    assert not beside or lm.info.remarks[0].startswith(READ[name])
    assert not any(part in shape for shape in lm.parameter_shapes() for part in beside)


_LLAMA_4 = {"intermediate_size_mlp": 48, "num_local_experts": 4, "num_experts_per_tok": 1, "head_dim": 8}
_PICTURES = {"image_size": 8, "patch_size": 4, "hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 2}
_PICTURES |= {"num_hidden_layers": 1, "vision_output_dim": 16, "projector_input_dim": 16, "projector_output_dim": 16}
ALONE = {  # checkpoints whose own class reads no text without a picture, and the class of their text model
    "CLIPModel": ("CLIPConfig", "CLIPTextModel", {}),
    "Llama4ForConditionalGeneration": ("Llama4Config", "Llama4ForCausalLM", _LLAMA_4),
}


@pytest.mark.parametrize("name", ALONE)
def test_a_text_model_that_is_read_alone(name, tmp_path):
    config, alone, sizes = ALONE[name]
    folder = save(tmp_path / "mine", name, config=config, text_config=rotary(**sizes), vision_config=_PICTURES)
    lm = load(folder)
    run = lm.run(lm.encode("the cat saw the dog"))
    theirs = getattr(transformers, alone).from_pretrained(folder, attn_implementation="eager")
    with torch.inference_mode():
        said = theirs(torch.tensor([[token.id for token in run.tokens]]), output_attentions=True)
    for ours, its in zip(run.attention, said.attentions, strict=True):
        np.testing.assert_allclose(layer_weights(ours), its[0].numpy(), atol=SAME)
    assert lm.opened.class_name == alone and (run.predictions is None) == (name == "CLIPModel")
    assert lm.info.remarks[0].startswith("Its part for pictures is in the files and is not read")
    assert "vision_model" in lm.opened.beside


def test_how_a_text_model_inside_is_built(tmp_path):
    lm = load(save(tmp_path / "mine", "Gemma3ForConditionalGeneration"))
    built = lm.architecture()
    assert (built.known, built.model_type, built.head) == (True, "gemma3_text", "tokens")
    assert built.name == "Gemma3ForConditionalGeneration" and built.stacks[0].n_layer == 2


def test_how_a_pair_made_of_two_is_built(tmp_path):
    built = load(save(tmp_path / "mine", "EncoderDecoderModel")).architecture()
    assert (built.known, built.family, built.head, built.norm) == (True, "encoder-decoder", "tokens", "post")
    assert [(stack.role, stack.n_layer, stack.cross) for stack in built.stacks] == [
        ("encoder", 2, False),
        ("decoder", 2, True),
    ]


def refusal(folder) -> str:
    with pytest.raises(ModelNotAvailable) as raised:
        cost_of(folder)
    return str(raised.value)


def test_a_picture_model_without_a_text_part_is_refused(tmp_path):
    vit = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24, image_size=8, patch_size=4
    )
    transformers.ViTModel(vit).save_pretrained(tmp_path)
    assert refusal(tmp_path) == (
        f"The model in “{tmp_path}” (vit) has no text part: its config.json names no vocabulary, so it reads pictures, "
        "sound or the like, and Regard reads text. Choose a model that reads text."
    )


def test_a_pair_with_two_vocabularies_is_refused(tmp_path):
    save(tmp_path, "EncoderDecoderModel")
    config = json.loads((tmp_path / "config.json").read_text())
    config["decoder"]["vocab_size"] = 310
    (tmp_path / "config.json").write_text(json.dumps(config))
    said = refusal(tmp_path)
    assert "reads 300 different tokens and writes 310, so it has two tokenizers, and the folder holds one" in said


def test_a_pair_that_names_no_start_begins_as_its_decoder_does(tmp_path):
    folder = save(tmp_path, "T5GemmaForConditionalGeneration", decoder_start_token_id=None)
    for name in ("config.json", "generation_config.json"):
        stated = json.loads((folder / name).read_text())
        stated.pop("decoder_start_token_id", None)
        (folder / name).write_text(json.dumps(stated))
    assert load(folder).start_token().id == ZOO["T5GemmaForConditionalGeneration"].options["decoder"]["bos_token_id"]


def test_a_package_that_a_model_is_built_with_is_named():
    def build(config):
        raise ImportError("TimmWrapperModel requires the timm library")

    with pytest.raises(ModelNotAvailable) as raised:
        check_build(build, None, {}, "config.json of “Mine”")
    assert str(raised.value) == (
        "The model of the config.json of “Mine” is built with a package that is not installed (TimmWrapperModel "
        "requires the timm library). Install it and start Regard again, or choose another model."
    )


class Holder(nn.Module):
    """Three parts, of which one is called and one gives its weights away."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.text, self.picture, self.table = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2)

    def forward(self, x):
        return self.text(x) + (x @ self.table.weight if self.config.uses_table else 0)


@pytest.mark.parametrize("uses_table", [False, True])
def test_nothing_is_left_out_that_a_text_needs(uses_table):
    holder = Holder(transformers.Gemma3Config())
    holder.config.uses_table = uses_table
    x = torch.ones(1, 2)
    before = holder(x)
    left_out = leave_out(holder, lambda: holder(x))
    assert left_out == ({} if uses_table else {"picture": 6, "table": 6})
    torch.testing.assert_close(holder(x), before)
