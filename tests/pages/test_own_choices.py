"""Layer, head and tokens are choices of a model: what another model reads neither shows nor changes them."""

import shutil

import pytest
from streamlit.testing.v1 import AppTest

OWN = {"layer": 5, "head": 4, "token": 3, "key": 2}


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
    at = open_page("attention", **OWN, heads="5.4, 4.*", across="head")
    assert chosen(at) == OWN
    go(at, "translation")
    assert chosen(at, "layer", "head") == {"layer": 0, "head": 0}
    at.slider(key="layer").set_value(2).run()
    go(at, "attention")
    assert chosen(at) == OWN and at.text_input(key="heads").value == "5.4, 4.*"
    go(at, "translation")  # its own are found again, too
    assert chosen(at, "layer", "head") == {"layer": 2, "head": 0}
    go(at, "understanding")
    go(at, "generation")
    go(at, "head")
    assert chosen(at) == OWN
    assert not at.exception and not at.toast


def test_a_model_chosen_for_the_first_time_begins_where_the_one_before_it_was(open_page, two_layers):
    at = open_page("attention", model=two_layers, layer=1, head=1, text="the cat saw the dog")
    choose(at, "story")
    assert chosen(at, "layer", "head") == {"layer": 1, "head": 1}
    at.slider(key="layer").set_value(5).run()  # draws a part of the page
    choose(at.run(), two_layers)
    assert chosen(at, "layer", "head") == {"layer": 1, "head": 1} and not at.toast
    choose(at, "story")
    assert chosen(at, "layer", "head") == {"layer": 5, "head": 1}
    assert not at.exception


def test_a_smaller_model_says_what_it_does_not_have_and_takes_nothing_from_the_larger(open_page, two_layers):
    at = load(open_page("attention", layer=5, head=4, text="the cat saw the dog"))
    assert chosen(at, "layer", "head") == {"layer": 0, "head": 0}
    assert [toast.value for toast in at.toast] == [
        "There is no layer 5 any more: showing layer 0.",
        "There is no head 4 any more: showing head 0.",
    ]
    assert chosen(choose(at, "story"), "layer", "head") == {"layer": 5, "head": 4}


def test_the_model_that_reads_a_page_brings_its_choices_when_it_is_chosen(open_page):
    at = open_page("translation", layer=2, head=3, across="head")
    at.button(key="use_reader").click().run()
    assert at.session_state.model == "translator"
    assert chosen(go(at, "attention"), "layer", "head") == {"layer": 2, "head": 3}
    assert chosen(choose(at, "story"), "layer", "head") == {"layer": 2, "head": 3}


def test_the_decoder_beside_the_encoder_has_choices_of_its_own(open_page, two_layers):
    at = open_page("understanding", section="both", maps="head", decoder_layer=5, decoder_head=4, layer=3)
    load(at)  # a decoder: it takes story's place beside the encoder
    names = ("layer", "decoder_layer", "decoder_head")
    assert chosen(at, *names) == {"layer": 3, "decoder_layer": 0, "decoder_head": 0}
    at.slider(key="decoder_layer").set_value(1).run()
    assert chosen(choose(at, "story"), *names) == {"layer": 3, "decoder_layer": 5, "decoder_head": 4}
    assert chosen(choose(at, two_layers), *names) == {"layer": 3, "decoder_layer": 1, "decoder_head": 0}
    assert not at.exception
