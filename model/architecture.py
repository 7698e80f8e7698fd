"""What a transformer is made of, read off its configuration; where its parameters are; what a run of it keeps.

Pure: dictionaries and shapes in, small frozen values out; no torch, no transformers.
What each kind of model does with its configuration was read in transformers' own source (5.23, modeling_<type>.py).
None means that the configuration does not say; of a kind that is not known here, nothing is guessed.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

UNKNOWN = "unknown"
FLOAT32 = 4  # bytes


@dataclass(frozen=True)
class Stack:
    """One column of equal blocks; an encoder-decoder has two."""

    role: str  # encoder | decoder | unknown
    reads: str  # tokens | patches | audio
    n_layer: int | None
    n_head: int | None
    n_key_head: int | None  # fewer than n_head where heads share keys and values (grouped queries)
    d_head: int | None
    d_mlp: int | None  # width inside the MLP; of one expert, if there are several
    n_context: int | None  # None also where the positions set no limit
    positions: tuple[str, ...]  # learned | sinusoidal | rotary | relative | ALiBi | disentangled; empty if unknown
    windows: tuple[int | None, ...] | None  # of each layer: tokens seen on each side, itself included; None is all
    cross: bool = False  # whether its blocks also look at the other stack

    @property
    def attention(self) -> str:
        """Which tokens a query sees, in words."""
        if self.windows is None:
            return UNKNOWN
        narrow = {window for window in self.windows if window}
        if not narrow:
            return "full"
        size = " or ".join(f"{window:,}" for window in sorted(narrow))
        if None not in self.windows:
            return f"sliding window of {size}"
        n_narrow = sum(window is not None for window in self.windows)
        return f"alternating: {n_narrow} layers with a window of {size}, {len(self.windows) - n_narrow} full"


@dataclass(frozen=True)
class Architecture:
    """How a transformer is built: all that its picture and its table of numbers need."""

    name: str  # the class, if the configuration names it, else the model type
    model_type: str
    family: str  # decoder | encoder | encoder-decoder | unknown
    stacks: tuple[Stack, ...]  # encoder first
    d_model: int | None
    d_embedding: int | None  # of the token table; smaller than d_model where a projection follows
    n_vocab: int | None
    norm: str  # pre | post | sandwich | output (of what a sublayer writes) | parallel | unknown
    shared_norm: bool  # whether one norm serves attention and MLP: only if parallel
    norm_kind: str  # LayerNorm | RMSNorm | unknown
    embedding_norm: bool | None  # a norm before the first block
    final_norm: bool | None  # a norm after the last block
    qk_norm: bool | None  # whether queries and keys are normalised
    soft_cap: float | None  # scores are squeezed into ± this by a tanh; None if not, or unknown
    rotary_share: float | None  # of d_head, turned by the position; None without rotary positions
    mlp: str  # plain | gated | unknown
    activation: str | None
    n_expert: int  # 0 without a mixture of experts
    n_expert_used: int  # for each token
    n_distinct_layer: int | None  # fewer than layers where they share parameters (ALBERT)
    head: str  # what stands on top: tokens (logits over the vocabulary) | other | none | unknown
    tied: bool | None  # whether the logits use the token table itself
    biases: tuple[str, ...] | None  # which of query, key, value, output, MLP have one

    @property
    def known(self) -> bool:
        """Whether Regard knows how models of this type are built."""
        return self.model_type in _KINDS or self.model_type == _BUILT_IN


_BUILT_IN = "regard"
_ALL = ("query", "key", "value", "output", "MLP")


def described(config: Any, family: str) -> Architecture:
    """Of a built-in model of one of `model.run.FAMILIES`: its `model.transformer.Config`."""
    stack = Stack(
        role=family,
        reads="tokens",
        n_layer=config.n_layer,
        n_head=config.n_head,
        n_key_head=config.n_head,
        d_head=config.d_head,
        d_mlp=4 * config.d_model,
        n_context=config.n_context,
        positions=("learned",),
        windows=(None,) * config.n_layer,
    )
    two = family == "encoder-decoder"
    return Architecture(
        name="EncoderDecoder" if two else "Transformer",
        model_type=_BUILT_IN,
        family=family,
        stacks=(replace(stack, role="encoder"), replace(stack, role="decoder", cross=True)) if two else (stack,),
        d_model=config.d_model,
        d_embedding=config.d_model,
        n_vocab=config.n_vocab,
        norm="pre",
        shared_norm=False,
        norm_kind="LayerNorm",
        embedding_norm=False,
        final_norm=True,
        qk_norm=False,
        soft_cap=None,
        rotary_share=None,
        mlp="plain",
        activation="gelu",
        n_expert=0,
        n_expert_used=0,
        n_distinct_layer=config.n_layer,
        head="tokens",
        tied=True,
        biases=_ALL,
    )


def describe(config: Mapping[str, Any]) -> Architecture:
    """Of a transformers model: its configuration as a dict (``config.to_dict()``, or a complete config.json).

    A `model_type` that is not known here gives what generic names in the configuration tell, and "unknown" or None
    for the rest.
    """
    base = _generic(config)
    kind = _KINDS.get(base.model_type)
    return kind(base, config) if kind else base


def _first(config: Mapping[str, Any], *names: str) -> Any:
    return next((config[name] for name in names if config.get(name) is not None), None)


def _generic(config: Mapping[str, Any]) -> Architecture:
    """What the usual names say, whatever the model; all that is known of an unknown one."""
    d_model = _first(config, "hidden_size", "d_model", "n_embd", "dim")
    n_head = _first(config, "num_attention_heads", "n_head", "n_heads", "num_heads")
    n_layer = _first(config, "num_hidden_layers", "n_layer", "n_layers", "num_layers")
    d_head = _first(config, "head_dim", "d_kv", "d_head")
    if d_head is None and d_model and n_head and d_model % n_head == 0:
        d_head = d_model // n_head
    model_type = str(config.get("model_type") or UNKNOWN)
    classes = config.get("architectures") or ()
    two = bool(config.get("is_encoder_decoder"))
    stack = Stack(
        role=UNKNOWN,
        reads="tokens",
        n_layer=n_layer,
        n_head=n_head,
        n_key_head=_first(config, "num_key_value_heads", "num_kv_heads"),
        d_head=d_head,
        d_mlp=_first(config, "intermediate_size", "ffn_dim", "n_inner", "d_ff", "d_inner", "hidden_dim"),
        n_context=_first(config, "max_position_embeddings", "n_positions", "max_seq_len"),
        positions=(),
        windows=None,
    )
    return Architecture(
        name=str(classes[0]) if classes else model_type,
        model_type=model_type,
        family="encoder-decoder" if two else UNKNOWN,
        stacks=(replace(stack, role="encoder"), replace(stack, role="decoder", cross=True)) if two else (stack,),
        d_model=d_model,
        d_embedding=_first(config, "embedding_size", "word_embed_proj_dim") or d_model,
        n_vocab=config.get("vocab_size"),
        norm=UNKNOWN,
        shared_norm=False,
        norm_kind="RMSNorm" if "rms_norm_eps" in config else UNKNOWN,
        embedding_norm=None,
        final_norm=None,
        qk_norm=None,
        soft_cap=None,
        rotary_share=None,
        mlp=UNKNOWN,
        activation=_first(config, "activation_function", "hidden_act", "hidden_activation", "activation"),
        n_expert=0,
        n_expert_used=0,
        n_distinct_layer=n_layer,
        head=_head(str(classes[0])) if classes else UNKNOWN,
        tied=config.get("tie_word_embeddings"),
        biases=None,
    )


def _head(name: str) -> str:
    if re.search(r"LMHead|ForCausalLM|ForMaskedLM|ForConditionalGeneration|ForPreTraining|MTModel", name):
        # ELECTRA's pretraining head tells real tokens from replaced ones
        return "other" if name == "ElectraForPreTraining" else "tokens"
    return "other" if "For" in name else "none" if name.endswith("Model") else UNKNOWN


Kind = Callable[[Architecture, Mapping[str, Any]], Architecture]


def _built(
    family: str, norm: str, norm_kind: str = "LayerNorm", **parts: Any
) -> Callable[[Architecture], Architecture]:
    """A model of one stack, `parts` of the architecture apart from the stack's own."""
    of_stack = {name: parts.pop(name) for name in ("positions", "n_key_head", "d_mlp") if name in parts}

    def build(base: Architecture) -> Architecture:
        stack = base.stacks[0]
        defaults = {
            "role": family,
            "n_key_head": stack.n_key_head or stack.n_head,
            "windows": (None,) * (stack.n_layer or 0),
            "d_mlp": stack.d_mlp or (4 * base.d_model if base.d_model else None),
        }
        return replace(
            base,
            family=family,
            stacks=(replace(stack, **(defaults | of_stack)),),
            norm=norm,
            norm_kind=norm_kind,
            **({"embedding_norm": False, "final_norm": True, "qk_norm": False, "mlp": "plain", "biases": _ALL} | parts),
        )

    return build


def _with_stack(architecture: Architecture, **parts: Any) -> Architecture:
    """The same with other `parts` of its one stack."""
    return replace(architecture, stacks=(replace(architecture.stacks[0], **parts),))


def _windows(architecture: Architecture, config: Mapping[str, Any]) -> tuple[int | None, ...]:
    """The window of each layer: by `layer_types` where a configuration has them, else one for all."""
    size, types = config.get("sliding_window"), config.get("layer_types")
    if types:
        return tuple(size if kind == "sliding_attention" else None for kind in types)
    return (size,) * (architecture.stacks[0].n_layer or 0)


def _rotary_share(config: Mapping[str, Any]) -> float:
    parameters = config.get("rope_parameters") or {}
    return float(_first(parameters, "partial_rotary_factor") or _first(config, "partial_rotary_factor") or 1)


def _gpt2(base: Architecture, config: Mapping[str, Any]) -> Architecture:
    return _built("decoder", "pre", positions=("learned",))(base)


def _gpt_neo(base: Architecture, config: Mapping[str, Any]) -> Architecture:
    model = _built("decoder", "pre", positions=("learned",), biases=("output", "MLP"))(base)
    layers = config.get("attention_layers")
    if layers is None and (types := config.get("attention_types")):
        layers = [name for names, n in types for name in names * n]
    size = config.get("window_size")
    return _with_stack(model, windows=tuple(size if name == "local" else None for name in layers) if layers else None)


def _gpt_neox(base: Architecture, config: Mapping[str, Any]) -> Architecture:
    parallel = config.get("use_parallel_residual", True)
    biases = _ALL if config.get("attention_bias", True) else ("MLP",)
    share = _first(config.get("rope_parameters") or {}, "partial_rotary_factor") or config.get("rotary_pct")
    return _built(
        "decoder", "parallel" if parallel else "pre", positions=("rotary",), rotary_share=share, biases=biases
    )(base)


def _gptj(base: Architecture, config: Mapping[str, Any]) -> Architecture:
    stack, turned = base.stacks[0], config.get("rotary_dim")
    share = turned / stack.d_head if turned and stack.d_head else None
    return _built("decoder", "parallel", positions=("rotary",), rotary_share=share, shared_norm=True, biases=("MLP",))(
        base
    )


def _opt(base: Architecture, config: Mapping[str, Any]) -> Architecture:
    before = config.get("do_layer_norm_before", True)
    return _built(
        "decoder",
        "pre" if before else "post",
        positions=("learned",),
        final_norm=bool(before and not config.get("_remove_final_layer_norm")),
        biases=_ALL if config.get("enable_bias", True) else (),
    )(base)


def _bloom(base: Architecture, config: Mapping[str, Any]) -> Architecture:
    return _built("decoder", "pre", positions=("ALiBi",), embedding_norm=True, activation="gelu")(base)


def _falcon(base: Architecture, config: Mapping[str, Any]) -> Architecture:
    new, alibi = config.get("new_decoder_architecture"), config.get("alibi")
    parallel = new or config.get("parallel_attn", True)
    n_norm = config.get("num_ln_in_parallel_attn") or (2 if new else 1)
    n_key_head = base.stacks[0].n_key_head
    if not new and config.get("multi_query", True):
        n_key_head = 1
    return _built(
        "decoder",
        "parallel" if parallel else "pre",
        positions=("ALiBi",) if alibi else ("rotary",),
        rotary_share=None if alibi else _rotary_share(config),
        shared_norm=bool(parallel and not (new and n_norm == 2)),
        n_key_head=n_key_head,
        d_mlp=config.get("ffn_hidden_size") or base.stacks[0].d_mlp or (4 * base.d_model if base.d_model else None),
        biases=_ALL if config.get("bias") else (),
    )(base)


def _llama(base: Architecture, config: Mapping[str, Any], **parts: Any) -> Architecture:
    """Llama, and what follows it but for `parts`: pre-norm RMSNorm, rotary positions, a gated MLP."""
    biases = (_ALL[:4] if config.get("attention_bias") else ()) + (("MLP",) if config.get("mlp_bias") else ())
    build = _built(
        "decoder",
        **{
            "norm": "pre",
            "norm_kind": "RMSNorm",
            "positions": ("rotary",),
            "rotary_share": _rotary_share(config),
            "mlp": "gated",
            "biases": biases,
        }
        | parts,
    )
    return build(base)


def _mistral(base: Architecture, config: Mapping[str, Any], **parts: Any) -> Architecture:
    model = _llama(base, config, **({"biases": ()} | parts))
    return _with_stack(model, windows=_windows(model, config))


def _mixtral(base: Architecture, config: Mapping[str, Any]) -> Architecture:
    experts = {"n_expert": config.get("num_local_experts", 0), "n_expert_used": config.get("num_experts_per_tok", 0)}
    return _mistral(base, config, **experts)


def _qwen2(base: Architecture, config: Mapping[str, Any]) -> Architecture:
    return _by_layer(_llama(base, config, biases=_ALL[:3]), config)


def _qwen3(base: Architecture, config: Mapping[str, Any]) -> Architecture:
    return _by_layer(_llama(base, config, qk_norm=True), config)


def _by_layer(model: Architecture, config: Mapping[str, Any]) -> Architecture:
    """Only `layer_types` decide which layers have a window."""
    return _with_stack(model, windows=_windows(model, config)) if config.get("layer_types") else model


def _gemma(base: Architecture, config: Mapping[str, Any], **parts: Any) -> Architecture:
    model = _llama(base, config, **parts)
    if config.get("use_bidirectional_attention"):
        model = replace(_with_stack(model, role="encoder"), family="encoder")
    return model


def _gemma2(base: Architecture, config: Mapping[str, Any]) -> Architecture:
    model = _gemma(base, config, norm="sandwich", soft_cap=config.get("attn_logit_softcapping"))
    return _by_layer(model, config)


def _gemma3(base: Architecture, config: Mapping[str, Any]) -> Architecture:
    return replace(_gemma2(base, config), qk_norm=True)


def _phi(base: Architecture, config: Mapping[str, Any]) -> Architecture:
    return _built(
        "decoder",
        "parallel",
        shared_norm=True,
        positions=("rotary",),
        rotary_share=_rotary_share(config),
        qk_norm=bool(config.get("qk_layernorm")),
    )(base)


def _cohere(base: Architecture, config: Mapping[str, Any]) -> Architecture:
    parts = {"norm": "parallel", "shared_norm": True, "norm_kind": "LayerNorm"}
    return _llama(base, config, qk_norm=bool(config.get("use_qk_norm")), **parts)


def _stablelm(base: Architecture, config: Mapping[str, Any]) -> Architecture:
    parallel = bool(config.get("use_parallel_residual"))
    return _llama(
        base,
        config,
        norm="parallel" if parallel else "pre",
        shared_norm=parallel,
        norm_kind="LayerNorm",
        qk_norm=bool(config.get("qk_layernorm")),
        biases=_ALL[:3] if config.get("use_qkv_bias") else (),
    )


def _starcoder2(base: Architecture, config: Mapping[str, Any]) -> Architecture:
    biases = _ALL if config.get("use_bias", True) else ()
    return _mistral(base, config, norm_kind="LayerNorm", mlp="plain", biases=biases)


def _mpt(base: Architecture, config: Mapping[str, Any]) -> Architecture:
    return _built("decoder", "pre", positions=("ALiBi",), activation="gelu", biases=())(base)


def _olmo2(base: Architecture, config: Mapping[str, Any]) -> Architecture:
    return _llama(base, config, norm="output", qk_norm=True)


def _bert(base: Architecture, config: Mapping[str, Any], **parts: Any) -> Architecture:
    """BERT, and what follows it but for `parts`: post-norm, learned positions, no norm at the end."""
    family = "decoder" if config.get("is_decoder") else "encoder"
    build = _built(family, "post", **({"positions": ("learned",), "embedding_norm": True, "final_norm": False} | parts))
    return build(base)


def _roberta(base: Architecture, config: Mapping[str, Any]) -> Architecture:
    model, padding = _bert(base, config), config.get("pad_token_id")
    n_context = model.stacks[0].n_context
    if n_context and padding is not None:
        n_context -= padding + 1  # positions are counted from after the padding's
    return _with_stack(model, n_context=n_context)


def _distilbert(base: Architecture, config: Mapping[str, Any]) -> Architecture:
    return _bert(base, config, positions=("sinusoidal" if config.get("sinusoidal_pos_embds") else "learned",))


def _albert(base: Architecture, config: Mapping[str, Any]) -> Architecture:
    n_distinct = config.get("num_hidden_groups")
    if n_distinct:
        n_distinct *= config.get("inner_group_num") or 1
    return replace(_bert(base, config), n_distinct_layer=n_distinct)


def _deberta(base: Architecture, config: Mapping[str, Any]) -> Architecture:
    positions = ("learned",) if config.get("position_biased_input", True) else ()
    if config.get("relative_attention") and config.get("pos_att_type"):
        positions += ("disentangled",)
    return _bert(base, config, positions=positions or ("none",))


def _xlnet(base: Architecture, config: Mapping[str, Any]) -> Architecture:
    model = _built(
        "decoder" if config.get("attn_type") == "uni" else "encoder",
        "post",
        positions=("relative",),
        final_norm=False,
        activation=config.get("ff_activation"),
        biases=("query", "MLP"),
    )(base)
    return _with_stack(model, n_context=None)


def _modernbert(base: Architecture, config: Mapping[str, Any]) -> Architecture:
    biases = (_ALL[:4] if config.get("attention_bias") else ()) + (("MLP",) if config.get("mlp_bias") else ())
    model = _built(
        "encoder",
        "pre",
        positions=("rotary",),
        rotary_share=1.0,
        embedding_norm=True,
        mlp="gated",
        biases=biases,
    )(base)
    reach, types = config.get("local_attention"), config.get("layer_types")
    if not (reach and types):
        return _with_stack(model, windows=None)
    # half of it on each side, and the token itself
    return _with_stack(model, windows=tuple(reach // 2 + 1 if t == "sliding_attention" else None for t in types))


def _vit(base: Architecture, config: Mapping[str, Any]) -> Architecture:
    biases = (_ALL[:3] if config.get("qkv_bias", True) else ()) + _ALL[3:]
    model = _built("encoder", "pre", positions=("learned",), biases=biases)(base)
    image, patch = config.get("image_size"), config.get("patch_size")
    n_context = None
    if isinstance(image, int) and isinstance(patch, int):
        n_context = (image // patch) ** 2 + 1  # and one token for the whole picture
    return replace(_with_stack(model, reads="patches", n_context=n_context), n_vocab=None, d_embedding=None, tied=None)


def _two_stacks(base: Architecture, config: Mapping[str, Any], norm: str, **parts: Any) -> Architecture:
    """BART and what follows it: each stack with its own numbers."""

    def stack(side: str) -> Stack:
        n_head = _first(config, f"{side}_attention_heads") or base.stacks[0].n_head
        n_layer = _first(config, f"{side}_layers") or base.stacks[0].n_layer
        return replace(
            base.stacks[0],
            role=side,
            n_layer=n_layer,
            n_head=n_head,
            n_key_head=n_head,
            d_head=base.d_model // n_head if base.d_model and n_head else None,
            d_mlp=_first(config, f"{side}_ffn_dim") or base.stacks[0].d_mlp,
            positions=parts["positions"],
            windows=(None,) * (n_layer or 0),
            cross=side == "decoder",
        )

    encoder, decoder = stack("encoder"), stack("decoder")
    return replace(
        base,
        family="encoder-decoder",
        stacks=(encoder, decoder),
        norm=norm,
        norm_kind="LayerNorm",
        qk_norm=False,
        mlp="plain",
        biases=_ALL,
        n_distinct_layer=(encoder.n_layer or 0) + (decoder.n_layer or 0) or None,
        **{name: value for name, value in parts.items() if name != "positions"},
    )


def _bart(base: Architecture, config: Mapping[str, Any]) -> Architecture:
    return _two_stacks(base, config, "post", positions=("learned",), embedding_norm=True, final_norm=False)


def _mbart(base: Architecture, config: Mapping[str, Any]) -> Architecture:
    return _two_stacks(base, config, "pre", positions=("learned",), embedding_norm=True, final_norm=True)


def _marian(base: Architecture, config: Mapping[str, Any]) -> Architecture:
    return _two_stacks(base, config, "post", positions=("sinusoidal",), embedding_norm=False, final_norm=False)


def _pegasus(base: Architecture, config: Mapping[str, Any]) -> Architecture:
    return _two_stacks(base, config, "pre", positions=("sinusoidal",), embedding_norm=False, final_norm=True)


def _whisper(base: Architecture, config: Mapping[str, Any]) -> Architecture:
    model = _two_stacks(base, config, "pre", positions=("learned",), embedding_norm=False, final_norm=True)
    encoder, decoder = model.stacks
    encoder = replace(encoder, reads="audio", positions=("sinusoidal",), n_context=config.get("max_source_positions"))
    decoder = replace(decoder, n_context=config.get("max_target_positions"))
    return replace(model, stacks=(encoder, decoder), biases=("query", "value", "output", "MLP"))


def _t5(base: Architecture, config: Mapping[str, Any]) -> Architecture:
    words = (config.get("feed_forward_proj") or "").split("-")
    n_layer = {"encoder": config.get("num_layers")}
    n_layer["decoder"] = _first(config, "num_decoder_layers") or n_layer["encoder"]
    stacks = tuple(
        replace(
            base.stacks[0],
            role=role,
            n_layer=n,
            n_key_head=base.stacks[0].n_head,
            n_context=None,
            positions=("relative",),
            windows=(None,) * (n or 0),
            cross=role == "decoder",
        )
        for role, n in n_layer.items()
    )
    return replace(
        base,
        family="encoder-decoder",
        stacks=stacks,
        norm="pre",
        norm_kind="RMSNorm",
        embedding_norm=False,
        final_norm=True,
        qk_norm=False,
        mlp="gated" if words[0] == "gated" else "plain" if words[0] else UNKNOWN,
        activation=config.get("dense_act_fn") or words[-1] or None,
        n_distinct_layer=sum(n or 0 for n in n_layer.values()) or None,
        biases=(),
    )


_KINDS: dict[str, Kind] = {
    "gpt2": _gpt2,
    "gpt_neo": _gpt_neo,
    "gpt_neox": _gpt_neox,
    "gptj": _gptj,
    "opt": _opt,
    "bloom": _bloom,
    "falcon": _falcon,
    "llama": _llama,
    "mistral": _mistral,
    "mixtral": _mixtral,
    "qwen2": _qwen2,
    "qwen3": _qwen3,
    "gemma": _gemma,
    "gemma2": _gemma2,
    "gemma3_text": _gemma3,
    "phi": _phi,
    "phi3": _mistral,
    "granite": _llama,
    "cohere": _cohere,
    "stablelm": _stablelm,
    "starcoder2": _starcoder2,
    "mpt": _mpt,
    "olmo2": _olmo2,
    "bert": _bert,
    "roberta": _roberta,
    "xlm-roberta": _roberta,
    "camembert": _roberta,
    "distilbert": _distilbert,
    "albert": _albert,
    "electra": _bert,
    "deberta-v2": _deberta,
    "xlnet": _xlnet,
    "modernbert": _modernbert,
    "vit": _vit,
    "t5": _t5,
    "mt5": _t5,
    "bart": _bart,
    "mbart": _mbart,
    "marian": _marian,
    "pegasus": _pegasus,
    "whisper": _whisper,
}

# Where a tensor belongs, by its name; the first pattern that is found decides. Only the names of transformers' models
# and of the built-in ones were looked at: what fits none is counted as "other", so that nothing is lost.
PARTS = ("embeddings", "positions", "attention", "MLP", "norms", "head", "other")
_PATTERNS = {
    "head": r"^(lm_head|lm_loss|lm_predictions|proj_out|embed_out|score|classifier|pre_classifier|qa_outputs|head|cls|"
    r"predictions|mask_predictions|(generator|discriminator|vocab)_\w+)\.|^decoder\.(weight|bias)$",
    "other": r"(^|\.)pooler\.",
    "norms": r"norm|(^|[._])ln_|_ln\.",
    "positions": r"wpe\.|position_embedding|(source|target)_position|embed_positions|relative_attention_bias"
    r"|rel_embeddings|pos_(key|query)_proj|rel_attn\.(r|r_r_bias)$",
    "embeddings": r"embed|(^|\.)(wte|shared)\.|cls_token|mask_token|mask_emb|project_(in|out)\.|\.conv[12]\.|r_s_bias$",
    "attention": r"attn|attention|\.cross\.",
    "MLP": r"mlp|ffn|feed_forward|fc[12]\.|intermediate|output\.dense|DenseReluDense|expert|moe|(^|\.)ff\.",
}
_COMPILED = {part: re.compile(pattern, re.IGNORECASE) for part, pattern in _PATTERNS.items()}


def part_of(name: str) -> str:
    """Which of `PARTS` a tensor belongs to, by its name."""
    return next((part for part, pattern in _COMPILED.items() if pattern.search(name)), "other")


def parameters_by_part(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """How many numbers each part holds, the parts in the order of `PARTS`; they add up to all there are."""
    counts = dict.fromkeys(PARTS, 0)
    for name, shape in shapes.items():
        counts[part_of(name)] += prod(shape)
    return {part: n for part, n in counts.items() if n}


def record_bytes(architecture: Architecture, n_token: int) -> int | None:
    """What a run of `n_token` tokens keeps to show attention: queries, keys and values of every layer, in float32.

    An encoder-decoder is counted with as many tokens on both sides, its cross-attention included. None if unknown.
    """
    return _over_layers(architecture, lambda s: n_token * (s.n_head + 2 * s.n_key_head) * s.d_head)


def weights_bytes(architecture: Architecture, n_token: int) -> int | None:
    """What all attention weights of such a run would take instead: one number a head, query and key, in float32."""
    return _over_layers(architecture, lambda s: s.n_head * n_token**2)


def _over_layers(architecture: Architecture, numbers: Callable[[Stack], int]) -> int | None:
    total = 0
    for stack in architecture.stacks:
        if None in (stack.n_layer, stack.n_head, stack.n_key_head, stack.d_head):
            return None
        total += stack.n_layer * numbers(stack) * (2 if stack.cross else 1)
    return total * FLOAT32
