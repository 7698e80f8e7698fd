"""The architectures of the tests: read by hand in transformers' source, and what follows for their parameters."""

from dataclasses import dataclass

import transformers

from model.architecture import Architecture
from model.builtin.transformer import Config

ALL, QKV = ("query", "key", "value", "output", "MLP"), ("query", "key", "value")
BUILT_IN = Config(n_vocab=61, n_context=40, n_layer=3, n_head=4, d_model=32)
BRAND_NEW = {"model_type": "brand_new", "hidden_size": 64, "num_attention_heads": 4}  # which nobody knows


@dataclass(frozen=True)
class Row:
    """What transformers' default configuration of a type means, read by hand in modeling_<type>.py (5.23)."""

    family: str
    norm: str
    positions: str
    mlp: str
    activation: str
    sizes: tuple  # layers, heads, key heads, d_head, d_mlp, context of the (last) stack
    biases: tuple = ALL
    norm_kind: str = "LayerNorm"
    attention: str = "full"
    shared_norm: bool = False
    embedding_norm: bool = False
    final_norm: bool = True
    qk_norm: bool = False


LLAMA = {"norm_kind": "RMSNorm", "biases": ()}
BERT = {"embedding_norm": True, "final_norm": False}
BART_SIZES, PAIR = (12, 16, 16, 64, 4096, 1024), "encoder-decoder"
TABLE = {
    "gpt2": Row("decoder", "pre", "learned", "plain", "gelu_new", (12, 12, 12, 64, 3072, 1024)),
    "gpt_neo": Row(
        "decoder",
        "pre",
        "learned",
        "plain",
        "gelu_new",
        (24, 16, 16, 128, 8192, 2048),
        biases=("output", "MLP"),
        attention="alternating: 12 layers with a window of 256, 12 full",
    ),
    "gpt_neox": Row("decoder", "parallel", "rotary", "plain", "gelu", (44, 64, 64, 96, 24576, 2048)),
    "gptj": Row(
        "decoder",
        "parallel",
        "rotary",
        "plain",
        "gelu_new",
        (28, 16, 16, 256, 16384, 2048),
        biases=("MLP",),
        shared_norm=True,
    ),
    "opt": Row("decoder", "pre", "learned", "plain", "relu", (12, 12, 12, 64, 3072, 2048)),
    "bloom": Row("decoder", "pre", "ALiBi", "plain", "gelu", (2, 8, 8, 8, 256, None), embedding_norm=True),
    # multi-query: all heads share one key head
    "falcon": Row(
        "decoder", "parallel", "rotary", "plain", "gelu", (32, 71, 1, 64, 18176, 2048), biases=(), shared_norm=True
    ),
    "llama": Row("decoder", "pre", "rotary", "gated", "silu", (32, 32, 32, 128, 11008, 2048), **LLAMA),
    "mistral": Row(
        "decoder",
        "pre",
        "rotary",
        "gated",
        "silu",
        (32, 32, 8, 128, 14336, 131072),
        attention="sliding window of 4,096",
        **LLAMA,
    ),
    "mixtral": Row("decoder", "pre", "rotary", "gated", "silu", (32, 32, 8, 128, 14336, 131072), **LLAMA),
    "gpt_oss": Row(
        "decoder",
        "pre",
        "rotary",
        "gated",
        "silu",
        (36, 64, 8, 64, 2880, 131072),
        norm_kind="RMSNorm",
        attention="alternating: 18 layers with a window of 128, 18 full",
    ),
    "qwen2": Row(
        "decoder", "pre", "rotary", "gated", "silu", (32, 32, 32, 128, 22016, 32768), **LLAMA | {"biases": QKV}
    ),
    "qwen3": Row("decoder", "pre", "rotary", "gated", "silu", (32, 32, 32, 128, 22016, 32768), qk_norm=True, **LLAMA),
    "gemma": Row("decoder", "pre", "rotary", "gated", "gelu_pytorch_tanh", (28, 16, 16, 256, 24576, 8192), **LLAMA),
    "gemma2": Row(
        "decoder",
        "sandwich",
        "rotary",
        "gated",
        "gelu_pytorch_tanh",
        (26, 8, 4, 256, 9216, 8192),
        attention="alternating: 13 layers with a window of 4,096, 13 full",
        **LLAMA,
    ),
    "gemma3_text": Row(
        "decoder",
        "sandwich",
        "rotary",
        "gated",
        "gelu_pytorch_tanh",
        (26, 8, 4, 256, 9216, 131072),
        attention="alternating: 22 layers with a window of 4,096, 4 full",
        qk_norm=True,
        **LLAMA,
    ),
    "phi": Row("decoder", "parallel", "rotary", "plain", "gelu_new", (24, 32, 32, 64, 8192, 2048), shared_norm=True),
    "phi3": Row("decoder", "pre", "rotary", "gated", "silu", (32, 32, 32, 96, 8192, 4096), **LLAMA),
    "olmo2": Row("decoder", "output", "rotary", "gated", "silu", (32, 32, 32, 128, 11008, 2048), qk_norm=True, **LLAMA),
    "granite": Row("decoder", "pre", "rotary", "gated", "silu", (32, 32, 32, 128, 11008, 2048), **LLAMA),
    "cohere": Row(
        "decoder", "parallel", "rotary", "gated", "silu", (40, 64, 64, 128, 22528, 8192), biases=(), shared_norm=True
    ),
    "stablelm": Row("decoder", "pre", "rotary", "gated", "silu", (32, 32, 32, 80, 6912, 4096), biases=()),
    "starcoder2": Row("decoder", "pre", "rotary", "plain", "gelu_pytorch_tanh", (30, 24, 2, 128, 12288, 4096)),
    "mpt": Row("decoder", "pre", "ALiBi", "plain", "gelu", (24, 16, 16, 128, 8192, 2048), biases=()),
    "xlm-roberta": Row("encoder", "post", "learned", "plain", "gelu", (12, 12, 12, 64, 3072, 510), **BERT),
    "camembert": Row("encoder", "post", "learned", "plain", "gelu", (12, 12, 12, 64, 3072, 510), **BERT),
    "bert": Row("encoder", "post", "learned", "plain", "gelu", (12, 12, 12, 64, 3072, 512), **BERT),
    # two of its 512 positions stand for padding
    "roberta": Row("encoder", "post", "learned", "plain", "gelu", (12, 12, 12, 64, 3072, 510), **BERT),
    "distilbert": Row("encoder", "post", "learned", "plain", "gelu", (6, 12, 12, 64, 3072, 512), **BERT),
    "albert": Row("encoder", "post", "learned", "plain", "gelu_new", (12, 64, 64, 64, 16384, 512), **BERT),
    "electra": Row("encoder", "post", "learned", "plain", "gelu", (12, 4, 4, 64, 1024, 512), **BERT),
    # its default configuration has relative_attention off; published checkpoints have it on, see below
    "deberta-v2": Row("encoder", "post", "learned", "plain", "gelu", (24, 24, 24, 64, 6144, 512), **BERT),
    "xlnet": Row(
        "encoder",
        "post",
        "relative",
        "plain",
        "gelu",
        (24, 16, 16, 64, 4096, None),
        biases=("query", "MLP"),
        final_norm=False,
    ),
    "modernbert": Row(
        "encoder",
        "pre",
        "rotary",
        "gated",
        "gelu",
        (22, 12, 12, 64, 1152, 8192),
        biases=(),
        attention="alternating: 14 layers with a window of 65, 8 full",
        embedding_norm=True,
    ),
    "vit": Row("encoder", "pre", "learned", "plain", "gelu", (12, 12, 12, 64, 3072, 197)),
    "t5": Row(PAIR, "pre", "relative", "plain", "relu", (6, 8, 8, 64, 2048, None), **LLAMA),
    "mt5": Row(PAIR, "pre", "relative", "gated", "gelu_new", (8, 6, 6, 64, 1024, None), **LLAMA),
    "bart": Row(PAIR, "post", "learned", "plain", "gelu", BART_SIZES, **BERT),
    "mbart": Row(PAIR, "pre", "learned", "plain", "gelu", BART_SIZES, embedding_norm=True),
    "marian": Row(PAIR, "post", "sinusoidal", "plain", "gelu", BART_SIZES, final_norm=False),
    "pegasus": Row(PAIR, "pre", "sinusoidal", "plain", "gelu", BART_SIZES),
    "whisper": Row(
        PAIR, "pre", "learned", "plain", "gelu", (4, 6, 6, 64, 1536, 448), biases=("query", "value", "output", "MLP")
    ),
}

# of blocks with attention; which these are is found where a model is read
HYBRIDS = {
    "qwen3_next": Row("decoder", "pre", "rotary", "gated", "silu", (48, 16, 2, 256, 512, 32768), qk_norm=True, **LLAMA),
    "qwen3_5_text": Row(
        "decoder", "pre", "rotary", "gated", "silu", (32, 16, 4, 256, 12288, 32768), qk_norm=True, **LLAMA
    ),
    "lfm2": Row("decoder", "pre", "rotary", "gated", "silu", (32, 32, 8, 80, 8192, 128000), qk_norm=True, **LLAMA),
    "jamba": Row("decoder", "pre", "none", "gated", "silu", (32, 32, 8, 128, 14336, 262144), **LLAMA),
    "granitemoehybrid": Row("decoder", "pre", "none", "gated", "silu", (32, 32, 32, 128, 11008, 2048), **LLAMA),
    "bamba": Row("decoder", "pre", "rotary", "gated", "silu", (32, 32, 8, 128, 14336, 262144), **LLAMA),
}


def config_of(model_type: str, **options) -> dict:
    return transformers.CONFIG_MAPPING[model_type](**options).to_dict()


def parts_expected(a: Architecture) -> dict[str, int]:
    """How many parameters attention, MLPs and norms must have, if the architecture is what it is said to be."""
    without_shift = a.norm_kind == "RMSNorm" or a.model_type in ("modernbert", "mpt", "cohere")
    a_norm = 1 if without_shift else 2
    counts = {"attention": 0, "MLP": 0, "norms": 0}
    for stack in a.stacks:
        n_layer = stack.n_layer if len(a.stacks) > 1 else a.n_distinct_layer
        wide, narrow = stack.n_head * stack.d_head, stack.n_key_head * stack.d_head
        bias = {"query": wide, "key": narrow, "value": narrow, "output": a.d_model}
        attention = 2 * a.d_model * (wide + narrow) + sum(n for name, n in bias.items() if name in a.biases)
        attention += stack.n_head * a.has_sink
        counts["attention"] += n_layer * attention * (2 if stack.cross else 1)
        mlp = (3 if a.mlp == "gated" else 2) * a.d_model * stack.d_mlp
        biased, gated = "MLP" in a.biases, a.mlp == "gated"
        mlp += ((1 + gated) * stack.d_mlp + a.d_model) * biased
        counts["MLP"] += n_layer * (max(1, a.n_expert) * mlp + a.n_expert * (a.d_model + biased))  # with its router
        n_mlp = a.mlp != "none"
        n_norm = {"sandwich": 4, "parallel": 1 if a.shared_norm else 2}.get(a.norm, 1 + n_mlp) + stack.cross
        counts["norms"] += (n_layer * n_norm + a.final_norm) * a.d_model * a_norm
        counts["norms"] += a.d_embedding * a_norm if a.embedding_norm else 0
        if a.qk_norm:  # over the width of one head; OLMo 2's over all heads together
            counts["norms"] += n_layer * (wide + narrow if a.model_type == "olmo2" else 2 * stack.d_head)
    if a.model_type == "modernbert":
        counts["norms"] -= a.d_model  # its first layer has none before attention: that of the embeddings serves
    return counts
