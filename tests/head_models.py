"""Tiny random models whose heads go each its own way, in folders: what *Inside a head* shows of each."""

from pathlib import Path

_SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 64}
_LLAMA = _SIZES | {"intermediate_size": 48, "num_key_value_heads": 2}
_END = {"eos_token": "<|endoftext|>"}

_FIRST, _MORE = ("The vector of the token",), ("Query, key and value",)
_SCORES = ("Compare the query with every key", "Scale and mask")
_WAY_BACK = ("Softmax", "Mix the values", "Back to the width of the stream")
_ADD, _TURN = ("Add to the residual stream",), ("Rotary positions",)
_CAPPED = ("Scale", "Soft cap and mask")
_RMS, _LAYER_NORM = ("RMS norm",), ("Layer norm",)

# the class, its configuration, the titles of the steps of a head
MODELS: dict[str, tuple[str, dict, tuple[str, ...]]] = {
    "gpt2": (
        "GPT2LMHeadModel",
        {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64},
        _FIRST + _LAYER_NORM + _MORE + _SCORES + _WAY_BACK + _ADD,
    ),
    "llama": ("LlamaForCausalLM", _LLAMA, _FIRST + _RMS + _MORE + _TURN + _SCORES + _WAY_BACK + _ADD),
    "mistral": (
        "MistralForCausalLM",
        _LLAMA | {"sliding_window": 3},
        _FIRST + _RMS + _MORE + _TURN + _SCORES + _WAY_BACK + _ADD,
    ),
    "qwen3": (
        "Qwen3ForCausalLM",
        _LLAMA | {"head_dim": 8},
        _FIRST + _RMS + _MORE + ("Norm of query and key",) + _TURN + _SCORES + _WAY_BACK + _ADD,
    ),
    "gemma2": (
        "Gemma2ForCausalLM",
        _LLAMA | {"head_dim": 8, "sliding_window": 3, "attn_logit_softcapping": 2.0},
        _FIRST + _RMS + _MORE + _TURN + _SCORES[:1] + _CAPPED + _WAY_BACK + ("RMS norm of what was written",) + _ADD,
    ),
    "phi": ("PhiForCausalLM", _LLAMA, _FIRST + _LAYER_NORM + _MORE + _TURN + _SCORES + _WAY_BACK + _ADD),
    "opt": (
        "OPTForCausalLM",
        _SIZES | {"ffn_dim": 48, "word_embed_proj_dim": 32},
        _FIRST + _LAYER_NORM + _MORE + _SCORES + _WAY_BACK + _ADD,
    ),
    "granite": (  # what is added is multiplied
        "GraniteForCausalLM",
        _LLAMA | {"residual_multiplier": 0.25, "embedding_multiplier": 3.0, "attention_multiplier": 0.2},
        _FIRST + _RMS + _MORE + _TURN + _SCORES + _WAY_BACK + _ADD,
    ),
    "bert": (
        "BertForMaskedLM",
        _SIZES | {"intermediate_size": 48},
        (*_FIRST, *_MORE, *_SCORES, *_WAY_BACK, *_ADD, "Layer norm of the sum"),
    ),
    "t5": (
        "T5ForConditionalGeneration",
        {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "decoder_start_token_id": 0},
        (*_FIRST, *_RMS, *_MORE, _SCORES[0], "Position bias and mask", *_WAY_BACK, *_ADD),
    ),
    "bloom": ("BloomForCausalLM", {"hidden_size": 32, "n_layer": 2, "n_head": 4}, ()),  # not followed
}


def write(name: str, root: Path) -> Path:
    """The folder of one of them; where it is there already, as it is."""
    from tests.huggingface.checkpoints import byte_level, save, word_piece  # seconds, for transformers
    from tests.tiny_tokenizers import BERT_TOKENS, of_family

    folder = root / name
    if folder.exists():
        return folder
    kind, config, _ = MODELS[name]
    if name == "t5":
        words = of_family("encoder-decoder")
        save(folder, kind, words.backend_tokenizer, config, eos_token="</s>", pad_token="<pad>")
        words.save_pretrained(folder)
        return folder
    return save(
        folder,
        kind,
        word_piece() if name == "bert" else byte_level(),
        config,
        **(BERT_TOKENS if name == "bert" else _END),
    )
