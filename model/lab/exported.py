"""A built-in decoder as a folder that transformers reads: its weights in the places where GPT-2 has them.

Both are the same architecture, so nothing is computed anew. transformers keeps the matrices of GPT-2 the other way
round (`Conv1D`), and those of queries, keys and values as one.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from model.builtin.language_model import BuiltinModel
from model.builtin.transformer import Block, Transformer
from model.run import ModelNotAvailable


def as_gpt2(transformer: Transformer) -> dict[str, Tensor]:
    """The weights by the names and in the shapes of transformers' `GPT2LMHeadModel`; the output layer is tied."""
    found = {
        "transformer.wte.weight": transformer.token_embedding.weight,  # (V, D)
        "transformer.wpe.weight": transformer.position_embedding.weight,  # (n_context, D)
        "transformer.ln_f.weight": transformer.final_norm.weight,
        "transformer.ln_f.bias": transformer.final_norm.bias,
    }
    for layer, block in enumerate(transformer.blocks):
        found |= {f"transformer.h.{layer}.{name}": tensor for name, tensor in _block(block).items()}
    return {name: tensor.detach().contiguous() for name, tensor in found.items()}


def _block(block: Block) -> dict[str, Tensor]:
    attention = block.attention
    made = (attention.query, attention.key, attention.value)
    return {
        "ln_1.weight": block.attention_norm.weight,
        "ln_1.bias": block.attention_norm.bias,
        "attn.c_attn.weight": torch.cat([linear.weight for linear in made]).T,  # (D, 3 D)
        "attn.c_attn.bias": torch.cat([linear.bias for linear in made]),
        "attn.c_proj.weight": attention.output.weight.T,  # (D, D)
        "attn.c_proj.bias": attention.output.bias,
        "ln_2.weight": block.mlp_norm.weight,
        "ln_2.bias": block.mlp_norm.bias,
        "mlp.c_fc.weight": block.mlp.up.weight.T,  # (D, 4 D)
        "mlp.c_fc.bias": block.mlp.up.bias,
        "mlp.c_proj.weight": block.mlp.down.weight.T,  # (4 D, D)
        "mlp.c_proj.bias": block.mlp.down.bias,
    }


def files_of(lm: BuiltinModel, origin: str, notices: Path | None = None) -> Mapping[str, bytes]:
    """What is in the folder, by name. `origin`: what its README says of where the weights came from, in sentences.

    `notices`: the folder of the shipped model that it began from, whose notices go with the weights. Raises
    `ModelNotAvailable` if it is no decoder.
    """
    config, tokenizer = lm.transformer.config, lm.tokenizer
    if not config.causal or lm.info.family != "decoder":
        raise ModelNotAvailable(f"{lm.info.title} is no decoder: only decoders are written as GPT-2 folders.")
    end = tokenizer.end_of_text
    end_name = tokenizer.backend_tokenizer.id_to_token(end)
    norm = lm.transformer.final_norm
    stated = {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": config.n_vocab,
        "n_positions": config.n_context,
        "n_embd": config.d_model,
        "n_layer": config.n_layer,
        "n_head": config.n_head,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": norm.eps,
        "attn_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "resid_pdrop": 0.0,
        "bos_token_id": end,
        "eos_token_id": end,
        "tie_word_embeddings": True,
        "dtype": "float32",
    }
    about_tokens = {
        "tokenizer_class": "PreTrainedTokenizerFast",  # as tokenizer.json says it, and nothing made anew
        "bos_token": end_name,
        "eos_token": end_name,
        "unk_token": end_name,
        "model_max_length": config.n_context,
        "clean_up_tokenization_spaces": False,
    }
    found = {
        "config.json": _json(stated),
        "model.safetensors": save(as_gpt2(lm.transformer), {"format": "pt"}),
        "tokenizer.json": tokenizer.backend_tokenizer.to_str().encode(),
        "tokenizer_config.json": _json(about_tokens),
        "generation_config.json": _json({"bos_token_id": end, "eos_token_id": end}),
        "README.md": _readme(lm, origin).encode(),
    }
    for name in ("NOTICE.md", "storybooks-attribution.tsv"):
        if notices and (notices / name).is_file():
            found[name] = (notices / name).read_bytes()
    return found


def zipped(folder: str, files: Mapping[str, bytes]) -> bytes:
    """A zip with one folder, as it is downloaded. Weights do not shrink, and are stored as they are."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            way = zipfile.ZIP_STORED if name.endswith(".safetensors") else zipfile.ZIP_DEFLATED
            archive.writestr(f"{folder}/{name}", content, way)
    return packed.getvalue()


def _json(stated: Mapping) -> bytes:
    return json.dumps(stated, indent=2).encode()


def _readme(lm: BuiltinModel, origin: str) -> str:
    info = lm.info
    return f"""# {info.title}

{origin}

A decoder of {info.n_layer} layers × {info.n_head} heads, {info.n_parameter:,} parameters, that reads up to \
{info.n_context:,} tokens, in the layout of GPT-2. Weights {info.fingerprint}.

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("this folder")
model = AutoModelForCausalLM.from_pretrained("this folder")
```

In Regard, give the path of this folder under *Use a model of your own*. `NOTICE.md`, where there is one, says whose
texts the model learned from.
"""
