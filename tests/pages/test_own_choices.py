"""Layer, head and tokens are choices of a model: what another model reads neither shows nor changes them."""

import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from model import catalog
from model.analysis.beam import PENALTY, WIDTH
from model.analysis.telling import telling_head, telling_weight
from model.sources.places import Allowed
from tests.pages.reading import address
from tests.shipped import STORY, TRANSLATOR

LAYER, HEAD = STORY.n_layer - 1, STORY.n_head - 1  # which no smaller model has
OWN = {"layer": LAYER, "head": HEAD, "token": 3, "key": 2}


@pytest.fixture
def two_layers(tmp_path, tiny_gpt2, monkeypatch) -> str:
    """The name of a model of 2 layers and 2 heads, in a folder that the operator allows."""
    shutil.copytree(tiny_gpt2, tmp_path / "models" / "mine")
    monkeypatch.setenv("REGARD_MODEL_ROOTS", str(tmp_path / "models"))
    return f"folder:{tmp_path / 'models' / 'mine'}"


def go(at: AppTest, page: str) -> AppTest:
    return at.switch_page(f"viz/pages/{page}.py").run()


def load(at: AppTest) -> AppTest:
    """The small model, by the sidebar: nothing of it was chosen before."""
    at.sidebar.text_input(key="own_model").set_value("mine").run()
    return at.sidebar.button(key="load_own_model").click().run()


def choose(at: AppTest, name: str) -> AppTest:
    return at.sidebar.selectbox(key="model").select(name).run()


def chosen(at: AppTest, *names: str) -> dict[str, int]:
    """What the sliders say, not only what is remembered."""
    return {name: at.slider(key=name).value for name in names or OWN}


def test_a_page_of_another_model_neither_reads_nor_changes_them(open_page):
    at = open_page("attention", **OWN, heads=f"{LAYER}.{HEAD}, 1.*", across="head")
    assert chosen(at) == OWN
    go(at, "translation")
    layer, head = catalog.telling_head_of(catalog.find("translator"))
    assert chosen(at, "layer", "head") == {"layer": layer, "head": head}
    other = (layer + 1) % TRANSLATOR.n_layer
    at.slider(key="layer").set_value(other).run()
    go(at, "attention")
    assert chosen(at) == OWN and at.text_input(key="heads").value == f"{LAYER}.{HEAD}, 1.*"
    go(at, "translation")  # its own are found again, too
    assert chosen(at, "layer", "head") == {"layer": other, "head": head}
    go(at, "understanding")
    go(at, "generation")
    go(at, "head")
    assert chosen(at) == OWN
    assert not at.exception and not at.toast


def test_a_model_chosen_for_the_first_time_begins_where_the_one_before_it_was(open_page, two_layers):
    at = open_page("attention", model=two_layers, layer=1, head=1, text="the cat saw the dog")
    choose(at, "story")
    assert chosen(at, "layer", "head") == {"layer": 1, "head": 1}
    at.slider(key="layer").set_value(LAYER).run()  # draws a part of the page
    choose(at.run(), two_layers)
    assert chosen(at, "layer", "head") == {"layer": 1, "head": 1} and not at.toast
    choose(at, "story")
    assert chosen(at, "layer", "head") == {"layer": LAYER, "head": 1}
    assert not at.exception


def test_a_smaller_model_says_what_it_does_not_have_and_takes_nothing_from_the_larger(open_page, two_layers):
    text = "the cat saw the dog"
    at = load(open_page("attention", layer=LAYER, head=HEAD, text=text))
    lm = catalog.load(two_layers, allowed=Allowed((Path(two_layers.removeprefix("folder:")).parent,), hub=False))
    layer, head = telling_head(lm.run(lm.encode(text)))
    assert chosen(at, "layer", "head") == {"layer": layer, "head": head}
    assert [toast.value for toast in at.toast] == [
        f"There is no layer {LAYER} any more: showing layer {layer}.",
        f"There is no head {HEAD} any more: showing head {head}.",
    ]
    assert chosen(choose(at, "story"), "layer", "head") == {"layer": LAYER, "head": HEAD}


def test_the_model_that_reads_a_page_brings_its_choices_when_it_is_chosen(open_page):
    at = open_page("translation", layer=2, head=3, across="head")
    at.button(key="use_reader").click().run()
    assert at.session_state.model == "translator"
    assert chosen(go(at, "attention"), "layer", "head") == {"layer": 2, "head": 3}
    assert chosen(choose(at, "story"), "layer", "head") == {"layer": 2, "head": 3}


def test_the_decoder_beside_the_encoder_has_choices_of_its_own(open_page, two_layers):
    at = open_page("understanding", section="both", maps="head", decoder_layer=LAYER, decoder_head=HEAD, layer=3)
    load(at)  # a decoder: it takes story's place beside the encoder
    names = ("layer", "decoder_layer", "decoder_head")
    lm = catalog.load(two_layers, allowed=Allowed((Path(two_layers.removeprefix("folder:")).parent,), hub=False))
    layer, head = telling_head(lm.run(lm.encode(at.session_state.text)))
    assert chosen(at, *names) == {"layer": 3, "decoder_layer": layer, "decoder_head": head}
    at.slider(key="decoder_layer").set_value(1 - layer).run()
    assert chosen(choose(at, "story"), *names) == {"layer": 3, "decoder_layer": LAYER, "decoder_head": HEAD}
    assert chosen(choose(at, two_layers), *names) == {"layer": 3, "decoder_layer": 1 - layer, "decoder_head": head}
    assert not at.exception


def test_an_address_that_names_one_of_layer_and_head_means_the_first_of_the_other(open_page):
    """As it did before there was a telling head; and no address is written that names only one."""
    at = open_page("attention", layer=3)
    assert chosen(at, "layer", "head") == {"layer": 3, "head": 0} and address(at)["head"] == "0"
    assert chosen(open_page("mechanism", head=3), "layer", "head") == {"layer": 0, "head": 3}
    beside = {"section": "both", "maps": "head"}
    at = open_page("understanding", **beside, decoder_layer=3)
    assert chosen(at, "decoder_layer", "decoder_head") == {"decoder_layer": 3, "decoder_head": 0}
    assert address(at)["decoder_head"] == "0"
    at = open_page("attention")
    layer, head = catalog.telling_head_of(catalog.find("story"))
    assert chosen(at, "layer", "head") == {"layer": layer, "head": head}
    assert not {"layer", "head", "token", "key"} & address(at).keys()
    at.slider(key="layer").set_value((layer + 1) % STORY.n_layer).run()
    assert address(at.run())["head"] == str(head)
    at = open_page("understanding", **beside)  # story stands beside the encoder
    assert chosen(at, "decoder_layer", "decoder_head") == {"decoder_layer": layer, "decoder_head": head}
    assert not {"decoder_layer", "decoder_head"} & address(at).keys()


def test_the_outlined_cell_goes_with_the_attention_that_is_read(open_page):
    at = open_page("attention", model="translator")
    lm = catalog.load("translator")
    found = {}
    for kind in ("self", "encoder", "cross"):
        at.segmented_control(key="kind").set_value(kind).run()
        found[kind] = chosen(at, "token", "key")
    layer, head = catalog.telling_head_of(catalog.find("translator"))
    source = lm.encode(at.session_state.text)
    written = lm.beam_search(source, WIDTH, PENALTY).finished[0].ids
    run = lm.run((lm.start_token(), *map(lm.token, written[:-1])), source=source)
    for kind, place in found.items():
        assert tuple(place.values()) == telling_weight(run, layer, head, kind)
