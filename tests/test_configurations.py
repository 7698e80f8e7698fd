"""Configurations: against a table read in transformers' source, and against its own modules."""

import re

import pytest
import torch
import transformers

from model.analysis.parameters import parameters_by_part, part_of
from model.architecture import UNKNOWN
from model.architectures.description import describe
from tests.architectures import BRAND_NEW, HYBRIDS, PAIR, QKV, TABLE, Row, config_of, parts_expected


@pytest.mark.parametrize("model_type", [*TABLE, *HYBRIDS])
def test_a_default_configuration_means_what_the_source_does(model_type):
    a, row = describe(config_of(model_type)), (TABLE | HYBRIDS)[model_type]
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
    granite = describe(config_of("granitemoehybrid", position_embedding_type="rope", num_local_experts=0))
    assert (granite.stacks[0].positions, granite.stacks[0].d_mlp, granite.n_expert) == (("rotary",), 1024, 0)
    assert describe(config_of("lfm2", block_auto_adjust_ff_dim=False)).stacks[0].d_mlp == 12288
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
    a = describe(BRAND_NEW)
    stack = a.stacks[0]
    assert not a.known
    assert (a.family, a.norm, a.norm_kind, a.mlp, a.head, stack.attention) == (UNKNOWN,) * 6
    assert (a.d_model, stack.n_head, stack.d_head) == (64, 4, 16)
    assert (stack.n_layer, stack.n_key_head, a.tied, a.biases, a.final_norm, a.activation) == (None,) * 6
    assert stack.positions == ()
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
    "gpt_oss": LLAMA_SMALL | {"num_local_experts": 4, "head_dim": 8},
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
