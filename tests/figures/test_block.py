"""The drawing of a block: well formed, and of the architecture that it is said to show."""

import tomllib
from xml.etree import ElementTree

import pytest

from model.architecture import Architecture, described
from model.architectures.description import describe
from tests.architectures import BUILT_IN, TABLE, config_of
from tests.conftest import ROOT
from viz.figures import theme
from viz.figures.architecture import facts, facts_table
from viz.figures.block import block_drawing

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
