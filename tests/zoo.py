"""Tiny random models of every class that Regard is checked against: no download, one configuration a class.

Heads are grouped where the class can group them, windows are shorter than the text, caps are low enough to bite: what a
class does otherwise than the rest has to show in its numbers.
"""

from collections.abc import Callable
from typing import Any

from model.run import Token
from tests.zoo_of_hybrids import HYBRIDS
from tests.zoo_of_several import SEVERAL
from tests.zoo_sizes import MOE as _MOE
from tests.zoo_sizes import PROPHET as _PROPHET
from tests.zoo_sizes import VOCABULARY as _VOCABULARY
from tests.zoo_sizes import Animal
from tests.zoo_sizes import encoder as _encoder
from tests.zoo_sizes import pair as _pair
from tests.zoo_sizes import rotary as _rotary
from tests.zoo_sizes import sizes as _sizes
from tests.zoo_sizes import usual as _usual
from tests.zoo_sizes import xlm as _xlm

N_TOKEN, N_SOURCE = 13, 9  # not equal, so that self- and cross-attention cannot be taken for each other


_HEAR = ["WhisperForConditionalGeneration", "Speech2TextForConditionalGeneration", "MoonshineForConditionalGeneration"]
_HEAR.append("SpeechEncoderDecoderModel")
_SEE = ["VisionEncoderDecoderModel", "BlipForConditionalGeneration"]

ZOO: dict[str, Animal] = {
    "GPT2LMHeadModel": Animal(
        "decoder", "GPT2Config", _sizes("n_embd", "n_layer", "n_head", n_positions=64), "transformer.h.1.attn.c_proj"
    ),
    "OpenAIGPTLMHeadModel": Animal(  # blocks that return lists
        "decoder", "OpenAIGPTConfig", _sizes("n_embd", "n_layer", "n_head", n_positions=64)
    ),
    "GPTNeoForCausalLM": Animal(
        "decoder",
        "GPTNeoConfig",
        _sizes("hidden_size", "num_layers", "num_heads", attention_types=[[["global", "local"], 1]], window_size=5)
        | {"intermediate_size": 48, "max_position_embeddings": 64},
        "transformer.h.1.attn.attention.out_proj",
    ),
    "GPTNeoXForCausalLM": Animal("decoder", "GPTNeoXConfig", _encoder(), "gpt_neox.layers.1.attention.dense"),
    "GPTJForCausalLM": Animal(
        "decoder",
        "GPTJConfig",
        _sizes("n_embd", "n_layer", "n_head", n_positions=64, rotary_dim=4),
        "transformer.h.1.attn.out_proj",
    ),
    "OPTForCausalLM": Animal(
        "decoder", "OPTConfig", _usual(ffn_dim=48, word_embed_proj_dim=32), "model.decoder.layers.1.self_attn.out_proj"
    ),
    "XGLMForCausalLM": Animal(  # sinusoids in a module that is no table
        "decoder",
        "XGLMConfig",
        _sizes("d_model", "num_layers", "attention_heads", ffn_dim=48, max_position_embeddings=64),
        "model.layers.1.self_attn.out_proj",
    ),
    "BigBirdForCausalLM": Animal(  # a pooler behind its blocks
        "decoder", "BigBirdConfig", _encoder(is_decoder=True, attention_type="original_full")
    ),
    "ReformerModelWithLMHead": Animal(  # two streams, and a head over both
        "decoder",
        "ReformerConfig",
        _encoder(is_decoder=True, attn_layers=["local", "lsh"], attention_head_size=8, feed_forward_size=48)
        | {"axial_pos_shape": (8, 8), "axial_pos_embds_dim": (16, 16), "num_hashes": 1, "num_buckets": 4}
        | {"local_attn_chunk_length": 16, "lsh_attn_chunk_length": 16},
        unrepeatable=True,
    ),
    "BloomForCausalLM": Animal(
        "decoder", "BloomConfig", _sizes("hidden_size", "n_layer", "n_head"), "transformer.h.1.self_attention.dense"
    ),
    "FalconForCausalLM": Animal("decoder", "FalconConfig", _usual(), "transformer.h.1.self_attention.dense"),
    "MptForCausalLM": Animal(
        "decoder",
        "MptConfig",
        _sizes("d_model", "n_layers", "n_heads", max_seq_len=64),
        "transformer.blocks.1.attn.out_proj",
    ),
    "LlamaForCausalLM": Animal("decoder", "LlamaConfig", _rotary(), "model.layers.1.self_attn.o_proj"),
    "MistralForCausalLM": Animal(
        "decoder", "MistralConfig", _rotary(sliding_window=5), "model.layers.1.self_attn.o_proj"
    ),
    "MixtralForCausalLM": Animal("decoder", "MixtralConfig", _rotary(**_MOE), "model.layers.1.self_attn.o_proj"),
    "Qwen2ForCausalLM": Animal("decoder", "Qwen2Config", _rotary(), "model.layers.1.self_attn.o_proj"),
    "Qwen3ForCausalLM": Animal("decoder", "Qwen3Config", _rotary(head_dim=8), "model.layers.1.self_attn.o_proj"),
    "GemmaForCausalLM": Animal(
        "decoder", "GemmaConfig", _rotary(head_dim=8, num_key_value_heads=1), "model.layers.1.self_attn.o_proj"
    ),
    "Gemma2ForCausalLM": Animal(
        "decoder",
        "Gemma2Config",
        _rotary(head_dim=8, sliding_window=5, attn_logit_softcapping=0.5, final_logit_softcapping=2.0),
        "model.layers.1.self_attn.o_proj",
    ),
    "Gemma3ForCausalLM": Animal(
        "decoder",
        "Gemma3TextConfig",
        _rotary(head_dim=8, sliding_window=5, sliding_window_pattern=2),
        "model.layers.1.self_attn.o_proj",
    ),
    "PhiForCausalLM": Animal("decoder", "PhiConfig", _rotary(), "model.layers.1.self_attn.dense"),
    "Phi3ForCausalLM": Animal("decoder", "Phi3Config", _rotary(), "model.layers.1.self_attn.o_proj"),
    "Olmo2ForCausalLM": Animal("decoder", "Olmo2Config", _rotary(), "model.layers.1.self_attn.o_proj"),
    "CohereForCausalLM": Animal("decoder", "CohereConfig", _rotary(), "model.layers.1.self_attn.o_proj"),
    "GraniteForCausalLM": Animal(
        "decoder",
        "GraniteConfig",
        _rotary(logits_scaling=3.0, attention_multiplier=0.2),
        "model.layers.1.self_attn.o_proj",
    ),
    "GraniteMoeForCausalLM": Animal(  # its scale is 1
        "decoder", "GraniteMoeConfig", _rotary(**_MOE), "model.layers.1.self_attn.o_proj"
    ),
    "DogeForCausalLM": Animal(  # numbers of its own in its mask
        "decoder",
        "DogeConfig",
        _rotary(),
        "model.layers.1.self_attn.o_proj",
        unchangeable={"mask": "mixes its causal mask", "positions": "which of them tell positions is not known"},
    ),
    "StableLmForCausalLM": Animal("decoder", "StableLmConfig", _rotary(), "model.layers.1.self_attn.o_proj"),
    "Starcoder2ForCausalLM": Animal(
        "decoder", "Starcoder2Config", _rotary(sliding_window=5), "model.layers.1.self_attn.o_proj"
    ),
    "DeepseekV3ForCausalLM": Animal(
        "decoder",
        "DeepseekV3Config",
        _rotary(num_key_value_heads=4, q_lora_rank=8, kv_lora_rank=8, qk_nope_head_dim=8, qk_rope_head_dim=4)
        | {"v_head_dim": 6, "n_routed_experts": 4, "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1}
        | {"first_k_dense_replace": 1, "moe_intermediate_size": 16},
        "model.layers.1.self_attn.o_proj",
    ),
    "GptOssForCausalLM": Animal(  # learned sinks, in windows and without
        "decoder",
        "GptOssConfig",
        _rotary(head_dim=8, sliding_window=5, **_MOE),
        "model.layers.1.self_attn.o_proj",
    ),
    "GraniteSWAForCausalLM": Animal(  # sinks that are left out of the weights that it returns
        "decoder",
        "GraniteSWAConfig",
        _rotary(sliding_window=5, bos_token_id=1, eos_token_id=2),
        "model.layers.1.self_attn.o_proj",
    ),
    "MiMoV2FlashForCausalLM": Animal(  # sinks in its windows alone
        "decoder",
        "MiMoV2FlashConfig",
        _rotary(head_dim=8, sliding_window=5, layer_types=["full_attention", "sliding_attention"]),
        "model.layers.1.self_attn.o_proj",
    ),
    **HYBRIDS,
    "MambaForCausalLM": Animal(
        "decoder",
        "MambaConfig",
        {"vocab_size": _VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2},
        refusal="has no softmax attention: its layers work by state space",
    ),
    "XLNetLMHeadModel": Animal("encoder", "XLNetConfig", _sizes("d_model", "n_layer", "n_head", d_inner=48)),
    "BertForMaskedLM": Animal("encoder", "BertConfig", _encoder(), "bert.encoder.layer.1.attention.output.dense"),
    "RobertaForMaskedLM": Animal(
        "encoder",
        "RobertaConfig",
        _encoder(max_position_embeddings=66),
        "roberta.encoder.layer.1.attention.output.dense",
    ),
    "DistilBertForMaskedLM": Animal(
        "encoder",
        "DistilBertConfig",
        _sizes("dim", "n_layers", "n_heads", hidden_dim=48, max_position_embeddings=64),
        "distilbert.transformer.layer.1.attention.out_lin",
    ),
    "AlbertForMaskedLM": Animal(
        "encoder",
        "AlbertConfig",
        _encoder(embedding_size=16),
        "albert.encoder.albert_layer_groups.0.albert_layers.0.attention.dense",
    ),
    "ElectraForMaskedLM": Animal(
        "encoder", "ElectraConfig", _encoder(embedding_size=16), "electra.encoder.layer.1.attention.output.dense"
    ),
    "DebertaV2ForMaskedLM": Animal(
        "encoder",
        "DebertaV2Config",
        _encoder(relative_attention=True, pos_att_type=["p2c", "c2p"], position_buckets=8, norm_rel_ebd="layer_norm")
        | {"conv_kernel_size": 3},  # a convolution between its first two blocks
        "deberta.encoder.layer.1.attention.output.dense",
    ),
    "EsmForMaskedLM": Animal(  # queries bring their scale along
        "encoder",
        "EsmConfig",
        _encoder(position_embedding_type="rotary", pad_token_id=1, mask_token_id=2, emb_layer_norm_before=False),
        "esm.encoder.layer.1.attention.output.dense",
    ),
    "RoFormerForMaskedLM": Animal("encoder", "RoFormerConfig", _encoder(embedding_size=16)),
    "ConvBertForMaskedLM": Animal(
        "encoder",
        "ConvBertConfig",
        _encoder(num_attention_heads=8, embedding_size=16, head_ratio=2, conv_kernel_size=3),
    ),
    "MegatronBertForMaskedLM": Animal("encoder", "MegatronBertConfig", _encoder()),
    "RemBertForMaskedLM": Animal(
        "encoder", "RemBertConfig", _encoder(input_embedding_size=16, output_embedding_size=16)
    ),
    "NystromformerForMaskedLM": Animal(  # with as many landmarks as tokens its attention is whole
        "encoder", "NystromformerConfig", _encoder(segment_means_seq_len=64, num_landmarks=64, conv_kernel_size=3)
    ),
    "XLMWithLMHeadModel": Animal("encoder", "XLMConfig", _xlm()),  # no blocks: lists of parts, side by side
    "FlaubertWithLMHeadModel": Animal("encoder", "FlaubertConfig", _xlm()),
    "ModernBertForMaskedLM": Animal(
        "encoder",
        "ModernBertConfig",
        _encoder(local_attention=6, global_attn_every_n_layers=2, pad_token_id=0, bos_token_id=1, eos_token_id=2)
        | {"cls_token_id": 1, "sep_token_id": 2},
        "model.layers.1.attn.Wo",
    ),
    "LongformerForMaskedLM": Animal(  # pads the text to its window, and gives only what is in it
        "encoder",
        "LongformerConfig",
        _encoder(attention_window=[4, 8], max_position_embeddings=66, sep_token_id=3, pad_token_id=1),
    ),
    "BigBirdForMaskedLM": Animal("encoder", "BigBirdConfig", _encoder(attention_type="original_full")),
    "LukeForMaskedLM": Animal(  # a pooler behind its blocks, a head without it
        "encoder", "LukeConfig", _encoder(entity_vocab_size=59, entity_emb_size=16, max_position_embeddings=66)
    ),
    "T5EncoderModel": Animal(  # the configuration of two stacks, of which there is one
        "encoder", "T5Config", _sizes("d_model", "num_layers", "num_heads", num_decoder_layers=3, d_kv=8, d_ff=48)
    ),
    "SqueezeBertForMaskedLM": Animal(
        "encoder", "SqueezeBertConfig", _encoder(embedding_size=32), refusal="scores and no weights: some are negative"
    ),
    "FunnelForMaskedLM": Animal(
        "encoder",
        "FunnelConfig",
        _sizes("d_model", "num_decoder_layers", "n_head", block_sizes=[1, 1], d_head=8, d_inner=48),
        refusal=r"\d queries and \d keys in layer 1, for 7 tokens|layers",
    ),
    "FNetForMaskedLM": Animal("encoder", "FNetConfig", _encoder(), refusal="returns no attentions"),
    "OpenAIPrivacyFilterModel": Animal(  # sinks, and windows to both sides
        "encoder",
        "OpenAIPrivacyFilterConfig",
        _rotary(head_dim=8, sliding_window=5, eos_token_id=2, **_MOE),
    ),
    "MPNetForMaskedLM": Animal("encoder", "MPNetConfig", _encoder(), "mpnet.encoder.layer.1.attention.attn.o"),
    "T5ForConditionalGeneration": Animal(
        "encoder-decoder",
        "T5Config",
        _sizes("d_model", "num_layers", "num_heads", d_kv=8, d_ff=48, decoder_start_token_id=0),
        "decoder.block.1.layer.0.SelfAttention.o",
    ),
    "BartForConditionalGeneration": Animal(
        "encoder-decoder", "BartConfig", _pair(), "model.decoder.layers.1.self_attn.out_proj"
    ),
    "MBartForConditionalGeneration": Animal(
        "encoder-decoder", "MBartConfig", _pair(), "model.decoder.layers.1.self_attn.out_proj"
    ),
    "MarianMTModel": Animal(
        "encoder-decoder",
        "MarianConfig",
        _pair(decoder_start_token_id=1, decoder_vocab_size=_VOCABULARY),
        "model.decoder.layers.1.self_attn.out_proj",
    ),
    "PegasusForConditionalGeneration": Animal(
        "encoder-decoder", "PegasusConfig", _pair(), "model.decoder.layers.1.self_attn.out_proj"
    ),
    "M2M100ForConditionalGeneration": Animal(
        "encoder-decoder",
        "M2M100Config",
        _pair(decoder_start_token_id=2),
        "model.decoder.layers.1.self_attn.out_proj",
    ),
    "LEDForConditionalGeneration": Animal(  # its encoder gives only what is in the window
        "encoder-decoder",
        "LEDConfig",
        _pair(attention_window=[4, 4], decoder_start_token_id=2)
        | {"max_encoder_position_embeddings": 64, "max_decoder_position_embeddings": 64},
    ),
    "LongT5ForConditionalGeneration": Animal(  # its encoder gives the weights of a block for three blocks
        "encoder-decoder",
        "LongT5Config",
        _sizes("d_model", "num_layers", "num_heads", d_kv=8, d_ff=48, decoder_start_token_id=0)
        | {"encoder_attention_type": "local", "local_radius": 3},
    ),
    "BigBirdPegasusForConditionalGeneration": Animal(
        "encoder-decoder", "BigBirdPegasusConfig", _pair(attention_type="original_full", decoder_start_token_id=2)
    ),
    "ProphetNetForConditionalGeneration": Animal(
        "encoder-decoder",
        "ProphetNetConfig",
        {"vocab_size": _VOCABULARY, "hidden_size": 32, "max_position_embeddings": 64, "ngram": 2}
        | {f"num_{stack}_{part}": n for stack in ("encoder", "decoder") for part, n in _PROPHET.items()}
        | {"encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "decoder_start_token_id": 2},
        refusal="scores and no weights: some are negative",
    ),
    "PegasusXForConditionalGeneration": Animal(
        "encoder-decoder",
        "PegasusXConfig",
        _pair(block_size=4, num_global_tokens=2, decoder_start_token_id=2),
        refusal=r"are no \(1, heads, queries, keys\) but dict",
    ),
    **SEVERAL,
    # tests/huggingface/test_heads.py holds folders of these to it
    **{name: Animal("encoder-decoder", "", cannot="its encoder reads sound; Regard reads text") for name in _HEAR},
    **{name: Animal("encoder-decoder", "", cannot="its encoder reads pictures; Regard reads text") for name in _SEE},
    "WhisperForCausalLM": Animal("decoder", "WhisperConfig", cannot="the decoder of one that reads sound, without it"),
    "TrOCRForCausalLM": Animal("decoder", "TrOCRConfig", cannot="the decoder of one that reads pictures, without it"),
    "ViTModel": Animal("encoder", "ViTConfig", cannot="reads images; Regard reads text"),
}


def tokens(n: int) -> tuple[Token, ...]:
    """A text of `n` tokens, some of which come again."""
    return tuple(Token(3 + i * i % 50, b"%d" % i, i, i + 1) for i in range(n))


def builder(name: str, **options: Any) -> Callable[[str], Any]:
    """`build(attn_implementation)`: with the same random weights each time, large enough for clear attention.

    `options` go over those of the zoo.
    """
    import torch
    import transformers

    animal = ZOO[name]

    def build(attn_implementation: str) -> Any:
        config = getattr(transformers, animal.config)(**animal.options | options)
        torch.manual_seed(0)
        transformer = getattr(transformers, name)._from_config(config, attn_implementation=attn_implementation)
        for parameter in transformer.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        return transformer.eval()

    return build


def attentions_of(output: Any, config: Any) -> dict[str, list[Any]]:
    """What transformers says the weights were, by kind: (H, T, S) a layer.

    Cell by cell for the classes that give only what is in a window around each query.
    """
    fields = {"self": "attentions"}
    if hasattr(output, "decoder_attentions"):
        fields = {"self": "decoder_attentions", "encoder": "encoder_attentions", "cross": "cross_attentions"}
    windows = {("longformer", "self"): _band, ("led", "encoder"): _band, ("longt5", "encoder"): _three_blocks}
    said = {}
    if config.model_type == "minimax" and len(output.attentions) == len(config.layer_types):  # of its other layers too
        output.attentions = [
            its for its, word in zip(output.attentions, config.layer_types, strict=True) if word == "full_attention"
        ]
    for kind, its in fields.items():
        unroll = windows.get((config.model_type, kind))
        n_token = output.encoder_last_hidden_state.shape[1] if kind == "encoder" else 0
        said[kind] = [unroll(layer[0], n_token) if unroll else layer[0] for layer in getattr(output, its)]
    return said


def as_theirs(ours: Any, theirs: Any) -> Any:
    """Our weights (H, T, S or S + 1) as a class gives its own (H, T, S): without those of a learned sink; of a class
    whose rows sum to 1 all the same, what that leaves is made 1 again.
    """
    keys = ours[..., : theirs.shape[-1]]
    without = ours.shape != theirs.shape and abs(theirs.sum(-1) - 1).max() < 1e-4
    return keys / keys.sum(-1, keepdims=True) if without else keys


def _band(weights: Any, _: int) -> Any:
    """(H, T, 2 · reach + 1)"""
    n_token, reach = weights.shape[1], weights.shape[2] // 2
    whole = weights.new_zeros(len(weights), n_token, n_token)
    for query in range(n_token):
        for key in range(max(0, query - reach), min(n_token, query + reach + 1)):
            whole[:, query, key] = weights[:, query, key - query + reach]
    return whole


def _three_blocks(weights: Any, n_token: int) -> Any:
    """(B, H, b, 3 b): of a block's queries, the keys of the block before, of their own, and of the one behind."""
    block = weights.shape[2]
    whole = weights.new_zeros(weights.shape[1], n_token, n_token)
    for query in range(n_token):
        for key in range(n_token):
            place = key - (query // block - 1) * block
            if 0 <= place < 3 * block:
                whole[:, query, key] = weights[query // block, :, query % block, place]
    return whole
