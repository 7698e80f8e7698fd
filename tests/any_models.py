"""Tiny random checkpoints of each kind that was never ours, in folders as `save_pretrained` writes them."""

from pathlib import Path

import torch
from transformers import (
    AutoModelForCausalLM,
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertModel,
    BloomConfig,
    BloomForCausalLM,
    EncoderDecoderConfig,
    EncoderDecoderModel,
    GptOssConfig,
    GptOssForCausalLM,
    Lfm2Config,
    LlamaConfig,
    LlamaForCausalLM,
    MarianConfig,
    MarianMTModel,
    Mistral3Config,
    Mistral3ForConditionalGeneration,
    Qwen3NextConfig,
    T5Config,
    T5ForConditionalGeneration,
    T5Model,
)

from tests.adapters import write_adapter
from tests.tiny_tokenizers import of_family

SHAPE = {
    "vocab_size": 120,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
}
KINDS = {  # and the family of each
    **dict.fromkeys(("decoder", "window", "window and sink", "weights", "hybrid", "convolution"), "decoder"),
    **dict.fromkeys(("encoder", "headless", "classifier"), "encoder"),
    **dict.fromkeys(("encoder-decoder", "headless pair", "sinusoidal", "of two"), "encoder-decoder"),
}
TEXT = "the cat saw the dog"
_LINEAR = {f"linear_{part}": 8 for part in ("key_head_dim", "value_head_dim")} | {"linear_num_key_heads": 2}
_LINEAR |= {"linear_num_value_heads": 4, "head_dim": 8, "num_key_value_heads": 2, "num_hidden_layers": 3}
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
_TYPES = {"layer_types": ["linear_attention", "full_attention", "linear_attention"]}
HYBRIDS = {
    "hybrid": (Qwen3NextConfig, _LINEAR | _EXPERTS | _TYPES | {"shared_expert_intermediate_size": 16}),
    "convolution": (
        Lfm2Config,
        {"layer_types": ["conv", "full_attention", "conv"], "num_hidden_layers": 3, "num_key_value_heads": 2},
    ),
}


def built(kind: str):
    torch.manual_seed(0)
    if kind == "decoder":
        return LlamaForCausalLM(LlamaConfig(**SHAPE, num_key_value_heads=2, max_position_embeddings=40))
    if kind == "window":
        # the text model of a checkpoint that has a part for pictures beside it
        vision = {"model_type": "pixtral", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
        vision |= {"intermediate_size": 24, "head_dim": 8, "image_size": 8, "patch_size": 4}
        text = SHAPE | {"model_type": "mistral", "num_key_value_heads": 2, "sliding_window": 3}
        return Mistral3ForConditionalGeneration(
            Mistral3Config(text_config=text, vision_config=vision, image_token_id=119)
        )
    if kind == "window and sink":
        more = {"head_dim": 8, "sliding_window": 3, "num_local_experts": 4, "num_experts_per_tok": 2, "pad_token_id": 0}
        return GptOssForCausalLM(GptOssConfig(**SHAPE, num_key_value_heads=2, max_position_embeddings=64, **more))
    if kind == "weights":
        return BloomForCausalLM(BloomConfig(vocab_size=120, hidden_size=32, n_layer=2, n_head=4))
    if kind == "of two":  # bert2bert
        parts = [BertConfig(**SHAPE, max_position_embeddings=40) for _ in range(2)]
        config = EncoderDecoderConfig.from_encoder_decoder_configs(*parts, decoder_start_token_id=0, eos_token_id=1)
        return EncoderDecoderModel(config)
    if kind in HYBRIDS:  # the second of three layers has attention
        config, its = HYBRIDS[kind]
        return AutoModelForCausalLM.from_config(config(**SHAPE | its, max_position_embeddings=40))
    if kind == "sinusoidal":
        sizes = {"encoder_layers": 2, "decoder_layers": 2, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "d_model": 32}
        heads = {"encoder_attention_heads": 4, "decoder_attention_heads": 4, "max_position_embeddings": 40}
        marks = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0, "forced_eos_token_id": 1}
        return MarianMTModel(MarianConfig(vocab_size=120, decoder_vocab_size=120, **sizes, **heads, **marks))
    if kind in ("encoder-decoder", "headless pair"):
        config = T5Config(
            vocab_size=120, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, decoder_start_token_id=0
        )
        return (T5Model if kind == "headless pair" else T5ForConditionalGeneration)(config)
    config = BertConfig(**SHAPE, max_position_embeddings=40, num_labels=3)
    return {"encoder": BertForMaskedLM, "classifier": BertForSequenceClassification, "headless": BertModel}[kind](
        config
    )


def write_models(root: Path) -> Path:
    """One folder for each kind of model."""
    for kind in KINDS:
        transformer, folder = built(kind), root / kind
        if kind == "weights":  # an adapter; its base lies beside it
            folder = root / "base"
            sizes = {f"transformer.h.{layer}.self_attention.query_key_value": (96, 32) for layer in range(2)}
            write_adapter(root / kind, folder, sizes)
        for parameter in transformer.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        transformer.save_pretrained(folder)
        words = of_family(KINDS[kind])
        if kind == "decoder":
            words.chat_template = "{% for m in messages %}</s>{{ m.role }} {{ m.content }}{% endfor %}</s>assistant "
        words.save_pretrained(folder)
    return root


def write_wide(folder: Path, *, n_layer: int, d_mlp: int, n_context: int) -> Path:
    """A decoder of many parameters for its size on disk, so that to read a long text is work."""
    torch.manual_seed(0)
    sizes = SHAPE | {"num_hidden_layers": n_layer, "intermediate_size": d_mlp, "max_position_embeddings": n_context}
    LlamaForCausalLM(LlamaConfig(**sizes)).save_pretrained(folder)
    of_family("decoder").save_pretrained(folder)
    return folder


def write_encoders(root: Path) -> Path:
    """An encoder with the head that guesses words, and one without."""
    torch.manual_seed(0)
    config = BertConfig(**SHAPE, max_position_embeddings=64)
    for kind, transformer in (("encoder", BertForMaskedLM(config)), ("headless", BertModel(config))):
        for parameter in transformer.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        transformer.save_pretrained(root / kind)
        of_family("encoder").save_pretrained(root / kind)
    return root
