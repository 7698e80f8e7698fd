"""What else lies in folders and repositories: named, with what to do."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from model.sources import places as sources
from model.sources.cost import cost_of
from tests.sources.hub import FakeHub
from tests.sources.steps import change_config, make, refused

CONFIG = '{"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}'
ADAPTER = '{"peft_type": "LORA", "base_model_name_or_path": "someone/base"}'
OTHERS = {  # the files of folders that people have, and what is said of them
    "": "is empty. Choose another",
    "README.md": "is not a model: it holds README.md, but no config.json. ",
    "config.json model.safetensors.incomplete": "a download that was not finished (model.safetensors.incomplete). ",
    "config.json .cache/huggingface/download/abc.incomplete": "a download that was not finished (abc.incomplete). ",
    "snapshots/abc/config.json snapshots/abc/model.safetensors blobs/1": "files are in a folder below: give snapshots/",
    "adapter_config.json adapter_model.safetensors": "an adapter (LoRA or its like), which is a change to another "
    "model, someone/base. Merge the two with peft",
    "config.json pytorch_model.bin onnx/model.onnx": "its weights as pytorch_model.bin, a format that can run any code "
    "when it is opened, so Regard never does. If you trust it, convert it: GPT2LMHeadModel.from_pretrained(old)",
    "config.json pytorch_model.bin.index.json pytorch_model-00001-of-00002.bin pytorch_model-00002-of-00002.bin": "its "
    "weights as pytorch_model-00001-of-00002.bin, pytorch_model-00002-of-00002.bin, a format that can run any code",
    "config.json tf_model.h5": "weights of TensorFlow (tf_model.h5), and Regard reads safetensors and GGUF. With a "
    "transformers below 5, GPT2LMHeadModel.from_pretrained(old, from_tf=True)",
    "config.json flax_model.msgpack": "weights of Flax (flax_model.msgpack)",
    "config.json onnx/model.onnx": "a graph for ONNX, which keeps its queries and keys to itself (onnx/model.onnx)",
    "config.json openvino_model.bin openvino_model.xml": "a model for OpenVINO (openvino_model.bin, ",
    "config.json model.bin shared_vocabulary.json": "a model converted for CTranslate2",
    "model_index.json unet/config.json unet/model.safetensors": "a pipeline of diffusers, several models that make",
    "consolidated.00.pth params.json": "weights in their maker's own layout (consolidated.00.pth)",
    "config.json pytorch_model_fsdp_0/__0_0.distcp": "the pieces of a training on several machines",
    "modules.json 0_Transformer/config.json 0_Transformer/model.safetensors": "some below (0_Transformer). Give",
    "checkpoint-5/config.json checkpoint-5/model.safetensors runs/x": "there are some below (checkpoint-5). Give the",
    "config.json model-00001-of-00002.safetensors": "weights in pieces (model-00001-of-00002.safetensors) without the",
    "config.json model.fp16.safetensors": "no model.safetensors, but model.fp16.safetensors. If that is the",
    "gguf/x.gguf": "a GGUF file (gguf/x.gguf). Give its path",
}


@pytest.mark.parametrize("names", OTHERS)
def test_what_lies_in_a_folder_is_named(names, tmp_path):
    for name in names.split():
        make(tmp_path / name, CONFIG if name.endswith("/config.json") or name == "config.json" else ADAPTER)
    said = refused(cost_of, tmp_path)
    assert said.startswith(f"“{tmp_path}” ") and OTHERS[names] in said and said.endswith(".") and len(said) < 700


@pytest.mark.parametrize("names", [names for names in OTHERS if " " in names and ".safetensors" not in names])
def test_what_lies_in_a_repository_is_named(names, tmp_path):
    """As in a folder; without a configuration that could be read, so the class that saved it is not known."""
    hub = FakeHub({"org/name": dict.fromkeys(names.split(), 7)}, tmp_path)
    said = refused(sources.hub_listing, "org/name", hub)
    assert said.startswith("“org/name” on the hub holds ")
    assert OTHERS[names].replace("GPT2LMHeadModel", "AutoModel") in said


def test_what_git_leaves_in_the_place_of_a_large_file(roots):
    for name in ("tokenizer.json", "model.safetensors"):
        (roots / "mine" / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
        said = refused(cost_of, roots / "mine")
        assert f"The file {name} in “{roots / 'mine'}” is a pointer of Git LFS" in said and "git lfs pull" in said


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.float8_e4m3fn])
def test_packed_weights_without_a_word_in_the_configuration(dtype, roots):
    file, name = roots / "mine/model.safetensors", "transformer.h.0.mlp.c_fc.weight"
    weights = load_file(file)
    save_file(weights | {name: torch.zeros(8, 8).to(dtype)}, file)
    said = refused(cost_of, roots / "mine")
    assert said.startswith(f"The weights in “{roots / 'mine'}” are packed ({name} is ") and "plain ones only" in said
    change_config(roots / "mine", quantization={"group_size": 64, "bits": 4})
    assert "are packed (by MLX)" in refused(cost_of, roots / "mine")


def test_a_model_with_an_adapter_beside_it(roots):
    make(roots / "mine/adapter_config.json", ADAPTER)
    assert "holds a model and an adapter, which changes it" in refused(cost_of, roots / "mine")
