"""Architectures: against a table read in transformers' source, against its own modules, and as a visitor sees them."""

import re
import tomllib
from dataclasses import dataclass, replace
from xml.etree import ElementTree

import pytest
import torch
import transformers

from model.architecture import (
    PARTS,
    UNKNOWN,
    Architecture,
    Stack,
    describe,
    described,
    parameters_by_part,
    part_of,
    record_bytes,
    weights_bytes,
)
from model.transformer import Config
from tests.conftest import ROOT
from viz.figures import theme
from viz.figures.architecture import (
    block_drawing,
    drawing_words,
    facts,
    facts_table,
    memory_lines,
    parameter_bars,
    size_in_words,
)

ALL, QKV = ("query", "key", "value", "output", "MLP"), ("query", "key", "value")


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


def config_of(model_type: str, **options) -> dict:
    return transformers.CONFIG_MAPPING[model_type](**options).to_dict()


@pytest.mark.parametrize("model_type", TABLE)
def test_a_default_configuration_means_what_the_source_does(model_type):
    a, row = describe(config_of(model_type)), TABLE[model_type]
    last = a.stacks[-1]
    sizes = (last.n_layer, last.n_head, last.n_key_head, last.d_head, last.d_mlp, last.n_context)
    found = Row(
        a.family,
        a.norm,
        " ".join(last.positions),
        a.mlp,
        a.activation,
        sizes,
        a.biases,
        a.norm_kind,
        last.attention,
        a.shared_norm,
        a.embedding_norm,
        a.final_norm,
        a.qk_norm,
    )
    assert found == row
    assert a.known and a.model_type == model_type
    assert [stack.role for stack in a.stacks] == (["encoder", "decoder"] if row.family == PAIR else [row.family])
    assert [stack.cross for stack in a.stacks] == [False] * (len(a.stacks) - 1) + [row.family == PAIR]


def test_what_a_configuration_turns_on_is_seen():
    assert describe(config_of("deberta-v2", relative_attention=True, pos_att_type=["c2p", "p2c"])).stacks[
        0
    ].positions == ("learned", "disentangled")
    assert describe(config_of("distilbert", sinusoidal_pos_embds=True)).stacks[0].positions == ("sinusoidal",)
    assert describe(config_of("opt", do_layer_norm_before=False)).norm == "post"
    assert describe(config_of("gpt_neox", use_parallel_residual=False)).norm == "pre"
    assert describe(config_of("gpt_neox")).rotary_share == 0.25
    assert describe(config_of("gptj")).rotary_share == 64 / 256
    assert describe(config_of("gemma2")).soft_cap == 50
    assert describe(config_of("bert", is_decoder=True)).family == "decoder"
    assert describe(config_of("gemma", use_bidirectional_attention=True)).family == "encoder"
    stablelm = describe(config_of("stablelm", use_parallel_residual=True, use_qkv_bias=True))
    assert (stablelm.norm, stablelm.shared_norm, stablelm.biases) == ("parallel", True, QKV)
    t5 = describe(config_of("t5", feed_forward_proj="gated-gelu", num_decoder_layers=3))
    assert (t5.mlp, t5.activation) == ("gated", "gelu_new")
    assert [stack.n_layer for stack in t5.stacks] == [6, 3]
    mixtral = describe(config_of("mixtral"))
    assert (mixtral.n_expert, mixtral.n_expert_used) == (8, 2)
    falcon = {"new_decoder_architecture": True, "num_kv_heads": 8, "num_attention_heads": 64, "hidden_size": 4096}
    falcon = describe(config_of("falcon", **falcon))
    assert (falcon.norm, falcon.shared_norm, falcon.stacks[0].n_key_head) == ("parallel", False, 8)
    assert describe(config_of("falcon", alibi=True)).stacks[0].positions == ("ALiBi",)
    albert = describe(config_of("albert"))
    assert (albert.n_distinct_layer, albert.d_embedding, albert.d_model) == (1, 128, 4096)
    whisper = describe(config_of("whisper"))
    assert (whisper.stacks[0].reads, whisper.stacks[0].positions) == ("audio", ("sinusoidal",))
    named = describe(config_of("gpt2", architectures=["GPT2LMHeadModel"]))
    assert (named.name, named.head, named.tied) == ("GPT2LMHeadModel", "tokens", True)
    assert describe(config_of("bert", architectures=["BertModel"])).head == "none"
    assert describe(config_of("bert", architectures=["BertForSequenceClassification"])).head == "other"
    assert describe(config_of("bert")).head == UNKNOWN


def test_of_an_unknown_model_nothing_is_guessed():
    a = describe({"model_type": "brand_new", "hidden_size": 64, "num_attention_heads": 4})
    stack = a.stacks[0]
    assert not a.known
    assert (a.family, a.norm, a.norm_kind, a.mlp, a.head, stack.attention) == (UNKNOWN,) * 6
    assert (a.d_model, stack.n_head, stack.d_head) == (64, 4, 16)
    assert (stack.n_layer, stack.n_key_head, a.tied, a.biases, a.final_norm, a.activation) == (None,) * 6
    assert stack.positions == ()
    assert record_bytes(a, 10) is None and weights_bytes(a, 10) is None
    values = {fact.name: fact.value for fact in facts(a)}
    for name in ("Family", "Layers", "Positions", "Attention", "Norms", "MLP", "Biases", "Tied", "Longest text"):
        assert values[name] == UNKNOWN, name
    assert "unknown" in drawing_words(a)
    assert describe({}).model_type == UNKNOWN


# --- against transformers' own modules ---

SMALL = {
    "vocab_size": 61,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 40,
}
LLAMA_SMALL = SMALL | {"intermediate_size": 48, "num_key_value_heads": 2, "head_dim": 8, "pad_token_id": 0}
WIDE = SMALL | {"intermediate_size": 48}
PAIR_SMALL = {"vocab_size": 61, "d_model": 32, "encoder_layers": 2, "decoder_layers": 3, "pad_token_id": 1}
PAIR_SMALL |= {
    f"{side}_{size}": n for side in ("encoder", "decoder") for size, n in (("attention_heads", 4), ("ffn_dim", 48))
}
T5_SMALL = {"vocab_size": 61, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_heads": 4, "num_layers": 2}
T5_SMALL |= {"num_decoder_layers": 3}
OPTIONS = {
    "gpt_neo": WIDE | {"attention_types": [[["global", "local"], 1]]},
    "gptj": SMALL | {"rotary_dim": 4},
    "opt": SMALL | {"ffn_dim": 48, "word_embed_proj_dim": 32},
    "falcon": SMALL,
    "distilbert": SMALL | {"hidden_dim": 48},
    "albert": WIDE | {"embedding_size": 16},
    "electra": WIDE | {"embedding_size": 16},
    "xlnet": {"vocab_size": 61, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48},
    "modernbert": WIDE | {"pad_token_id": 0},
    "vit": WIDE | {"image_size": 16, "patch_size": 8},
    **dict.fromkeys(("t5", "mt5"), T5_SMALL),
    "mixtral": LLAMA_SMALL | {"num_local_experts": 4},
    **dict.fromkeys(("bart", "mbart", "marian", "pegasus", "whisper"), PAIR_SMALL),
    **dict.fromkeys(
        (
            "llama",
            "mistral",
            "qwen2",
            "qwen3",
            "gemma",
            "gemma2",
            "gemma3_text",
            "phi3",
            "olmo2",
            "granite",
            "cohere",
            "stablelm",
            "starcoder2",
        ),
        LLAMA_SMALL,
    ),
    **dict.fromkeys(("gpt2", "bloom", "mpt"), SMALL),
}


@pytest.fixture(scope="module")
def small():
    """`small(model_type)`: transformers' own model of that type, tiny and random, and how Regard describes it."""
    made = {}

    def make(model_type: str):
        if model_type not in made:
            config = transformers.CONFIG_MAPPING[model_type](**OPTIONS.get(model_type, WIDE))
            torch.manual_seed(0)
            made[model_type] = transformers.AutoModel.from_config(config).eval(), describe(config.to_dict())
        return made[model_type]

    return make


def shapes_of(module: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(parameter.shape) for name, parameter in module.named_parameters()}


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
        counts["attention"] += n_layer * attention * (2 if stack.cross else 1)
        mlp = (3 if a.mlp == "gated" else 2) * a.d_model * stack.d_mlp
        mlp += (stack.d_mlp + a.d_model) * ("MLP" in a.biases)
        counts["MLP"] += n_layer * (max(1, a.n_expert) * mlp + a.n_expert * a.d_model)
        n_norm = {"sandwich": 4, "parallel": 1 if a.shared_norm else 2}.get(a.norm, 2) + stack.cross
        counts["norms"] += (n_layer * n_norm + a.final_norm) * a.d_model * a_norm
        counts["norms"] += a.d_embedding * a_norm if a.embedding_norm else 0
        if a.qk_norm:  # over the width of one head; OLMo 2's over all heads together
            counts["norms"] += n_layer * (wide + narrow if a.model_type == "olmo2" else 2 * stack.d_head)
    if a.model_type == "modernbert":
        counts["norms"] -= a.d_model  # its first layer has none before attention: that of the embeddings serves
    return counts


@pytest.mark.parametrize("model_type", TABLE)
def test_the_tensors_of_transformers_own_model_are_as_many_as_described(small, model_type):
    lm, a = small(model_type)
    shapes = shapes_of(lm)
    parts = parameters_by_part(shapes)
    assert {part: parts.get(part, 0) for part in ("attention", "MLP", "norms")} == parts_expected(a)
    assert sum(parts.values()) == sum(parameter.numel() for parameter in lm.parameters())
    assert all("pooler." in name for name in shapes if part_of(name) == "other")
    learned = {"learned", "sinusoidal", "relative"} & {name for stack in a.stacks for name in stack.positions}
    assert ("positions" in parts) == bool(learned)


def norms_used(lm: torch.nn.Module, model_type: str) -> str:
    """Where the norms of the second layer stand, found out by running it."""
    names = [
        name for name, _ in lm.named_modules() if re.search(r"(^|\.)(layers?|h|blocks?)\.1$|albert_layers\.0$", name)
    ]
    layer = lm.get_submodule(min(names, key=len))
    steps, stream = [], []
    layer.register_forward_pre_hook(
        lambda module, args, kwargs: stream.append((args or tuple(kwargs.values()))[0]), with_kwargs=True
    )

    def note(name):
        part = part_of(f"{name}.weight")

        def record(module, args, kwargs, output):
            if len(stream) == 1:  # ALBERT's one layer runs twice
                steps.append((part, (args or tuple(kwargs.values()))[0], output))

        return record

    for name, module in layer.named_modules():
        leaf = next(module.children(), None) is None and next(module.parameters(), None) is not None
        if leaf and part_of(f"{name}.weight") != "other" and not re.search(r"[qk]_(layer)?norm$", name):
            module.register_forward_hook(note(name), with_kwargs=True)
    outputs = []
    layer.register_forward_hook(lambda module, args, output: outputs.append(output))
    ids = torch.arange(3, 10)[None]
    if model_type == "vit":
        lm(torch.rand(1, 3, 16, 16))
    elif model_type == "whisper":
        lm(torch.rand(1, 80, 3000), decoder_input_ids=ids)
    elif lm.config.is_encoder_decoder:
        lm(input_ids=ids, decoder_input_ids=ids)
    else:
        lm(input_ids=ids)
    order = [part for i, (part, *_) in enumerate(steps) if i == 0 or steps[i - 1][0] != part]
    out = outputs[0][0] if isinstance(outputs[0], tuple) else outputs[0]
    ends_in_norm = steps[-1][0] == "norms" and torch.equal(steps[-1][2].view_as(out), out)
    same_source = [step for step in steps if step[0] == "norms" and step[1] is stream[0]]
    match order:
        case ["norms", "attention", "MLP"]:
            return "parallel, shared"
        case ["norms", "attention", "norms", "MLP"]:
            return "parallel" if len(same_source) == 2 else "pre"
        case ["attention", "norms", "MLP", "norms"]:
            return "post" if ends_in_norm else "output"
        case ["norms", "attention", "norms", "MLP", "norms"]:
            return "sandwich"
    raise AssertionError(order)


# XLNet's projections are no modules that could be watched; Whisper hears nothing shorter than 30 seconds
@pytest.mark.parametrize("model_type", [name for name in TABLE if name not in ("xlnet", "whisper")])
@torch.inference_mode()
def test_norms_stand_where_they_are_drawn(small, model_type):
    lm, a = small(model_type)
    assert norms_used(lm, model_type) == a.norm + (", shared" if a.shared_norm else "")


# --- the built-in model, parts and memory ---

BUILT_IN = Config(n_vocab=61, n_context=40, n_layer=3, n_head=4, d_model=32)


def test_the_built_in_model_is_described_by_its_own_config(tiny):
    a = tiny.architecture()
    assert a == described(tiny._transformer.config, "decoder") and a.known
    assert (a.family, a.norm, a.norm_kind, a.tied, a.head) == ("decoder", "pre", "LayerNorm", True, "tokens")
    assert described(replace(BUILT_IN, causal=False), "encoder").family == "encoder"
    parts = parameters_by_part(tiny.parameter_shapes())
    assert {part: n for part, n in parts.items() if part in ("attention", "MLP", "norms")} == parts_expected(a)
    assert parts["embeddings"] == tiny.info.n_vocab * 32 and parts["positions"] == 32 * 32
    assert sum(parts.values()) == tiny.info.n_parameter


def test_no_tensor_is_lost():
    shapes = {"transformer.h.0.attn.c_attn.weight": (8, 24), "something.new": (5, 2), "a_number": ()}
    assert parameters_by_part(shapes) == {"attention": 192, "other": 11}
    assert parameters_by_part({}) == {}


@pytest.mark.parametrize(
    ("name", "part"),
    {
        "bert.encoder.layer.0.attention.output.LayerNorm.weight": "norms",
        "bert.encoder.layer.0.output.dense.weight": "MLP",
        "cls.predictions.transform.LayerNorm.weight": "head",
        "lm_head.weight": "head",
        "decoder.bias": "head",
        "decoder.block.0.layer.1.EncDecAttention.k.weight": "attention",
        "decoder.layers.0.fc1.weight": "MLP",
        "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": "positions",
        "model.embed_tokens.weight": "embeddings",
        "vit.embeddings.cls_token": "embeddings",
        "vit.embeddings.position_embeddings": "positions",
        "model.layers.0.self_attn.q_norm.weight": "norms",
        "model.layers.0.mlp.experts.gate_up_proj": "MLP",
    }.items(),
)
def test_a_tensor_is_counted_where_it_belongs(name, part):
    assert part_of(name) == part and part in PARTS


def test_memory_is_that_of_the_arrays_a_run_holds(tiny, tiny_run):
    a, n_token = tiny.architecture(), len(tiny_run.tokens)
    held = sum(array.nbytes for one in tiny_run.attention for array in (one.query, one.key, one.value))
    assert record_bytes(a, n_token) == held
    assert weights_bytes(a, n_token) == 3 * 4 * n_token**2 * 4
    # grouped queries: one layer, 4 heads of 8 over 2 key heads: (4 + 2 · 2) · 8 floats a token
    one = Stack("decoder", "tokens", 1, 4, 2, 8, 48, 99, ("rotary",), (None,))
    assert record_bytes(replace(a, stacks=(one,)), 10) == 10 * 8 * 8 * 4
    # a decoder that also looks at the other stack keeps twice as much
    assert record_bytes(replace(a, stacks=(one, replace(one, cross=True))), 10) == 3 * 10 * 8 * 8 * 4


# --- the drawing ---

SVG = "{http://www.w3.org/2000/svg}"


def words_of(svg: str) -> list[str]:
    return ["".join(text.itertext()) for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("model_type", TABLE)
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_every_drawing_is_well_formed_and_says_what_it_shows(model_type, mode):
    a = describe(config_of(model_type))
    svg = block_drawing(a, mode)
    words = words_of(svg)
    assert words.count(a.norm_kind) == norms_drawn(a)
    assert sum(word.startswith("Attention") for word in words) == len(a.stacks)
    assert ("Cross-attention" in words) == (len(a.stacks) == 2)
    assert any("turned by position" in word for word in words) == ("rotary" in a.stacks[0].positions)
    added = [stack for stack in a.stacks if {"learned", "sinusoidal"} & set(stack.positions)]
    assert words.count("Position vectors") == len(added)
    assert any(f"× {a.stacks[-1].n_layer} layers" in word for word in words)
    root = ElementTree.fromstring(svg)
    assert root.get("role") == "img" and a.name in root.get("aria-label")
    _, top, width, height = map(float, root.get("viewBox").split())
    for rect in root.iter(f"{SVG}rect"):
        x, y, w, h = (float(rect.get(name)) for name in ("x", "y", "width", "height"))
        assert x >= 0 and x + w <= width and top <= y and y + h <= top + height


def test_a_saved_drawing_needs_no_page():
    a = describe(config_of("t5"))
    svg = block_drawing(a, "dark", alone=True)
    assert words_of(svg) == words_of(block_drawing(a))
    assert "var(" not in svg and "var(" in block_drawing(a)
    assert float(ElementTree.fromstring(svg).get("width")) > 1000


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_a_saved_drawing_has_the_colours_of_the_page(mode):
    options = tomllib.loads((ROOT / ".streamlit/config.toml").read_text(encoding="utf-8"))["theme"][mode]
    assert theme.PAGE[mode] == (options["backgroundColor"], options["textColor"])


def norms_drawn(a: Architecture) -> int:
    n_sublayer = 3 if len(a.stacks) == 2 else 2
    one = {"sandwich": 2, "pre": 1, "post": 1, "output": 1}.get(a.norm)
    blocks = one * (n_sublayer + 2 * (len(a.stacks) - 1)) if one else 1 if a.shared_norm else 2
    return blocks + len(a.stacks) * (a.embedding_norm + a.final_norm)


def test_a_drawing_has_a_cell_for_each_head_and_each_key_head():
    def cells(a: Architecture) -> tuple[int, int]:
        rects = [r for r in ElementTree.fromstring(block_drawing(a)).iter(f"{SVG}rect") if r.get("height") == "12"]
        return tuple(sum(rect.get("fill-opacity") == opacity for rect in rects) for opacity in ("0.8", "0.4"))

    assert cells(described(BUILT_IN, "decoder")) == (4, 4)
    assert cells(describe(config_of("mistral"))) == (32, 8)
    assert cells(describe(config_of("falcon"))) == (71, 1)


def test_names_are_escaped_and_the_unknown_is_said():
    hostile = {"model_type": "<script>alert(1)</script>", "architectures": ['"><img src=x onerror=alert(1)>ForX']}
    a = describe(hostile | {"hidden_act": "<b>", "hidden_size": 8, "num_attention_heads": 2})
    svg = block_drawing(a)
    assert "<script" not in svg and "<img" not in svg and "<b>" not in svg
    words = words_of(svg)
    assert "Where norms and positions come in" in words and "is not in the configuration" in words
    assert "layers: unknown" in words and "mask: unknown" in words
    assert "LayerNorm" not in words and "RMSNorm" not in words
    table = facts_table(facts(a), a.name)
    assert "<script" not in table and "<img" not in table and "<b>" not in table


def test_an_encoder_decoder_says_what_differs():
    values = {fact.name: fact.value for fact in facts(describe(config_of("whisper")))}
    assert values["Longest text"] == "encoder 1,500 · decoder 448"
    assert values["Positions"] == "encoder sinusoidal · decoder learned"
    assert values["Heads"] == "6"
    assert values["Biases"] == "query, value, output, MLP"
    values = {fact.name: fact.value for fact in facts(describe(config_of("t5")))}
    assert values["Longest text"] == "no fixed limit" and values["Biases"] == "none"


# --- the charts ---


def test_bars_and_lines_hold_the_numbers():
    bar = parameter_bars({"attention": 30, "norms": 10}, "light").data[0]
    assert list(bar.x) == [30, 10] and list(bar.y) == ["attention", "norms"]
    assert list(bar.text) == ["30 · 75.0%", "10 · 25.0%"]
    fig = memory_lines([1, 10, 100], [8, 80, 800], [4, 400, 40_000], now=7)
    assert [list(line.y) for line in fig.data] == [[8, 80, 800], [4, 400, 40_000]]
    assert fig.layout.shapes[0].x0 == 7
    assert fig.layout.annotations[0].text == "your text: 7 tokens"
    assert not memory_lines([1, 10], [8, 80], [4, 400], now=None).layout.shapes


def test_sizes_are_said_in_words():
    assert [size_in_words(n) for n in (12, 7_077_888, 4e9)] == ["12 B", "7.08 MB", "4 GB"]


# --- the page ---


def page_words(at) -> str:
    return "\n".join(str(block.value) for block in (*at.title, *at.header, *at.markdown, *at.caption, *at.info))


def test_the_page_shows_the_model_that_is_chosen(open_page, story):
    at = open_page("model")
    assert not at.exception and not at.warning
    assert at.title[0].value == "The model"
    words = page_words(at)
    assert f"Where its {story.info.n_parameter:,} parameters are" in words
    assert "Check:** the parts add up" in words and "Check failed" not in words
    assert "1.91 hours" in words and "Project Gutenberg" in words
    assert [chart.proto.alt for chart in at.get("plotly_chart")] != []


def test_the_page_needs_no_text(open_page):
    at = open_page("model")
    at.text_area(key="text").set_value("").run()
    assert not at.exception and not at.warning
    assert "parts add up" in page_words(at)


@pytest.mark.parametrize("text", ["a", "🙂👩‍👩‍👧", "今天天气很好", "<script>alert(1)</script>", "the " * 600])
def test_no_text_disturbs_it(open_page, text):
    at = open_page("model", text=text)
    assert not at.exception and not at.warning


def test_the_numbers_behind_the_bars_come_when_asked_for(open_page, story):
    at = open_page("model")
    assert not at.dataframe
    at.toggle(key="parameters_twin").set_value(True).run()
    assert at.dataframe[0].value["parameters"].sum() == story.info.n_parameter
