"""The part of `tests.zoo` whose checkpoints hold several models: a text model beside one for pictures or sound, or a
pair that was made of two."""

from typing import Any

from tests.zoo_sizes import ROPE, VOCABULARY, Animal, encoder, pair, rotary

_VIT = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
_VIT |= {"image_size": 8, "patch_size": 4}
_QWEN_VIT = {"depth": 1, "num_heads": 2, "patch_size": 4, "hidden_size": 16, "intermediate_size": 24}
_QWEN_VIT |= {"out_hidden_size": 32}
_DAVIT = {"embed_dim": [8], "depths": [1], "num_heads": [1], "num_groups": [1], "patch_size": [3], "patch_stride": [2]}
_DAVIT |= {"patch_padding": [1], "patch_prenorm": [False], "projection_dim": 32}
_MLLAMA = {"num_hidden_layers": 1, "num_global_layers": 1, "intermediate_size": 24, "vision_output_dim": 32}
_MLLAMA |= {"intermediate_layers_indices": [0], "supported_aspect_ratios": [[1, 1]], "max_num_tiles": 1}


def _inside(model_type: str, **more: Any) -> dict[str, Any]:
    """A text model in a checkpoint with more than that."""
    marks = {"bos_token_id": 1, "eos_token_id": 2}
    return {"text_config": {"model_type": model_type, **rotary(**marks, **more)}, "image_token_index": 58}


def _qwen(model_type: str, sections: list[int], vision: dict[str, Any], **more: Any) -> dict[str, Any]:
    rope = {"rope_parameters": ROPE["rope_parameters"] | {"mrope_section": sections}}
    marks = {"image_token_id": 58, "video_token_id": 57, "vision_start_token_id": 56, "vision_end_token_id": 55}
    return {"text_config": {"model_type": model_type, **rotary(**rope, **more)}, "vision_config": vision} | marks


_GEMMA_2 = rotary(head_dim=8, sliding_window=5, bos_token_id=3)

SEVERAL: dict[str, Animal] = {
    # with a text model inside
    "Gemma3ForConditionalGeneration": Animal(
        "decoder",
        "Gemma3Config",
        _inside("gemma3_text", head_dim=8, sliding_window=5, sliding_window_pattern=2)
        | {"vision_config": _VIT, "boi_token_index": 57, "eoi_token_index": 56, "mm_tokens_per_image": 4},
        "model.language_model.layers.1.self_attn.o_proj",
    ),
    "Mistral3ForConditionalGeneration": Animal(
        "decoder",
        "Mistral3Config",
        _inside("mistral", head_dim=8, sliding_window=5)
        | {"vision_config": _VIT | {"model_type": "pixtral", "head_dim": 8}},
        "model.language_model.layers.1.self_attn.o_proj",
    ),
    "Qwen2VLForConditionalGeneration": Animal(
        "decoder",
        "Qwen2VLConfig",
        _qwen("qwen2_vl_text", [1, 1, 2], {"depth": 1, "embed_dim": 16, "hidden_size": 32, "num_heads": 2}),
        "model.language_model.layers.1.self_attn.o_proj",
    ),
    "Qwen2_5_VLForConditionalGeneration": Animal(
        "decoder",
        "Qwen2_5_VLConfig",
        _qwen("qwen2_5_vl_text", [1, 1, 2], _QWEN_VIT | {"window_size": 8, "fullatt_block_indexes": [0]}),
        "model.language_model.layers.1.self_attn.o_proj",
    ),
    "Qwen3VLForConditionalGeneration": Animal(
        "decoder",
        "Qwen3VLConfig",
        _qwen("qwen3_vl_text", [2, 1, 1], _QWEN_VIT | {"deepstack_visual_indexes": [0]}, head_dim=8),
        "model.language_model.layers.1.self_attn.o_proj",
    ),
    "LlavaForConditionalGeneration": Animal(
        "decoder",
        "LlavaConfig",
        _inside("llama") | {"vision_config": _VIT | {"model_type": "clip_vision_model"}},
        "model.language_model.layers.1.self_attn.o_proj",
    ),
    "PaliGemmaForConditionalGeneration": Animal(  # its two attentions have two masks: it is shown as it is with `eager`
        "decoder",
        "PaliGemmaConfig",
        _inside("gemma", head_dim=8, num_key_value_heads=1)
        | {"vision_config": _VIT | {"model_type": "siglip_vision_model", "projection_dim": 32}, "projection_dim": 32},
    ),
    "SmolVLMForConditionalGeneration": Animal(
        "decoder",
        "SmolVLMConfig",
        _inside("llama") | {"vision_config": _VIT, "image_token_id": 58, "scale_factor": 1},
        "model.text_model.layers.1.self_attn.o_proj",
    ),
    "InternVLForConditionalGeneration": Animal(
        "decoder",
        "InternVLConfig",
        _inside("qwen2")
        | {"vision_config": _VIT | {"model_type": "internvl_vision", "image_size": [8, 8], "patch_size": [4, 4]}},
        "model.language_model.layers.1.self_attn.o_proj",
    ),
    "Qwen2AudioForConditionalGeneration": Animal(
        "decoder",
        "Qwen2AudioConfig",
        _inside("qwen2")
        | {"audio_config": {"d_model": 16, "encoder_ffn_dim": 24, "encoder_layers": 1, "encoder_attention_heads": 2}},
        "model.language_model.layers.1.self_attn.o_proj",
    ),
    "Florence2ForConditionalGeneration": Animal(
        "encoder-decoder",
        "Florence2Config",
        {"text_config": {"model_type": "bart", **pair()}, "image_token_id": 58, "vision_config": _DAVIT},
        "model.language_model.decoder.layers.1.self_attn.out_proj",
    ),
    "MllamaForConditionalGeneration": Animal(  # without a picture it leaves layers out
        "decoder",
        "MllamaConfig",
        _inside("mllama_text_model", num_hidden_layers=3, cross_attention_layers=[1])
        | {"vision_config": {"attention_heads": 2, "hidden_size": 16, "image_size": 8, "patch_size": 4} | _MLLAMA},
        refusal="only some of its layers have attention|2 of its 3 layers",
    ),
    # the text model of a checkpoint whose own class reads no text without a picture
    "Llama4ForCausalLM": Animal(
        "decoder",
        "Llama4TextConfig",
        rotary(head_dim=8, intermediate_size_mlp=48, num_local_experts=4, num_experts_per_tok=1),
        "model.layers.1.self_attn.o_proj",
        unchangeable={"positions": "turns its queries and keys in a way of its own"},
    ),
    "CLIPTextModel": Animal("decoder", "CLIPTextConfig", encoder()),
    # pairs that were made of two
    "EncoderDecoderModel": Animal(  # bert2bert
        "encoder-decoder",
        "EncoderDecoderConfig",
        {"encoder": encoder(model_type="bert"), "decoder_start_token_id": 2, "pad_token_id": 0}
        | {"decoder": encoder(model_type="bert", is_decoder=True, add_cross_attention=True)},
        "decoder.bert.encoder.layer.1.attention.output.dense",
    ),
    "T5GemmaForConditionalGeneration": Animal(
        "encoder-decoder",
        "T5GemmaConfig",
        {"encoder": _GEMMA_2, "decoder": _GEMMA_2, "vocab_size": VOCABULARY, "decoder_start_token_id": 2},
        "model.decoder.layers.1.self_attn.o_proj",
    ),
    "T5Gemma2ForConditionalGeneration": Animal(  # one softmax over what was written and what was read
        "encoder-decoder",
        "T5Gemma2Config",
        {"encoder": {"text_config": _GEMMA_2 | {"model_type": "t5gemma2_text"}, "vision_config": _VIT}}
        | {
            "decoder": _GEMMA_2 | {"model_type": "t5gemma2_decoder"},
            "image_token_index": 58,
            "decoder_start_token_id": 2,
        },
        refusal="4 attention calls in 2 layers",
    ),
}
