"""Parameters: every tensor is counted, and with the part it belongs to."""

import pytest

from model.analysis.parameters import PARTS, parameters_by_part, part_of


def test_no_tensor_is_lost():
    shapes = {"transformer.h.0.attn.c_attn.weight": (8, 24), "something.new": (5, 2), "a_number": ()}
    assert parameters_by_part(shapes) == {"attention": 192, "other": 11}
    assert parameters_by_part({}) == {}
    shapes = {
        "layers.0.mamba.in_proj.weight": (2,),
        "layers.1.self_attn.q_proj.weight": (3,),
        "layers.0.norm.weight": (5,),
    }
    shapes |= {"layers.2.mixer.up_proj.weight": (7,), "layers.0.mlp.up_proj.weight": (11,)}
    others = ((0, "state space"), (2, "MLP alone"))
    counts = {"attention": 3, "instead of attention": 2, "MLP": 18, "norms": 5}
    assert parameters_by_part(shapes, others) == counts


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
