"""A LoRA adapter, merged into its base: the numbers are those of transformers with the adapter run beside it."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from model import catalog
from model.analysis.attention import layer_weights
from model.run import ModelNotAvailable
from model.sources.places import Allowed
from tests.adapters import BEFORE, beside, change_settings, write_adapter
from tests.gguf_files import write_gguf
from tests.huggingface.checkpoints import BERT, byte_level, save, save_bert

SAME = 1e-5
GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 40, "bos_token_id": 0, "eos_token_id": 0}
LLAMA = BERT | {"num_key_value_heads": 2}
ATTENTION = {"transformer.h.0.attn.c_attn": (96, 32), "transformer.h.1.attn.c_attn": (96, 32)}
EVERYTHING = ATTENTION | {"transformer.h.1.attn.c_proj": (32, 32, 2), "transformer.h.0.mlp.c_fc": (128, 32)}
LINEAR = {"model.layers.0.self_attn.q_proj": (32, 32), "model.layers.1.mlp.down_proj": (32, 48)}
C_ATTN = "transformer.h.0.attn.c_attn"


@pytest.fixture
def root(tmp_path) -> Path:
    save(tmp_path / "gpt2", "GPT2LMHeadModel", byte_level(), GPT2, eos_token="<|endoftext|>")
    return tmp_path


def opened(root: Path, name: str = "mine"):
    return catalog.load(f"folder:{root / name}", allowed=Allowed((root,)))


def refusal(root: Path, name: str = "mine", **allowed) -> str:
    entry = catalog.find(f"folder:{root / name}", Allowed((root,)))
    with pytest.raises(ModelNotAvailable) as raised:
        catalog.cost(catalog.find(entry.name, Allowed((root,), **allowed)))
        catalog.load(entry.name, allowed=Allowed((root,), **allowed))
    return str(raised.value)


def check(root: Path, kind: str, base: str, scales: dict[str, float], text: str = "the cat saw the dog"):
    """Weights, hidden vectors and predictions of the two, merged, and side by side."""
    lm = opened(root)
    run = lm.run(lm.encode(text))
    ids = torch.tensor([[token.id for token in run.tokens]])
    theirs = getattr(transformers, kind).from_pretrained(root / base, attn_implementation="eager")
    with torch.inference_mode():
        alone = theirs(ids).logits
    with beside(theirs, root / "mine", scales):
        said = theirs(ids, output_attentions=True, output_hidden_states=True)
    assert float((said.logits - alone).abs().max()) > 0.1  # the adapter does something
    for ours, its in zip(run.attention, said.attentions, strict=True):
        np.testing.assert_allclose(layer_weights(ours), its[0].numpy(), atol=SAME)
    for ours, its in zip(run.hidden[:-1], said.hidden_states[:-1], strict=True):
        np.testing.assert_allclose(ours, its[0].numpy(), atol=SAME * float(its.abs().max()))
    best = said.logits[0].softmax(-1).max(-1).values.numpy()
    np.testing.assert_allclose(np.exp(run.predictions.top_log_prob[:, 0]), best, atol=SAME)
    return lm


def test_a_lora_of_gpt2(root):
    """Its matrices lie (in, out), and PEFT's lie (out, in)."""
    write_adapter(root / "mine", root / "gpt2", ATTENTION)
    lm = check(root, "GPT2LMHeadModel", "gpt2", dict.fromkeys(ATTENTION, 6 / 4))
    alone = opened(root, "gpt2").info
    assert (lm.info.title, lm.info.name) == ("gpt2 + mine", f"folder:{root / 'mine'}")
    (remark,) = lm.info.remarks
    assert remark.startswith("This is “gpt2” with the adapter “mine” merged into it (LoRA of rank 4 in 2 matrices)")
    assert alone.fingerprint in remark and alone.fingerprint != lm.info.fingerprint
    assert lm.info.n_parameter == alone.n_parameter and alone.remarks == ()
    entry = catalog.find(lm.info.name, Allowed((root,)))
    assert (entry.title, entry.source) == ("mine", "an adapter on this machine")
    n_adapter = sum(tensor.numel() for tensor in load_file(root / "mine/adapter_model.safetensors").values())
    cost = catalog.cost(entry)
    assert (cost.n_layer, cost.n_parameter) == (
        2,
        catalog.cost(catalog.find(alone.name, Allowed((root,)))).n_parameter + n_adapter,
    )


def test_ranks_and_alphas_of_single_modules(root):
    names = {"rank_pattern": {r".*\.c_proj": 2}, "alpha_pattern": {"c_fc": 9, f"^{C_ATTN}": 3}, "use_rslora": True}
    write_adapter(root / "mine", root / "gpt2", EVERYTHING, **names)
    scales = {path: 6 / math.sqrt(4) for path in EVERYTHING} | {C_ATTN: 3 / 2, "transformer.h.0.mlp.c_fc": 9 / 2}
    check(root, "GPT2LMHeadModel", "gpt2", scales | {"transformer.h.1.attn.c_proj": 6 / math.sqrt(2)})


def test_biases_and_modules_saved_whole(root):
    more = {
        f"{C_ATTN}.base_layer.bias": torch.randn(96),
        "transformer.h.1.ln_1.bias": torch.randn(32),
        "transformer.ln_f.bias": torch.randn(32),  # as it was, beside
        "transformer.ln_f.original_module.bias": torch.randn(32),
        "transformer.ln_f.modules_to_save.bias": torch.randn(32),
    }
    write_adapter(root / "mine", root / "gpt2", ATTENTION, more, bias="all", modules_to_save=["ln_f"])
    lm = opened(root)
    kept = load_file(root / "mine/adapter_model.safetensors")
    names = ("transformer.ln_f.bias", "transformer.ln_f.original_module.bias")
    save_file(
        {name: its for name, its in kept.items() if name.removeprefix(BEFORE) not in names},
        root / "mine/adapter_model.safetensors",
    )
    again = check(root, "GPT2LMHeadModel", "gpt2", dict.fromkeys(ATTENTION, 6 / 4))
    tokens = lm.encode("the cat saw the dog")
    np.testing.assert_array_equal(lm.run(tokens).hidden, again.run(tokens).hidden)
    assert "and 3 whole parameters" in lm.info.remarks[0]


@pytest.mark.parametrize(("kind", "sizes"), [("GPT2LMHeadModel", ATTENTION), ("LlamaForCausalLM", LINEAR)])
def test_dora(root, kind, sizes):
    save(root / "llama", "LlamaForCausalLM", byte_level(), LLAMA, eos_token="<|endoftext|>")
    base = "gpt2" if kind.startswith("GPT2") else "llama"
    more = {f"{path}.lora_magnitude_vector": 3 + torch.rand(n_out) for path, (n_out, _) in sizes.items()}
    write_adapter(root / "mine", root / base, sizes, more, use_dora=True)
    lm = check(root, kind, base, dict.fromkeys(sizes, 6 / 4))
    assert "(DoRA of rank 4 in 2 matrices)" in lm.info.remarks[0]


def test_a_head_that_was_the_table_of_words_is_its_own_now(root):
    """The change is one of the head alone, as PEFT runs it; merged in place it would change the words as well."""
    save(root / "llama", "LlamaForCausalLM", byte_level(), LLAMA | {"tie_word_embeddings": True})
    write_adapter(root / "mine", root / "llama", {"lm_head": (byte_level().get_vocab_size(), 32)})
    lm = check(root, "LlamaForCausalLM", "llama", {"lm_head": 6 / 4})
    alone = opened(root, "llama")
    np.testing.assert_array_equal(lm.embeddings()[0], alone.embeddings()[0])
    assert (lm.architecture().tied, alone.architecture().tied) == (False, True)


def test_a_change_to_the_table_of_words(root):
    """Its A and B are parameters, and no modules; the adapter was trained without the head, so names are without it."""
    save_bert(root / "bert")
    n = load_file(root / "bert/model.safetensors")["bert.embeddings.word_embeddings.weight"].shape[0]
    a, b = torch.randn(4, n), torch.randn(32, 4)
    path = "embeddings.word_embeddings"
    write_adapter(root / "mine", root / "bert", {}, {f"{path}.lora_embedding_A": a, f"{path}.lora_embedding_B": b})
    lm, alone = opened(root), opened(root, "bert")
    changed = alone.embeddings()[0] + 1.5 * 0.04 * (b @ a).T.numpy()
    np.testing.assert_allclose(lm.embeddings()[0], changed, atol=SAME)
    assert lm.run(lm.encode("the cat")).predictions is not None


def test_its_own_tokenizer_goes_before_that_of_its_base(root):
    write_adapter(root / "mine", root / "gpt2", ATTENTION)
    words = transformers.PreTrainedTokenizerFast(tokenizer_object=byte_level(), eos_token="<|endoftext|>")
    words.chat_template = "{% for m in messages %}{{ m.content }} says{% endfor %}"
    words.save_pretrained(root / "mine")
    assert (opened(root).chat_text("the cat"), opened(root, "gpt2").chat_text("the cat")) == ("the cat says", None)


def test_the_fingerprint_tells_how_it_was_merged(root):
    prints = set()
    for alpha in (6, 7):
        write_adapter(root / "mine", root / "gpt2", ATTENTION, lora_alpha=alpha)
        prints.add(opened(root).info.fingerprint)
    assert len(prints) == 2


# --- what cannot be merged ---


def test_a_base_that_is_not_here(root):
    write_adapter(root / "mine", "someone/base", ATTENTION)
    says = "“mine” is an adapter, which is a change to another model, “someone/base”, "
    assert refusal(root).startswith(
        f"{says}and that cannot be opened here. The model “someone/base” cannot be taken from the hub: this server "
        "does not allow it. Whoever runs it can: regard --hub"
    )
    assert refusal(root, hub=True) == f"{says}which is not on this machine yet. Load that one first, then this."
    change_settings(root / "mine", base_model_name_or_path="gpt3")
    assert "There is no folder “gpt3”. Check the path. If it lies elsewhere, say so as base_model" in refusal(root)


@pytest.mark.parametrize("base", ["/etc", "../private", "~root", "{root}/../private"])
def test_a_base_outside_of_what_may_be_opened(tmp_path, base):
    save(tmp_path / "private", "GPT2LMHeadModel", byte_level(), GPT2)
    write_adapter(tmp_path / "models/mine", base.format(root=tmp_path / "models"), ATTENTION)
    assert "lies outside of what this server may open" in refusal(tmp_path / "models")


def test_an_adapter_whose_weights_lead_outside(tmp_path):
    save(tmp_path / "models/gpt2", "GPT2LMHeadModel", byte_level(), GPT2)
    write_adapter(tmp_path / "models/mine", tmp_path / "models/gpt2", ATTENTION)
    (tmp_path / "models/mine/adapter_model.safetensors").rename(tmp_path / "adapter_model.safetensors")
    (tmp_path / "models/mine/adapter_model.safetensors").symlink_to(tmp_path / "adapter_model.safetensors")
    with pytest.raises(ModelNotAvailable, match="is a link to a place outside of what this server may open"):
        catalog.load(f"folder:{tmp_path / 'models/mine'}", allowed=Allowed((tmp_path / "models",)))


def test_a_base_of_another_shape(root):
    save(root / "wide", "GPT2LMHeadModel", byte_level(), GPT2 | {"n_embd": 48})
    write_adapter(root / "mine", root / "wide", ATTENTION)
    assert refusal(root) == (
        f"The adapter “{root / 'mine'}” was made for another model than “{root / 'wide'}”: {C_ATTN} has 48 × 144 "
        "numbers there, and its change is one of 96 × 32. Give the base that it was trained on "
        "(base_model_name_or_path in its adapter_config.json)."
    )


def test_a_base_that_is_an_adapter(root):
    write_adapter(root / "mine", root / "other", ATTENTION)
    write_adapter(root / "other", root / "mine", ATTENTION)
    assert "and that one is an adapter itself. Merge it into its own base with peft" in refusal(root)
    change_settings(root / "mine", base_model_name_or_path=str(root / "mine"))
    assert "and that one is an adapter itself" in refusal(root)


def test_a_base_that_is_a_gguf_file(root):
    write_gguf(root / "gpt2.gguf")
    write_adapter(root / "mine", root / "gpt2.gguf", ATTENTION)
    assert "which is a GGUF file there. Regard merges into safetensors" in refusal(root)


def test_a_module_that_the_base_does_not_have(root):
    write_adapter(root / "mine", root / "gpt2", {"transformer.h.2.attn.c_attn": (96, 32)})
    said = refusal(root)
    assert (
        f"The adapter “{root / 'mine'}” changes transformer.h.2.attn.c_attn, which is not in “{root / 'gpt2'}”" in said
    )
    write_adapter(root / "mine", root / "gpt2", ATTENTION, {"score.weight": torch.ones(2, 32)}, task_type="SEQ_CLS")
    assert "changes score, which is not in" in refusal(root) and "(GPT2LMHeadModel)" in refusal(root)
    write_adapter(root / "mine", root / "gpt2", ATTENTION, {"transformer.wte.weight": torch.ones(999, 32)})
    assert "transformer.wte.weight has" in refusal(root) and "its change is one of 999 × 32" in refusal(root)
    write_adapter(root / "mine", root / "gpt2", {"transformer.h.0.ln_1": (1, 32)})
    assert "a LayerNorm: Regard merges into linear maps and tables of vectors" in refusal(root)


SETTINGS = {  # what adapter_config.json says, and what is said of it
    "another kind": ({"peft_type": "PREFIX_TUNING"}, "is of the kind PREFIX_TUNING, and Regard merges LoRA only"),
    "a kind that is none": ({"peft_type": ["LORA"]}, "names no kind (peft_type), and Regard merges LoRA only"),
    "a rank of none": ({"r": 0}, "its r is 0, and no whole number from 1 on"),
    "an absurd rank": (
        {"r": 10**12},
        f"its change of {C_ATTN} is of rank 4, and its adapter_config.json says 1,000,000",
    ),
    "a rank that is no number": ({"r": "4"}, "its r is 4, and no whole number from 1 on"),
    "an absurd alpha": ({"lora_alpha": 1e300}, "its lora_alpha is 1e+300, and no number below a thousand million"),
    "an alpha that is none": ({"lora_alpha": math.inf}, "its lora_alpha is inf"),
    "patterns that are none": ({"rank_pattern": [4]}, "its rank_pattern is '[4]', and no object"),
    "an expression": ({"alpha_pattern": {"(a+)+$": 4}}, "its alpha_pattern has '(a+)+$', and only names of modules"),
    "a beginning in the base": ({"init_lora_weights": "pissa"}, "began as pissa, in a base that was changed for it"),
    "a beginning with numbers": ({"init_lora_weights": "pissa_niter_4"}, "began as pissa_niter_4, in a base"),
    "layers twice": ({"layer_replication": [[0, 2], [1, 2]]}, "has layer_replication, which Regard does not know"),
    "a setting of tomorrow": ({"use_wonder": {"a": 1}}, "has use_wonder, which Regard does not know how to merge"),
    "DoRA without lengths": ({"use_dora": True}, f"{C_ATTN}.lora_magnitude_vector does not go with its adapter_config"),
    "no base": ({"base_model_name_or_path": None}, "does not name that one. Write its folder, or its hub id, there"),
    "a base that is no name": ({"base_model_name_or_path": {"a": 1}}, "does not name that one"),
    "a revision that is none": ({"revision": 5}, "its revision is '5', and no name"),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_settings_that_are_not_followed(root, case):
    settings, sentence = SETTINGS[case]
    write_adapter(root / "mine", root / "gpt2", ATTENTION)
    change_settings(root / "mine", **settings)
    said = refusal(root)
    assert sentence in said and len(said) < 700 and str(root / "mine") in said


def test_a_revision_of_the_hub(root):
    write_adapter(root / "mine", "someone/base", ATTENTION, revision="v2")

    class Hub:
        def local(self, id):
            return root / "gpt2"

        def cache(self):
            return root

    with pytest.raises(ModelNotAvailable, match="in its revision v2, and Regard takes the newest from the hub"):
        catalog.cost(catalog.find(f"folder:{root / 'mine'}", Allowed((root,), hub=True)), Hub())
    change_settings(root / "mine", revision="main")
    assert catalog.cost(catalog.find(f"folder:{root / 'mine'}", Allowed((root,), hub=True)), Hub()).n_layer == 2


TENSORS = {  # what takes the place of a tensor, and what is said of it
    "B missing": ({f"{C_ATTN}.lora_B.weight": None}, f"{C_ATTN}.lora_B is not there"),
    "ranks apart": ({f"{C_ATTN}.lora_B.weight": torch.ones(96, 3)}, "and no two matrices that can be multiplied"),
    "no matrix": ({f"{C_ATTN}.lora_A.weight": torch.ones(4, 32, 1)}, "and no two matrices that can be multiplied"),
    "empty": ({f"{C_ATTN}.lora_A.weight": torch.ones(0, 32)}, "and no two matrices that can be multiplied"),
    "lengths without DoRA": ({f"{C_ATTN}.lora_magnitude_vector": torch.ones(96)}, "lora_magnitude_vector does not go"),
    "a bias of another size": ({f"{C_ATTN}.lora_B.bias": torch.ones(3)}, "should be one number for each of 96 rows"),
    "packed": ({f"{C_ATTN}.lora_A.weight": torch.ones(4, 32).to(torch.int8)}, "are packed ("),
    "no numbers": ({f"{C_ATTN}.lora_A.weight": torch.full((4, 32), torch.nan)}, "are not all numbers: transformer.h.0"),
    "a name of another program": ({"../../x": torch.ones(1)}, "../../x is no name that PEFT gives a tensor"),
}


@pytest.mark.parametrize("case", TENSORS)
def test_tensors_that_cannot_be_merged(root, case):
    changed, sentence = TENSORS[case]
    folder = write_adapter(root / "mine", root / "gpt2", ATTENTION)
    tensors = load_file(folder / "adapter_model.safetensors")
    tensors |= {name if name.startswith("..") else BEFORE + name: tensor for name, tensor in changed.items()}
    save_file({name: t for name, t in tensors.items() if t is not None}, folder / "adapter_model.safetensors")
    assert sentence in refusal(root)


def test_a_pickled_adapter_is_not_opened(root):
    folder = write_adapter(root / "mine", root / "gpt2", ATTENTION)
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    assert refusal(root) == (
        f"“{folder}” holds an adapter as adapter_model.bin, a format that can run any code when it is opened, so "
        "Regard never does. If you trust it, convert it: peft's PeftModel.from_pretrained(base, old)"
        ".save_pretrained(new) writes adapter_model.safetensors."
    )
    (folder / "adapter_model.bin").unlink()
    assert "holds the settings of an adapter without its weights, adapter_model.safetensors" in refusal(root)
